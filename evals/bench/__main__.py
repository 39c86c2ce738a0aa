"""`python -m evals.bench [startup] [fleet] [evals] [runs] [models]`: print the ratios. Nothing here is a test."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tempfile
import time

from evals.bench.fleet import Measured, Size, measure
from evals.bench.models import measured
from evals.once import grade, record, run
from evals.runner import collect_less
from evals.scenario import load_all
from evals.types import Expectation, Scenario

LARGE, SMALL = Size(1000, 10_000), Size(100, 1_000)


def _row(name: str, value: str, target: str) -> None:
    print(f"{name:44} {value:>28}   target {target}")


_LAUNCHER = """
import os, sys, time
begun = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], dict(os.environ), file_actions=quiet)
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - begun, usage.ru_maxrss / 1024)
sys.exit(status and 1)
"""
"""A small parent: a child's peak counts what its parent held before exec, and this process holds much."""


def _child(*command: str, runs: int = 5) -> tuple[float, float]:
    """Best wall seconds of some runs, and peak MiB, of a child process."""
    done: list[tuple[float, float]] = []
    for _ in range(runs):
        out, into = os.pipe()
        launcher = [sys.executable, "-S", "-c", _LAUNCHER, *command]
        pid = os.posix_spawn(launcher[0], launcher, dict(os.environ), file_actions=[(os.POSIX_SPAWN_DUP2, into, 1)])
        os.close(into)
        with os.fdopen(out) as launched:
            seconds, mib = launched.read().split()
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
            sys.exit(f"failed: {' '.join(command)}")
        done.append((float(seconds), float(mib)))
    return min(seconds for seconds, _ in done), max(mib for _, mib in done)


def startup() -> None:
    """Command start-up against a bare interpreter."""
    bare, _ = _child(sys.executable, "-c", "pass")
    shown, mib = _child(sys.executable, "-m", "plumbline", "--help")
    _row("plumbline --help / bare python", f"{shown / bare:.1f} x ({shown:.2f} s, {mib:.0f} MiB)", "0.25 s, 40 MiB")
    asked, mib = _child(sys.executable, "-m", "plumbline", "demo")
    _row(
        "first answer on a world / bare python",
        f"{asked / bare:.1f} x ({asked:.2f} s, {mib:.0f} MiB)",
        "2.0 s, 200 MiB",
    )


def _print(measured: Measured) -> None:
    size = f"{measured.size.pods:,} pods"
    _row(
        f"diagnosis of {size} / floor",
        f"{measured.ratio:.2f} x ({measured.ours:.2f} s / {measured.floor:.2f} s)",
        "3 x",
    )
    _row(f"extra memory, {size}", f"{measured.extra_mib:.0f} MiB", "200 MiB")
    requests = f"{measured.kube_requests} (of them {measured.pages} further pages)"
    _row(f"API requests, {size}", requests, "constant but for pages")
    _row(f"PromQL requests, {size}", str(measured.prom_requests), "150")


def fleet() -> None:
    """The large fleet, the small one, and the growth between them."""
    small, large = measure(SMALL), measure(LARGE)
    _print(small)
    _print(large)
    _row("growth of time, 1,000 to 10,000 pods", f"{large.ours / small.ours:.1f} x", "10 x")


NAMED = "is-one-named-workload"


def _one_workload() -> None:
    """Queries that a question about one named workload costs."""
    question = "why is search/Deployment/chat-70b slow?"
    expect = Expectation(status="found", cause="U13")
    done = asyncio.run(record(Scenario(name=NAMED, world="hpa-cpu", question=question, expect=expect)))
    queries = sum("/query" in request for request in done.prom_requests)
    _row("PromQL requests, one named workload", str(queries), "30")


def evaluations() -> None:
    """Whole scenario runs and re-grading, a second a core, in a process such as `plumbline eval` starts."""
    collect_less()
    _one_workload()
    scenarios = [scenario for scenario in load_all() if "large" not in scenario.tags][::4]  # a few of every kind
    asyncio.run(run(scenarios[0]))
    begun = time.process_time()
    done = [asyncio.run(record(scenario)) for scenario in scenarios]
    _row("scenario runs a second a core", f"{len(done) / (time.process_time() - begun):.1f}", "4")
    begun = time.process_time()
    for _ in range(3):
        for scenario, kept in zip(scenarios, done, strict=False):
            grade(scenario, kept)
    _row("re-gradings a second a core", f"{3 * len(done) / (time.process_time() - begun):.0f}", "200")


QUICK = "pending-*"
"""Scenarios that take little: a run of a thousand samples is about how the run grows, not how they do."""


def runs() -> None:
    """Memory of long runs, and grading of what they stored."""
    quick = len(load_all(QUICK))
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as folder:
        peaks = []
        for epochs in (100 // quick + 1, 1_000 // quick + 1):
            out = f"{folder}/{epochs}"
            plain = ("eval", QUICK, "--epochs", str(epochs), "--workers", "1", "--out", out)
            seconds, mib = _child(sys.executable, "-m", "plumbline", *plain, runs=1)
            peaks.append((epochs * quick, seconds, mib))
        regraded, _ = _child(sys.executable, "-m", "plumbline", "eval", "regrade", out, runs=1)
    (few, _, small), (many, seconds, large) = peaks
    _row(f"peak memory, {many:,} samples / {few}", f"{large / small:.2f} x ({large:.0f} MiB / {small:.0f} MiB)", "flat")
    _row(f"samples a second, {many:,} in one process", f"{many / seconds:.1f}", "4")
    _row("stored samples graded again a second", f"{many / regraded:.0f}", "200")


def models() -> None:
    """What a language model costs, with the scripted honest one."""
    for name, value, target in measured():
        _row(name, value, target)


PARTS = {"startup": startup, "fleet": fleet, "evals": evaluations, "runs": runs, "models": models}


def main() -> None:
    """Run the parts named on the command line, or all."""
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
