"""Whether a query only reads: whether every label in its answer, and every number, is the server's own.

A model's query is evidence for what the model says next. PromQL can write labels (label_replace, absent) and numbers
(vector, `* 0 + 97`), so a query that is not of our catalogue could make the ground it is cited as.

Rules: judged on the syntax tree; what is not listed here is refused; a written number chooses (the bound of a filter,
a rank, a usual quantile) or changes the unit, and never reaches an answer; values of two series meet in one operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NoReturn

import promql_parser as promql

from tools.errors import Refused
from tools.promql_tree import children, names_of, nodes, read

WINDOWED: Final = frozenset(
    ("rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets", "avg_over_time", "min_over_time",
     "max_over_time", "last_over_time", "stddev_over_time", "stdvar_over_time")
)  # fmt: skip
"""Functions of a range that work on its samples alone. Not among them: counts and sums over a range, because the
length written decides them, and predictions, because the moment written does."""
PLAIN: Final = frozenset(("abs", "ceil", "floor", "round", "sort", "sort_desc", "histogram_sum", "histogram_count"))
QUANTILES: Final = frozenset(("quantile_over_time", "histogram_quantile"))
AGGREGATIONS: Final = frozenset(("sum", "avg", "min", "max", "count", "stddev", "stdvar"))
RANKED: Final = frozenset(("topk", "bottomk"))
USUAL: Final = frozenset((0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0))
"""Quantiles that may be asked for: between the samples of two series, any number is the quantile of some parameter."""
COMPARISONS: Final = frozenset(("==", "!=", ">", "<", ">=", "<="))
SETS: Final = frozenset(("and", "or", "unless"))
ARITHMETIC: Final = frozenset("+-*/")
BASES: Final[dict[str, frozenset[float]]] = {
    "10": frozenset(float(f"1e{power}") for power in (*range(-9, 0), *range(1, 13))),
    "1024": frozenset(1024.0**power for power in range(1, 5)),
    "60": frozenset((60.0, 3600.0)),
}
"""Changes of unit, by family; a query keeps to one family, or their products would come near any number."""
_HINT: Final = "ask for the series themselves"


def only_reads(query: str) -> None:
    """Raises Refused, in one line, for a query in whose answer a label or a number could be the query's own."""
    tree = read(query)
    _check(tree, inside=False)
    meetings = [node for node in nodes(tree) if isinstance(node, promql.BinaryExpr) and _meets(node)]
    if len(meetings) > 1:
        _refuse("more than one calculation between series")
    bases = {base for node in nodes(tree) for base in _scaled(node)}
    if len(bases) > 1:
        _refuse(f"factors of {' and '.join(sorted(bases))} in one query")


def _refuse(what: str) -> NoReturn:
    raise Refused(f"{what}: a query reads, it writes no labels and no numbers", hint=_HINT)


def _check(node: promql.Expr, *, inside: bool) -> None:
    """Walk the tree, whose depth is bounded; `inside` below anything that makes new values of its operands."""
    operands = children(node)
    match node:
        case promql.VectorSelector():
            return
        case promql.NumberLiteral() | promql.StringLiteral():
            _refuse(f"the literal {str(node.val)[:40]!r}")
        case promql.UnaryExpr():
            _refuse("a sign before series")
        case promql.Call():
            operands, inside = _called(node), inside or node.func.name not in ("sort", "sort_desc")
        case promql.AggregateExpr():
            operands, inside = [_aggregated(node, inside=inside)], True
        case promql.BinaryExpr():
            operands, inside = _joined(node), inside or _meets(node)
        case promql.SubqueryExpr():
            inside = True
    for operand in operands:
        _check(operand, inside=inside)


def _called(node: promql.Call) -> list[promql.Expr]:
    name, args = node.func.name, list(node.args)
    if name in QUANTILES and len(args) == 2 and _number(args[0]) in USUAL:
        return args[1:]
    if name in QUANTILES:
        _refuse(f"{name} of an unusual quantile")
    if name not in WINDOWED | PLAIN:
        _refuse(f"{name}()")
    if len(args) != 1:
        _refuse(f"{name}() with a parameter")
    return args


def _aggregated(node: promql.AggregateExpr, *, inside: bool) -> promql.Expr:
    """The operand of an aggregation; the first so many series come last, or counting them would write the number."""
    op = str(node.op)
    param = None if node.param is None else _number(node.param)
    if op == "quantile" and param not in USUAL:
        _refuse("an unusual quantile")
    if op in RANKED and (inside or param is None):
        _refuse(f"{op} of a number that is worked out, or inside another expression")
    if op not in AGGREGATIONS | RANKED | {"quantile"}:
        _refuse(f"{op}()")
    return node.expr


def _joined(node: promql.BinaryExpr) -> list[promql.Expr]:
    """The series on either side of an operator."""
    op, modifier = str(node.op), node.modifier
    if op not in COMPARISONS | SETS | ARITHMETIC:
        _refuse(f"the operator {op}")
    if modifier is not None:
        if modifier.return_bool:
            _refuse("bool")
        if modifier.group_labels is not None or modifier.card in (_MANY_TO_ONE, _ONE_TO_MANY):
            _refuse("group_left and group_right, which give the values of one series to another")
        if (modifier.fill_values.lhs, modifier.fill_values.rhs) != (None, None):
            _refuse("fill")
    sides = [side for side in (node.lhs, node.rhs) if _number(side) is None]
    if len(sides) == 2:
        if op in ARITHMETIC and set(_names(node.lhs)) & set(_names(node.rhs)):
            _refuse("a calculation of a metric with itself")
        if op in ("+", "-") and any(_scaled(below) for side in sides for below in nodes(side)):
            _refuse("adding up series in different units")
    elif not sides or (op not in COMPARISONS and not _scaled(node)):
        _refuse(f"the number {next(_literals(node)):g} in a calculation")
    return sides


_MANY_TO_ONE, _ONE_TO_MANY = promql.VectorMatchCardinality.ManyToOne, promql.VectorMatchCardinality.OneToMany


def _meets(node: promql.BinaryExpr) -> bool:
    """True for a calculation between two series."""
    return str(node.op) in ARITHMETIC and _number(node.lhs) is None and _number(node.rhs) is None


def _scaled(node: promql.Expr) -> list[str]:
    """The family of units by which a node multiplies or divides series; empty where it does neither."""
    if not isinstance(node, promql.BinaryExpr) or str(node.op) not in "*/":
        return []
    left, right = _number(node.lhs), _number(node.rhs)
    factor = right if left is None else left if right is None and str(node.op) == "*" else None
    return [base for base, factors in BASES.items() if factor in factors]


def _names(tree: promql.Expr) -> list[str]:
    return [name for node in nodes(tree) if isinstance(node, promql.VectorSelector) for name in names_of(node)]


def _literals(node: promql.BinaryExpr) -> Iterator[float]:
    for side in (node.lhs, node.rhs):
        number = _number(side)
        if number is not None:
            yield number


def _number(node: promql.Expr) -> float | None:
    """The value of a written number, in brackets or with a sign; None for anything else."""
    match node:
        case promql.NumberLiteral():
            return float(node.val)
        case promql.ParenExpr():
            return _number(node.expr)
        case promql.UnaryExpr():
            number = _number(node.expr)
            return None if number is None else -number
    return None
