"""What a PromQL query may cost and whom it may show, judged on its syntax tree before anything is sent.

Rules: pure; a query is bounded before it is parsed (promql-parser 0.11 takes seconds at 8,000 levels, then
crashes); whatever is checked is what is sent, because the text sent is printed from the tree; never string pasting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn, TypeAlias

import promql_parser as promql

from tools.errors import Denied, Refused
from tools.tenancy import tenant_label

MAX_BYTES: Final = 16 << 10
MAX_DEPTH: Final = 64
"""Levels of the syntax tree; the deepest query of our own catalogue has 17."""
MAX_STRUCTURE: Final = 400
"""Brackets and operators outside strings; an upper bound of the depth that is known before parsing."""
MAX_RAW_STRUCTURE: Final = 2000
"""The same, strings included: holds even if our idea of a string were not the parser's."""
MAX_NAMES: Final = 64
"""Metric names one selector may stand for."""
MAX_RANGE_SECONDS: Final = 31 * 86_400.0
MAX_POINTS: Final = 11_000
"""Prometheus answers 400 above this (web/api/v1 of prometheus/prometheus)."""
MAX_SAMPLES: Final = 20e6
SCRAPE_SECONDS: Final = 15.0
SUBQUERY_SECONDS: Final = 60.0
"""Prometheus's default evaluation interval: the step of a subquery that names none."""
UNKNOWN_SERIES: Final = 1000
"""Series taken for a metric of which no count is known."""

_Selector: TypeAlias = promql.VectorSelector
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_STRUCTURE: Final = re.compile(r"[(\[{+\-*/%^=<>!@]|\b(?:and|or|unless|atan2|offset)\b", re.IGNORECASE)
_STRING_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|' r"'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*", re.DOTALL)
_NAMES_HINT: Final = "name each metric, as in http_requests_total{…}"


@dataclass(frozen=True, slots=True)
class SelectorFacts:
    """One selector: the metrics it can name, its range, and how often it is evaluated for one point."""

    names: tuple[str, ...]
    range_seconds: float
    evaluations: float


@dataclass(frozen=True, slots=True)
class QueryFacts:
    """What a query reads. `text` is its canonical form, printed from the tree."""

    text: str
    metrics: tuple[str, ...]
    selectors: tuple[SelectorFacts, ...]
    max_range: float
    """Longest range or subquery, in seconds."""
    has_subquery: bool
    finest_step: float | None
    """Smallest step of a subquery, in seconds; None without subqueries."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A query that may be sent, as it is to be sent, with the samples it is estimated to touch."""

    cost_samples: float
    query: str


def inspect(query: str) -> QueryFacts:
    """The facts of a query. Raises Refused for what is no PromQL, names no metric, or is too large or too deep."""
    tree = _parse(query)
    found = list(_selectors(tree))
    subqueries = [node for node in _nodes(tree) if isinstance(node, promql.SubqueryExpr)]
    spans = [_seconds(node.range) for node in subqueries] + [facts.range_seconds for _, facts in found]
    return QueryFacts(
        text=_canonical(tree),
        metrics=tuple(sorted({name for _, facts in found for name in facts.names})),
        selectors=tuple(facts for _, facts in found),
        max_range=max(spans, default=0.0),
        has_subquery=bool(subqueries),
        finest_step=min((_step(node) for node in subqueries), default=None),
    )


def guard(
    query: str, *, window: float = 0.0, step: float | None = None, known_series: Mapping[str, int] | None = None
) -> Guarded:
    """Decide whether a query may be sent: `window` seconds by `step` seconds; window 0 is an instant query.

    `known_series` counts the series of a metric name. Raises Refused, with a cheaper suggestion as its hint.
    """
    facts = inspect(query)
    if facts.max_range > MAX_RANGE_SECONDS:
        raise Refused(f"a range of {_days(facts.max_range)}", hint=f"use at most {_days(MAX_RANGE_SECONDS)}")
    if facts.finest_step is not None and facts.finest_step < SCRAPE_SECONDS:
        raise Refused(
            f"a subquery step of {facts.finest_step:g} s is finer than the scrape interval",
            hint=f"use {SCRAPE_SECONDS:g} s or more, such as [1h:1m]",
        )
    points = _points(window, step)
    cost = sum(_cost(one, known_series or {}) for one in facts.selectors) * points
    if cost > MAX_SAMPLES:
        _too_dear(facts, known_series or {}, cost=cost, step=step, points=points)
    return Guarded(cost_samples=cost, query=facts.text)


def scope(query: str, namespaces: Sequence[str], tenant_labels: Mapping[str, str | None]) -> str:
    """The query, narrowed to `namespaces` in every selector, by the label its metric family keeps the tenant in.

    `tenant_labels` maps family prefixes to labels (tools/tenancy.py). Raises Denied where a family has none, and
    Refused for what `inspect` refuses.
    """
    if not namespaces:
        raise Denied("no namespace may be seen, so no series may")
    impossible = [name for name in namespaces if not _NAMESPACE.fullmatch(name)]
    if impossible:
        raise Denied(f"{impossible[0][:80]!r} cannot be the name of a namespace")
    matcher = (
        promql.MatchOp.Equal if len(namespaces) == 1 else promql.MatchOp.Re,
        "|".join(sorted(set(namespaces))),
    )
    tree = _parse(query)
    for _, facts in _selectors(tree):
        _label_of(facts.names, tenant_labels)

    def narrowed(node: promql.Expr) -> promql.Expr | None:
        if not isinstance(node, _Selector):
            return None
        label = _label_of(_names(node), tenant_labels)
        return promql.parse(_print_selector(node, (label, *matcher)))

    scoped = _canonical(promql.transform(tree, post_visit=narrowed))
    # Read back what will be sent: each selector must hold its matcher, whatever printing and parsing did.
    for node, facts in _selectors(_parse(scoped)):
        wanted = (_label_of(facts.names, tenant_labels), *matcher)
        if wanted not in [(m.name, m.op, m.value) for m in node.matchers.matchers]:
            raise Refused("the query cannot be narrowed to the namespaces that may be seen")
    return scoped


# --- reading the tree ----------------------------------------------------------------------------------------


def _parse(query: str) -> promql.Expr:
    if len(query.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Refused(f"a query of more than {MAX_BYTES >> 10} kB", hint="ask for less at once")
    outside = _STRING_OR_COMMENT.sub(" ", query)
    if _count(outside) > MAX_STRUCTURE or _count(query) > MAX_RAW_STRUCTURE:
        raise Refused("a query with too many brackets and operators", hint="split it into several queries")
    try:
        tree = promql.parse(query)
    except ValueError as error:
        raise Refused(f"not PromQL: {' '.join(str(error).split())[:200]}", hint="correct the query") from error
    for node in _nodes(tree):
        _check_names(node)
    return tree


def _count(text: str) -> int:
    return sum(1 for _ in _STRUCTURE.finditer(text))


def _children(node: promql.Expr) -> list[promql.Expr]:
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


def _nodes(tree: promql.Expr) -> Iterator[promql.Expr]:
    """Every node, parents first. Raises Refused below MAX_DEPTH levels."""
    level = [tree]
    for _ in range(MAX_DEPTH):
        yield from level
        level = [child for node in level for child in _children(node)]
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


def _selectors(tree: promql.Expr) -> Iterator[tuple[promql.VectorSelector, SelectorFacts]]:
    """Each selector with its facts; evaluations multiply through the subqueries around it."""
    waiting: list[tuple[promql.Expr, float, float]] = [(tree, 0.0, 1.0)]
    while waiting:
        node, span, evaluations = waiting.pop()
        if isinstance(node, promql.VectorSelector):
            yield node, SelectorFacts(names=_names(node), range_seconds=span, evaluations=evaluations)
        elif isinstance(node, promql.MatrixSelector):
            waiting.append((node.vector_selector, _seconds(node.range), evaluations))
        elif isinstance(node, promql.SubqueryExpr):
            inner = math.floor(_seconds(node.range) / _step(node)) + 1
            waiting.append((node.expr, 0.0, evaluations * inner))
        else:
            waiting.extend((child, 0.0, evaluations) for child in _children(node))


def _names(node: promql.VectorSelector) -> tuple[str, ...]:
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
    names = {""}
    rest = pattern
    if not re.fullmatch(r"[a-zA-Z0-9_:|()?]*", pattern) or "?" in pattern.replace("(?:", "("):
        return None
    names, rest = _alternation(rest.replace("(?:", "("), depth=0)
    return names if not rest and len(names) <= MAX_NAMES else None


def _alternation(text: str, *, depth: int) -> tuple[set[str], str]:
    """Read `a|b(c|d)` up to the end or a closing bracket; returns the names and what is left."""
    done: set[str] = set()
    current = {""}
    while text and len(done) + len(current) <= MAX_NAMES and depth <= MAX_DEPTH:
        if text[0] == ")":
            break
        if text[0] == "|":
            done, current, text = done | current, {""}, text[1:]
        elif text[0] == "(":
            inner, text = _alternation(text[1:], depth=depth + 1)
            text = text.removeprefix(")")
            current = {head + tail for head in current for tail in inner}
        else:
            literal = re.match(r"[^|()]+", text)
            assert literal is not None  # the first character is none of these three
            current, text = {head + literal[0] for head in current}, text[literal.end() :]
    return done | current, text


def _canonical(tree: promql.Expr) -> str:
    """The tree as text that parses to the same tree. Raises Refused where the parser's printing is not faithful."""
    text = tree.prettify()
    try:
        again = promql.parse(text).prettify()
    except ValueError as error:
        raise Refused("the query cannot be printed faithfully", hint="write it more simply") from error
    if again != text:
        raise Refused("the query cannot be printed faithfully", hint="write it more simply")
    return " ".join(line.strip() for line in text.splitlines())


# --- cost ------------------------------------------------------------------------------------------------------


def _points(window: float, step: float | None) -> int:
    if not math.isfinite(window) or window < 0 or (step is not None and not 0 < step < math.inf):
        raise Refused(f"no such window: {window} s by {step} s", hint="give positive seconds")
    if window == 0:
        return 1
    if step is None:
        raise Refused("a window needs a step", hint=f"use {math.ceil(window / (MAX_POINTS - 1))} s or more")
    points = math.floor(window / step) + 1
    if points > MAX_POINTS:
        fits = math.ceil(window / (MAX_POINTS - 1))
        raise Refused(f"{points} points a series", hint=f"use a step of {fits} s or more")
    return points


def _cost(selector: SelectorFacts, known_series: Mapping[str, int]) -> float:
    """Samples one evaluation touches: series times samples in the range, for every subquery step."""
    series = sum(known_series.get(name, UNKNOWN_SERIES) for name in selector.names)
    return series * selector.evaluations * max(1.0, selector.range_seconds / SCRAPE_SECONDS)


def _too_dear(
    facts: QueryFacts, known_series: Mapping[str, int], *, cost: float, step: float | None, points: int
) -> NoReturn:
    dearest = max(facts.selectors, key=lambda one: _cost(one, known_series))
    name = "|".join(dearest.names)[:80]
    factor = cost / MAX_SAMPLES
    if points > 1 and step is not None and factor < points:
        hint = f"use a step of {math.ceil(step * factor * 1.01)} s or more, or narrow {name} by a label"
    elif dearest.range_seconds > SCRAPE_SECONDS * factor:
        hint = f"use [{math.floor(dearest.range_seconds / factor / 1.01)}s] on {name}, or narrow it by a label"
    else:
        hint = f"narrow {name} by a label, or use a recording rule"
    raise Refused(f"about {cost / 1e6:.0f} M samples, and {MAX_SAMPLES / 1e6:.0f} M are the most", hint=hint)


def _seconds(span: timedelta | None) -> float:
    return span.total_seconds() if span is not None else 0.0


def _step(node: promql.SubqueryExpr) -> float:
    return _seconds(node.step) or SUBQUERY_SECONDS


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:g} d"


# --- tenancy ---------------------------------------------------------------------------------------------------


def _label_of(names: Sequence[str], tenant_labels: Mapping[str, str | None]) -> str:
    """The one tenant label of these metrics. Raises Denied where one has none, or they differ."""
    labels = {name: tenant_label(name, tenant_labels) for name in names}
    without = sorted(name for name, label in labels.items() if label is None)
    if without:
        raise Denied(
            f"{', '.join(without)[:200]} cannot be narrowed to a namespace", hint="ask someone with cluster read"
        )
    different = set(labels.values())
    if len(different) != 1:
        raise Denied(f"{', '.join(labels)[:200]} keep their namespace in different labels", hint="ask for each alone")
    return str(different.pop())


def _print_selector(node: promql.VectorSelector, extra: tuple[str, promql.MatchOp, str]) -> str:
    """A selector with one more matcher, as text: names were checked, values are quoted here."""
    signs = {
        promql.MatchOp.Equal: "=",
        promql.MatchOp.NotEqual: "!=",
        promql.MatchOp.Re: "=~",
        promql.MatchOp.NotRe: "!~",
    }
    matchers = [(m.name, m.op, m.value) for m in node.matchers.matchers] + [extra]
    inside = ",".join(f"{name}{signs[op]}{_quote(value)}" for name, op, value in matchers)
    offset = node.offset
    back = ""
    if offset:
        sign = "-" if offset < timedelta(0) else ""
        back = f" offset {sign}{promql.display_duration(abs(offset))}"
    at = f" {node.at}" if node.at is not None else ""
    return f"{node.name or ''}{{{inside}}}{at}{back}"


def _quote(value: str) -> str:
    """A PromQL string: Go's rules, of which these escapes and plain UTF-8 are a part."""
    table = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(table.get(c, c) for c in value) + '"'
