"""The latest moment that any applier has seen, in the ledger: a clock set back over a restart revives no approval."""

from __future__ import annotations

from agent.changes.engine import Engine

TOLERANCE = 60.0
"""Seconds that several API servers of one cluster may be apart."""


async def set_back(engine: Engine, at: float) -> str:
    """Why nothing that expires may start at this moment, in one line; "" where the clock has only gone on.

    Keeps the moment. Raises LedgerDown, PortError.
    """
    key = f"clock/{await engine.writer.cluster_uid()}"
    known = (engine.ledger.document(key) or {}).get("at")
    latest = float(known) if isinstance(known, int | float) else at
    if at < latest - TOLERANCE:
        return f"the API server's clock is {latest - at:.0f} s behind what it has shown before"
    if known is None or at > latest:
        engine.ledger.put(key, {"at": at}, at=at)
    return ""
