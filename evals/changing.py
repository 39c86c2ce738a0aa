"""The change of a scenario, on the world that was just asked about: proposed, approved, applied, watched, undone.

Rules: everything goes the way it goes for people, over real HTTP, with an approver who is not who asked; the world's
clock moves, ours does not.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence

from pydantic import JsonValue

from agent.app import Target
from agent.changes import adopting
from agent.changes.applier import work
from agent.changes.approving import may_approve
from agent.changes.engine import Engine, NotNow
from agent.changes.opening import open_engine
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from agent.changes.undoing import propose_undo
from agent.render import proposals, terminal
from agent.settings import Settings
from evals.types import Changed, WantedChange
from evals.world.model import World
from tools import fields
from tools.kube.connect import KubeTarget
from tools.kube.writer import connect_writer
from tools.types import JsonObject, Principal

ASKS, APPROVES = "requester", ("approver-1", "approver-2")
NEAR, FAR = 100.0, 21_500.0
"""Seconds between looks: at first, and once what moves fast has settled."""
WIDTH = 100
"""Columns of the proposal as it is kept."""
SETTLED = 4_500.0
"""Seconds after which looks are far apart."""


async def changed(
    world: World, kubeconfig: JsonObject, settings: Settings, target: Target, wanted: WantedChange
) -> Changed:
    """What became of the change a scenario asks for."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="kubeconfig-") as handle:
        json.dump(kubeconfig, handle)
        handle.flush()
        kube = KubeTarget(kubeconfig=handle.name)
        async with (
            await connect_writer(kube, monotonic=lambda: world.clock.now) as writer,
            open_engine(settings, target, writer, name="applier") as engine,
        ):
            return await _changed(world, engine, settings, wanted)


async def _changed(world: World, engine: Engine, settings: Settings, wanted: WantedChange) -> Changed:
    at = world.clock.now
    row = adopting.typed(engine.ledger, wanted.change, wanted.args, author=ASKS, because="", at=at)
    try:
        row = await _through(world, engine, settings, await preview(engine, row.id, requester=ASKS), wanted.watch)
    except NotNow as wait:
        return Changed(state=engine.proposal(row.id).state, note=str(wait))
    undone = ""
    if wanted.undo:
        back = propose_undo(engine.ledger, row.id, author=ASKS, at=world.clock.now)
        await _through(world, engine, settings, await preview(engine, back.id, requester=ASKS), wanted.watch)
        undone = engine.proposal(row.id).state
    plan = proposals.plan_of(row)
    return Changed(
        state=row.state,
        note=row.note,
        undone=undone,
        found=await _found(engine, row, list(wanted.after)),
        patch=plan.patch if plan is not None else None,
        shown=terminal.draw(proposals.proposal(row, [], None, [], []), width=WIDTH, color=False),
    )


async def _through(world: World, engine: Engine, settings: Settings, row: Proposal, watch: float) -> Proposal:
    """Approve, apply and watch one proposal, as far as it gets."""
    rules = settings.changes.rules
    for who in APPROVES:
        person = Principal(source="cli", user=who, established="the scenario")
        if may_approve(row, person, row.digest, world.clock.now, rules) == "":
            given = Approval(proposal=row.id, digest=row.digest, principal=who, surface="eval", at=world.clock.now)
            row, _ = engine.ledger.approve(row, given, needed=rules.needed.of(row.tier or "D"))
    waited = 0.0
    while True:
        await work(engine)
        row = engine.proposal(row.id)
        if row.state not in ("approved", "applied") or waited >= watch:
            return row
        step = NEAR if waited < SETTLED else FAR
        world.clock.advance(step)
        waited += step


async def _found(engine: Engine, row: Proposal, paths: Sequence[str]) -> dict[str, JsonValue]:
    """What stands in some fields of the object in the end."""
    obj = await engine.writer.get(row.target)
    return {path: fields.dig(obj, *path.split(".")) for path in paths}
