"""Undo: a new proposal whose plan is the inverse of another. It is previewed and approved like any other.

Rule: it restores the recorded fields exactly, or it is refused because somebody else changed them since.
"""

from __future__ import annotations

from agent.changes.engine import Engine
from agent.changes.preview import preview
from agent.changes.records import Proposal
from agent.changes.states import TRANSITIONS
from tools.errors import UserError
from tools.types import digest_of


async def undo(engine: Engine, name: str, *, requester: str) -> Proposal:
    """The proposal that undoes another, previewed; the same one again where there is one that is still open.

    Raises UserError for a proposal whose change is not in effect, and what preview raises.
    """
    done = engine.proposal(name)
    if (done.state, "undo") not in TRANSITIONS:
        raise UserError(f"proposal {done.id} is {done.state}: there is nothing to undo", hint="see proposals show")
    at = await engine.writer.server_time()
    for attempt in range(100):
        order = digest_of({"undoes": done.id, "digest": done.digest, "attempt": attempt})
        draft = Proposal(
            id=order[:12],
            context=done.context,
            session=done.session,
            run=done.run,
            at=at,
            change=done.change,
            args=done.args,
            target=done.target,
            because=f"undoes {done.id}",
            cites=done.cites,
            author=requester,
            order=order,
            undoes=done.id,
        )
        row = engine.ledger.add(draft, actor=requester)
        if row.state in ("draft", "previewed"):
            return await preview(engine, row.id, requester=requester)
        if row.state in ("awaiting approval", "approved", "claimed", "applying", "applied", "verified", "unknown"):
            return row
    raise UserError(f"{done.id} was tried to be undone too often", hint="undo it by hand")
