"""From query text to our own syntax tree: everything that can be refused without data is refused here.

Rules: what we cannot evaluate exactly is `BadData` naming it, never a guess; equal subtrees of one query become
one object; compiled queries are cached, because catalogues and dashboards send the same texts again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from datetime import timedelta
from functools import lru_cache
from typing import TypeVar

import promql_parser as pp

from evals.promql import nodes as n
from evals.promql.functions import SUPPORTED
from evals.promql.model import MAX_DEPTH, NAME, BadData
from evals.promql.relabel import compile_regex
from evals.world.model import Matcher

N = TypeVar("N", bound=n.Node)

AGGREGATIONS = frozenset(
    {"sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"} | {"topk", "bottomk", "quantile", "count_values"}
)
_OPS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
_CARDS: dict[str, n.Cardinality] = {
    "OneToOne": "one-to-one",
    "ManyToMany": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
}
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`|#[^\n]*', re.DOTALL)
_UNREADABLE = re.compile(
    r"@\s*-|(?:@|\boffset)\s*[+-]?\s*(?:[\d.]*e\+?\d{2,}|\d{11,}|0x|inf\b|nan\b)", re.ASCII | re.IGNORECASE
)
"""Moments and offsets that abort the parser's native code, or cannot be read back from it."""


@lru_cache(maxsize=512)
def compile_query(text: str) -> n.Node:
    """The tree of a query. Raises BadData for what does not parse and for what we do not evaluate."""
    if _UNREADABLE.search(_QUOTED.sub("''", text)):
        raise BadData("@ and offset take plain numbers: seconds between 1970 and 2286, or a duration")
    try:
        return _Compiler().node(pp.parse(text), 0)
    except ValueError as error:
        raise BadData(f'invalid parameter "query": parse error: {error}') from None
    except OverflowError:
        raise BadData("a duration in the query is too long") from None


def _milliseconds(duration: timedelta | None) -> int:
    return 0 if duration is None else duration // timedelta(milliseconds=1)


def _at(modifier: pp.AtModifier | None) -> n.At:
    if modifier is None:
        return None
    kind = str(modifier.type)
    if kind.endswith("Start"):
        return "start"
    if kind.endswith("End"):
        return "end"
    return round(modifier.at.timestamp() * 1000) if modifier.at is not None else None


class _Compiler:
    """One walk over the parser's tree; remembers the nodes it has made."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, n.Node] = {}

    def node(self, expr: pp.Expr, depth: int) -> n.Node:
        """The node for `expr` and everything below it."""
        if depth > MAX_DEPTH:
            raise BadData(f"the expression is nested more than {MAX_DEPTH} deep; split it up")
        for kind, build in _BUILDERS:
            if isinstance(expr, kind):
                return build(self, expr, depth + 1)
        raise BadData(f"unsupported expression {type(expr).__name__}")

    def keep(self, key: Hashable, made: N) -> N:
        """`made`, or the equal node made before."""
        found = self._seen.setdefault((type(made), key), made)
        assert isinstance(found, type(made))
        return found


def _number(c: _Compiler, expr: pp.NumberLiteral, _depth: int) -> n.Node:
    # repr keeps -0 apart from 0, and NaN equal to itself.
    return c.keep(repr(expr.val), n.Number(expr.val))


def _text(c: _Compiler, expr: pp.StringLiteral, _depth: int) -> n.Node:
    return c.keep(expr.val, n.Text(expr.val))


def _selector(c: _Compiler, expr: pp.VectorSelector, _depth: int = 0) -> n.Selector:
    if expr.matchers.or_matchers:
        raise BadData('"or" between label matchers is not supported; use the or operator between two selectors')
    matchers = [Matcher(m.name, _OPS[str(m.op)], m.value) for m in expr.matchers.matchers]
    for matcher in matchers:
        if matcher.op in ("=~", "!~"):
            compile_regex(matcher.value)
    if expr.name is not None:
        matchers.insert(0, Matcher(NAME, "=", expr.name))
    offset, at = _milliseconds(expr.offset), _at(expr.at)
    return c.keep((*matchers, offset, at), n.Selector(tuple(matchers), offset, at))


def _window(c: _Compiler, expr: pp.MatrixSelector, _depth: int) -> n.Node:
    selector, length = _selector(c, expr.vector_selector), _milliseconds(expr.range)
    return c.keep((id(selector), length), n.Window(selector, length))


def _subquery(c: _Compiler, expr: pp.SubqueryExpr, depth: int) -> n.Node:
    inner = c.node(expr.expr, depth)
    length, step, offset = (_milliseconds(part) for part in (expr.range, expr.step, expr.offset))
    at = _at(expr.at)
    return c.keep((id(inner), length, step, offset, at), n.Subquery(inner, length, step, offset, at))


def _paren(c: _Compiler, expr: pp.ParenExpr, depth: int) -> n.Node:
    inner = c.node(expr.expr, depth)
    return c.keep(id(inner), n.Paren(inner))


def _negate(c: _Compiler, expr: pp.UnaryExpr, depth: int) -> n.Node:
    inner = c.node(expr.expr, depth)
    return c.keep(id(inner), n.Negate(inner))


def _call(c: _Compiler, expr: pp.Call, depth: int) -> n.Node:
    name = expr.func.name
    if name not in SUPPORTED:
        raise BadData(f"function {name}() is not supported here")
    args = tuple(c.node(arg, depth) for arg in expr.args)
    return c.keep((name, *map(id, args)), n.Call(name, args))


def _aggregate(c: _Compiler, expr: pp.AggregateExpr, depth: int) -> n.Node:
    op = str(expr.op)
    if op not in AGGREGATIONS:
        raise BadData(f"aggregation {op}() is not supported here")
    inner = c.node(expr.expr, depth)
    param = None if expr.param is None else c.node(expr.param, depth)
    labels = () if expr.modifier is None else tuple(expr.modifier.labels)
    without = expr.modifier is not None and str(expr.modifier.type).endswith("Without")
    key = (op, id(inner), id(param), labels, without)
    return c.keep(key, n.Aggregate(op, inner, param, labels, without))


def _operation(c: _Compiler, expr: pp.BinaryExpr, depth: int) -> n.Node:
    op, modifier = str(expr.op), expr.modifier
    left, right = c.node(expr.lhs, depth), c.node(expr.rhs, depth)
    as_bool, matching = False, n.Matching("one-to-one", on=False, labels=(), include=())
    if modifier is not None:
        as_bool = modifier.return_bool
        matching = _matching(modifier)
    key = (op, id(left), id(right), as_bool, matching.card, matching.on, matching.labels, matching.include)
    scalars = (is_scalar(left), is_scalar(right))
    return c.keep(key, n.Operation(op, left, right, matching, as_bool, scalars))


def _matching(modifier: pp.BinModifier) -> n.Matching:
    fill = modifier.fill_values
    if fill.lhs is not None or fill.rhs is not None:
        raise BadData("fill modifiers of binary operators are not supported here")
    card = _CARDS[str(modifier.card).rpartition(".")[2]]
    chosen = modifier.matching
    on = chosen is not None and str(chosen.type).endswith("Include")
    labels = () if chosen is None else tuple(chosen.labels)
    return n.Matching(card, on=on, labels=labels, include=tuple(modifier.group_labels or ()))


_BUILDERS: tuple[tuple[type[pp.Expr], Callable[..., n.Node]], ...] = (
    (pp.VectorSelector, _selector),
    (pp.Call, _call),
    (pp.AggregateExpr, _aggregate),
    (pp.BinaryExpr, _operation),
    (pp.ParenExpr, _paren),
    (pp.NumberLiteral, _number),
    (pp.MatrixSelector, _window),
    (pp.StringLiteral, _text),
    (pp.SubqueryExpr, _subquery),
    (pp.UnaryExpr, _negate),
)


def is_scalar(node: n.Node) -> bool:
    """True when the expression yields a scalar."""
    node = n.bare(node)
    if isinstance(node, n.Negate):
        return is_scalar(node.expr)
    if isinstance(node, n.Operation):
        return node.scalars == (True, True)
    return isinstance(node, n.Number) or (isinstance(node, n.Call) and node.name in ("scalar", "time", "pi"))
