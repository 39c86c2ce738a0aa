"""One proposal from draft to undo, on a world over real HTTP, whose fleet responds."""

from __future__ import annotations

from pathlib import Path

from agent.changes.applier import work
from agent.changes.preview import preview
from agent.changes.undoing import propose_undo
from agent.changes.verifying import verify
from tests.changes.bench import WEB, Bench, on_world, small
from tools import fields
from tools.changes import PLAN_ANNOTATION
from tools.types import ResourceRef

DESCRIBE = ResourceRef(group="apps", version="v1", kind="StatefulSet", namespace="vision", name="describe")


async def test_a_change_is_shown_approved_applied_verified_and_undone(tmp_path: Path) -> None:
    async with on_world("kv-exhausted-small", tmp_path) as bench:
        row = await bench.previewed(bench.draft("scale", DESCRIBE, {"replicas": 3}))
        assert row.state == "awaiting approval", row.note
        assert bench.served.kube.effective_writes == []
        row = await bench.applied(bench.approved(row))
        assert row.state == "applied", row.note
        assert fields.dig(await bench.get(DESCRIBE), "spec", "replicas") == 3
        assert (await verify(bench.engine, row.id)).state == "applied", "nothing counts yet"
        await watched(bench, row.id, 115_000.0)
        row = bench.engine.proposal(row.id)
        assert row.state == "verified", row.note
        back = propose_undo(bench.engine.ledger, row.id, author="ada", at=bench.world.clock.now)
        assert propose_undo(bench.engine.ledger, row.id, author="ada", at=0.0) == back
        back = await preview(bench.engine, back.id, requester="ada")
        assert back.state == "awaiting approval", back.note
        back = await bench.applied(bench.approved(back))
        assert back.state == "applied", back.note
        assert fields.dig(await bench.get(DESCRIBE), "spec", "replicas") == 2
        assert len(bench.served.kube.effective_writes) == 2


async def watched(bench: Bench, name: str, seconds: float) -> None:
    """The applier's rounds over a stretch of the world's time, close at first."""
    waited = 0.0
    while waited < seconds and bench.engine.proposal(name).state == "applied":
        step = 100.0 if waited < 3_000.0 else 21_500.0
        bench.later(step)
        waited += step
        await work(bench.engine)


async def test_the_mark_on_the_object_anchors_the_audit_log(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await bench.applied(bench.approved(await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))))
        mark = fields.text(await bench.get(), "metadata", "annotations", PLAN_ANNOTATION)
        digest, _, head = mark.partition(" ")
        assert digest == row.digest
        assert head in (tmp_path / "audit.jsonl").read_text()
