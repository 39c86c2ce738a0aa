"""Run scenarios over processes and report. Rules: same seed, same result; one result a scenario, none lost."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TextIO
from xml.sax.saxutils import quoteattr

from evals.once import run
from evals.scenario import load_all
from evals.types import Result, Scenario

FORMATS = ("table", "json", "junit")


def _one(scenario: Scenario) -> Result:
    done: list[Result] = []

    async def once() -> None:
        done.append(await run(scenario))  # asyncio.run would print the whole result into a task's repr

    asyncio.run(once())
    return done[0]


def results(scenarios: Sequence[Scenario], *, workers: int) -> Iterator[Result]:
    """Results in the order of the scenarios; workers are started before anything is served."""
    if workers <= 1 or len(scenarios) <= 1:
        yield from map(_one, scenarios)
        return
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        yield from pool.map(_one, scenarios, chunksize=1)


def main(pattern: str = "*", *, output: str = "table", workers: int | None = None, out: TextIO | None = None) -> int:
    """Run and print. Returns 0 when all passed, 1 otherwise. Raises UnknownName when nothing matches."""
    out = out or sys.stdout
    scenarios = load_all(pattern)
    begun = time.perf_counter()
    done: list[Result] = []
    count = workers or min(len(scenarios), os.cpu_count() or 1)
    for result in results(scenarios, workers=count):
        done.append(result)
        if output == "table":
            print(line(result), file=out, flush=True)
    seconds = time.perf_counter() - begun
    print({"table": summary, "json": as_json, "junit": as_junit}[output](done, seconds), file=out)
    return 0 if all(result.passed for result in done) else 1


def verdict(result: Result) -> str:
    """pass, FAIL, or error for what was not the answer's fault."""
    return "error" if result.record.infrastructure else "pass" if result.passed else "FAIL"


def _why(result: Result) -> str:
    if result.record.failure:
        return result.record.failure
    return "; ".join(f"{grade.grader}: {grade.detail}" for grade in result.grades if not grade.passed)


def line(result: Result) -> str:
    """One line about one scenario."""
    why = _why(result)
    return f"{verdict(result):5} {result.record.scenario:36} {result.record.seconds:5.2f} s{'  ' + why if why else ''}"


def summary(done: Sequence[Result], seconds: float) -> str:
    """The last line of a table."""
    passed = sum(result.passed for result in done)
    broken = sum(result.record.infrastructure for result in done)
    text = f"{passed} of {len(done)} scenarios passed in {seconds:.1f} s ({len(done) / seconds:.1f} a second)"
    return f"{text}; {broken} could not be run" if broken else text


def as_json(done: Sequence[Result], seconds: float) -> str:
    """A list of results with their grades and answers, without evidence bodies."""
    items = [
        {
            "scenario": result.record.scenario,
            "verdict": verdict(result),
            "seconds": round(result.record.seconds, 3),
            "grades": [grade.model_dump() for grade in result.grades],
            "failure": result.record.failure,
            "diagnosis": result.record.diagnosis.model_dump(mode="json") if result.record.diagnosis else None,
        }
        for result in done
    ]
    return json.dumps({"apiVersion": "plumbline.dev/v1alpha1", "kind": "EvalReport", "items": items}, indent=2)


def as_junit(done: Sequence[Result], seconds: float) -> str:
    """JUnit XML for pipelines."""
    failures = sum(not result.passed and not result.record.infrastructure for result in done)
    errors = sum(result.record.infrastructure for result in done)
    head = (
        f'<testsuite name="plumbline" tests="{len(done)}" failures="{failures}" errors="{errors}" time="{seconds:.3f}">'
    )
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *map(_case, done), "</testsuite>"])


def _case(result: Result) -> str:
    name, seconds = quoteattr(result.record.scenario), f"{result.record.seconds:.3f}"
    if result.passed:
        return f'  <testcase classname="scenarios" name={name} time="{seconds}"/>'
    tag = "error" if result.record.infrastructure else "failure"
    inner = f"<{tag} message={quoteattr(_why(result))}/>"
    return f'  <testcase classname="scenarios" name={name} time="{seconds}">{inner}</testcase>'
