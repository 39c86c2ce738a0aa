"""How much an hour's writes may touch. Counted from the moves of the ledger, so that all appliers share one budget.

Rule: the write that is about to start counts already, so of two that race both may wait, and never do both go too far.
"""

from __future__ import annotations

from pydantic import JsonValue

from agent.changes.engine import Engine
from agent.changes.records import Proposal

HOUR = 3600.0
KEY = "budget"
PAGE = 200
MAX_PAGES = 5000
"""A million moves: more than any store holds between two looks."""


def overspent(engine: Engine, row: Proposal, at: float) -> str:
    """Why the hour's budget does not hold the write of a proposal, in one line; "" where it does.

    Undoing is no further step: what it takes back was counted.
    """
    this, limits = row.target.identity, engine.limits
    others = [other for name in _begun(engine, at) if name != row.id and (other := engine.ledger.get(name)) is not None]
    steps = sum(not other.undoes for other in others if other.target.identity == this)
    if not row.undoes and steps >= limits.hour_steps:
        return f"an hour's writes take one object at most {limits.hour_steps} steps on"
    touched = {this, *(other.target.identity for other in others)}
    namespaces = {identity[2] for identity in touched}
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
