"""Every cause is explained, sourced, reachable, and proven right and silent by scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import diagnosers
from agent.analysis import signals
from agent.grammar import parse
from agent.types import Objects, Query
from agent.verdict import EXPLAINS, LOOK_ALIKES
from evals.scenario import load_all, plan_of
from evals.world.layers import known_worlds

CAUSES = diagnosers.load()
SCENARIOS = load_all()
RIGHT, SILENT = 2, 1
"""Scenarios in which a cause must be the root, and in which it must stay silent, at least."""
ENOUGH = 40


def test_there_are_enough_scenarios_with_questions_of_their_own() -> None:
    questions = [scenario.question for scenario in SCENARIOS if scenario.question]
    assert len(SCENARIOS) >= ENOUGH
    assert len(set(questions)) == len(questions)


def test_every_world_is_asked_about() -> None:
    used = {name for scenario in SCENARIOS for name in (scenario.world, *scenario.overlays)}
    bases = {layer.name for scenario in SCENARIOS for layer in plan_of(scenario).layers[:-1]}
    assert set(known_worlds()) <= used | bases, "a world that is neither asked about nor stood on"


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_proven(cause: str) -> None:
    right = {s.world for s in SCENARIOS if s.expect.cause == cause}
    silent = {s.world for s in SCENARIOS if cause in s.expect.must_not_claim and s.world != "fleet"}
    assert len(right) >= RIGHT, f"{cause} is the root in {sorted(right)} only: add evals/scenarios/*.yaml"
    assert len(silent) >= SILENT, f"no near neighbour of {cause}: add a scenario with must_not_claim"


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_explained_and_sourced(cause: str) -> None:
    module = CAUSES[cause]
    assert module.CAUSE.id == cause
    assert len((module.__doc__ or "").strip()) > 200, "the docstring is the explanation users read"
    assert len(module.CAUSE.doc) > 10, "name the original source"
    assert Path(str(vars(module)["__file__"])).parent.name == module.CAUSE.family


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_uses_signals_and_reads_that_exist(cause: str) -> None:
    module, known = CAUSES[cause], signals.load()
    assert module.CONFIRMS, "a cause needs a test"
    for name in (*module.CONFIRMS, *module.EXCLUDES):
        assert name in known, f"{cause} names the signal {name}, which no module in agent/analysis/signals declares"
        assert known[name].__doc__, f"signal {name} does not say when it holds"
    assert any(need.decisive for need in module.NEEDS), "say what the cause cannot be judged without"
    names = [need.query.name for need in module.NEEDS if isinstance(need, Query)]
    kinds = [need.kind for need in module.NEEDS if isinstance(need, Objects)]
    assert len(set(names)) == len(names)
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_reachable_by_a_question(cause: str) -> None:
    family = CAUSES[cause].CAUSE.family
    asked = [parse(s.question) for s in SCENARIOS if s.expect.cause == cause and s.question]
    assert any(family in q.families and (not q.causes or cause in q.causes) for q in asked)


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_has_neighbours_that_a_test_tells_apart(cause: str) -> None:
    assert LOOK_ALIKES.get(cause), f"name the causes that look like {cause} in agent/verdict.py"
    assert cause not in (*LOOK_ALIKES[cause], *EXPLAINS.get(cause, ()))
