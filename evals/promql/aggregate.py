"""Aggregations: series are grouped once, by labels; then each group's steps are combined column by column.

Rules: labels outside the grouping are dropped, and so is the metric name unless it is grouped by; topk and
bottomk keep whole series. Where 2.x and 3.x differ (sums of many floats, deviations of a lone infinity), the
semantics decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from evals.promql import numbers as go
from evals.promql.model import NAME, ExecutionError, Labels, Row, Semantics, Vector
from evals.promql.nodes import Aggregate
from evals.promql.relabel import valid_label
from evals.promql.vectors import merged, signer
from evals.promql.windows import highest, in_order, lowest

Combine: TypeAlias = Callable[[Sequence[float]], float]
Group: TypeAlias = tuple[Labels, list[tuple[Labels, Row]]]


def aggregate(node: Aggregate, vector: Vector, params: Sequence[float], text: str, semantics: Semantics) -> Vector:
    """`node` applied to `vector`; `params` is its scalar parameter a step, `text` its string parameter."""
    if node.op == "count_values":
        return _count_values(node, vector, text)
    groups = _groups(vector, node.labels, without=node.without)
    if node.op in ("topk", "bottomk"):
        return _ranked(groups, params, largest=node.op == "topk")
    if node.op == "quantile":
        return [(labels, _quantiles(params, members)) for labels, members in groups]
    combine = (_COMBINE_2 if semantics == "2.x" else _COMBINE_3).get(node.op) or _COMBINE[node.op]
    return [(labels, _combined(combine, members)) for labels, members in groups]


def _groups(vector: Vector, grouping: Sequence[str], *, without: bool) -> list[Group]:
    if not without and not grouping:
        return [({}, vector)] if vector else []
    sign = signer(grouping, on=not without)
    groups: dict[object, Group] = {}
    for series in vector:
        key = sign(series[0])
        known = groups.get(key)
        if known is None:
            groups[key] = (_kept(series[0], grouping, without=without), [series])
        else:
            known[1].append(series)
    return list(groups.values())


def _kept(labels: Labels, grouping: Sequence[str], *, without: bool) -> Labels:
    if without:
        return {name: value for name, value in labels.items() if name not in grouping and name != NAME}
    return {name: labels[name] for name in grouping if name in labels}


def _combined(combine: Combine, members: list[tuple[Labels, Row]]) -> Row:
    out: Row = []
    for column in zip(*[row for _, row in members]):
        present = [value for value in column if value is not None]
        out.append(combine(present) if present else None)
    return out


def _quantiles(params: Sequence[float], members: list[tuple[Labels, Row]]) -> Row:
    out: Row = []
    for q, column in zip(params, zip(*[row for _, row in members])):
        present = [value for value in column if value is not None]
        out.append(go.quantile(q, in_order(present)) if present else None)
    return out


def _ranked(groups: list[Group], params: Sequence[float], *, largest: bool) -> Vector:
    """The k largest or smallest of each group at each step; an instant query gets them in that order."""
    out: Vector = []
    sizes = [_size(param) for param in params]
    for _, members in groups:
        rows: list[Row] = [[None] * len(sizes) for _ in members]
        order: list[int] = []
        for step, column in enumerate(zip(*[row for _, row in members])):
            present = [(value, index) for index, value in enumerate(column) if value is not None]
            present.sort(key=lambda item: _rank(item[0], largest=largest))
            chosen = present[: sizes[step]]
            for value, index in chosen:
                rows[index][step] = value
            order = [index for _, index in chosen]
        if len(sizes) > 1:
            order = list(range(len(members)))
        out += [(members[index][0], rows[index]) for index in order]
    return out


def _size(param: float) -> int:
    if not abs(param) < 2.0**63:
        raise ExecutionError(f"Scalar value {go.show_float(param)} overflows int64")
    return max(0, int(param))


def _rank(value: float, *, largest: bool) -> tuple[bool, float]:
    """Sort key: best first, NaN last."""
    return (value != value, 0.0 if value != value else -value if largest else value)


def _count_values(node: Aggregate, vector: Vector, label: str) -> Vector:
    """How many series have each value; the value becomes a label."""
    if not valid_label(label):
        raise ExecutionError(f'invalid label name "{label}"')
    grouping = node.labels if node.without else (*node.labels, label)
    spread: Vector = []
    for labels, row in vector:
        for shown in {go.show_float(value) for value in row if value is not None}:
            matching: Row = [value if value is not None and go.show_float(value) == shown else None for value in row]
            spread.append(({**labels, label: shown}, matching))
    counted = _groups(spread, grouping, without=node.without)
    return merged((labels, _combined(_count, members)) for labels, members in counted)


def _count(values: Sequence[float]) -> float:
    return float(len(values))


def _spread(values: Sequence[float]) -> float:
    """Sum of squared deviations, by Welford's method as Prometheus does it."""
    centre, squares = values[0], 0.0
    for count, value in enumerate(values[1:], start=2):
        delta = value - centre
        centre += delta / count
        squares += delta * (value - centre)
    return squares


def _variance_2(values: Sequence[float]) -> float:
    return _spread(values) / len(values)


def _variance_3(values: Sequence[float]) -> float:
    return _variance_2(values) if math.isfinite(values[0]) else go.NAN


_COMBINE: dict[str, Combine] = {
    "avg": go.mean,
    "min": lowest,
    "max": highest,
    "count": _count,
    "group": lambda values: 1.0,
}
_COMBINE_2: dict[str, Combine] = {
    "sum": lambda values: sum(values, 0.0),
    "stdvar": _variance_2,
    "stddev": lambda values: math.sqrt(_variance_2(values)),
}
_COMBINE_3: dict[str, Combine] = {
    "sum": go.total,
    "stdvar": _variance_3,
    "stddev": lambda values: math.sqrt(_variance_3(values)),
}
