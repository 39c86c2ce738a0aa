"""Items and results for what reads runs: made by hand, or truly asked."""

from __future__ import annotations

from pathlib import Path

from evals import once
from evals.engine import Engine
from evals.items import Item, Verdict, item_of
from evals.kept import Kept
from evals.rundir import RunDir, Sample, create, info_of
from evals.scenario import load_all
from evals.types import Expectation, Grade, Result, RunRecord, Scenario


def item(
    scenario: str,
    verdict: Verdict = "pass",
    *,
    epoch: int = 1,
    expected: str = "U01",
    roots: tuple[str, ...] = ("U01",),
    ranked: tuple[str, ...] | None = None,
    wrong: tuple[str, ...] = (),
    status: str = "found",
) -> Item:
    """An item that found U01, which was right, unless something else is said."""
    return Item(
        scenario=scenario, epoch=epoch, verdict=verdict, passed=verdict == "pass", seconds=0.5, status=status,
        expected=expected, roots=roots, wrong=wrong, ranked=roots if ranked is None else ranked,
    )  # fmt: skip


def scenario(name: str) -> Scenario:
    """A scenario of the healthy base fleet."""
    return Scenario(name=name, world="fleet", expect=Expectation(status="healthy"))


def result(name: str, *, epoch: int = 1, passed: bool = True, infrastructure: bool = False) -> Result:
    """A result without an answer in it."""
    record = RunRecord(
        scenario=name, epoch=epoch, reasoner="playbook", diagnosis=None, infrastructure=infrastructure,
        failure="no room" if infrastructure else "", evidence=Kept({}), versions={},
    )  # fmt: skip
    return Result(record=record, grades=(Grade(grader="cause", passed=passed, detail="" if passed else "found U05"),))


def stored(folder: Path, *results: Result, epochs: int = 1) -> RunDir:
    """A run that holds these results."""
    scenarios = [scenario(name) for name in dict.fromkeys(one.record.scenario for one in results)]
    place = create(folder, info_of(scenarios, [Engine()], epochs=epochs, seed=0))
    for one in results:
        place.keep(Sample(item=item_of(one, scenario(one.record.scenario)), result=one))
    return place


async def asked(folder: Path, *names: str) -> RunDir:
    """A run of these scenarios, truly asked."""
    scenarios = [load_all(name)[0] for name in names]
    place = create(folder, info_of(scenarios, [Engine()], epochs=1, seed=0))
    for scenario in scenarios:
        done = await once.run(scenario)
        place.keep(Sample(item=item_of(done, scenario), result=done))
    return place
