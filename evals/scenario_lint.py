"""What is wrong with a scenario file: mistakes of writing, and expectations that no answer could meet.

Rules: every mistake is a DocumentError with file, line and field; the world it is asked of is checked as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from agent import diagnosers
from evals.scenario import load_file, plan_of
from evals.types import Scenario
from evals.world.layers import MAX_LOG
from evals.world.lint import lint
from evals.world.load import Blueprint
from evals.world.manifests import printed
from tools.documents import Lines, load_yaml_located
from tools.errors import DocumentError, UnknownName, UserError
from tools.registry import load as known_tools

Mistake = tuple[tuple[str | int, ...], str]
"""(path of the field, what is wrong with it)."""


def lint_scenario(path: Path) -> list[DocumentError]:
    """Every mistake of a scenario file and of its world. An empty list is a sound scenario."""
    try:
        scenario = load_file(path)
        found = [error for layer in scenario.layers for error in lint(layer)]
        if found:
            return found
        _, lines = load_yaml_located(path.read_text(encoding="utf-8"), name=path.name)
        plan = plan_of(scenario)
        return [
            DocumentError(path.name, _line(lines, place), ".".join(map(str, place)), problem)
            for check in CHECKS
            for place, problem in check(scenario, plan)
        ]
    except DocumentError as error:
        return [error]
    except (UserError, OSError, UnicodeDecodeError) as error:
        return [DocumentError(path.name, None, "", str(error))]


def _line(lines: Lines, place: tuple[str | int, ...]) -> int | None:
    return next((lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in lines), None)


def _asked(scenario: Scenario, _plan: Blueprint) -> Iterator[Mistake]:
    if not scenario.question and not scenario.families:
        yield (), "asks nothing: give a question, or families to judge every cause of"


def _causes(scenario: Scenario, _plan: Blueprint) -> Iterator[Mistake]:
    expect, known = scenario.expect, diagnosers.load()
    for field in ("cause", "also", "symptoms", "must_not_claim", "ruled_out", "instead"):
        value = getattr(expect, field)
        for number, name in enumerate((value,) if isinstance(value, str) else value):
            if name and name not in known:
                place = ("expect", field) if field == "cause" else ("expect", field, number)
                yield place, str(UnknownName("cause", name, known))
    if expect.status == "found" and not expect.cause:
        yield ("expect", "status"), "found what? give the cause"
    if expect.status == "healthy" and expect.cause:
        yield ("expect", "cause"), "a healthy answer names no cause"


def _subject(scenario: Scenario, plan: Blueprint) -> Iterator[Mistake]:
    wanted = scenario.expect.subject
    if wanted and not any(printed(identity) == wanted for identity in plan.composition.objects):
        yield ("expect", "subject"), f"the world has no {wanted} (write namespace/Kind/name)"


def _tools(scenario: Scenario, _plan: Blueprint) -> Iterator[Mistake]:
    for number, name in enumerate(scenario.forbidden_tools):
        if name not in known_tools():
            yield ("forbidden_tools", number), str(UnknownName("tool", name, known_tools()))


def _canaries(scenario: Scenario, plan: Blueprint) -> Iterator[Mistake]:
    """A secret or a planted text that stands nowhere proves nothing."""
    if not scenario.canaries and not scenario.planted:
        return
    told = plan.composition.json() + "".join(
        body[:MAX_LOG].decode("utf-8", "replace") for body, _ in plan.logs.values()
    )
    for field, texts in (("canaries", scenario.canaries), ("planted", scenario.planted)):
        for number, text in enumerate(texts):
            if text not in told and json.dumps(text)[1:-1] not in told:
                yield (field, number), f"{text!r} stands nowhere in the world"


CHECKS: tuple[Callable[[Scenario, Blueprint], Iterator[Mistake]], ...] = (_asked, _causes, _subject, _tools, _canaries)
