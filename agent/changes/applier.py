"""The applying process: takes up what a crash left, previews drafts of its cluster, applies what is approved, verifies.

Rules: a claim of somebody else is left alone while it lives; a draft that names no cluster, or was written long ago, is
left to people; one round does a bounded number of things, and one that fails leaves the others alone; where the store
or the audit log cannot be written, the process stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from agent.changes.applying import apply, look_again, resume, settle
from agent.changes.engine import Engine, NotNow, one_line
from agent.changes.ledger import Held, Raced
from agent.changes.plans import BadPlan, read
from agent.changes.preview import preview
from agent.changes.records import Proposal
from agent.changes.states import State
from agent.changes.verifying import verify
from tools.errors import PortError

PAGE = 50
"""Proposals that are read from the ledger at once."""
PAGES = 40
"""Pages of each kind that one round looks at."""
INTERVAL = 10.0
"""Seconds between rounds."""
DRAFT_AGE = 3600.0
"""Seconds after which a draft is not previewed unasked: what it was made from has moved on."""


@dataclass(slots=True)
class Round:
    """What one round did: proposals by id, and why some could not be gone on with."""

    moved: dict[str, Proposal] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)


async def recover(engine: Engine, row: Proposal) -> Proposal:
    """Take up a proposal that a crash may have left claimed or applying, or one whose write was lost sight of.

    Raises NotNow where it was released and is approved as before, PortError where the cluster does not answer.
    """
    if row.state == "unknown":
        return await look_again(engine, row)
    at = await engine.writer.server_time()
    ours, over = row.lease == engine.name, at >= row.lease_until
    if not (ours or over):
        return row
    if row.state == "claimed":
        if ours and not over:
            return await resume(engine, row)
        return engine.move(row, "release", at=at, note="the claim on it ran out before anything was written")
    try:
        plan = read(row.plan.encode(), digest=row.digest)
    except BadPlan as error:
        return engine.move(
            row, "lose", at=at, note=f"{one_line(error)}, after a write of it began: look at {row.target}"
        )
    row = await settle(engine, row, plan, why="the applier was stopped")
    return await resume(engine, row) if row.state == "claimed" else row


async def work(engine: Engine) -> Round:
    """One round. Raises LedgerDown, AuditUnavailable, CredentialsError: then nothing more may be done."""
    done = Round()
    at = await engine.writer.server_time()
    engine.ledger.put(f"applier/{engine.name}", {"alive": at}, at=at)  # a store that cannot be written stops the round
    cluster = await engine.writer.cluster_uid()
    every = partial(_every, engine, cluster)
    for row in every("previewed", "awaiting approval", "approved"):
        if row.expires is not None and at >= row.expires:
            await _try(done, row, lambda row=row: _expire(engine, row, at))  # type: ignore[misc]
    for row in every("claimed", "applying", "unknown"):
        await _try(done, row, lambda row=row: recover(engine, row))  # type: ignore[misc]
    for row in every("draft", "previewed"):
        if row.cluster == cluster and row.id not in done.moved and at - row.at < DRAFT_AGE:
            asker = row.asker or row.author
            await _try(done, row, lambda row=row, asker=asker: preview(engine, row.id, requester=asker))  # type: ignore[misc]
    for row in every("approved"):
        if row.id not in done.waiting:
            await _try(done, row, lambda row=row: apply(engine, row.id))  # type: ignore[misc]
    for row in every("applied"):
        await _try(done, row, lambda row=row: verify(engine, row.id))  # type: ignore[misc]
    return done


def _every(engine: Engine, cluster: str, *states: State) -> list[Proposal]:
    """Proposals of a cluster, oldest first: the one that has waited longest is looked at first."""
    found: list[Proposal] = []
    for _ in range(PAGES):
        page = engine.ledger.page(states=states, limit=PAGE, after=found[-1].id if found else "")
        found += page
        if len(page) < PAGE:
            break
    return [row for row in reversed(found) if row.cluster in ("", cluster)]


async def _expire(engine: Engine, row: Proposal, at: float) -> Proposal:
    return engine.move(row, "expire", at=at, note="nobody applied it in time")


async def _try(done: Round, row: Proposal, step: Callable[[], Awaitable[Proposal]]) -> None:
    try:
        after = await step()
    except Raced:
        return  # another applier has it
    except (NotNow, PortError, BadPlan, Held) as error:
        done.waiting[row.id] = one_line(error)
        return
    if after.version != row.version:
        done.moved[row.id] = after


async def watch(
    engine: Engine,
    *,
    stop: asyncio.Event,
    heard: Callable[[Round], None] = lambda _: None,
    every: float = INTERVAL,
) -> None:
    """Round after round until `stop` is set; `heard` is told what each did. Raises as `work` does."""
    while not stop.is_set():
        heard(await work(engine))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)
