"""One run of one query: walks the tree, fetches samples, keeps what it has computed.

Rules: a value is computed once for each (subtree, steps); windows and lookback have the edges of the semantics;
an @ modifier or an offset moves where samples are read, never the moments of the result.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeAlias

from evals.promql import binary
from evals.promql import nodes as n
from evals.promql.aggregate import aggregate
from evals.promql.compile import is_scalar
from evals.promql.functions import FUNCTIONS
from evals.promql.model import ExecutionError, Labels, Row, Semantics, Vector, is_stale
from evals.promql.numbers import NAN, show_float, total
from evals.promql.relabel import absent_labels
from evals.promql.vectors import Grid, distinct, unnamed
from evals.promql.windows import KEEP_NAME, RANGE_FUNCTIONS, RangeFunction, Spans, smoothing
from evals.world.model import Matcher, RawSeries, SeriesSource

Samples: TypeAlias = tuple[Labels, Sequence[float], Sequence[float]]
"""Labels, times in seconds, values; without staleness markers."""


class Evaluation:
    """The state of one query; `bounds` are what start() and end() mean, in milliseconds."""

    def __init__(
        self,
        source: SeriesSource,
        *,
        semantics: Semantics,
        lookback: int,
        subquery_step: int,
        max_samples: int,
        bounds: tuple[int, int],
    ) -> None:
        self.semantics: Semantics = semantics
        self._source, self._bounds = source, bounds
        self._lookback, self._subquery_step = lookback, subquery_step
        self._budget = max_samples
        self._vectors: dict[tuple[int, tuple[int, int, int]], Vector] = {}
        self._fetched: dict[tuple[tuple[Matcher, ...], int, int], list[RawSeries]] = {}
        self._cleaned: dict[int, list[Samples]] = {}

    # --- the protocol that functions see -------------------------------------------------------------------

    def vector(self, node: n.Node, grid: Grid) -> Vector:
        """The value of an expression that yields an instant vector."""
        key = (id(node), grid.key)
        found = self._vectors.get(key)
        if found is None:
            found = self._vectors[key] = self._compute(node, grid)
            self._spend(len(found) * grid.count)
        return found

    def scalar(self, node: n.Node, grid: Grid) -> list[float]:
        """The value of an expression that yields a scalar, for each step."""
        node = n.bare(node)
        if isinstance(node, n.Number):
            return [node.value] * grid.count
        if isinstance(node, n.Negate):
            return [-value for value in self.scalar(node.expr, grid)]
        if isinstance(node, n.Operation):
            return binary.scalars(node.op, self.scalar(node.left, grid), self.scalar(node.right, grid))
        assert isinstance(node, n.Call)
        if node.name == "time":
            return list(grid.seconds)
        if node.name == "pi":
            return [math.pi] * grid.count
        return self._lone_values(self.vector(node.args[0], grid), grid)

    def sample_times(self, node: n.Selector, grid: Grid) -> Vector:
        """For each step, when the sample that a selector sees was taken, in seconds."""
        return self._look_up(node, grid, times=True)

    def samples_of(self, node: n.Window | n.Subquery, grid: Grid) -> list[tuple[Labels, list[tuple[float, float]]]]:
        """The samples themselves, for an instant query that asks for a range vector."""
        series, spans = self._windows(node, grid)
        out = []
        for labels, times, values in series:
            low, high = spans.bounds(times)[0]
            if high > low:
                out.append((labels, list(zip(times[low:high], values[low:high]))))
        return out

    # --- expressions ---------------------------------------------------------------------------------------

    def _compute(self, node: n.Node, grid: Grid) -> Vector:
        if isinstance(node, n.Selector):
            return self._look_up(node, grid, times=False)
        if isinstance(node, n.Call):
            return self._call(node, grid)
        if isinstance(node, n.Aggregate):
            return self._aggregate(node, grid)
        if isinstance(node, n.Operation):
            return self._operation(node, grid)
        if isinstance(node, n.Paren):
            return self.vector(node.expr, grid)
        assert isinstance(node, n.Negate)
        return distinct(
            (unnamed(labels), [None if value is None else -value for value in row])
            for labels, row in self.vector(node.expr, grid)
        )

    def _call(self, node: n.Call, grid: Grid) -> Vector:
        if node.name in FUNCTIONS:
            return FUNCTIONS[node.name](self, node, grid)
        if node.name == "absent_over_time":
            return self._absent_over_time(node, grid)
        if node.name == "quantile_over_time":
            params, window = self.scalar(node.args[0], grid), node.args[1]
        else:
            params = self.scalar(node.args[1], grid) if len(node.args) > 1 else [0.0] * grid.count
            window = node.args[0]
        function = self._smoothing(node, params, grid) if len(node.args) > 2 else RANGE_FUNCTIONS[node.name]
        series, spans = self._windows(window, grid)
        keep_name = node.name in KEEP_NAME
        return distinct(
            (labels if keep_name else unnamed(labels), function(times, values, spans, params))
            for labels, times, values in series
        )

    def _smoothing(self, node: n.Call, params: Sequence[float], grid: Grid) -> RangeFunction:
        trends = self.scalar(node.args[2], grid)
        for name, factor in (*(("smoothing", p) for p in params), *(("trend", t) for t in trends)):
            if not 0 < factor < 1:
                raise ExecutionError(f"invalid {name} factor. Expected: 0 < factor < 1, got: {show_float(factor)}")
        return smoothing(trends)

    def _absent_over_time(self, node: n.Call, grid: Grid) -> Vector:
        series, spans = self._windows(node.args[0], grid)
        there = [False] * grid.count
        for _, times, _ in series:
            there = [known or high > low for known, (low, high) in zip(there, spans.bounds(times))]
        if all(there):
            return []
        return [(absent_labels(n.bare(node.args[0])), [None if present else 1.0 for present in there])]

    def _aggregate(self, node: n.Aggregate, grid: Grid) -> Vector:
        params: Sequence[float] = ()
        text = ""
        if node.param is not None:
            param = n.bare(node.param)
            if isinstance(param, n.Text):
                text = param.value
            else:
                params = self.scalar(param, grid)
        return aggregate(node, self.vector(node.expr, grid), params, text, self.semantics)

    def _operation(self, node: n.Operation, grid: Grid) -> Vector:
        left_scalar, right_scalar = node.scalars
        if left_scalar or right_scalar:
            scalar, vector = (node.left, node.right) if left_scalar else (node.right, node.left)
            values = self.scalar(scalar, grid)
            return binary.with_scalar(node, self.vector(vector, grid), values, self.semantics, scalar_left=left_scalar)
        left, right = self.vector(node.left, grid), self.vector(node.right, grid)
        if node.op in binary.SETS:
            return binary.sets(node, left, right, grid.count)
        return binary.vectors(node, left, right, grid.count, self.semantics)

    def _lone_values(self, vector: Vector, grid: Grid) -> list[float]:
        """scalar(): the value where there is exactly one, NaN elsewhere."""
        if not vector:
            return [NAN] * grid.count
        out = []
        for column in zip(*[row for _, row in vector]):
            present = [value for value in column if value is not None]
            out.append(present[0] if len(present) == 1 else NAN)
        return out

    # --- samples -------------------------------------------------------------------------------------------

    def _reference(self, grid: Grid, at: n.At, offset: int) -> Grid:
        """The moments whose samples are read for the steps of `grid`."""
        if at is None:
            return grid.shifted(-offset) if offset else grid
        moment = self._bounds[0] if at == "start" else self._bounds[1] if at == "end" else at
        return grid.pinned(moment - offset)

    def _look_up(self, node: n.Selector, grid: Grid, *, times: bool) -> Vector:
        """The latest sample within the lookback at each step: its value, or when it was taken."""
        reference = self._reference(grid, node.at, node.offset)
        once = Grid(reference.start, 0, 1) if reference.step == 0 else reference
        out: Vector = []
        for series in self._fetch(node.matchers, once.start - self._lookback, once.end):
            row = self._latest(series, once, times=times)
            if any(value is not None for value in row):
                out.append((dict(series.labels), row if once is reference else row * grid.count))
        return out

    def _latest(self, series: RawSeries, moments: Grid, *, times: bool) -> Row:
        taken, values = series.times, series.values
        strict = self.semantics == "3.x"
        row: Row = []
        index = 0
        for moment, at in zip(moments.moments, moments.seconds):
            index = bisect_right(taken, at, index)
            oldest = (moment - self._lookback) / 1000
            if not index or taken[index - 1] < oldest or (strict and taken[index - 1] == oldest):
                row.append(None)
                continue
            value = values[index - 1]
            if value != value and is_stale(value):
                row.append(None)
            else:
                row.append(float(taken[index - 1] if times else value))
        return row

    def _windows(self, node: n.Node, grid: Grid) -> tuple[list[Samples], Spans]:
        """The series of a range vector, and where its windows lie."""
        node = n.bare(node)
        assert isinstance(node, n.Window | n.Subquery)
        at = node.selector.at if isinstance(node, n.Window) else node.at
        offset = node.selector.offset if isinstance(node, n.Window) else node.offset
        reference = self._reference(grid, at, offset)
        starts = [(moment - node.range) / 1000 for moment in reference.moments]
        spans = Spans(starts, reference.seconds, grid.seconds, node.range / 1000, self.semantics)
        first, last = reference.start - node.range, reference.end
        if isinstance(node, n.Subquery):
            return self._subquery(node, first, last), spans
        return self._clean(self._fetch(node.selector.matchers, first, last)), spans

    def _subquery(self, node: n.Subquery, first: int, last: int) -> list[Samples]:
        """The inner expression at every multiple of the step within [first, last]; 3.x leaves `first` out."""
        step = node.step or self._subquery_step
        start = step * -(-first // step)
        if start == first and self.semantics == "3.x":
            start += step
        if start > last:
            return []
        inner = Grid(start, step, (last - start) // step + 1)
        if inner.count > self._budget:
            self._spend(inner.count)
        if is_scalar(node.expr):
            return [({}, inner.seconds, self.scalar(node.expr, inner))]
        series: list[Samples] = []
        for labels, row in self.vector(node.expr, inner):
            pairs = [(at, value) for at, value in zip(inner.seconds, row) if value is not None]
            if pairs:
                series.append((labels, [at for at, _ in pairs], [value for _, value in pairs]))
        return series

    def _fetch(self, matchers: tuple[Matcher, ...], first: int, last: int) -> list[RawSeries]:
        key = (matchers, first, last)
        found = self._fetched.get(key)
        if found is None:
            found = self._fetched[key] = self._source.select(matchers, first / 1000, last / 1000)
            self._spend(sum(len(series.times) for series in found))
        return found

    def _clean(self, fetched: list[RawSeries]) -> list[Samples]:
        """Series without their staleness markers."""
        key = id(fetched)
        found = self._cleaned.get(key)
        if found is None:
            found = self._cleaned[key] = [_without_markers(series) for series in fetched]
        return found

    def _spend(self, samples: int) -> None:
        self._budget -= samples
        if self._budget < 0:
            raise ExecutionError("query processing would load too many samples into memory in query execution")


def _without_markers(series: RawSeries) -> Samples:
    times, values = series.times, series.values
    labels = dict(series.labels)
    # A sum is NaN whenever a value is; the check costs far less than looking at each value.
    if total(values) == total(values):
        return labels, times, values
    kept = [(at, value) for at, value in zip(times, values) if not is_stale(value)]
    return labels, [at for at, _ in kept], [value for _, value in kept]
