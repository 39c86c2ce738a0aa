"""Prometheus answers as raw items and rows: one row a series, keyed by its labels in canonical order.

Rules: NaN and the infinities are text ("NaN", "+Inf"); the tenant of a row is the label its query names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

from pydantic import JsonValue

from tools import fields
from tools.redact import number_text
from tools.types import JsonObject, MetricsAnswer, Page, Row, Series


def labels_key(labels: dict[str, str]) -> str:
    """Labels as text in canonical order: `{instance="a",job="b"}`; `{}` for none."""
    return "{" + ",".join(f"{name}={json.dumps(labels[name], ensure_ascii=False)}" for name in sorted(labels)) + "}"


def number(value: float) -> JsonValue:
    """A sample's value as JSON can say it."""
    return value if math.isfinite(value) else number_text(value)


def page_of(answer: MetricsAnswer, *, tenant_label: str | None, ranged: bool) -> Page:
    """An answer as one page of raw items, each with its tenant."""
    return Page([_item(series, tenant_label, ranged=ranged) for series in answer.series], warnings=answer.warnings)


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


def tenants(sets: Iterable[dict[str, str]], tenant_label: str | None) -> list[JsonObject]:
    """Label sets without values as raw items."""
    return [{"labels": dict(labels), "tenant": labels.get(tenant_label or "") or None} for labels in sets]
