"""How much an hour's writes may touch. Counted from the moves of the ledger, so that all appliers share one budget.

Rule: the write that is about to start counts already, so of two that race both may wait, and never both go too far.
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
    """Proposals of which a write began within the hour. What was read of the moves before is kept as a document."""
    kept = engine.ledger.document(KEY) or {}
    since = kept.get("seq")
    seq = since if isinstance(since, int) else 0
    begun = [one for one in _pairs(kept.get("begun")) if one[0] > at - HOUR]
    for _ in range(MAX_PAGES):
        moves = engine.ledger.moves(since=seq, limit=PAGE)
        begun += [(move.at, move.proposal) for move in moves if move.move == "write" and move.at > at - HOUR]
        if not moves:
            break
        seq = moves[-1].seq
    rows: list[JsonValue] = [[moment, proposal] for moment, proposal in begun]
    engine.ledger.put(KEY, {"seq": seq, "begun": rows}, at=at)
    return {proposal for _, proposal in begun}


def _pairs(value: JsonValue) -> list[tuple[float, str]]:
    found = []
    for one in value if isinstance(value, list) else ():
        if isinstance(one, list) and len(one) == 2 and isinstance(one[0], int | float) and isinstance(one[1], str):
            found.append((float(one[0]), one[1]))
    return found
