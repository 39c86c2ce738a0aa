"""Pure functions behind derived numbers. A Fact names one of them, so that a checker can compute it again.

Rule: each takes the resolved input values in order and returns a finite float, or raises ValueError.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from pydantic import JsonValue

from tools import fields


def numbers(values: Sequence[JsonValue]) -> list[float]:
    """Inputs as floats; a Kubernetes quantity counts as its number. Raises ValueError on anything else."""
    out: list[float] = []
    for value in values:
        number = fields.number({"v": value}, "v")
        if number is None or not math.isfinite(number):
            raise ValueError(f"not a finite number: {value!r}")
        out.append(number)
    return out


def _points(value: JsonValue) -> dict[float, float]:
    if not isinstance(value, list):
        raise ValueError("not a list of points")
    out: dict[float, float] = {}
    for point in value:
        if isinstance(point, list) and len(point) == 2:
            time, number = point
            if isinstance(time, int | float) and isinstance(number, int | float):
                out[float(time)] = float(number)
    return out


def _ratio(values: Sequence[JsonValue]) -> float:
    top, bottom = numbers(values)
    if bottom == 0:
        raise ValueError("division by zero")
    return top / bottom


def _difference(values: Sequence[JsonValue]) -> float:
    first, second = numbers(values)
    return first - second


def _count(values: Sequence[JsonValue]) -> float:
    return float(len(values))


def _distinct(values: Sequence[JsonValue]) -> float:
    return float(len({repr(v) for v in values}))


def _correlation(values: Sequence[JsonValue]) -> float:
    """Pearson correlation of two lists of [time, value] points on their common times."""
    left, right = _points(values[0]), _points(values[1])
    common = sorted(left.keys() & right.keys())
    xs, ys = [left[t] for t in common], [right[t] for t in common]
    if len(xs) < 3 or len(set(xs)) < 2 or len(set(ys)) < 2:
        raise ValueError("too few distinct points to correlate")
    return statistics.correlation(xs, ys)


def _peak(values: Sequence[JsonValue]) -> float:
    return max(_points(values[0]).values())


def _mean_of_points(values: Sequence[JsonValue]) -> float:
    return statistics.fmean(_points(values[0]).values())


FUNCTIONS: dict[str, Callable[[Sequence[JsonValue]], float]] = {
    "sum": lambda v: math.fsum(numbers(v)),
    "mean": lambda v: statistics.fmean(numbers(v)),
    "min": lambda v: min(numbers(v)),
    "max": lambda v: max(numbers(v)),
    "count": _count,
    "distinct": _distinct,
    "ratio": _ratio,
    "difference": _difference,
    "correlation": _correlation,
    "peak": _peak,
    "mean_of_points": _mean_of_points,
}


def compute(function: str, values: Sequence[JsonValue]) -> float:
    """Apply a function by id. Raises ValueError for an unknown id or unusable inputs."""
    if function not in FUNCTIONS:
        raise ValueError(f"unknown function {function!r}")
    result = FUNCTIONS[function](values)
    if not math.isfinite(result):
        raise ValueError(f"{function} is not finite")
    return result
