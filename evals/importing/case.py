"""A case as somebody hands it over: `case.yaml` with the question and the cause in the author's words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from agent import diagnosers
from evals.scenario import validated
from evals.types import Expectation
from tools.documents import load_yaml_located
from tools.errors import DocumentError, SettingsError
from tools.fields import timestamp
from tools.types import Frozen

FILE = "case.yaml"
_ID = re.compile(r"\b[UD]\d\d\b")
_HEALTHY = frozenset({"healthy", "none", "nothing", "no fault"})


class Case(Frozen):
    """What a case says beside its files. Everything may be left out."""

    name: str = Field(default="", pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")
    """Of the world and the scenario; the folder's name where it is not given."""
    description: str = ""
    question: str = ""
    expected: str = ""
    """The cause in the author's words, the id or title of one of ours, or `healthy`."""
    subject: str = ""
    """Printed reference of the object it is about: `namespace/Kind/name`."""
    namespace: str = ""
    now: str = ""
    """When it was captured, RFC 3339; the newest moment in the files where it is not given."""
    kubernetes: str = "1.36"
    prometheus: Literal["2.x", "3.x"] = "3.x"

    @property
    def moment(self) -> float | None:
        """`now` in Unix seconds."""
        return timestamp(self.now) if self.now else None


def read_case(folder: Path) -> Case:
    """The case of a folder, an empty one where it has no `case.yaml`. Raises DocumentError and SettingsError."""
    path = folder / FILE
    if not path.exists():
        return Case()
    try:
        body, lines = load_yaml_located(path.read_text(encoding="utf-8"), name=FILE)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from None
    if body is not None and not isinstance(body, dict):
        raise DocumentError(FILE, 1, "", "a case is a mapping: question, expected, now")
    if body and (odd := next((key for key in body if key not in Case.model_fields), None)) is not None:
        raise DocumentError(FILE, lines.get((odd,)), odd, f"a case may say {', '.join(Case.model_fields)}")
    case = validated(Case, body or {}, lines, FILE)
    if case.now and case.moment is None:
        raise DocumentError(FILE, lines.get(("now",)), "now", "not a time such as 2026-05-12T14:00:00Z")
    return case


def expectation(case: Case) -> Expectation:
    """What a right answer says; with a cause that is none of ours, in the author's words, no answer is right yet."""
    told = case.expected.strip()
    if told.rstrip(".").lower() in _HEALTHY:
        return Expectation(status="healthy")
    titles = {one.CAUSE.title.lower(): cause for cause, one in diagnosers.load().items()}
    ids = {one for one in _ID.findall(told) if one in titles.values()}
    cause = titles.get(told.rstrip(".").lower()) or (ids.pop() if len(ids) == 1 else "")
    if cause:
        return Expectation(status="found", cause=cause, subject=case.subject)
    return Expectation(status="found", subject=case.subject, told=told or "(the case does not say)")
