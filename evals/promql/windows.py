"""Functions over range vectors: rates with Prometheus's extrapolation, and the *_over_time family.

Rules: a window holds the samples of one series between two moments, staleness markers already removed; an empty
window has no result; every function takes one series and answers for all steps at once.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from evals.promql.model import Row, Semantics
from evals.promql.numbers import NAN, mean, nan_first, quantile, total

Bounds: TypeAlias = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Spans:
    """The windows of a range vector, one a step; all in seconds.

    `moments` are the evaluation times, which differ from `ends` under offset and @. `semantics` decides whether
    a sample at the very start of a window belongs to it: 2.x says yes, 3.x says no.
    """

    starts: list[float]
    ends: list[float]
    moments: list[float]
    length: float
    semantics: Semantics

    def bounds(self, times: Sequence[float]) -> Bounds:
        """For each window, where its samples begin and end in `times`."""
        left = bisect_left if self.semantics == "2.x" else bisect_right
        out: Bounds = []
        low = high = 0
        for start, end in zip(self.starts, self.ends):
            low, high = left(times, start, low), bisect_right(times, end, high)
            out.append((low, high))
        return out


RangeFunction: TypeAlias = Callable[[Sequence[float], Sequence[float], Spans, Sequence[float]], Row]
"""(times, values, windows, a parameter for each step) → one value a step."""


def _over(function: Callable[[Sequence[float]], float]) -> RangeFunction:
    """A range function that looks at nothing but the values of each window."""

    def call(times: Sequence[float], values: Sequence[float], spans: Spans, _params: Sequence[float]) -> Row:
        row: Row = []
        last, result = (0, 0), None
        for low, high in spans.bounds(times):
            if (low, high) != last:
                last = (low, high)
                result = function(values[low:high]) if high > low else None
            row.append(result)
        return row

    return call


def _between(function: Callable[[Sequence[float], Sequence[float], float, float], float | None]) -> RangeFunction:
    """A range function of (times, values, evaluation moment, parameter) of each window that is not empty."""

    def call(times: Sequence[float], values: Sequence[float], spans: Spans, params: Sequence[float]) -> Row:
        row: Row = []
        for (low, high), moment, param in zip(spans.bounds(times), spans.moments, params):
            row.append(function(times[low:high], values[low:high], moment, param) if high > low else None)
        return row

    return call


# --- rates -------------------------------------------------------------------------------------------------


def _seconds(difference: float) -> float:
    """A difference of two moments, cleaned of the rounding of large floats: moments are whole milliseconds."""
    return difference if difference % 1 == 0 else round(difference * 1000) / 1000


def _resets(values: Sequence[float]) -> list[int]:
    """Positions at which a counter fell."""
    copy = list(values)
    if total(copy) == total(copy) and sorted(copy) == copy:
        return []
    return [i for i in range(1, len(copy)) if copy[i] < copy[i - 1]]


def _extrapolated(*, counter: bool, per_second: bool) -> RangeFunction:
    """rate, increase or delta: the change between first and last sample, stretched to the window's edges."""

    def call(times: Sequence[float], values: Sequence[float], spans: Spans, _params: Sequence[float]) -> Row:
        resets = _resets(values) if counter else []
        stretch = _stretch_2 if spans.semantics == "2.x" else _stretch_3
        row: Row = []
        for (low, high), start, end in zip(spans.bounds(times), spans.starts, spans.ends):
            if high - low < 2:
                row.append(None)
                continue
            first, change = values[low], values[high - 1] - values[low]
            if resets:
                for at in resets[bisect_right(resets, low) : bisect_left(resets, high)]:
                    change += values[at - 1]
            sampled = _seconds(times[high - 1] - times[low])
            gap = sampled / (high - low - 1)
            to_start, to_end = _seconds(times[low] - start), _seconds(end - times[high - 1])
            to_zero = sampled * (first / change) if counter and change > 0 and first >= 0 else math.inf
            factor = stretch(sampled, gap, to_start, to_end, to_zero)
            row.append(change * (factor / spans.length if per_second else factor))
        return row

    return call


def _stretch_2(sampled: float, gap: float, to_start: float, to_end: float, to_zero: float) -> float:
    """Extrapolation of 2.x: a counter's zero point is taken before the distance is judged."""
    threshold = gap * 1.1
    to_start = min(to_start, to_zero)
    interval = sampled + (to_start if to_start < threshold else gap / 2)
    interval += to_end if to_end < threshold else gap / 2
    return interval / sampled


def _stretch_3(sampled: float, gap: float, to_start: float, to_end: float, to_zero: float) -> float:
    """Extrapolation of 3.x: the distance is judged first, and the zero point only shortens it."""
    threshold = gap * 1.1
    if to_start >= threshold:
        to_start = gap / 2
    if to_end >= threshold:
        to_end = gap / 2
    return (sampled + min(to_start, to_zero) + to_end) / sampled


def _instantaneous(*, per_second: bool) -> RangeFunction:
    """irate or idelta: the last two samples only."""

    def change(times: Sequence[float], values: Sequence[float], _moment: float, _param: float) -> float | None:
        if len(times) < 2:
            return None
        before, after = values[-2], values[-1]
        difference = after if per_second and after < before else after - before
        interval = _seconds(times[-1] - times[-2])
        if interval == 0:
            return None
        return difference / interval if per_second else difference

    return _between(change)


def _regression(times: Sequence[float], values: Sequence[float], origin: float) -> tuple[float, float]:
    """(slope, value at `origin`) of the least-squares line; zero slope for a constant, NaN with an infinity."""
    first, count = values[0], len(values)
    if any(map(math.isinf, values)):
        return NAN, NAN
    if all(value == first for value in values):
        return 0.0, first
    xs = [_seconds(moment - origin) for moment in times]
    sum_x, sum_y = total(xs), total(values)
    sum_xy, sum_xx = total([x * y for x, y in zip(xs, values)]), total([x * x for x in xs])
    covariance, variance = sum_xy - sum_x * sum_y / count, sum_xx - sum_x * sum_x / count
    slope = covariance / variance if variance else NAN
    return slope, sum_y / count - slope * sum_x / count


def _deriv(times: Sequence[float], values: Sequence[float], _moment: float, _param: float) -> float | None:
    return _regression(times, values, times[0])[0] if len(times) > 1 else None


def _predict(times: Sequence[float], values: Sequence[float], moment: float, ahead: float) -> float | None:
    if len(times) < 2:
        return None
    slope, intercept = _regression(times, values, moment)
    return slope * ahead + intercept


# --- over time ---------------------------------------------------------------------------------------------


def _changes(values: Sequence[float]) -> float:
    pairs = pairwise(values)
    return float(sum(1 for a, b in pairs if a != b and (a == a or b == b)))


def lowest(values: Sequence[float]) -> float:
    """The minimum; NaN only where there is nothing else."""
    found = min(values)
    if found != found:
        return min((value for value in values if value == value), default=NAN)
    return found


def highest(values: Sequence[float]) -> float:
    """The maximum; NaN only where there is nothing else."""
    found = max(values)
    if found != found:
        return max((value for value in values if value == value), default=NAN)
    return found


def variance(values: Sequence[float]) -> float:
    """Population variance of at least one value; NaN as soon as one is not finite."""
    if not all(map(math.isfinite, values)):
        return NAN
    if min(values) == max(values):
        return 0.0
    centre = mean(values)
    return mean([(value - centre) * (value - centre) for value in values])


def in_order(values: Sequence[float]) -> list[float]:
    """Sorted copy in which NaN comes first."""
    spread = total(values)
    return sorted(values) if spread == spread else sorted(values, key=nan_first)


def _mad(values: Sequence[float]) -> float:
    median = quantile(0.5, in_order(values))
    return quantile(0.5, in_order([abs(value - median) for value in values]))


def smoothing(trend_factors: Sequence[float]) -> RangeFunction:
    """double_exponential_smoothing: the smoothing factor is the parameter, the trend factors are given here."""

    def call(times: Sequence[float], values: Sequence[float], spans: Spans, params: Sequence[float]) -> Row:
        row: Row = []
        for (low, high), smooth, trend in zip(spans.bounds(times), params, trend_factors):
            row.append(_smoothed(values[low:high], smooth, trend) if high - low > 1 else None)
        return row

    return call


def _smoothed(values: Sequence[float], smooth: float, trend: float) -> float:
    level, slope = values[0], values[1] - values[0]
    before = 0.0
    for index, value in enumerate(values[1:], start=1):
        if index > 1:
            slope = trend * (level - before) + (1 - trend) * slope
        before, level = level, smooth * value + (1 - smooth) * (level + slope)
    return level


RANGE_FUNCTIONS: dict[str, RangeFunction] = {
    "rate": _extrapolated(counter=True, per_second=True),
    "increase": _extrapolated(counter=True, per_second=False),
    "delta": _extrapolated(counter=False, per_second=False),
    "irate": _instantaneous(per_second=True),
    "idelta": _instantaneous(per_second=False),
    "deriv": _between(_deriv),
    "predict_linear": _between(_predict),
    "changes": _over(_changes),
    "resets": _over(lambda values: float(len(_resets(values)))),
    "sum_over_time": _over(total),
    "avg_over_time": _over(mean),
    "min_over_time": _over(lowest),
    "max_over_time": _over(highest),
    "count_over_time": _over(lambda values: float(len(values))),
    "last_over_time": _over(lambda values: values[-1]),
    "first_over_time": _over(lambda values: values[0]),
    "present_over_time": _over(lambda values: 1.0),
    "stdvar_over_time": _over(variance),
    "stddev_over_time": _over(lambda values: math.sqrt(variance(values))),
    "mad_over_time": _over(_mad),
    "quantile_over_time": _between(lambda times, values, moment, q: quantile(q, in_order(values))),
}
"""Functions of one range vector; those with a parameter get it for each step."""

KEEP_NAME = frozenset({"last_over_time", "first_over_time"})
"""Range functions that act like an offset, so the metric name stays."""
