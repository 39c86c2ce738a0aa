"""How much an hour's writes may touch. Counted from the moves of the ledger, so that all appliers share one budget.

Rule: the write that is about to start counts already, so of two that race both may wait, and never do both go too far.
"""

from __future__ import annotations

from pydantic import JsonValue

from agent.changes.engine import Engine
from tools.types import ResourceRef

HOUR = 3600.0
KEY = "budget"
PAGE = 200
MAX_PAGES = 5000
"""A million moves: more than any store holds between two looks."""


def overspent(engine: Engine, target: ResourceRef, at: float) -> str:
    """Why the hour's budget does not hold this write, which has been begun, in one line; "" where it does."""
    touched = {target.identity}
    for proposal in _begun(engine, at):
        row = engine.ledger.get(proposal)
        if row is not None:
            touched.add(row.target.identity)
    namespaces = {identity[2] for identity in touched}
    limits = engine.limits
    if len(touched) > limits.hour_objects:
        return f"an hour's writes touch at most {limits.hour_objects} objects"
    if len(namespaces) > limits.hour_namespaces:
        return f"an hour's writes touch at most {limits.hour_namespaces} namespaces"
    return ""


def _begun(engine: Engine, at: float) -> set[str]:
    """Proposals of which a write began within the hour and was not taken back before it was sent, or by its answer.

    What was read of the moves before is kept as a document: a shortcut, worked out anew where it is gone.
    """
    kept = engine.ledger.document(KEY) or {}
    since = kept.get("seq")
    begun = _times(kept.get("begun")) if isinstance(since, int) else {}
    seq = since if isinstance(since, int) else 0
    for _ in range(MAX_PAGES):
        moves = engine.ledger.moves(since=seq, limit=PAGE)
        for move in moves:
            if move.move == "write":
                begun[move.proposal] = move.at
            elif move.move == "release" and move.state == "claimed":
                begun.pop(move.proposal, None)
        if not moves:
            break
        seq = moves[-1].seq
    begun = {proposal: moment for proposal, moment in begun.items() if moment > at - HOUR}
    engine.ledger.put(KEY, {"seq": seq, "begun": dict(begun)}, at=at)
    return set(begun)


def _times(value: JsonValue) -> dict[str, float]:
    known = value if isinstance(value, dict) else {}
    return {proposal: float(at) for proposal, at in known.items() if isinstance(at, int | float)}
