"""A piece of evidence as a document: what a bracket such as [E4] opens."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import JsonValue

from agent.analysis.view import resolve_in
from agent.citing import locate
from agent.render.document import Document, Role, Span
from tools import fields
from tools.fields import rfc3339
from tools.types import Evidence, EvidenceRef, JsonObject, Row, pointer, tokens_of

MAX_ROWS = 200
"""Rows shown; the rest is counted and stands in -o json."""
MAX_CITED = 40
"""Citations shown; an answer quotes fewer of one piece of evidence."""
_TELLING: dict[str, Role] = {"ok": "ok", "empty": "ok"}


def evidence(
    item: Evidence, *, rows: int = MAX_ROWS, cited: Sequence[EvidenceRef] = (), rest: str = "-o json shows all"
) -> Document:
    """What was asked, how it ended, the values that an answer cites (whole), the rows; `rest` says where all are."""
    document = Document()
    document.whole(Span(item.id, "cause"), Span("  "), Span(item.query, "strong"))
    status = Span(item.status, _TELLING.get(item.status, "warn"))
    counted = f" · {item.source} · {item.trust} · {len(item.rows)} rows · {rfc3339(item.observed_at)}"
    document.add(status, Span(counted, "muted"), indent=2)
    if item.detail:
        document.add(Span(item.detail, "warn"), indent=2)
    if item.window is not None:
        start, end = item.window
        document.add(Span(f"from {rfc3339(start)} to {rfc3339(end)}"), lead="window     ", indent=2)
    for warning in item.warnings:
        document.add(Span(warning, "warn"), lead="warning    ", indent=2)
    if item.redactions:
        document.add(Span(f"{item.redactions} values"), lead="redacted   ", indent=2)
    for path, value in list({ref.path: ref.value for ref in cited if ref.evidence == item.id}.items())[:MAX_CITED]:
        held = "" if isinstance(value, str) and value.startswith("sha256:") else f" = {_json(value)}"
        place = Span(f"{item.id}/{'/'.join(tokens_of(path))}", "cite")
        document.whole(Span("  cited      ", "label"), place, Span(held, "strong"))
    shown = item.rows[:rows]
    if shown:
        document.table(("key", "data"), ((Span(row.key, "cite"), Span(_json(_told(row)))) for row in shown))
    if len(item.rows) > len(shown):
        document.add(Span(f"and {len(item.rows) - len(shown)} more rows{f' ({rest})' if rest else ''}", "muted"))
    return document


def _told(row: Row) -> JsonObject:
    """What a row holds, its value first; the labels of a series stand in its key already."""
    labels = fields.strings(row.data, "labels")
    named = bool(labels) and all(f'{name}="{value}"' in row.key for name, value in labels.items())
    order = ("value", "unit", *sorted(row.data))
    return {key: row.data[key] for key in order if key in row.data and not (named and key == "labels")}


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False)


def cited_value(item: Evidence, rest: str) -> Document | None:
    """What stands at `row key/path` of a citation, whole; None where it names nothing there."""
    located = locate(item, rest)
    if located is None:
        return None
    row, path = located
    try:
        value = resolve_in({row.key: row.data}, pointer(row.key, *tokens_of(path))) if path else row.data
    except ValueError:
        return None
    document = Document()
    document.head(Span(f"{item.id}/{row.key}{path}", "cite"), lead="")
    for line in json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).splitlines():
        document.whole(Span(line))
    return document
