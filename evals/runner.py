"""Run scenarios over processes: each sample is kept as it ends, none is run twice, nothing grows with their number.

Rules: what the machine broke is tried again and told apart from wrong answers; a worker that dies loses no other
sample; the same seed gives the same samples, whatever the number of workers or shards.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass

from evals.engine import Engine
from evals.items import Item, item_of
from evals.kept import Kept
from evals.once import run
from evals.perturb.drawing import Perturbing, drawn
from evals.perturb.model import Case
from evals.rundir import RunDir, Sample, read_item
from evals.types import Grade, Result, RunRecord, Scenario
from tools.errors import UserError

ATTEMPTS = 3
"""How often a sample is tried that the machine breaks."""
AHEAD = 2
"""Samples given to each worker at once: enough that none waits, and few to lose."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sample may take; 0: what a question may take anyway."""

    seconds: float = 0.0
    calls: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to run."""

    scenario: Scenario
    engine: Engine
    number: int
    """Of the engine within the run."""
    epoch: int
    limits: Limits
    perturbing: Perturbing | None = None
    """How its world is made to look different; the worker makes it."""

    def case(self) -> Case | None:
        """A fresh perturbed world with its question; None where nothing is perturbed, or no world can be read."""
        try:
            return drawn(self.scenario, self.epoch, self.perturbing) if self.perturbing is not None else None
        except UserError:
            return None  # the run itself then says what is wrong with the world


def jobs_of(
    place: RunDir, scenarios: Sequence[Scenario], limits: Limits, *, shard: tuple[int, int] = (1, 1)
) -> list[Job]:
    """Every sample of a run that falls into a shard (number, of how many), in the order of a report."""
    info = place.info
    jobs = [
        Job(scenario, engine, number, epoch, limits, info.perturbing)
        for scenario in scenarios
        for number, engine in enumerate(info.engines)
        for epoch in range(1, info.epochs + 1)
    ]
    return jobs[shard[0] - 1 :: shard[1]]


def kept(place: RunDir, jobs: Sequence[Job]) -> dict[int, Item]:
    """What has been run already, by number of the job; what the machine broke is to be run again."""
    there = {(item.scenario, item.engine, item.epoch): item for item in place.items()}
    found = {n: there.get((job.scenario.name, job.number, job.epoch)) for n, job in enumerate(jobs)}
    return {n: item for n, item in found.items() if item is not None and item.verdict != "error"}


def work(place: RunDir, job: Job) -> Item:
    """Run one sample, grade it and keep it."""
    done: list[Result] = []
    case: Case | None = None

    async def once() -> None:
        done.append(await run(job.scenario, job.engine, epoch=job.epoch, limit=job.limits.seconds, case=case))

    for _ in range(ATTEMPTS):
        case = job.case()  # each time anew: a world that was served is not what it was
        asyncio.run(once())  # returns nothing: asyncio would print a whole result in a task's repr
        if not done[-1].record.infrastructure:
            break
    result = _limited(done[-1], job.limits)
    item = item_of(result, case.scenario if case else job.scenario, engine=job.number, attempts=len(done))
    place.keep(Sample(item=item, result=result))
    return item


def _limited(result: Result, limits: Limits) -> Result:
    """The result with a grade of what it took, where that was limited."""
    record, model = result.record, result.record.model
    tokens = model.input + model.output if model is not None else 0
    over = [
        f"{took:,} {what}, {limit:,} allowed"
        for what, took, limit in (("calls", record.calls, limits.calls), ("tokens", tokens, limits.tokens))
        if limit and took > limit
    ]
    if not (limits.calls or limits.tokens) or record.infrastructure:
        return result
    said = Grade(grader="limits", passed=not over, detail="; ".join(over))
    return result.model_copy(update={"grades": (*result.grades, said)})


def results(place: RunDir, jobs: Sequence[tuple[int, Job]], *, workers: int) -> Iterator[tuple[int, Item]]:
    """(number, item) of each job as it ends; workers are started before anything is served."""
    if workers <= 1 or len(jobs) <= 1:
        yield from ((number, work(place, job)) for number, job in jobs)
        return
    waiting = deque(jobs)
    while waiting:
        flying: dict[Future[Item], tuple[int, Job]] = {}
        with _pool(workers) as pool, suppress(BrokenProcessPool):
            yield from _through(pool, place, waiting, flying, workers)
        yield from ((number, _alone(place, job)) for number, job in flying.values())


def _pool(workers: int) -> ProcessPoolExecutor:
    forked = multiprocessing.get_context("forkserver")
    return ProcessPoolExecutor(max_workers=workers, mp_context=forked, initializer=collect_less)


def collect_less() -> None:
    """Look for garbage in cycles less often: a process that holds worlds walks through all of them each time, which
    took a fifth of a run's time; there is little of it, and it still goes."""
    gc.set_threshold(200_000, 20, 100)


def _alone(place: RunDir, job: Job) -> Item:
    """A sample that was under way when a worker died, by itself: so only the one that kills it counts as lost."""
    there = read_item(place.path(job.scenario.name, job.epoch, job.number))
    if there is not None and there.verdict != "error":
        return there
    for _ in range(ATTEMPTS):
        with _pool(1) as pool, suppress(BrokenProcessPool):
            return pool.submit(work, place, job).result()
    return _lost(place, job)


def _through(
    pool: ProcessPoolExecutor,
    place: RunDir,
    waiting: deque[tuple[int, Job]],
    flying: dict[Future[Item], tuple[int, Job]],
    workers: int,
) -> Iterator[tuple[int, Item]]:
    """Send job after job through a pool. Raises BrokenProcessPool with the lost ones still flying."""
    while waiting or flying:
        while waiting and len(flying) < AHEAD * workers:
            number, job = waiting[0]
            flying[pool.submit(work, place, job)] = (number, job)
            waiting.popleft()
        ended, _ = wait(flying, return_when=FIRST_COMPLETED)
        for future in sorted(ended, key=lambda one: flying[one][0]):
            item = future.result()
            yield flying.pop(future)[0], item


def _lost(place: RunDir, job: Job) -> Item:
    """The item of a sample whose worker died each time."""
    record = RunRecord(
        scenario=job.scenario.name, epoch=job.epoch, reasoner=job.engine.reasoner, diagnosis=None,
        failure="its worker process ended", infrastructure=True, evidence=Kept({}), versions={},
    )  # fmt: skip
    result = Result(record=record, grades=())
    item = item_of(result, job.scenario, engine=job.number, attempts=ATTEMPTS)
    place.keep(Sample(item=item, result=result))
    return item
