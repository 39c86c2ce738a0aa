"""Whether latency got worse by a change, at the load at which it was measured before. Pure statistics.

Rules: only moments at comparable load are compared; the test is one-sided, on ranks (Mann and Whitney 1947, normal
approximation with the correction for ties), and a difference must also be large enough to matter; too little to
compare is `inconclusive`, never fine. Points of half an hour are pooled: neighbours say the same twice.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, TypeAlias

from agent.changes.prediction import Points

BLOCK = 1800.0
"""Seconds that are pooled to one point."""
LEAST = 8
"""Points on each side: four hours of one replica."""
ALPHA = 0.01
"""Chance of calling no difference a regression."""
WORSE = 1.2
"""Ratio of medians from which a regression counts: well above the noise of a day, well below what users endure."""
Verdict: TypeAlias = Literal["held", "failed", "inconclusive"]
Pair: TypeAlias = tuple[float, float]
"""(tokens a second of the replica, latency)."""


def regression(before: Sequence[Pair], after: Sequence[Pair]) -> tuple[Verdict, str]:
    """Compare latency after a change with latency before it, and say so in one line."""
    if not before or not after:
        return "inconclusive", "latency was not measured on both sides of the change"
    low = max(min(load for load, _ in before), min(load for load, _ in after))
    high = min(max(load for load, _ in before), max(load for load, _ in after))
    old = [value for load, value in before if low <= load <= high]
    new = [value for load, value in after if low <= load <= high]
    if len(old) < LEAST or len(new) < LEAST:
        return "inconclusive", f"only {len(old)} and {len(new)} half-hours at comparable load before and after"
    ratio = statistics.median(new) / statistics.median(old)
    chance = greater(new, old)
    told = f"median {ratio:.2f} times that before at the same load, p = {chance:.2g}, n = {len(old)} and {len(new)}"
    return ("failed" if ratio >= WORSE and chance < ALPHA else "held"), told


def pairs(tokens: Points, latency: Points) -> list[Pair]:
    """Load and latency of each replica in each half hour in which both were measured."""
    pooled: dict[tuple[str, int], list[Pair]] = defaultdict(list)
    for pod, series in tokens.items():
        for moment, load in series.items():
            if moment in latency.get(pod, {}):
                pooled[pod, int(moment // BLOCK)].append((load, latency[pod][moment]))
    return [
        (statistics.fmean(load for load, _ in some), statistics.fmean(value for _, value in some))
        for _, some in sorted(pooled.items())
    ]


def greater(one: Sequence[float], other: Sequence[float]) -> float:
    """Chance of ranks like these where `one` is not greater than `other` (one-sided)."""
    ordered = sorted([*one, *other])
    ranks: dict[float, float] = {}
    ties = 0.0
    start = 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end] == ordered[start]:
            end += 1
        ranks[ordered[start]] = (start + 1 + end) / 2
        ties += (end - start) ** 3 - (end - start)
        start = end
    n, m = len(one), len(other)
    total = n + m
    statistic = sum(ranks[value] for value in one) - n * (n + 1) / 2
    variance = n * m / 12 * ((total + 1) - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    score = (statistic - n * m / 2 - 0.5) / math.sqrt(variance)
    return 0.5 * math.erfc(score / math.sqrt(2))
