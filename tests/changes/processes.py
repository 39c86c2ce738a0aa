"""Appliers in processes of their own: one that is killed at a chosen step, and many that race for the same plan."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeVar

from agent.app import Target
from agent.changes.applier import work
from agent.changes.applying import apply
from agent.changes.approving import Rules, may_approve
from agent.changes.engine import Engine
from agent.changes.ledger import Raced
from agent.changes.opening import open_engine
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from agent.settings import Settings
from tools.errors import PlumblineError
from tools.kube.connect import KubeTarget, connect
from tools.kube.writer import connect_writer
from tools.types import Principal

T = TypeVar("T")
LOOSE = {"hour_objects": 9999, "hour_steps": 9999, "expiry": 3600, "approvals": {"C": 1, "D": 1}}
APPROVER = Principal(source="cli", user="grace", established="SelfSubjectReview")


@asynccontextmanager
async def engine_at(state_dir: Path, kubeconfig: Path, name: str) -> AsyncIterator[Engine]:
    """An engine on a served world; its clock stands still, so nothing looks at ours."""
    settings = Settings.model_validate({"state_dir": state_dir, "changes": LOOSE})
    target = KubeTarget(kubeconfig=str(kubeconfig))
    async with await connect(target) as kube, await connect_writer(target, monotonic=lambda: 0.0) as writer:
        site = Target(kube, None, "small", "", (), b"k" * 32)
        async with open_engine(settings, site, writer, name=name) as engine:
            yield engine


def approve(engine: Engine, row: Proposal) -> Proposal:
    """Somebody else's approval; the row as it is where it can have none."""
    at = row.at
    if may_approve(row, APPROVER, row.digest, at, Rules()):
        return row
    given = Approval(proposal=row.id, digest=row.digest, principal=APPROVER.user, surface="cli", at=at)
    return engine.ledger.approve(row, given, needed=1)[0]


async def prepared(engine: Engine, row: Proposal) -> Proposal:
    """A draft as a plan that awaits approval."""
    engine.ledger.add(row, actor="test")
    return await preview(engine, row.id, requester="ada")


# --- killed ------------------------------------------------------------------------------------------------------


def killed_at(state_dir: Path, kubeconfig: Path, proposal: str, step: int) -> None:
    """Apply, and die by SIGKILL before or after the step-th write to store, log or cluster; 0: never."""
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(work: Callable[..., T]) -> Callable[..., T]:
        def run(*args: object, **more: object) -> T:
            tick()
            done = work(*args, **more)
            tick()
            return done

        return run

    async def run() -> None:
        async with engine_at(state_dir, kubeconfig, "applier-1") as engine:
            for name in ("write", "move", "put"):
                setattr(engine.ledger, name, around(getattr(engine.ledger, name)))
            sent = engine.writer.patch

            async def patch(*args: object) -> object:
                tick()
                done = await sent(*args)  # type: ignore[arg-type]
                tick()
                return done

            engine.writer.patch = patch  # type: ignore[method-assign,assignment]
            await apply(engine, proposal)

    asyncio.run(run())


async def recovered(state_dir: Path, kubeconfig: Path, proposal: str) -> Proposal:
    """What an applier of the same name makes of it after a restart, in a few rounds."""
    async with engine_at(state_dir, kubeconfig, "applier-1") as engine:
        for _ in range(3):
            await work(engine)
        return engine.proposal(proposal)


# --- racing ------------------------------------------------------------------------------------------------------


def racing(state_dir: Path, kubeconfig: Path, name: str, barrier: Barrier, proposals: list[str]) -> None:
    """Approve and apply each proposal at the same moment as all the others."""

    async def run() -> None:
        async with engine_at(state_dir, kubeconfig, name) as engine:
            for proposal in proposals:
                await asyncio.to_thread(barrier.wait, 120)
                with suppress(Raced):
                    approve(engine, engine.proposal(proposal))
                with suppress(PlumblineError):
                    await apply(engine, proposal)
                await asyncio.to_thread(barrier.wait, 120)

    try:
        asyncio.run(run())
    except BaseException:
        barrier.abort()
        raise
