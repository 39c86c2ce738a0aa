"""The applier's rounds: what a dead process left, what has expired, what is approved, what is due for a look.

Rules: one round is bounded and never raises for one proposal; what cannot be decided stays as it is and is told; the
store is asked to write before anything starts, so an applier that cannot keep its journal does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from agent.changes.applying import apply, resume, settle
from agent.changes.engine import Engine, NotNow, one_line
from agent.changes.ledger import Held, LedgerDown, Raced
from agent.changes.plans import BadPlan, carries, read
from agent.changes.records import Proposal
from agent.changes.states import NotAllowed, State
from agent.changes.verifying import verify
from tools.errors import AuditUnavailable, CredentialsError, PlumblineError

PAGE = 50
"""Proposals of one state that a round looks at."""
EVERY = 5.0
"""Seconds between rounds."""
Tell: TypeAlias = Callable[[str], None]
_ENDS: tuple[State, ...] = ("previewed", "awaiting approval", "approved")


async def once(engine: Engine, tell: Tell) -> int:
    """One round; returns how many proposals were moved. Raises LedgerDown, AuditUnavailable, CredentialsError."""
    at = await engine.writer.server_time()
    engine.ledger.put(f"applier/{engine.name}", {"alive": at}, at=at)
    moved = await recover(engine, tell, at)
    for row in engine.ledger.page(states=_ENDS, limit=PAGE):
        if row.expires is not None and at >= row.expires:
            moved += await _tried(engine, row, tell, lambda row: _expire(engine, row, at))
    for row in reversed(engine.ledger.page(states=("approved",), limit=PAGE)):
        moved += await _tried(engine, row, tell, lambda row: apply(engine, row.id))
    for row in engine.ledger.page(states=("applied",), limit=PAGE):
        moved += await _tried(engine, row, tell, lambda row: verify(engine, row.id), quiet=True)
    return moved


async def recover(engine: Engine, tell: Tell, at: float) -> int:
    """What an applier that died has left: this one's own proposals, and those whose claim has run out."""
    moved = 0
    for row in engine.ledger.page(states=("claimed", "applying", "unknown"), limit=PAGE):
        own, over = row.lease == engine.name, at >= row.lease_until
        if own or over:
            moved += await _tried(
                engine, row, tell, lambda row: _recovered(engine, row, at), quiet=row.state == "unknown"
            )
    return moved


async def _recovered(engine: Engine, row: Proposal, at: float) -> Proposal:
    if row.state == "claimed":
        if row.lease == engine.name and at < row.lease_until:
            return await resume(engine, row)
        return engine.move(row, "release", at=at, note="the claim on it ran out")
    try:
        plan = read(row.plan.encode(), digest=row.digest)
    except BadPlan as error:
        if row.state == "unknown":
            return row
        return engine.move(row, "lose", at=at, note=one_line(error))
    if row.state == "unknown":
        obj = await engine.writer.get(plan.target)
        return engine.move(row, "adopt", at=at, note="found applied") if carries(obj, plan) else row
    row = await settle(engine, row, plan, why="the applier ended while it wrote")
    return await resume(engine, row) if row.state == "claimed" else row


async def _expire(engine: Engine, row: Proposal, at: float) -> Proposal:
    return engine.move(row, "expire", at=at, note="nobody applied it in time")


async def _tried(
    engine: Engine, row: Proposal, tell: Tell, work: Callable[[Proposal], object], *, quiet: bool = False
) -> int:
    """Do something with one proposal and tell what became of it; only a store or log that fails stops the round."""
    try:
        done = work(row)
        after = await done if asyncio.iscoroutine(done) else row
    except (LedgerDown, AuditUnavailable, CredentialsError):
        raise
    except NotNow as error:
        if not quiet:
            tell(one_line(error))
        return 0
    except (Raced, Held, NotAllowed):
        return 0
    except PlumblineError as error:
        tell(f"{row.id}: {one_line(error)}")
        return 0
    if not isinstance(after, Proposal) or after.version == row.version:
        return 0
    tell(f"{row.id} {row.change} {row.target}: {after.state}{f' ({after.note})' if after.note else ''}")
    return 1


async def watch(engine: Engine, tell: Tell, *, stop: asyncio.Event, every: float = EVERY) -> None:
    """Rounds until `stop` is set. Raises what `once` raises."""
    while not stop.is_set():
        await once(engine, tell)
        try:
            await asyncio.wait_for(stop.wait(), every)
        except TimeoutError:
            continue
