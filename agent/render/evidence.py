"""A piece of evidence as a document: what a bracket such as [E4] opens."""

from __future__ import annotations

import json

from agent.analysis.view import resolve_in
from agent.citing import locate
from agent.render.document import Document, Role, Span
from tools.fields import rfc3339
from tools.types import Evidence, pointer, tokens_of

MAX_ROWS = 200
"""Rows shown; the rest is counted and stands in -o json."""
_TELLING: dict[str, Role] = {"ok": "ok", "empty": "ok"}


def evidence(item: Evidence, *, rows: int = MAX_ROWS) -> Document:
    """What was asked, how it ended, and the rows."""
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
    shown = item.rows[:rows]
    body = ((Span(r.key, "cite"), Span(json.dumps(r.data, ensure_ascii=False, sort_keys=True))) for r in shown)
    if shown:
        document.table(("key", "data"), body)
    if len(item.rows) > len(shown):
        document.add(Span(f"and {len(item.rows) - len(shown)} more rows (-o json shows all)", "muted"))
    return document


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
