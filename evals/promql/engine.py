"""Evaluation of queries over a source of series: every expression is computed once, for all steps together.

Rules: equal subexpressions are computed once a query, equal selections fetched once; a query that would exceed
the sample limit fails before the memory is used where that can be foreseen; nothing here reads a clock.
"""

from __future__ import annotations

import math

from evals.promql import nodes as n
from evals.promql.compile import compile_query, is_scalar
from evals.promql.evaluation import Evaluation
from evals.promql.model import MAX_POINTS, MAX_SAMPLES, BadData, Result, ResultType, Semantics
from evals.promql.vectors import Grid
from evals.world.model import SeriesSource


class Engine:
    """Evaluates PromQL over `source`.

    `semantics` decides the edges of windows (2.x closed, 3.x left-open) and the few other differences between
    the major versions. `lookback` and `subquery_step` are seconds; the defaults are Prometheus's.
    """

    def __init__(
        self,
        source: SeriesSource,
        *,
        semantics: Semantics = "3.x",
        lookback: float = 300.0,
        subquery_step: float = 60.0,
        max_samples: int = MAX_SAMPLES,
    ) -> None:
        self.source, self.semantics, self.max_samples = source, semantics, max_samples
        self.lookback, self.subquery_step = _ms(lookback), _ms(subquery_step)

    def instant(self, query: str, at: float) -> Result:
        """Evaluate at one moment (Unix seconds). Raises BadData."""
        node = n.bare(compile_query(query))
        moment = _ms(at)
        run = self._evaluation(moment, moment)
        grid = Grid(moment, 0, 1)
        if isinstance(node, n.Text):
            return Result("string", [({}, [(at, 0.0)])], text=node.value)
        if isinstance(node, n.Window | n.Subquery):
            return Result("matrix", _sorted(run.samples_of(node, grid)))
        if is_scalar(node):
            return Result("scalar", [({}, [(moment / 1000, run.scalar(node, grid)[0])])])
        series = run.vector(node, grid)
        return Result("vector", [(labels, _points(row, grid)) for labels, row in series if row[0] is not None])

    def range(self, query: str, start: float, end: float, step: float) -> Result:
        """Evaluate from `start` to `end` every `step` seconds. Raises BadData."""
        grid = _grid(start, end, step)
        node = n.bare(compile_query(query))
        if isinstance(node, n.Text | n.Window | n.Subquery):
            kind = "string" if isinstance(node, n.Text) else "range vector"
            raise BadData(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
        run = self._evaluation(grid.start, grid.end)
        if is_scalar(node):
            return Result("matrix", [({}, list(zip(grid.seconds, run.scalar(node, grid))))])
        series = [(labels, _points(row, grid)) for labels, row in run.vector(node, grid)]
        return Result("matrix", _sorted([item for item in series if item[1]]))

    def _evaluation(self, start: int, end: int) -> Evaluation:
        return Evaluation(
            self.source,
            semantics=self.semantics,
            lookback=self.lookback,
            subquery_step=self.subquery_step,
            max_samples=self.max_samples,
            bounds=(start, end),
        )


def check_query(query: str) -> ResultType:
    """What a query yields at one moment, without evaluating it. Raises BadData."""
    node = n.bare(compile_query(query))
    if isinstance(node, n.Text):
        return "string"
    if isinstance(node, n.Window | n.Subquery):
        return "matrix"
    return "scalar" if is_scalar(node) else "vector"


def _ms(seconds: float) -> int:
    if not math.isfinite(seconds):
        raise BadData(f"{seconds} is not a time")
    return round(seconds * 1000)


def _grid(start: float, end: float, step: float) -> Grid:
    first, last, width = _ms(start), _ms(end), _ms(step)
    if width <= 0:
        problem = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise BadData(f'invalid parameter "step": {problem}')
    if last < first:
        raise BadData('invalid parameter "end": end timestamp must not be before start time')
    if (last - first) // width > MAX_POINTS:
        raise BadData(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return Grid(first, width, (last - first) // width + 1)


Answer = list[tuple[dict[str, str], list[tuple[float, float]]]]


def _points(row: list[float | None], grid: Grid) -> list[tuple[float, float]]:
    return [(at, value) for at, value in zip(grid.seconds, row) if value is not None]


def _sorted(series: Answer) -> Answer:
    return sorted(series, key=lambda item: sorted(item[0].items()))
