"""histogram_quantile on classic buckets: labels are grouped once, then each step is a small interpolation.

Rules: buckets are cumulative and made monotonic before use; without a +Inf bucket or observations the answer is
NaN. Native histograms do not exist in our sources.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from evals.promql.model import Labels, Row, Semantics, Vector
from evals.promql.numbers import INF, NAN
from evals.promql.vectors import Identity, identity, merged, unnamed

BUCKET = "le"
SMALL_DELTA = 1e-12
"""Relative difference between buckets that 3.x puts down to rounding (Prometheus, promql/quantile.go)."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE)


def histogram_quantile(quantiles: Sequence[float], buckets: Vector, semantics: Semantics) -> Vector:
    """The quantile of each histogram at each step; `buckets` are series with a label `le`."""
    groups: dict[Identity, tuple[Labels, list[tuple[float, Row]]]] = {}
    for labels, row in buckets:
        bound = _bound(labels.get(BUCKET, ""))
        if bound is None:
            continue
        rest = labels.copy()
        del rest[BUCKET]
        groups.setdefault(identity(rest), (unnamed(rest), []))[1].append((bound, row))
    return merged((labels, _row(quantiles, members, semantics)) for labels, members in groups.values())


def _bound(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _row(quantiles: Sequence[float], members: list[tuple[float, Row]], semantics: Semantics) -> Row:
    members.sort(key=lambda member: member[0])
    bounds = [bound for bound, _ in members]
    out: Row = []
    for q, column in zip(quantiles, zip(*(row for _, row in members))):
        present = [(bound, count) for bound, count in zip(bounds, column) if count is not None]
        out.append(_quantile(q, present, semantics) if present else None)
    return out


def _quantile(q: float, buckets: list[tuple[float, float]], semantics: Semantics) -> float:
    if q != q:
        return NAN
    if q < 0 or q > 1:
        return -INF if q < 0 else INF
    if buckets[-1][0] != INF:
        return NAN
    bounds, counts = _coalesced(buckets)
    counts = _monotonic_2(counts) if semantics == "2.x" else _monotonic_3(counts)
    if len(counts) < 2 or counts[-1] == 0:
        return NAN
    rank = q * counts[-1]
    at = _search(counts, rank)
    if at == len(counts) - 1:
        return bounds[-2]
    if at == 0 and bounds[0] <= 0:
        return bounds[0]
    start, count = 0.0, counts[at]
    if at > 0:
        start = bounds[at - 1]
        count -= counts[at - 1]
        rank -= counts[at - 1]
    share = rank / count if count else NAN
    return start + (bounds[at] - start) * share


def _search(counts: list[float], rank: float) -> int:
    """First bucket but the last whose count reaches the rank, by bisection (as NaN would have it)."""
    low, high = 0, len(counts) - 1
    while low < high:
        middle = (low + high) // 2
        if counts[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    return low


def _coalesced(buckets: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Bounds and counts, with the counts of equal bounds added up."""
    bounds, counts = [buckets[0][0]], [buckets[0][1]]
    for bound, count in buckets[1:]:
        if bound == bounds[-1]:
            counts[-1] += count
        else:
            bounds.append(bound)
            counts.append(count)
    return bounds, counts


def _monotonic_2(counts: list[float]) -> list[float]:
    highest, out = -INF, []
    for count in counts:
        if count > highest:
            highest = count
        out.append(highest if count < highest else count)
    return out


def _monotonic_3(counts: list[float]) -> list[float]:
    before, out = counts[0], counts[:1]
    for count in counts[1:]:
        if count > before and not _close(before, count):
            before = count
        out.append(before if count == count else count)
    return out


def _close(a: float, b: float) -> bool:
    """Equal within the tolerance, relative to the sum of magnitudes."""
    if a == b:
        return True
    return abs(a - b) / (abs(a) + abs(b)) < SMALL_DELTA
