"""Anything in any order: draft, preview, approve, revoke, reject, expire, apply, crash, resume, foreign change, undo.

What must hold after every step: each digest took effect at most once, none without a live approval of it, none under
the kill switch, and every state was reached by a move of the table.
Over HTTP and SQLite; the same in memory, with over 50,000 steps, is test_any_order.py.
Size: 250 steps in `make test`, 10 × 500 in `make prove`.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import random
import tempfile
from pathlib import Path

import pytest

from agent.changes.applier import recover, work
from agent.changes.approving import Rules, lacking, may_approve
from agent.changes.engine import Engine
from agent.changes.plans import read
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from agent.changes.states import OPEN, TRANSITIONS, NotAllowed
from agent.changes.undoing import propose_undo
from tests.changes.bench import WEB, Bench, on_world, small
from tools.changes import PLAN_ANNOTATION
from tools.errors import PlumblineError
from tools.types import JsonObject, Principal, digest_of

PEOPLE = ("ada", "grace", "alan")
ACTIONS = (
    *("forward",) * 3, "settle", "draft", "preview", "approve", "approve", "revoke", "reject", "wait", "apply", "crash",
    *("go",) * 3, "work", "foreign", "stop", "undo", "expire",
)  # fmt: skip


class Crash(BaseException):
    """The process dies here."""


class Machine:
    """One run of random steps over one object."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.random, self.made = bench, random.Random(seed), 0
        self.stopped_at: list[int] = []
        self.written: list[str] = []
        sent = bench.engine.writer.patch

        async def patch(ref: object, body: JsonObject) -> JsonObject:
            self._judge(body)
            return await sent(ref, body)  # type: ignore[arg-type]

        bench.engine.writer.patch = patch  # type: ignore[method-assign,assignment]

    @property
    def engine(self) -> Engine:
        """The engine under test."""
        return self.bench.engine

    def rows(self) -> list[Proposal]:
        """Every proposal, newest first."""
        return self.engine.ledger.page(limit=200)

    def some(self) -> Proposal | None:
        """One of the newest proposals, or the one that holds the object."""
        rows = [row for index, row in enumerate(self.rows()) if index < 4 or row.state in OPEN]
        return self.random.choice(rows) if rows else None

    def _judge(self, body: JsonObject) -> None:
        """What must hold at the very moment a patch leaves."""
        meta = body["metadata"]
        assert isinstance(meta, dict)
        marks = meta["annotations"]
        assert isinstance(marks, dict)
        digest = str(marks[PLAN_ANNOTATION]).partition(" ")[0]
        row = next(row for row in self.rows() if row.digest == digest)
        plan, at = read(row.plan.encode(), digest=digest), self.bench.world.clock.now
        rules = self.bench.settings.changes.rules
        assert row.state == "applying"
        assert lacking(row, plan, self.engine.ledger.approvals(row.id), at, rules) == "", "no live approval"
        assert not (self.bench.settings.state_dir / "STOP").exists(), "under the kill switch"

    async def step(self) -> None:
        """One action, whatever comes of it."""
        name = self.random.choice(ACTIONS)
        with contextlib.suppress(PlumblineError, NotAllowed, Crash):
            await getattr(self, f"_{name}")()
        self.check()

    def check(self) -> None:
        """What holds after every step."""
        marks = [record for record in self.bench.served.kube.effective_writes]
        digests = [record.body.decode().partition(PLAN_ANNOTATION)[2][4:68] for record in marks]
        assert len(digests) == len(set(digests)), "a digest took effect twice"

    async def _draft(self) -> None:
        self.made += 1
        args: JsonObject = {"group": "apps", "kind": "Deployment", "namespace": "default", "name": "web"}
        count = self.random.choice((3, 4, 5, 6))
        row = Proposal(
            id=digest_of(["machine", self.made, count])[:12], at=self.bench.world.clock.now, change="scale",
            args={**args, "replicas": count}, target=WEB, author="test",
        )  # fmt: skip
        self.engine.ledger.add(row, actor="test")

    async def _preview(self) -> None:
        if row := self.some():
            await preview(self.engine, row.id, requester=self.random.choice(PEOPLE))

    async def _approve(self) -> None:
        if row := self.some():
            who, at = self.random.choice(PEOPLE), self.bench.world.clock.now
            principal = Principal(source="cli", user=who, established="SelfSubjectReview")
            digest = self.random.choice((row.digest, row.digest, row.digest[::-1], ""))
            if may_approve(row, principal, digest, at, Rules()) == "":
                given = Approval(proposal=row.id, digest=row.digest, principal=who, surface="cli", at=at)
                self.engine.ledger.approve(row, given, needed=1)

    async def _forward(self) -> None:
        """What people would do next with the proposal that holds the object, or else the newest."""
        if not (rows := self.rows()):
            return await self._draft()
        row, at = next((row for row in rows if row.state in OPEN), rows[0]), self.bench.world.clock.now
        if row.state in ("draft", "previewed"):
            await preview(self.engine, row.id, requester="ada")
        elif row.state == "awaiting approval":
            given = Approval(proposal=row.id, digest=row.digest, principal="grace", surface="cli", at=at)
            self.engine.ledger.approve(row, given, needed=1)
        elif row.state == "approved":
            await self.bench.applied(row)
        else:
            await self._draft()
        return None

    async def _settle(self) -> None:
        await self.bench.settle()

    async def _revoke(self) -> None:
        if (row := self.some()) and self.random.random() < 0.3:
            self.engine.ledger.move(row, "revoke", actor="ada", at=self.bench.world.clock.now)

    async def _reject(self) -> None:
        if (row := self.some()) and self.random.random() < 0.3:
            self.engine.ledger.move(row, "reject", actor="ada", at=self.bench.world.clock.now)

    async def _expire(self) -> None:
        if self.random.random() < 0.1:
            self.bench.later(5 * 3600.0)

    async def _wait(self) -> None:
        self.bench.later(self.random.choice((1.0, 60.0, 200.0)))

    async def _apply(self) -> None:
        if row := self.some():
            await self.bench.applied(row)

    async def _work(self) -> None:
        await work(self.engine)

    async def _crash(self) -> None:
        """An applier that dies at some write to the store, and one that takes over."""
        if not (row := self.some()):
            return
        dying, left = self.engine, self.random.randrange(1, 9)
        real = dying.ledger

        class Dying:
            """The ledger of a process that is about to die."""

            def __getattr__(self, name: str) -> object:
                nonlocal left
                if name in ("write", "move", "put"):
                    left -= 1
                    if left == 0:
                        raise Crash
                return getattr(real, name)

        self.bench.engine = dataclasses.replace(dying, ledger=Dying())  # type: ignore[arg-type]
        try:
            await self.bench.applied(row)
        finally:
            self.bench.engine = dying
            for stuck in real.page(states=("claimed", "applying", "unknown")):
                if self.random.random() < 0.7:
                    await recover(dying, stuck)

    async def _foreign(self) -> None:
        obj = copy.deepcopy(await self.bench.get())
        spec = obj["spec"]
        assert isinstance(spec, dict)
        if self.random.random() < 0.3:
            spec["replicas"] = self.random.choice((3, 4, 5))
        self.bench.served.kube.store.put(self.bench.served.kube.kinds.by_path[("apps", "v1", "deployments")], obj)

    async def _stop(self) -> None:
        if self.random.random() < 0.3:
            (self.bench.settings.state_dir / "STOP").write_text("")

    async def _go(self) -> None:
        (self.bench.settings.state_dir / "STOP").unlink(missing_ok=True)

    async def _undo(self) -> None:
        if row := self.some():
            propose_undo(self.engine.ledger, row.id, author="ada", at=self.bench.world.clock.now)


async def _run(seed: int, steps: int) -> tuple[int, set[str]]:
    """Random steps on one world; returns how many writes took effect and the states that were reached."""
    with tempfile.TemporaryDirectory(prefix="plumbline-machine-") as folder:
        async with on_world(
            small(), Path(folder), changes={"hour_objects": 99, "hour_steps": 99, "expiry": 14_400}
        ) as bench:
            machine = Machine(bench, seed)
            await machine._draft()
            for _ in range(steps):
                await machine.step()
            moves = bench.engine.ledger.moves(limit=200)
            for move in moves:
                assert any(made == move.move and state == move.state for (_, made), state in TRANSITIONS.items())
            return len(bench.served.kube.effective_writes), {row.state for row in machine.rows()}


def test_nothing_takes_effect_twice_or_unapproved() -> None:
    writes, states = asyncio.run(_run(3, 250))
    assert writes > 2
    assert len(states) > 3


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(10))
def test_nothing_takes_effect_twice_or_unapproved_in_full(seed: int) -> None:
    writes, _ = asyncio.run(_run(seed, 500))
    assert writes > 2
