"""G11: every apply ends verified, undone (verified), or with a human; inconclusive is never success; undo is exact."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from agent.changes.applier import work
from agent.changes.preview import preview
from agent.changes.records import Proposal
from agent.changes.undoing import propose_undo
from tests.changes.bench import WEB, Bench, on_world, small
from tools import fields
from tools.types import JsonObject


async def _applied(bench: Bench, replicas: int = 5) -> Proposal:
    row = await bench.applied(bench.approved(await bench.previewed(bench.draft("scale", WEB, {"replicas": replicas}))))
    assert row.state == "applied", row.note
    return row


async def _put(bench: Bench, **status: int) -> None:
    """The controllers report something."""
    obj = copy.deepcopy(await bench.get())
    known = obj["status"]
    assert isinstance(known, dict)
    known.update(status)
    bench.served.kube.store.put(bench.served.kube.kinds.by_path[("apps", "v1", "deployments")], obj)


async def _watched(bench: Bench, name: str, seconds: float, *, step: float = 100.0) -> Proposal:
    waited = 0.0
    while waited < seconds and bench.engine.proposal(name).state == "applied":
        bench.later(step)
        waited += step
        await work(bench.engine)
    return bench.engine.proposal(name)


async def test_what_holds_over_its_window_is_verified(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await _applied(bench)
        await _put(bench, readyReplicas=5, observedGeneration=2)
        row = await _watched(bench, row.id, 4_000.0)
        assert row.state == "verified", row.note


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"readyReplicas": 4, "observedGeneration": 2}, "status.readyReplicas"),
        ({"readyReplicas": 5, "observedGeneration": 1}, "status.observedGeneration"),
    ],
)
async def test_a_rollout_that_does_not_get_there_goes_to_a_human(
    tmp_path: Path, status: dict[str, int], said: str
) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await _applied(bench)
        await _put(bench, **status)
        row = await _watched(bench, row.id, 4_000.0)
        assert row.state == "needs human"
        assert "verification failed" in row.note
        assert said in row.note


async def test_what_flaps_fails(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await _applied(bench)
        await _put(bench, readyReplicas=5, observedGeneration=2)
        await _watched(bench, row.id, 2_000.0)
        await _put(bench, readyReplicas=3)
        await _watched(bench, row.id, 100.0)
        await _put(bench, readyReplicas=5)
        row = await _watched(bench, row.id, 4_000.0)
        assert (row.state, "failed" in row.note) == ("needs human", True)


async def test_what_nobody_watched_is_inconclusive(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await _applied(bench)
        await _put(bench, readyReplicas=5, observedGeneration=2)
        row = await _watched(bench, row.id, 60_000.0, step=9_000.0)
        assert (row.state, "inconclusive" in row.note) == ("needs human", True)


async def test_a_foreign_change_ends_the_watch_with_a_human(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await _applied(bench)
        await _foreign(bench)
        row = await _watched(bench, row.id, 8_000.0)
        assert row.state == "needs human", row.note


async def _foreign(bench: Bench) -> None:
    obj = copy.deepcopy(await bench.get())
    spec = obj["spec"]
    assert isinstance(spec, dict)
    spec["replicas"] = 9
    bench.served.kube.store.put(bench.served.kube.kinds.by_path[("apps", "v1", "deployments")], obj)


async def test_an_undo_restores_the_fields_and_ends_as_undone(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        before = fields.mapping(await bench.get(), "spec")
        row = await _applied(bench)
        await _put(bench, readyReplicas=5, observedGeneration=2)
        await _watched(bench, row.id, 4_000.0)
        back = propose_undo(bench.engine.ledger, row.id, author="ada", at=bench.world.clock.now)
        back = await bench.applied(bench.approved(await preview(bench.engine, back.id, requester="ada")))
        assert fields.mapping(await bench.get(), "spec") == before
        await _put(bench, readyReplicas=4, observedGeneration=3)
        back = await _watched(bench, back.id, 8_000.0)
        assert back.state == "verified", back.note
        assert bench.engine.proposal(row.id).state == "undone"


async def test_an_undo_stops_on_a_foreign_change(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await _applied(bench)
        await _foreign(bench)
        spec: JsonObject = fields.mapping(await bench.get(), "spec")
        back = propose_undo(bench.engine.ledger, row.id, author="ada", at=bench.world.clock.now)
        back = await preview(bench.engine, back.id, requester="ada")
        assert (back.state, "changed by somebody else" in back.note) == ("refused", True)
        assert fields.mapping(await bench.get(), "spec") == spec
