"""One proposal from draft to undo, on a world over real HTTP."""

from __future__ import annotations

from pathlib import Path

from agent.changes.plans import read
from agent.changes.undoing import undo
from agent.changes.verifying import verify
from tests.changes.bench import on_world
from tools import fields
from tools.types import ResourceRef

CHAT = ResourceRef(group="apps", version="v1", kind="StatefulSet", namespace="vision", name="describe")


async def test_a_change_is_shown_approved_applied_verified_and_undone(tmp_path: Path) -> None:
    async with on_world("kv-exhausted-small", tmp_path) as bench:
        before = await bench.get(CHAT)
        print(fields.dig(before, "spec", "replicas"), before["metadata"])
        draft = bench.draft("scale", CHAT, {"replicas": 3})
        row = await bench.previewed(draft)
        print(row.state, row.note)
        assert row.state == "awaiting approval", row.note
        print(read(row.plan.encode(), digest=row.digest))
        row = await bench.applied(bench.approved(row))
        print(row.state, row.note)
        assert row.state == "applied", row.note
        print(await bench.get(CHAT))
        bench.later(90_000)
        row = await verify(bench.engine, row.id)
        print(row.state, row.note)
        back = await undo(bench.engine, row.id, requester="ada")
        print(back.state, back.note)
