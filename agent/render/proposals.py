"""Proposals as documents: a list, and one with its approval view. Prose of an author has a box of its own.

Rule: what would be done is drawn from the plan's bytes alone, and a draft always says that it does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from agent.changes.plans import BadPlan, Plan, read
from agent.changes.records import Approval, JournalEntry, Moved, Proposal
from agent.changes.states import State
from agent.changes.view import approval_view
from agent.render.document import Document, Span
from tools.fields import rfc3339

NOTHING = "a draft changes nothing: it waits for people to look at it"
ADVISORY = "on one machine an approval is advisory: a shared store and credentials of their own make it a guarantee"


def listing(rows: Sequence[Proposal]) -> Document:
    """All of them, one a line."""
    document = Document()
    cells = ((r.id, r.state, r.tier or "", str(r.target), wish(r), r.author, r.note) for r in rows)
    document.table(
        ("ID", "STATE", "TIER", "TARGET", "CHANGE", "AUTHOR", "NOTE"), [[Span(cell) for cell in row] for row in cells]
    )
    if any(row.state == "draft" for row in rows):
        document.add(Span(NOTHING, "muted"))
    return document


def proposal(
    row: Proposal,
    approvals: Sequence[Approval],
    needed: int | None,
    moves: Sequence[Moved],
    steps: Sequence[JournalEntry],
) -> Document:
    """One proposal: its plan where it has one, who approved it, what happened, and its author's words."""
    document = Document()
    plan = plan_of(row)
    if plan is None:
        document.head(Span(row.id, "cause"), Span("  "), Span(f"{row.change} {row.target}", "strong"), lead="")
        document.add(Span(row.state, "warn"), Span(f" · {NOTHING}" if row.state == "draft" else "", "muted"), indent=2)
        _parts(document, [("change", wish(row))])
    else:
        document.blocks += approval_view(plan).blocks
        document.add(Span(row.state, "warn"), lead="state        ")
    cites = " ".join(f"[{name}]" for name in dict.fromkeys(cite.partition("/")[0] for cite in row.cites))
    _parts(
        document,
        [
            ("note", row.note),
            ("evidence", f"{cites} of session {row.session}, run {row.run}" if cites else ""),
            ("drafted", f"{rfc3339(row.at)} by {row.author}"),
            ("requested", f"by {row.requester}" if row.requester else ""),
            ("approvals", _approvals(row, approvals, needed)),
        ],
    )
    for move in moves:
        document.add(Span(f"{rfc3339(move.at)} {move.move} → {move.state} by {move.actor}"), lead="happened     ")
    for step in steps[-12:]:
        document.add(
            Span(f"{rfc3339(step.at)} {step.point} (attempt {step.attempt}, {step.applier})"), lead="journal      "
        )
    _add_next(document, row)
    if row.because:
        who = "the model's words" if row.author.startswith("model ") else f"words of {row.author}"
        document.add(Span(f"“{row.because}”", "muted"), lead=f"{who}, which count for nothing: ")
    return document


def checked(row: Proposal, checks: Sequence[tuple[str, str]]) -> Document:
    """How the checks of a proposal stand: (status, what was seen)."""
    document = Document()
    document.head(Span(row.id, "cause"), Span("  "), Span(f"{wish(row)} of {row.target}", "strong"), lead="")
    for status, text in checks:
        document.add(Span(text), lead=f"{status:13}")
    document.add(Span(row.state, "warn"), lead="state        ")
    _add_next(document, row)
    return document


def plan_of(row: Proposal) -> Plan | None:
    """The plan of a proposal, where it has one that is whole."""
    try:
        return read(row.plan.encode(), digest=row.digest) if row.plan else None
    except BadPlan:
        return None


def _approvals(row: Proposal, approvals: Sequence[Approval], needed: int | None) -> str:
    if needed is None:
        return ""
    given = sorted({one.principal for one in approvals if one.digest == row.digest})
    told = f"{len(given)} of {needed}"
    return f"{told}: {', '.join(given)}" if given else told


def _parts(document: Document, parts: Sequence[tuple[str, str]]) -> None:
    for label, text in parts:
        if text:
            document.add(Span(text), lead=f"{label:13}")


def wish(row: Proposal) -> str:
    """The change with the arguments that do not name its target."""
    named = ("group", "kind", "namespace", "name")
    wanted = (
        f"{name} {json.dumps(value)}" for name, value in row.args.items() if name not in named and value is not None
    )
    made = f"{row.change} {', '.join(wanted)}".strip()
    return f"undo of {row.undoes}: back from {made}" if row.undoes else made


_NEXT: dict[State, str] = {
    "draft": "proposals preview {id}, with the applier's credentials",
    "awaiting approval": "proposals approve {id} --digest {digest}",
    "approved": "proposals apply {id}, with the applier's credentials, unless apply --watch runs",
    "applied": "proposals verify {id} tells how its checks stand; proposals undo {id} proposes the way back",
    "verified": "proposals undo {id} proposes the way back",
    "needs human": "look at the object; proposals undo {id} proposes the way back",
    "unknown": "look at the object: nobody can tell whether it was written",
}
"""State → the command that comes next."""


def _add_next(document: Document, row: Proposal) -> None:
    """What somebody would do next with it; nothing where it has ended."""
    if row.state in _NEXT:
        text = _NEXT[row.state].format(id=row.id, digest=row.digest[:12])
        document.add(Span(text, "muted"), lead="next         ")
