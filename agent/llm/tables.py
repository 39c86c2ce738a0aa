"""Evidence as a model reads it: a compact, typed, paged table whose rows can be cited by their keys.

Rules: deterministic and never above its size; one line a row; what others wrote only through agent/llm/untrusted.py,
under a label; a status that is not ok can never be taken for an empty answer. A row is cited as `E12/<key>` or
`E12/<key>/<path>`; `<key>` is the row's own key, the short form under a namespace heading, or `#n`, the n-th row
(evidence never changes, so neither does n); agent/citing.py resolves all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from agent.analysis.queries import CATALOGUE
from agent.citing import find
from agent.diagnosers import load
from agent.llm.columns import span
from agent.llm.entries import LABEL, Body, Entry, body_of, shown_key, whole
from agent.llm.untrusted import pointer_cell, quoted, soften
from agent.types import Query
from tools.limits import MODEL_BYTES, MODEL_ROWS
from tools.types import Evidence, NamedQuery, Row, tokens_of

Names = Mapping[str, NamedQuery]
"""The catalogue by PromQL text, so that a table can say a query's name and unit instead of its text."""
QUERY = 160
"""Characters of a query in a header."""
_TAIL = 220
"""Bytes kept free for the line that says what was left out."""
_REFINE = {
    "list_objects": "label_selector, field_selector or namespace",
    "list_events": "namespace, kind and name",
    "pod_logs": "match or fewer tail_lines",
    "promql": "a sum, topk or narrower selector",
    "find_series": "a narrower match",
    "label_values": "a narrower match",
}
_RULED = {
    "denied": "DENIED: nothing was read, this is not an empty answer",
    "unavailable": "UNAVAILABLE: nothing was read, this is not an empty answer",
    "failed": "FAILED: nothing was read, this is not an empty answer",
    "truncated": "TRUNCATED: more exists than these rows, count nothing from them",
    "empty": "EMPTY: asked and answered, there is none",
}


def by_text(queries: Iterable[NamedQuery]) -> dict[str, NamedQuery]:
    """A catalogue by PromQL text."""
    return {query.promql: query for query in queries}


@cache
def _catalogue() -> Names:
    """Our own queries, shared ones and those of single causes."""
    needed = (need.query for known in load().values() for need in known.NEEDS if isinstance(need, Query))
    return by_text((*CATALOGUE, *needed))


def _query(evidence: Evidence, names: Names | None) -> NamedQuery | None:
    if evidence.tool != "named_query":
        return None
    return (_catalogue() if names is None else names).get(evidence.query)


def render(
    evidence: Evidence,
    *,
    rows: int = MODEL_ROWS,
    size: int = MODEL_BYTES,
    match: str = "",
    after: str = "",
    names: Names | None = None,
) -> str:
    """A piece of evidence in at most `rows` rows and `size` bytes of UTF-8.

    `match` keeps the rows that contain it (any case); the exact key of one row shows that row whole, path by path.
    `after` continues behind the row of that key. `names`: the catalogue, where it is not our own.
    """
    one = find(evidence, match) if match else None
    query = _query(evidence, names)
    unit = query.unit if query else ""
    body = whole(one) if one is not None else body_of(evidence, unit)
    entries = body.entries
    if match and one is None:
        wanted = match.casefold()
        entries = [entry for entry in entries if wanted in f"{entry.key} {entry.text}".casefold()]
    lines = _head(evidence, body, names, one)
    if match and one is None:
        lines.append(f"match {quoted(match)}: {len(entries)} of {len(body.entries)}")
    start, note = _start(entries, after)
    if note:
        lines.append(note)
    return _page(evidence, lines, body, entries[start:], rows=rows, size=size, match=match)


def _head(evidence: Evidence, body: Body, names: Names | None, one: Row | None) -> list[str]:
    count = f"{len(evidence.rows)} row{'' if len(evidence.rows) == 1 else 's'}"
    parts = [f"{evidence.id} {evidence.tool}", _asked(evidence, names), count, evidence.status, evidence.trust]
    if evidence.window is not None:
        parts.append(f"over {span(evidence.window[1] - evidence.window[0])}")
    lines = [" · ".join(parts)]
    if evidence.status in _RULED:
        why = f"; {soften(evidence.detail)[:400]}" if evidence.detail else ""
        lines.append(_RULED[evidence.status] + why)
    lines += [f"warning: {soften(warning)[:200]}" for warning in evidence.warnings[:3]]
    if body.entries and (evidence.trust == "text" or any('"' in entry.text for entry in body.entries)):
        lines.append(LABEL)
    if one is not None:
        lines.append(f"cite a value as {evidence.id}/{shown_key(evidence, one)}PATH")
    return lines + [note for note in body.notes if note]


def _asked(evidence: Evidence, names: Names | None) -> str:
    query = _query(evidence, names)
    if query is not None:
        return query.name
    text = soften(evidence.query)
    return text if len(text) <= QUERY else f"{text[:QUERY]}…"


def _start(entries: Sequence[Entry], after: str) -> tuple[int, str]:
    if not after:
        return 0, ""
    wanted = after.strip()
    for index, entry in enumerate(entries):
        if wanted in (entry.key, entry.shown, entry.full):
            return index + 1, ""
    return 0, f"no row here has the key {quoted(after)}; from the start:"


def _page(
    evidence: Evidence,
    lines: list[str],
    body: Body,
    entries: Sequence[Entry],
    *,
    rows: int,
    size: int,
    match: str,
) -> str:
    if body.names and entries:
        lines = [*lines, "|".join(body.names)]
    used = sum(len(line.encode()) + 1 for line in lines)
    space, shown = "", 0
    for entry in entries[:rows]:
        new = [f"in {entry.space}/:"] if entry.space != space and entry.space else []
        new.append(f"{entry.shown}|{entry.text}" if entry.text else entry.shown)
        cost = sum(len(line.encode()) + 1 for line in new)
        if used + cost > size - (_TAIL if shown + 1 < len(entries) else 0):
            break
        lines += new
        used += cost
        space, shown = entry.space, shown + 1
    left = len(entries) - shown
    if left:
        lines.append(_more(evidence, entries[shown - 1].full if shown else "", left, match))
    return _fit("\n".join(lines), size)


def _more(evidence: Evidence, last: str, left: int, match: str) -> str:
    words = [f"{left} more row{'' if left == 1 else 's'}"]
    wanted = f" match={quoted(match, cap=40)}" if match else ""
    if last:
        words.append(f"show_evidence id={evidence.id}{wanted} after={last}")
    if evidence.tool in _REFINE:
        words.append(f"or refine with {_REFINE[evidence.tool]}")
    return "; ".join(words[:1]) + ("; " + ", ".join(words[1:]) if words[1:] else "")


def _fit(text: str, size: int) -> str:
    """The last fence: whatever the arithmetic above missed, no more than `size` bytes."""
    raw = text.encode()
    return text if len(raw) <= size else raw[: max(0, size - 3)].decode(errors="ignore") + "…" * (size >= 3)


# --- citing ------------------------------------------------------------------------------------------------------


def cited(evidence: Evidence, path: str) -> str:
    """A reference of our own claims as a model would cite it: `E12/#3/value` for a series with a long key."""
    tokens = path.split("/")[1:]
    key = tokens_of(path)[0] if tokens else ""
    row = next((row for row in evidence.rows if row.key == key), None)
    if row is None:
        return evidence.id
    below = "".join(f"/{token}" for token in tokens[1:])
    return f"{evidence.id}/{shown_key(evidence, row)}{below if pointer_cell(below) == below else ''}"


# --- one line each -----------------------------------------------------------------------------------------------


def one_line(evidence: Evidence, *, names: Names | None = None) -> str:
    """What stays of a table when a conversation is compacted."""
    state = evidence.status if evidence.usable else evidence.status.upper()
    why = f": {soften(evidence.detail)[:80]}" if evidence.detail and not evidence.usable else ""
    asked = _asked(evidence, names)[:100]
    said = f"{evidence.id} {evidence.tool} · {asked} · {state}{why}, {len(evidence.rows)} rows"
    return f"{said}; show_evidence id={evidence.id}"
