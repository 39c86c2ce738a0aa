"""What a PromQL query may cost and whom it may show, judged on its syntax tree before anything is sent.

Rules: pure; every selector names its metrics; ranges, steps, points and samples are bounded; a matcher is added in
the tree, never in the text, and the text to send is printed from the tree that was checked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn

import promql_parser as promql

from tools.errors import Denied, Refused
from tools.promql_tree import children, names_of, nodes, read, seconds, text_of
from tools.tenancy import tenant_label

MAX_RANGE_SECONDS: Final = 31 * 86_400.0
MAX_POINTS: Final = 11_000
"""Prometheus answers 400 above this (web/api/v1 of prometheus/prometheus)."""
MAX_SAMPLES: Final = 20e6
SCRAPE_SECONDS: Final = 15.0
SUBQUERY_SECONDS: Final = 60.0
"""Prometheus's default evaluation interval: the step of a subquery that names none."""
UNKNOWN_SERIES: Final = 1000
"""Series taken for a metric of which no count is known."""

_SIGNS: Final = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


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
    tree = read(query)
    found = list(_selectors(tree))
    subqueries = [node for node in nodes(tree) if isinstance(node, promql.SubqueryExpr)]
    spans = [seconds(node.range) for node in subqueries] + [facts.range_seconds for _, facts in found]
    return QueryFacts(
        text=text_of(tree),
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
    tree = read(query)
    for _, facts in _selectors(tree):
        _label_of(facts.names, tenant_labels)

    def narrowed(node: promql.Expr) -> promql.Expr | None:
        if not isinstance(node, promql.VectorSelector):
            return None
        label = _label_of(names_of(node), tenant_labels)
        return promql.parse(_print_selector(node, (label, *matcher)))

    scoped = text_of(promql.transform(tree, post_visit=narrowed))
    # Read back what will be sent: each selector must hold its matcher, whatever printing and parsing did.
    for node, facts in _selectors(read(scoped)):
        wanted = (_label_of(facts.names, tenant_labels), *matcher)
        if wanted not in [(m.name, m.op, m.value) for m in node.matchers.matchers]:
            raise Refused("the query cannot be narrowed to the namespaces that may be seen")
    return scoped


def _selectors(tree: promql.Expr) -> Iterator[tuple[promql.VectorSelector, SelectorFacts]]:
    """Each selector with its facts; evaluations multiply through the subqueries around it."""
    waiting: list[tuple[promql.Expr, float, float]] = [(tree, 0.0, 1.0)]
    while waiting:
        node, span, evaluations = waiting.pop()
        if isinstance(node, promql.VectorSelector):
            yield node, SelectorFacts(names=names_of(node), range_seconds=span, evaluations=evaluations)
        elif isinstance(node, promql.MatrixSelector):
            waiting.append((node.vector_selector, seconds(node.range), evaluations))
        elif isinstance(node, promql.SubqueryExpr):
            inner = math.floor(seconds(node.range) / _step(node)) + 1
            waiting.append((node.expr, 0.0, evaluations * inner))
        else:
            waiting.extend((child, 0.0, evaluations) for child in children(node))


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
    elif dearest.evaluations > factor:
        hint = f"use a subquery step at least {math.ceil(factor * 1.01)} times as long, or narrow {name} by a label"
    elif dearest.range_seconds > SCRAPE_SECONDS * factor:
        fits = timedelta(minutes=max(1, math.floor(dearest.range_seconds / factor / 60.6)))
        hint = f"use [{promql.display_duration(fits)}] on {name}, or narrow it by a label"
    else:
        hint = f"narrow {name} by a label, or use a recording rule"
    raise Refused(f"about {cost / 1e6:.0f} M samples, and {MAX_SAMPLES / 1e6:.0f} M are the most", hint=hint)


def _step(node: promql.SubqueryExpr) -> float:
    return seconds(node.step) or SUBQUERY_SECONDS


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
    matchers = [(m.name, m.op, m.value) for m in node.matchers.matchers] + [extra]
    inside = ",".join(f"{name}{_SIGNS[str(op)]}{_quote(value)}" for name, op, value in matchers)
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
