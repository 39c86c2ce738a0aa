"""Drafts of changes as a document. What would be changed comes from typed data; prose stands apart and is labelled.

Rule: it is always said that a draft changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from agent.render.document import Document, Span
from agent.store import DraftRow
from tools.fields import rfc3339

NOTHING = "a draft changes nothing: it waits for people to look at it"


def listing(rows: Sequence[DraftRow]) -> Document:
    """All drafts, one a line."""
    document = Document()
    cells = ((r.id, r.state, r.target, _wish(r), " ".join(_ids(r.cites)), r.author, r.session) for r in rows)
    head = ("ID", "STATE", "TARGET", "CHANGE", "EVIDENCE", "AUTHOR", "SESSION")
    document.table(head, [[Span(cell) for cell in row] for row in cells])
    if rows:
        document.add(Span(NOTHING, "muted"))
    return document


def proposal(row: DraftRow) -> Document:
    """One draft: the change, its target, its grounds, and the author's words in a place of their own."""
    document = Document()
    document.head(Span(row.id, "cause"), Span("  "), Span(f"{row.change} {row.target}", "strong"), lead="")
    document.add(Span(row.state, "warn"), Span(f" · {NOTHING}", "muted"), indent=2)
    who = "the model's words" if row.author.startswith("model ") else f"words of the {row.author}"
    parts = (
        ("target", f"{row.target} (uid {row.uid})"),
        ("change", _wish(row)),
        ("evidence", " ".join(f"[{name}]" for name in _ids(row.cites)) + f" of session {row.session}, run {row.run}"),
        ("drafted", f"{rfc3339(row.at)} by {row.author}"),
        ("digest", row.digest),
    )
    for label, text in parts:
        document.add(Span(text), lead=f"{label:11}", indent=2)
    document.add(Span(f"“{row.because}”", "muted"), lead=f"{who}: ", indent=2)
    return document


def _wish(row: DraftRow) -> str:
    """The change with the arguments that do not name its target."""
    named = ("group", "kind", "namespace", "name")
    wanted = (f"{name} {json.dumps(value)}" for name, value in row.args.items() if name not in named)
    return f"{row.change} {', '.join(wanted)}"


def _ids(cites: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(cite.partition("/")[0] for cite in cites))
