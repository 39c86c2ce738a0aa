"""Seeded series with everything that makes evaluation hard: resets, gaps, NaN, infinities, odd times, short lives."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from evals.promql.memory import MemorySource
from evals.world.model import Clock, RawSeries, World

START = 1_699_999_200.0
"""First possible sample: a multiple of one hour, so that aligned and unaligned subqueries both occur."""
LENGTH = 7200.0
END = START + LENGTH

Values = Callable[[int], float]


def _times(rng: random.Random, *, interval: float, jitter: bool, gaps: float) -> list[float]:
    count = int(LENGTH / interval) + 1
    offset = rng.choice([0.0, 0.0, 3.0, 7.25])
    times = []
    for i in range(count):
        if rng.random() < gaps:
            continue
        at = START + offset + i * interval + (rng.randrange(-2000, 2000) / 1000 if jitter else 0.0)
        if at <= END:
            times.append(round(at * 1000) / 1000)
    if gaps > 0:
        hole = rng.uniform(START, END)
        times = [at for at in times if not hole < at < hole + 900]
    return times


def _gauge(rng: random.Random, special: float | None) -> Values:
    base, swing = rng.uniform(-50, 200), rng.uniform(1, 80)

    def value(_: int) -> float:
        if special is not None and rng.random() < 0.1:
            return special
        return round(base + swing * rng.uniform(-1, 1), 3)

    return value


def _counter(rng: random.Random, resets: float) -> Values:
    total = [float(rng.randrange(0, 400))]

    def value(_: int) -> float:
        total[0] = float(rng.randrange(0, 20)) if rng.random() < resets else total[0] + rng.randrange(0, 30)
        return total[0]

    return value


def _add(out: list[RawSeries], rng: random.Random, labels: dict[str, str], value: Values, *, gaps: float = 0.0) -> None:
    interval = rng.choice([15.0, 30.0, 60.0])
    times = _times(rng, interval=interval, jitter=rng.random() < 0.4, gaps=gaps)
    if rng.random() < 0.25:
        born = rng.uniform(0.2, 0.7)
        times = times[int(len(times) * born) :] if rng.random() < 0.5 else times[: int(len(times) * born)]
    out.append(RawSeries(labels, times, [value(i) for i in range(len(times))]))


def generate(seed: int) -> MemorySource:
    """About 60 series over two hours."""
    rng = random.Random(seed)
    out: list[RawSeries] = []
    for i in range(8):
        labels = {"__name__": "g", "gpu": str(i % 4), "node": f"n{i // 4}", "pod": f"p{i % 3}"}
        special = {3: math.nan, 5: math.inf, 6: -math.inf}.get(i)
        _add(out, rng, labels, _gauge(rng, special), gaps=0.15 if i % 2 else 0.0)
    for i in range(6):
        labels = {
            "__name__": "c_total",
            "job": f"j{i % 2}",
            "node": f"n{i % 3}",
            "path": rng.choice(["/", "/a b", '"q"']),
        }
        _add(out, rng, {**labels, "id": str(i)}, _counter(rng, 0.06 if i % 2 else 0.0), gaps=0.1 if i > 3 else 0.0)
    for i in range(3):
        _add(out, rng, {"__name__": "info", "node": f"n{i}", "version": f"v{i % 2}"}, lambda _: 1.0)
    for i in range(4):
        _add(out, rng, {"__name__": "flat", "gpu": str(i), "node": "n0"}, lambda _, i=i: [0.0, -0.0, 0.1, 3.0][i])  # type: ignore[misc]
    _add(out, rng, {"__name__": "lone"}, _gauge(rng, None), gaps=0.2)
    for job in ("j0", "j1"):
        _histogram(out, rng, job)
    return MemorySource(sorted(out, key=lambda series: sorted(series.labels.items())))


def _histogram(out: list[RawSeries], rng: random.Random, job: str) -> None:
    times = _times(rng, interval=30.0, jitter=False, gaps=0.05)
    bounds = ["0.1", "0.5", "1", "2.5", "+Inf"] if job == "j0" else ["-1", "0", "1e1", "+Inf"]
    totals = [0.0] * len(bounds)
    columns: list[list[float]] = [[] for _ in bounds]
    for _ in times:
        added = 0.0
        for i in range(len(bounds)):
            added += rng.randrange(0, 5)
            totals[i] += added + (rng.randrange(-1, 2) if job == "j1" else 0)
            columns[i].append(totals[i])
    for bound, column in zip(bounds, columns, strict=True):
        out.append(RawSeries({"__name__": "h_bucket", "job": job, "le": bound, "node": "n0"}, times, column))
    out.append(RawSeries({"__name__": "h_count", "job": job, "node": "n0"}, times, columns[-1]))
    out.append(RawSeries({"__name__": "h_sum", "job": job, "node": "n0"}, times, [v * 0.7 for v in columns[-1]]))


def world(source: MemorySource) -> World:
    """A world that is nothing but these series, its clock at their end, speaking the 2.x semantics."""
    return World("generated", "seeded series", Clock(END), "1.36", "2.x", [], source, sample_interval=15.0)
