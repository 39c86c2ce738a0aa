"""Samples over processes: none is lost to another's worker, none is run twice, a broken machine is tried again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from evals import runner
from evals.engine import Engine
from evals.once import run
from evals.rundir import RunDir, create, info_of
from evals.runner import ATTEMPTS, Job, Limits, jobs_of, kept, results, work
from evals.scenario import load_all
from evals.types import Result, Scenario
from tests.evals.samples import result, scenario

QUICK = load_all("fleet-health")[0]


def place_of(folder: Path, *scenarios: Scenario, epochs: int = 1) -> RunDir:
    return create(folder / "run", info_of(scenarios, [Engine()], epochs=epochs, seed=0))


class Deadly(Limits):
    """Limits that end whatever process reads them."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (3,)


def test_a_worker_that_dies_takes_no_other_sample_along(tmp_path: Path) -> None:
    others = [QUICK.model_copy(update={"name": f"quick-{n}"}) for n in range(3)]
    place = place_of(tmp_path, QUICK, *others)
    jobs = [Job(QUICK, Engine(), 0, 1, Deadly()), *(Job(one, Engine(), 0, 1, Limits()) for one in others)]
    found = dict(results(place, list(enumerate(jobs)), workers=2))
    assert {n: item.verdict for n, item in found.items()} == {0: "error", 1: "pass", 2: "pass", 3: "pass"}
    assert (found[0].failure, found[0].attempts) == ("its worker process ended", ATTEMPTS)
    assert set(kept(place, jobs)) == {1, 2, 3}, "what the machine broke is run again, and only that"


def answered(*told: Result) -> Callable[..., object]:
    """In the place of a run: these results, one after the other."""
    left = list(told)

    async def once(*_: object, **__: object) -> Result:
        return left.pop(0)

    return once


def test_what_the_machine_broke_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, broken = place_of(tmp_path, scenario("one")), result("one", infrastructure=True)
    job = Job(scenario("one"), Engine(), 0, 1, Limits())
    monkeypatch.setattr(runner, "run", answered(broken, broken, result("one", passed=False)))
    item = work(place, job)
    assert (item.verdict, item.attempts) == ("FAIL", 3)
    monkeypatch.setattr(runner, "run", answered(broken, broken, broken))
    assert work(place, job).verdict == "error"
    assert kept(place, [job]) == {}


def test_a_wrong_answer_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_of(tmp_path, scenario("one"))
    monkeypatch.setattr(runner, "run", answered(result("one", passed=False), result("one")))
    assert work(place, Job(scenario("one"), Engine(), 0, 1, Limits())).verdict == "FAIL"


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_are_a_partition(tmp_path: Path, shards: int) -> None:
    scenarios = [scenario(f"s{n}") for n in range(5)]
    place = place_of(tmp_path, *scenarios, epochs=2)
    every = jobs_of(place, scenarios, Limits())
    parts = [jobs_of(place, scenarios, Limits(), shard=(n, shards)) for n in range(1, shards + 1)]
    names = sorted((job.scenario.name, job.epoch) for part in parts for job in part)
    assert names == sorted((job.scenario.name, job.epoch) for job in every)
    assert len(set(names)) == len(names) == 10


async def test_a_limit_that_is_asked_for_is_the_samples_own(tmp_path: Path) -> None:
    slow = await run(QUICK, limit=1e-6)
    assert (slow.passed, slow.record.infrastructure) == (False, False)
    assert "TimeoutError" in slow.record.failure


@pytest.mark.parametrize(("limits", "passed"), [(Limits(calls=1), False), (Limits(calls=10_000), True)])
def test_calls_over_the_limit_fail_the_sample(tmp_path: Path, limits: Limits, *, passed: bool) -> None:
    place = place_of(tmp_path, QUICK)
    item = work(place, Job(QUICK, Engine(), 0, 1, limits))
    said = [grade for grade in item.grades if grade.grader == "limits"]
    assert [grade.passed for grade in said] == [passed]
    assert passed or "1 allowed" in said[0].detail
