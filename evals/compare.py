"""Stored reports side by side: where verdicts differ, and what each engine took.

Rules: reports are files that anybody may have edited: read within a bound, checked, and a bad one is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.engine import Engine
from evals.report import Summary
from tools.errors import DocumentError, SettingsError

MAX_BYTES = 64 << 20
"""Bytes of a report at most: a hundred scenarios with five epochs take some ten MB."""
MAX_REPORTS = 8
WIDTH = 14
"""Characters of a column."""


class _Item(BaseModel):
    model_config = ConfigDict(extra="ignore")

    scenario: str
    verdict: str


class Report(BaseModel):
    """What a comparison needs of `plumbline eval -o json`."""

    model_config = ConfigDict(extra="ignore")

    engine: Engine
    summary: Summary
    items: list[_Item] = Field(max_length=100_000)

    def shown(self, scenario: str) -> str:
        """The verdict of a scenario; of several runs, how many passed."""
        found = [item.verdict for item in self.items if item.scenario == scenario]
        if len(found) <= 1:
            return found[0] if found else "-"
        return f"{found.count('pass')}/{len(found)} pass"


def read(path: str) -> Report:
    """A stored report. Raises SettingsError and DocumentError."""
    try:
        with Path(path).open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint="give a file of `eval -o json`") from None
    if len(body) > MAX_BYTES:
        raise DocumentError(path, None, "", f"larger than {MAX_BYTES >> 20} MiB")
    try:
        return Report.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(token) for token in first["loc"])
        raise DocumentError(path, None, where, "no report of `plumbline eval -o json`") from None


def lines(paths: Sequence[str]) -> list[str]:
    """The reports as columns: every scenario whose verdict differs, then the totals. Raises as `read` does."""
    if len(paths) > MAX_REPORTS:
        raise SettingsError(f"{len(paths)} reports are too many", hint=f"compare at most {MAX_REPORTS} at once")
    reports = [read(path) for path in paths]
    letters = "ABCDEFGH"[: len(reports)]
    out = [f"{letter}  {report.engine.title}" for letter, report in zip(letters, reports, strict=True)]
    scenarios = list(dict.fromkeys(item.scenario for report in reports for item in report.items))
    rows = [(name, [report.shown(name) for report in reports]) for name in scenarios]
    differing = [(name, shown) for name, shown in rows if len(set(shown)) > 1]
    out += ["", _row("", list(letters))]
    out += [_row(name, shown) for name, shown in differing]
    out.append(f"{len(rows) - len(differing)} of {len(rows)} scenarios have the same verdict everywhere")
    out += ["", *(_row(label, [_number(report.summary, name) for report in reports]) for label, name in _TOTALS)]
    return out


_TOTALS = (
    ("runs", "runs"),
    ("passed", "passed"),
    ("failed", "failed"),
    ("model could not be used", "fallbacks"),
    ("could not be run", "errors"),
    ("pass rate", "pass_rate"),
    ("median tokens in", "median_tokens_in"),
    ("max tokens in", "max_tokens_in"),
    ("median calls", "median_calls"),
    ("median calls of the model", "median_model_calls"),
    ("cost", "cost"),
    ("statements left out", "removed"),
    ("details marked", "marked"),
    ("clarity (judge)", "clarity"),
    ("usefulness (judge)", "usefulness"),
)


def _number(summary: Summary, name: str) -> str:
    value = getattr(summary, name)
    if name.endswith("_rate") and value is not None:
        return f"{value:.1%}"
    return "-" if value is None else f"{value:,.4g}" if isinstance(value, float) and value < 1_000 else f"{value:,.0f}"


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label:36}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)
