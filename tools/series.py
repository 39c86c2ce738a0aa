"""Prometheus answers as raw items and rows: one row a series, keyed by its labels in canonical order.

Rules: NaN and the infinities are text ("NaN", "+Inf"); the tenant of a row is the label its query names.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from tools import fields
from tools.errors import Refused
from tools.promql import inspect, scope
from tools.redact import number_text
from tools.tenancy import EXPORTED, OWN, TENANT_LABELS
from tools.types import JsonObject, MetricsAnswer, Page, Row, Series

_quoted = json.JSONEncoder(ensure_ascii=False).encode
_SELECTOR = re.compile(r"[A-Za-z_:][\w:]*(?:\{.*\})?|\{.*\}", re.DOTALL)


def labels_key(labels: dict[str, str]) -> str:
    """Labels as text in canonical order: `{instance="a",job="b"}`; `{}` for none."""
    return "{" + ",".join(f"{name}={_quoted(labels[name])}" for name in sorted(labels)) + "}"


def number(value: float) -> JsonValue:
    """A sample's value as JSON can say it."""
    return value if math.isfinite(value) else number_text(value)


def page_of(answer: MetricsAnswer, *, tenant_label: str | None, ranged: bool) -> Page:
    """An answer as one page of raw items, each with its tenant."""
    return Page([_item(series, tenant_label, ranged=ranged) for series in answer.series], warnings=answer.warnings)


def ordered(answer: MetricsAnswer) -> MetricsAnswer:
    """The answer by labels: a server may send series in any order, and the same question has the same evidence."""
    return replace(answer, series=sorted(answer.series, key=lambda one: sorted(one.labels.items())))


def _item(series: Series, tenant_label: str | None, *, ranged: bool) -> JsonObject:
    labels: JsonObject = dict(series.labels)
    item: JsonObject = {"labels": labels, "tenant": series.labels.get(tenant_label or "") or None}
    if ranged:
        points: list[JsonValue] = [[time, number(value)] for time, value in series.points]
        item["points"] = points
    elif series.points:
        item["value"] = number(series.points[-1][1])
    return item


def series_row(item: JsonObject) -> Row | None:
    """One raw item as a row; None for a series without a value."""
    data: JsonObject = {name: item[name] for name in ("labels", "value", "points") if name in item}
    if len(data) < 2:
        return None
    return Row(key=labels_key(fields.strings(item, "labels")), namespace=fields.text(item, "tenant") or None, data=data)


def free_query(query: str, permitted: Sequence[str] | None) -> str:
    """A query or selector that did not come from our catalogue, checked and narrowed to the permitted namespaces.

    Raises Refused for what the guard refuses, Denied where a metric has no label to narrow by.
    """
    return inspect(query).text if permitted is None else scope(query, permitted, TENANT_LABELS)


def selectors(matchers: Sequence[str], permitted: Sequence[str] | None) -> list[str]:
    """Series selectors, checked and narrowed like free_query. Raises Refused for anything but a selector."""
    checked = [free_query(matcher, permitted) for matcher in matchers]
    for text in checked:
        facts = inspect(text)
        if len(facts.selectors) != 1 or facts.max_range or not _SELECTOR.fullmatch(text):
            raise Refused("a matcher is one selector", hint='write it as up{job="x"}')
    return checked


def free_tenant(labels: dict[str, str]) -> str | None:
    """The namespace a row of a free answer speaks of, where it names one."""
    return labels.get(EXPORTED) or labels.get(OWN) or None


def window(start: float | None, end: float | None, now: float) -> tuple[float, float] | None:
    """The window asked for, ending now where no end is given; None for an instant. Raises Refused when it is empty."""
    if start is None:
        return None
    until = now if end is None else end
    if until <= start:
        raise Refused("the window ends before it begins", hint="start must lie before end and before now")
    return start, until
