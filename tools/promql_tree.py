"""Reading a PromQL query into a syntax tree that can be trusted, and printing it back.

Rules: a query is bounded before it is parsed (promql-parser 0.11 takes seconds at 8,000 levels, then crashes);
names are classic ones; a tree is printed only if its text reads back as the same tree, so that what was checked is
what is sent.
"""

from __future__ import annotations

import re
import string
from collections.abc import Hashable, Iterator
from datetime import timedelta
from typing import Final

import promql_parser as promql

from tools.errors import Refused

MAX_BYTES: Final = 16 << 10
MAX_DEPTH: Final = 64
"""Levels of the syntax tree; the deepest query of our own catalogue has 17."""
MAX_STRUCTURE: Final = 400
"""Brackets and operators outside strings; an upper bound of the depth that is known before parsing."""
MAX_RAW_STRUCTURE: Final = 2000
"""The same, strings included: holds even if our idea of a string were not the parser's."""
MAX_NAMES: Final = 64
"""Metric names one selector may stand for."""

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NAME_CHARACTERS: Final = string.ascii_letters + string.digits + "_:"
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STRUCTURE: Final = re.compile(r"[(\[{+\-*/%^=<>!@]|\b(?:and|or|unless|atan2|offset)\b", re.IGNORECASE)
_STRING_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|' r"'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*", re.DOTALL)
_NAMES_HINT: Final = "name each metric, as in http_requests_total{…}"


def read(query: str) -> promql.Expr:
    """Parse. Raises Refused for what is no PromQL, too large, too deep, or uses names that are not classic."""
    if len(query.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Refused(f"a query of more than {MAX_BYTES >> 10} kB", hint="ask for less at once")
    outside = _STRING_OR_COMMENT.sub(" ", query)
    if _count(outside) > MAX_STRUCTURE or _count(query) > MAX_RAW_STRUCTURE:
        raise Refused("a query with too many brackets and operators", hint="split it into several queries")
    try:
        tree = promql.parse(query)
    except ValueError as error:
        raise Refused(f"not PromQL: {' '.join(str(error).split())[:200]}", hint="correct the query") from error
    for node in nodes(tree):
        _check_names(node)
    return tree


def _count(text: str) -> int:
    return sum(1 for _ in _STRUCTURE.finditer(text))


def children(node: promql.Expr) -> list[promql.Expr]:
    """The operands of a node. Raises Refused for a kind of node this module does not know."""
    match node:
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return [node.expr]
        case promql.AggregateExpr():
            return [node.expr] if node.param is None else [node.expr, node.param]
        case promql.BinaryExpr():
            return [node.lhs, node.rhs]
        case promql.Call():
            return list(node.args)
        case promql.MatrixSelector():
            return [node.vector_selector]
        case promql.VectorSelector() | promql.NumberLiteral() | promql.StringLiteral():
            return []
    raise Refused(f"{type(node).__name__} is not supported", hint="rewrite the query without it")


def nodes(tree: promql.Expr) -> Iterator[promql.Expr]:
    """Every node, parents first. Raises Refused below MAX_DEPTH levels."""
    level = [tree]
    for _ in range(MAX_DEPTH):
        yield from level
        level = [child for node in level for child in children(node)]
        if not level:
            return
    raise Refused(f"a query nested more than {MAX_DEPTH} levels deep", hint="split it into several queries")


def _check_names(node: promql.Expr) -> None:
    """Labels and metric names must be classic ones: the parser prints quoted names unquoted, so they could not
    be sent as they were checked."""
    labels: list[str] = []
    match node:
        case promql.VectorSelector():
            labels = [m.name for m in node.matchers.matchers]
        case promql.AggregateExpr():
            labels = list(node.modifier.labels) if node.modifier else []
        case promql.BinaryExpr() if node.modifier:
            labels = [*(node.modifier.matching.labels if node.modifier.matching else ())]
            labels += node.modifier.group_labels or ()
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise Refused(f"{label[:80]!r} is not a classic label name", hint="use letters, digits and _")


def names_of(node: promql.VectorSelector) -> tuple[str, ...]:
    """The metrics a selector can name. Raises Refused when that is not a short, certain list."""
    if node.matchers.or_matchers:
        raise Refused("`or` between matchers is not supported", hint="use `or` between selectors")
    candidates: set[str] | None = {node.name} if node.name else None
    for matcher in node.matchers.matchers:
        if matcher.name != "__name__":
            continue
        if matcher.op == promql.MatchOp.Equal:
            named: set[str] | None = {matcher.value}
        elif matcher.op == promql.MatchOp.Re:
            named = alternatives(matcher.value)
        else:
            continue
        if named is not None:
            candidates = named if candidates is None else candidates & named
    if not candidates:
        raise Refused("a selector without the name of a metric", hint=_NAMES_HINT)
    odd = [name for name in candidates if not _NAME.fullmatch(name)]
    if odd:
        raise Refused(f"{min(odd)[:80]!r} is not a classic metric name", hint=_NAMES_HINT)
    return tuple(sorted(candidates))


def alternatives(pattern: str) -> set[str] | None:
    """The finite list of names a regular expression stands for, or None when it may stand for others as well."""
    plain = pattern.replace("(?:", "(")
    if not re.fullmatch(r"[a-zA-Z0-9_:|()]*", plain):
        return None
    try:
        names, rest = _alternation(plain, depth=0)
    except _NotAList:
        return None
    return None if rest else names


class _NotAList(Exception):
    """The expression is unbalanced, too deep, or stands for too many names."""


def _alternation(text: str, *, depth: int) -> tuple[set[str], str]:
    """Read `a|b(c|d)` up to the end or a closing bracket; returns the names and what is left."""
    done: set[str] = set()
    current = {""}
    while text and text[0] != ")":
        if text[0] == "|":
            done, current, text = done | current, {""}, text[1:]
        elif text[0] == "(":
            inner, text = _alternation(text[1:], depth=depth + 1)
            if not text:
                raise _NotAList
            current, text = {head + tail for head in current for tail in inner}, text[1:]
        else:
            literal = text[: len(text) - len(text.lstrip(_NAME_CHARACTERS))]
            current, text = {head + literal for head in current}, text[len(literal) :]
        if len(done) + len(current) > MAX_NAMES or depth > MAX_DEPTH:
            raise _NotAList
    return done | current, text


def text_of(tree: promql.Expr) -> str:
    """The tree on one line. Raises Refused unless that text reads back as the same tree."""
    text = " ".join(line.strip(" ") for line in tree.prettify().split("\n"))
    try:
        faithful = [_shape(node) for node in nodes(promql.parse(text))] == [_shape(node) for node in nodes(tree)]
    except ValueError:
        faithful = False
    if not faithful:
        raise Refused("the query cannot be printed faithfully", hint="use plain strings, without control characters")
    return text


def _shape(node: promql.Expr) -> tuple[Hashable, ...]:
    """Everything a node says by itself, without its operands."""
    own: tuple[Hashable, ...] = ()
    match node:
        case promql.VectorSelector():
            matchers = sorted((m.name, str(m.op), m.value) for m in node.matchers.matchers)  # printed in order
            own = (node.name, tuple(matchers), node.offset, str(node.at))
        case promql.MatrixSelector():
            own = (node.range,)
        case promql.SubqueryExpr():
            own = (node.range, node.step, node.offset, str(node.at))
        case promql.NumberLiteral():
            own = (repr(node.val),)
        case promql.StringLiteral():
            own = (node.val,)
        case promql.Call():
            own = (node.func.name,)
        case promql.AggregateExpr():
            own = (str(node.op),)
            if node.modifier is not None:
                own += (str(node.modifier.type), tuple(node.modifier.labels))
        case promql.BinaryExpr():
            own = (str(node.op), *_shape_of_modifier(node.modifier))
    return (type(node).__name__, *own)


def _shape_of_modifier(modifier: promql.BinModifier | None) -> tuple[Hashable, ...]:
    if modifier is None:
        return ()
    matching = modifier.matching
    on = (str(matching.type), tuple(matching.labels)) if matching is not None else None
    fill = (modifier.fill_values.lhs, modifier.fill_values.rhs)
    return (str(modifier.card), modifier.return_bool, on, tuple(modifier.group_labels or ()), fill)


def seconds(span: timedelta | None) -> float:
    """A duration of the tree in seconds, 0 where there is none."""
    return span.total_seconds() if span is not None else 0.0
