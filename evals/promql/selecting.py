"""Which raw samples a query stands on: its selectors, each with the window that ranges, offsets, sub-queries reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import promql_parser as promql

from evals.promql.model import escaped
from tools.promql_tree import children, read, seconds

LOOKBACK: Final = 300.0
"""Seconds a sample stays visible (Prometheus's default `query.lookback-delta`)."""
_OPS: Final = (
    (promql.MatchOp.Equal, "="),
    (promql.MatchOp.NotEqual, "!="),
    (promql.MatchOp.Re, "=~"),
    (promql.MatchOp.NotRe, "!~"),
)


def touched(query: str, start: float, end: float) -> Iterator[tuple[str, float, float]]:
    """(selector, from, until) of every selector of a query over [start, end]. Raises Refused for what is no PromQL."""
    yield from _walk(read(query), start, end)


def _walk(node: promql.Expr, start: float, end: float) -> Iterator[tuple[str, float, float]]:
    match node:
        case promql.VectorSelector():
            back = seconds(node.offset)
            yield _selector(node), start - back - LOOKBACK, end - back
        case promql.MatrixSelector():
            yield from _walk(node.vector_selector, start - seconds(node.range), end)
        case promql.SubqueryExpr():
            back = seconds(node.offset)
            yield from _walk(node.expr, start - back - seconds(node.range), end - back)
        case _:
            for child in children(node):
                yield from _walk(child, start, end)


def _selector(node: promql.VectorSelector) -> str:
    pairs = sorted(f"{one.name}{_op(one)}{quoted(one.value)}" for one in node.matchers.matchers)
    return f"{node.name or ''}{{{','.join(pairs)}}}"


def _op(matcher: promql.Matcher) -> str:
    return next(text for op, text in _OPS if op == matcher.op)


def quoted(text: str) -> str:
    """A PromQL string."""
    return f'"{escaped(text)}"'
