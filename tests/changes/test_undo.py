"""Undoing is a change of its own: as risky as what it does, judged on the object as it stands now."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from agent.changes.plans import read
from agent.changes.records import Proposal
from agent.changes.undoing import propose_undo
from tests.changes.bench import WEB, Bench, on_world, small
from tests.servers.kube.worlds import thing
from tools import fields
from tools.types import JsonObject, ResourceRef

NODE = ResourceRef(version="v1", kind="Node", name="n1")


async def _applied(bench: Bench, change: str, target: ResourceRef, args: JsonObject) -> Proposal:
    row = await bench.previewed(bench.draft(change, target, args))
    assert row.tier, row.note
    people = ("grace", "alan")[: bench.settings.changes.approvals.of(row.tier)]
    return await bench.applied(bench.approved(row, *people))


async def _undo(bench: Bench, row: Proposal) -> Proposal:
    return await bench.previewed(propose_undo(bench.engine.ledger, row.id, author="ada", at=bench.world.clock.now))


async def test_an_undo_that_takes_pods_away_is_risky_though_its_change_was_not(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        done = await _applied(bench, "scale", WEB, {"replicas": 5})
        assert (done.state, done.tier) == ("applied", "A")
        await bench.settle()
        back = await _undo(bench, done)
        assert (back.state, back.tier) == ("awaiting approval", "B")


async def test_an_undo_that_gives_pods_back_is_as_risky_as_its_change(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        done = await _applied(bench, "scale", WEB, {"replicas": 3})
        await bench.settle()
        assert (done.tier, (await _undo(bench, done)).tier) == ("B", "B")


async def test_who_owns_the_object_by_now_is_not_undone(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        done = await _applied(bench, "scale", WEB, {"replicas": 5})
        await bench.settle()
        aim: JsonObject = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        spec: JsonObject = {"scaleTargetRef": aim, "minReplicas": 1, "maxReplicas": 9}
        hpa = thing("autoscaling/v2", "HorizontalPodAutoscaler", "web", "default", spec=spec)
        bench.served.kube.store.put(
            bench.served.kube.kinds.by_path[("autoscaling", "v2", "horizontalpodautoscalers")], hpa
        )
        back = await _undo(bench, done)
        assert (back.state, "HorizontalPodAutoscaler" in back.note) == ("refused", True)


@pytest.mark.parametrize("opened", [False, True])
async def test_an_undo_holds_on_to_what_its_change_held_on_to(tmp_path: Path, *, opened: bool) -> None:
    """A MIG profile is set on a node that is cordoned; once pods may run there, it is not set back under them."""
    world = small()
    labels: JsonObject = {"nvidia.com/mig.config": "all-disabled", "nvidia.com/mig.capable": "true"}
    node = thing("v1", "Node", "n1", spec={"unschedulable": True})
    fields.mapping(node, "metadata")["labels"] = labels
    world.objects.append(node)
    async with on_world(world, tmp_path) as bench:
        done = await _applied(bench, "set_mig_profile", NODE, {"profile": "all-balanced"})
        assert done.state == "applied", done.note
        obj = copy.deepcopy(await bench.get(NODE))
        if opened:
            obj["spec"] = {}
        bench.served.kube.store.put(bench.served.kube.kinds.by_path[("", "v1", "nodes")], obj)
        back = await _undo(bench, done)
        assert back.state == ("refused" if opened else "awaiting approval"), back.note
        assert ("spec.unschedulable" in back.note) is opened


async def test_the_plan_names_everybody_who_asked(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}), requester="applier")
        assert read(row.plan.encode(), digest=row.digest).requesters == ("applier", "test")
