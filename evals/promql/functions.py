"""Functions of instant vectors: one table from name to implementation.

Rules: an implementation gets its arguments from the evaluation it is part of, and returns series by steps;
functions of range vectors are in windows.py, and what yields a scalar is computed by the evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

from evals.promql import nodes as n
from evals.promql import numbers as go
from evals.promql.histograms import histogram_quantile
from evals.promql.model import ExecutionError, Row, Semantics, Vector
from evals.promql.relabel import absent_labels, join_labels, replace_label
from evals.promql.vectors import Grid, mapped, merged, presence, unnamed
from evals.promql.windows import RANGE_FUNCTIONS


class Evaluation(Protocol):
    """What a function may ask of the query it is part of."""

    semantics: Semantics

    def vector(self, node: n.Node, grid: Grid) -> Vector:
        """The value of an expression that yields an instant vector."""
        ...

    def scalar(self, node: n.Node, grid: Grid) -> list[float]:
        """The value of an expression that yields a scalar, for each step."""
        ...

    def sample_times(self, node: n.Selector, grid: Grid) -> Vector:
        """For each step, when the sample that a selector sees was taken, in seconds."""
        ...


Implementation: TypeAlias = Callable[[Evaluation, n.Call, Grid], Vector]


def _elementwise(function: go.Unary) -> Implementation:
    def call(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
        return mapped(ev.vector(node.args[0], grid), function)

    return call


def _with_scalars(function: Callable[..., float | None]) -> Implementation:
    """A function of each value and of as many scalars as follow the vector; None drops the value."""

    def call(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
        scalars = [ev.scalar(arg, grid) for arg in node.args[1:]]
        out: Vector = []
        for labels, row in ev.vector(node.args[0], grid):
            columns = zip(row, *scalars)
            new: Row = [None if value is None else function(value, *rest) for value, *rest in columns]
            out.append((unnamed(labels), new))
        return merged(out)

    return call


def _clamp(value: float, low: float, high: float) -> float | None:
    return None if high < low else go.largest(low, go.smallest(high, value))


def _round(value: float, nearest: float = 1.0) -> float:
    inverse = go.divide(1.0, nearest)
    return go.divide(go.floor(value * inverse + 0.5), inverse)


def _text(node: n.Node) -> str:
    """A string argument; the parser has made sure that it is one."""
    inner = n.bare(node)
    assert isinstance(inner, n.Text)
    return inner.value


def _label_replace(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
    dst, replacement, src, pattern = (_text(arg) for arg in node.args[1:])
    return replace_label(ev.vector(node.args[0], grid), dst, replacement, src, pattern)


def _label_join(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
    dst, separator, *sources = (_text(arg) for arg in node.args[1:])
    return join_labels(ev.vector(node.args[0], grid), dst, separator, sources)


def _absent(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
    there = presence([row for _, row in ev.vector(node.args[0], grid)], grid.count)
    if all(there):
        return []
    return [(absent_labels(node.args[0]), [None if present else 1.0 for present in there])]


def _vector(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
    values: Row = [*ev.scalar(node.args[0], grid)]
    return [({}, values)]


def _sort(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
    """Order matters to an instant query only; NaN comes last either way."""
    series = ev.vector(node.args[0], grid)
    if grid.count > 1:
        return series
    sign = -1.0 if node.name == "sort_desc" else 1.0
    present = [(row[0], labels, row) for labels, row in series if row[0] is not None]
    present.sort(key=lambda item: (item[0] != item[0], sign * item[0] if item[0] == item[0] else 0.0))
    return [(labels, row) for _, labels, row in present]


def _sort_by_label(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
    names = [_text(arg) for arg in node.args[1:]]
    return sorted(
        ev.vector(node.args[0], grid),
        key=lambda series: (
            [_natural(series[0].get(name, "")) for name in names],
            sorted(series[0].items()),
        ),
        reverse=node.name.endswith("_desc"),
    )


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key in which runs of digits compare as numbers."""
    parts: list[tuple[int, int, str]] = []
    run = ""
    for char in text + "\0":
        if run and char.isdigit() != run[0].isdigit():
            parts.append((0, int(run), "") if run.isdigit() else (1, 0, run))
            run = ""
        run += char
    return parts


def _timestamp(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
    inner = n.bare(node.args[0])
    if isinstance(inner, n.Selector):
        series = ev.sample_times(inner, grid)
        return merged((unnamed(labels), row) for labels, row in series)
    series = ev.vector(inner, grid)
    times = grid.seconds
    return merged(
        (unnamed(labels), [None if value is None else at for value, at in zip(row, times)]) for labels, row in series
    )


def _histogram_quantile(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
    return histogram_quantile(ev.scalar(node.args[0], grid), ev.vector(node.args[1], grid), ev.semantics)


# --- dates -------------------------------------------------------------------------------------------------

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _date(part: Callable[[datetime], int]) -> Implementation:
    """A function of the moment a value stands for (Unix seconds), or of the evaluation time."""

    def of(value: float) -> float:
        if not math.isfinite(value):
            return go.NAN
        try:
            return float(part(_EPOCH + timedelta(seconds=math.trunc(value))))
        except (OverflowError, ValueError):
            raise ExecutionError(f"{value} is not a time between the years 1 and 9999") from None

    def call(ev: Evaluation, node: n.Call, grid: Grid) -> Vector:
        if not node.args:
            return [({}, [of(float(moment // 1000)) for moment in grid.moments])]
        return mapped(ev.vector(node.args[0], grid), of)

    return call


def _days_in_month(day: datetime) -> int:
    following = day.replace(day=28) + timedelta(days=4)
    return (following - timedelta(days=following.day)).day


FUNCTIONS: dict[str, Implementation] = {
    "abs": _elementwise(abs),
    "ceil": _elementwise(go.ceil),
    "floor": _elementwise(go.floor),
    "exp": _elementwise(go.guarded(math.exp)),
    "sqrt": _elementwise(go.guarded(math.sqrt)),
    "ln": _elementwise(go.logarithm(math.log)),
    "log2": _elementwise(go.logarithm(go.log2)),
    "log10": _elementwise(go.logarithm(go.log10)),
    "sgn": _elementwise(go.sign),
    "deg": _elementwise(lambda value: value * 180 / math.pi),
    "rad": _elementwise(lambda value: value * math.pi / 180),
    "sin": _elementwise(go.guarded(math.sin)),
    "cos": _elementwise(go.guarded(math.cos)),
    "tan": _elementwise(go.guarded(math.tan)),
    "asin": _elementwise(go.guarded(math.asin)),
    "acos": _elementwise(go.guarded(math.acos)),
    "atan": _elementwise(math.atan),
    "sinh": _elementwise(go.hyperbolic_sine),
    "cosh": _elementwise(go.guarded(math.cosh)),
    "tanh": _elementwise(math.tanh),
    "asinh": _elementwise(math.asinh),
    "acosh": _elementwise(go.guarded(math.acosh)),
    "atanh": _elementwise(go.inverse_tangent),
    "clamp": _with_scalars(_clamp),
    "clamp_min": _with_scalars(lambda value, low: go.largest(low, value)),
    "clamp_max": _with_scalars(lambda value, high: go.smallest(high, value)),
    "round": _with_scalars(_round),
    "label_replace": _label_replace,
    "label_join": _label_join,
    "absent": _absent,
    "vector": _vector,
    "sort": _sort,
    "sort_desc": _sort,
    "sort_by_label": _sort_by_label,
    "sort_by_label_desc": _sort_by_label,
    "timestamp": _timestamp,
    "histogram_quantile": _histogram_quantile,
    "minute": _date(lambda day: day.minute),
    "hour": _date(lambda day: day.hour),
    "day_of_week": _date(lambda day: day.isoweekday() % 7),
    "day_of_month": _date(lambda day: day.day),
    "day_of_year": _date(lambda day: day.timetuple().tm_yday),
    "days_in_month": _date(_days_in_month),
    "month": _date(lambda day: day.month),
    "year": _date(lambda day: day.year),
}

SCALARS = frozenset({"scalar", "time", "pi"})
"""Functions that yield a scalar."""
OVER_WINDOWS = frozenset({"absent_over_time", "double_exponential_smoothing"})
"""Range functions that need more than one series at a time, or two parameters."""
SUPPORTED = frozenset(FUNCTIONS) | frozenset(RANGE_FUNCTIONS) | SCALARS | OVER_WINDOWS
