"""A scenario asked twice: on the embedded Prometheus, and on a real one that holds what the first run read.

Rules: the real server gets only the series and windows that the embedded one read, so what the embedded engine read
too little of shows as a difference; both sides have the semantics of the real binary's version; the moment, the API
server and the question are the same. What a real Prometheus cannot play (faults of the server) is said, not run.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.app import App, Target
from agent.types import Diagnosis
from evals.engine import Engine
from evals.once import converse, serving
from evals.promql.memory import MemorySource
from evals.sameness import differing
from evals.scenario import plan_of
from evals.servers.prom.openmetrics import MAX_SAMPLES
from evals.servers.prom.real import RealPrometheus
from evals.types import Scenario
from evals.world.load import anchored
from evals.world.model import Key, Matcher, RawSeries, SeriesSource, World, key_of
from tools.prom.connect import connect_prom

Read = tuple[tuple[Matcher, ...], float, float]
"""Matchers and the closed window, in seconds."""


@dataclass(slots=True)
class Noted:
    """A SeriesSource that notes what is read."""

    source: SeriesSource
    reads: set[Read] = field(default_factory=set)

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """As the source."""
        self.reads.add((tuple(matchers), start, end))
        return self.source.select(matchers, start, end)

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> Iterable[Mapping[str, str]]:
        """As the source."""
        self.reads.add((tuple(matchers), start, end))
        return self.source.label_sets(matchers, start, end)


@dataclass(frozen=True, slots=True)
class Agreement:
    """What came of a scenario."""

    samples: int = 0
    """Given to the real Prometheus."""
    differences: tuple[str, ...] = ()
    """Part of the diagnosis, embedded against real."""
    skipped: str = ""
    """Why it was not run."""


async def agreement(scenario: Scenario, *, prometheus: str, limit: int = MAX_SAMPLES) -> Agreement:
    """Ask both. `prometheus` is the semantics of the binary, "2.x" or "3.x". Raises PlumblineError and OSError."""
    world = replace(anchored(plan_of(scenario)), prometheus=prometheus)
    if any(fault.get("server") == "prom" for fault in world.faults):
        return Agreement(skipped="a real Prometheus cannot play the faults of its world")
    if world.alerts:
        return Agreement(skipped="the alerts of its world come from no rule that a real Prometheus has")
    noted = Noted(world.series)
    async with serving(replace(world, series=noted)) as served:
        embedded = await _asked(served.target, scenario, world.clock.now)
    if not noted.reads:
        return Agreement(skipped="it reads no series")
    held, samples = loaded(world.series, noted.reads, limit)
    if samples > limit:
        return Agreement(skipped=f"it reads more than {limit:,} samples")
    real = await _on_a_real_one(replace(world, series=held), scenario, min(start for _, start, _ in noted.reads))
    return Agreement(samples, tuple(differing(embedded, real)))


def loaded(source: SeriesSource, reads: Iterable[Read], limit: int) -> tuple[MemorySource, int]:
    """(the samples of these reads, how many); stops where they are more than `limit`."""
    points: dict[Key, dict[float, float]] = {}
    count = 0
    for matchers, windows in _joined(reads):
        for start, end in windows:
            for series in source.select(matchers, start, end):
                held = points.setdefault(key_of(series.labels), {})
                count -= len(held)
                held.update(zip(series.times, series.values, strict=True))
                count += len(held)
                if count > limit:
                    return MemorySource(), count
    return MemorySource(RawSeries.of(dict(key), held) for key, held in points.items()), count


def _joined(reads: Iterable[Read]) -> list[tuple[tuple[Matcher, ...], list[tuple[float, float]]]]:
    """Each selector with its windows, overlapping ones joined."""
    found: dict[tuple[Matcher, ...], list[tuple[float, float]]] = {}
    for matchers, start, end in sorted(reads, key=lambda one: (str(one[0]), one[1])):
        windows = found.setdefault(matchers, [])
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(end, windows[-1][1]))
        else:
            windows.append((start, end))
    return list(found.items())


async def _on_a_real_one(world: World, scenario: Scenario, since: float) -> Diagnosis | None:
    """The same question where the series are those of a real Prometheus."""
    now = world.clock.now
    with RealPrometheus(world, history=now - since, max_samples=sys.maxsize) as real:
        async with serving(world) as served:
            prom = connect_prom(real.url)
            try:
                return await _asked(replace(served.target, prom=prom, prom_note=real.url), scenario, now)
            finally:
                await prom.aclose()


async def _asked(target: Target, scenario: Scenario, now: float) -> Diagnosis | None:
    """The playbook's answer; a real server's clock is not the world's, so the moment is given."""
    with tempfile.TemporaryDirectory(prefix="plumbline-agreement-") as folder:
        async with App.open(Engine().settings(Path(folder)), target, at=now) as app:
            session = await app.session(mode=scenario.mode, namespace=scenario.namespace or None)
            return (await converse(session, scenario)).diagnosis
