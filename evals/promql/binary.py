"""Binary operators: arithmetic, comparison and set operators between vectors and scalars.

Rules: series are matched once, by labels; whether a match is unique is judged step by step, as Prometheus does,
because series may take turns. Arithmetic drops the metric name, comparison keeps it unless `bool` is given.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TypeAlias

from evals.promql import numbers as go
from evals.promql.model import NAME, ExecutionError, Labels, Row, Semantics, Vector, show
from evals.promql.nodes import Matching, Operation
from evals.promql.vectors import identity, merged, presence, signer, unnamed

Series: TypeAlias = tuple[Labels, Row]

ARITHMETIC: dict[str, go.Binary] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": go.divide,
    "%": go.modulo,
    "^": go.power,
    "atan2": math.atan2,
}
COMPARISON: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
SETS = frozenset({"and", "or", "unless"})


def scalars(op: str, left: Sequence[float], right: Sequence[float]) -> list[float]:
    """An operator between two scalars; comparison yields 0 or 1."""
    if op in COMPARISON:
        compare = COMPARISON[op]
        return [float(compare(a, b)) for a, b in zip(left, right)]
    apply = ARITHMETIC[op]
    return [apply(a, b) for a, b in zip(left, right)]


def keeps_name(node: Operation, semantics: Semantics) -> bool:
    """True when results keep the metric name: filters do, and so does atan2 in 2.x (an oversight mended in 3.x)."""
    if node.op == "atan2":
        return semantics == "2.x"
    return node.op in COMPARISON and not node.as_bool


def with_scalar(
    node: Operation, vector: Vector, scalar: Sequence[float], semantics: Semantics, *, scalar_left: bool
) -> Vector:
    """An operator between a vector and a scalar; a comparison that filters returns the vector's value."""
    keep_name = keeps_name(node, semantics)
    combine = _combine(node)
    out: Vector = []
    for labels, row in vector:
        if scalar_left:
            new = combine(scalar, row, row)
        else:
            new = combine(row, scalar, row)
        out.append((labels if keep_name else unnamed(labels), new))
    return merged(out)


def _combine(node: Operation) -> Callable[[Sequence[float | None], Sequence[float | None], Row], Row]:
    """(left row, right row, row whose values a filter returns) → the row of results."""
    if node.op in ARITHMETIC:
        apply = ARITHMETIC[node.op]
        return lambda left, right, _: [None if a is None or b is None else apply(a, b) for a, b in zip(left, right)]
    compare = COMPARISON[node.op]
    if node.as_bool:
        return lambda left, right, _: [
            None if a is None or b is None else float(compare(a, b)) for a, b in zip(left, right)
        ]
    return lambda left, right, given: [
        value if a is not None and b is not None and compare(a, b) else None for a, b, value in zip(left, right, given)
    ]


# --- set operators -----------------------------------------------------------------------------------------


def sets(node: Operation, left: Vector, right: Vector, count: int) -> Vector:
    """and, or, unless: which series are kept at which steps depends on presence, never on values."""
    sign = signer(node.matching.labels, on=node.matching.on)
    if node.op == "or":
        there = _presence_by(sign, left, count)
        return merged([*left, *_masked(right, sign, there, keep=False)])
    return _masked(left, sign, _presence_by(sign, right, count), keep=node.op == "and")


def _presence_by(sign: Callable[[Labels], object], vector: Vector, count: int) -> dict[object, list[bool]]:
    rows: dict[object, list[Row]] = {}
    for labels, row in vector:
        rows.setdefault(sign(labels), []).append(row)
    return {key: presence(members, count) for key, members in rows.items()}


def _masked(vector: Vector, sign: Callable[[Labels], object], there: dict[object, list[bool]], *, keep: bool) -> Vector:
    """Values at the steps where the other side is there (`keep`) or is not."""
    out: Vector = []
    for labels, row in vector:
        mask = there.get(sign(labels))
        if mask is None:
            if not keep:
                out.append((labels, row))
            continue
        masked = [value if present is keep else None for value, present in zip(row, mask)]
        if any(value is not None for value in masked):
            out.append((labels, masked))
    return out


# --- vector matching ---------------------------------------------------------------------------------------


def vectors(node: Operation, left: Vector, right: Vector, count: int, semantics: Semantics) -> Vector:
    """An arithmetic or comparison operator between two vectors."""
    matching = node.matching
    swapped = matching.card == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    if not many or not one:
        return []
    sign = signer(matching.labels, on=matching.on)
    ones: dict[object, list[Series]] = {}
    for series in one:
        ones.setdefault(sign(series[0]), []).append(series)
    _check_one_side(ones, many, matching, count)
    results: dict[object, list[Series]] = {}
    combine, keep_name = _combine(node), keeps_name(node, semantics)
    for labels, row in many:
        key = sign(labels)
        for other, partner in ones.get(key, ()):
            new = combine(partner, row, partner) if swapped else combine(row, partner, row)
            results.setdefault(key, []).append((_labels(matching, labels, other, keep_name=keep_name), new))
    _check_many_side(results, matching)
    return merged(series for members in results.values() for series in members)


def _check_one_side(ones: dict[object, list[Series]], many: Vector, matching: Matching, count: int) -> None:
    """Raises ExecutionError when a match group has two series on its "one" side at a step that is evaluated."""
    for members in ones.values():
        if len(members) < 2:
            continue
        others = presence([row for _, row in many], count)
        seen: list[Labels | None] = [None] * count
        for labels, row in members:
            for step, value in enumerate(row):
                if value is None or not others[step]:
                    continue
                earlier = seen[step]
                if earlier is not None:
                    raise ExecutionError(_many_to_many(matching, labels, earlier))
                seen[step] = labels


def _many_to_many(matching: Matching, second: Labels, first: Labels) -> str:
    group = {
        name: value
        for name, value in second.items()
        if ((name in matching.labels) if matching.on else (name not in matching.labels and name != NAME))
    }
    side = "left" if matching.card == "one-to-many" else "right"
    return (
        f"found duplicate series for the match group {show(group)} on the {side} hand-side of the operation: "
        f"[{show(second)}, {show(first)}];many-to-many matching not allowed: "
        "matching labels must be unique on one side"
    )


def _check_many_side(results: dict[object, list[Series]], matching: Matching) -> None:
    """Raises ExecutionError when results of one match group cannot be told apart at a step."""
    for members in results.values():
        if len(members) < 2:
            continue
        if matching.card == "one-to-one":
            _check_alone([row for _, row in members], "many-to-one matching must be explicit (group_left/group_right)")
            continue
        alike: dict[object, list[Row]] = {}
        for labels, row in members:
            alike.setdefault(identity(labels), []).append(row)
        for rows in alike.values():
            _check_alone(rows, "grouping labels must ensure unique matches")


def _check_alone(rows: list[Row], rule: str) -> None:
    if len(rows) > 1 and any(sum(value is not None for value in column) > 1 for column in zip(*rows)):
        raise ExecutionError(f"multiple matches for labels: {rule}")


def _labels(matching: Matching, many: Labels, one: Labels, *, keep_name: bool) -> Labels:
    """The labels of a result: the "many" side's, cut to the matching, with labels included from the other."""
    if matching.card != "one-to-one":
        labels = dict(many)
    elif matching.on:
        labels = {name: many[name] for name in matching.labels if name in many}
    else:
        labels = {name: value for name, value in many.items() if name not in matching.labels}
    if not keep_name:
        labels.pop(NAME, None)
    for name in matching.include:
        if name in one:
            labels[name] = one[name]
        else:
            labels.pop(name, None)
    return labels
