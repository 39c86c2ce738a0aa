"""A whole session as a document or as JSON: questions, answers, what was asked of the cluster, the audit heads.

Rule: everything goes through the same spans and contract as a single answer, so that no stored text becomes markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from agent.history import Ending, Turn
from agent.render.answer import answer
from agent.render.contract import API_VERSION, contract
from agent.render.document import Document, Span
from agent.store import ASKED_AT, SessionRow, Store
from agent.types import Diagnosis
from tools.fields import rfc3339
from tools.types import JsonObject

MOST_EVIDENCE = 300
"""Lines of a run's evidence index; the rest is counted."""
EVERY = "(every cause)"
"""Stands for the question of a run without one."""
NOTES = {"audit_head": "audit head", "policy": "policy", "reasoner": "reasoner", "from_run": "answered from run"}
"""Noted facts of a run that a reader can use."""


def listing(rows: Sequence[tuple[SessionRow, Ending]]) -> Document:
    """Sessions and how they stand; what is unfinished or waits can be resumed."""
    document = Document()
    cells = [
        (r.id, "-" if r.asked is None else rfc3339(int(r.asked)), str(r.runs), how, r.cluster, r.first or EVERY)
        for r, how in rows
    ]
    head = ("SESSION", "ASKED AT", "RUNS", "LAST RUN", "CLUSTER", "FIRST QUESTION")
    document.table(head, [[Span(cell) for cell in row] for row in cells])
    return document


def document(session: str, cluster: str, turns: Sequence[Turn]) -> Document:
    """The session, run by run."""
    made = Document()
    title = next((turn.question for turn in turns if turn.question), "every cause")
    made.head(Span(f"Session {session}: {title}", "strong"), lead="")
    made.add(Span(f"{cluster} · {len(turns)} run{'' if len(turns) == 1 else 's'}"))
    for turn in turns:
        made.head(Span(f"Run {turn.run}: "), Span(turn.question or EVERY, "strong"), lead="")
        asked = f"asked at {rfc3339(float(turn.notes[ASKED_AT]))} · " if ASKED_AT in turn.notes else ""
        made.add(Span(f"{asked}cluster time {rfc3339(turn.at)} · {turn.ending}", "muted"))
        if turn.diagnosis is not None:
            made.blocks += answer(turn.diagnosis).blocks
        elif turn.said:
            made.add(Span(turn.said, "warn"))
        _index(made, turn)
        for key, label in NOTES.items():
            if key in turn.notes:
                made.add(Span(turn.notes[key]), lead=label, indent=2)
    return made


def _index(made: Document, turn: Turn) -> None:
    shown = turn.evidence[:MOST_EVIDENCE]
    rows = [(e.id, e.status, str(e.rows), e.query) for e in shown]
    if rows:
        made.table(("ID", "STATUS", "ROWS", "QUERY"), [[Span(cell) for cell in row] for row in rows])
    if len(turn.evidence) > len(shown):
        made.add(Span(f"and {len(turn.evidence) - len(shown)} more", "muted"))


def body(store: Store, session: str, turns: Sequence[Turn]) -> JsonObject:
    """The session as the object that programs read: kind Session, each answer by its own contract."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Session",
        "session": session,
        "cluster": store.cluster_of(session),
        "runs": [_run(store, session, turn) for turn in turns],
    }


def _run(store: Store, session: str, turn: Turn) -> JsonValue:
    return {
        "run": turn.run,
        "question": turn.question,
        "askedAt": rfc3339(turn.at),
        "state": turn.ending,
        "said": turn.said,
        "diagnosis": None if turn.diagnosis is None else _answer(store, session, turn.run, turn.diagnosis),
        "evidence": [{"id": e.id, "query": e.query, "status": e.status, "rows": e.rows} for e in turn.evidence],
        "notes": dict(turn.notes),
    }


def _answer(store: Store, session: str, run: int, diagnosis: Diagnosis) -> JsonObject:
    names = dict.fromkeys(ref.evidence for claim in diagnosis.claims for ref in claim.refs)
    found = [store.evidence(session, run, name) for name in sorted(names, key=lambda name: (len(name), name))]
    return contract(diagnosis, [item for item in found if item is not None])
