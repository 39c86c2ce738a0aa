"""Run scenarios over processes and report. Rules: one result a run, in order, none lost; the playbook's repeat."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TextIO, TypeAlias

from evals.engine import Engine
from evals.once import PLAYBOOK, run
from evals.report import as_json, as_junit, as_table, line
from evals.scenario import load_all
from evals.types import Result, Scenario

FORMATS = {"table": as_table, "json": as_json, "junit": as_junit}
Job: TypeAlias = tuple[Scenario, Engine, int]
"""A scenario, who answers, and which of several runs it is."""


def _one(job: Job) -> Result:
    done: list[Result] = []
    scenario, engine, epoch = job

    async def once() -> None:
        done.append(await run(scenario, engine, epoch=epoch))  # asyncio.run would print a whole result in a task's repr

    asyncio.run(once())
    return done[0]


def results(jobs: Sequence[Job], *, workers: int) -> Iterator[Result]:
    """Results in the order of the jobs; workers are started before anything is served."""
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_one, jobs)
        return
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        yield from pool.map(_one, jobs, chunksize=1)


def main(
    pattern: str = "*",
    *,
    output: str = "table",
    workers: int | None = None,
    out: TextIO | None = None,
    engine: Engine = PLAYBOOK,
    epochs: int = 1,
) -> int:
    """Run and print. Returns 0 when all passed, 1 otherwise, as when no run at all heard the model.

    Raises UnknownName when nothing matches.
    """
    out = out or sys.stdout
    jobs: list[Job] = [(s, engine, epoch) for s in load_all(pattern) for epoch in range(1, epochs + 1)]
    begun = time.perf_counter()
    done: list[Result] = []
    for result in results(jobs, workers=workers or min(len(jobs), os.cpu_count() or 1)):
        done.append(result)
        if output == "table":
            print(line(result), file=out, flush=True)
    print(FORMATS[output](done, time.perf_counter() - begun, engine), file=out)
    unanswered = engine.reasoner == "llm" and all(result.record.fallback for result in done)
    return 0 if all(result.passed for result in done) and not unanswered else 1
