"""G5: an approval is of one state of one object: whatever of it moves, the plan goes stale; its status may move."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.changes.applying import apply
from agent.changes.engine import Engine, Floor, NotNow
from tests.changes.bench import WEB, Bench, on_world, small
from tests.servers.kube.worlds import thing
from tools.types import JsonObject

Alter = Callable[[JsonObject], None]


def _spec(obj: JsonObject) -> JsonObject:
    spec = obj["spec"]
    assert isinstance(spec, dict)
    return spec


def _meta(obj: JsonObject) -> JsonObject:
    meta = obj["metadata"]
    assert isinstance(meta, dict)
    return meta


def _status(obj: JsonObject) -> JsonObject:
    status = obj["status"]
    assert isinstance(status, dict)
    return status


async def _approved(bench: Bench) -> str:
    return bench.approved(await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))).id


async def _moved(bench: Bench, alter: Alter, *, generation: bool) -> None:
    """Somebody else writes the object."""
    obj = copy.deepcopy(await bench.get())
    alter(obj)
    meta = _meta(obj)
    meta["resourceVersion"] = "999999"
    if generation:
        meta["generation"] = 2
    bench.served.kube.store.put(bench.served.kube.kinds.by_path[("apps", "v1", "deployments")], obj)


@pytest.mark.parametrize(
    ("alter", "generation", "said"),
    [
        (lambda obj: _spec(obj).update(replicas=6), True, "spec.replicas"),
        (lambda obj: _spec(obj).update(paused=True), True, "spec.paused"),
        (lambda obj: _spec(obj).update(minReadySeconds=9), True, "generation"),
        (lambda obj: _meta(obj).update(uid="another"), False, "deleted and made again"),
        (lambda obj: _meta(obj).update(deletionTimestamp="2027-01-15T08:00:00Z"), False, "being deleted"),
    ],
)
async def test_a_bound_field_that_moved_ends_the_approval(
    tmp_path: Path, alter: Alter, *, generation: bool, said: str
) -> None:
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        await _moved(bench, alter, generation=generation)
        row = await bench.applied(bench.engine.proposal(name))
        assert row.state == "stale"
        assert said in row.note
        assert bench.served.kube.effective_writes == []


@pytest.mark.parametrize(
    "alter",
    [
        lambda obj: _status(obj).update(conditions=[{"type": "Available", "status": "True", "reason": "Moved"}]),
        lambda obj: _meta(obj).update(labels={"team": "x"}),
        lambda obj: _meta(obj).update(annotations={"note": "x"}),
    ],
)
async def test_status_and_what_nothing_depends_on_may_move(tmp_path: Path, alter: Alter) -> None:
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        await _moved(bench, alter, generation=False)
        row = await bench.applied(bench.engine.proposal(name))
        assert row.state == "applied", row.note
        assert len(bench.served.kube.effective_writes) == 1


async def test_what_a_preview_would_refuse_now_waits_and_stays_approved(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        ready = dict(_status(await bench.get()))
        await _moved(bench, lambda obj: obj.update(status={"replicas": 1}), generation=False)
        with pytest.raises(NotNow, match="rollout"):
            await bench.applied(bench.engine.proposal(name))
        assert bench.engine.proposal(name).state == "approved"
        assert [move.move for move in bench.engine.ledger.moves(proposal=name)][-1] == "approve", "it was not claimed"
        await _moved(bench, lambda obj: obj.update(status=ready), generation=False)
        assert (await bench.applied(bench.engine.proposal(name))).state == "applied"


@pytest.mark.parametrize("taken_over", ["delivery tool", "autoscaler", "floor", "budget"])
async def test_what_came_after_the_preview_binds_too(tmp_path: Path, taken_over: str) -> None:
    async with on_world(small(), tmp_path) as bench:
        args: JsonObject = {"replicas": 3}
        name = bench.approved(await bench.previewed(bench.draft("scale", WEB, args))).id
        store, kinds = bench.served.kube.store, bench.served.kube.kinds.by_path
        if taken_over == "delivery tool":
            label: JsonObject = {"app.kubernetes.io/managed-by": "Helm"}
            await _moved(bench, lambda obj: _meta(obj).update(labels=label), generation=False)
        elif taken_over == "autoscaler":
            aim: JsonObject = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
            spec: JsonObject = {"scaleTargetRef": aim, "minReplicas": 1, "maxReplicas": 9}
            hpa = thing("autoscaling/v2", "HorizontalPodAutoscaler", "web", "default", spec=spec)
            store.put(kinds[("autoscaling", "v2", "horizontalpodautoscalers")], hpa)
        elif taken_over == "floor":
            limits = bench.engine.limits.model_copy(
                update={"floors": (Floor(namespace="default", name="web", replicas=4),)}
            )
            bench.engine = dataclasses.replace(bench.engine, limits=limits)
        else:
            budget = thing(
                "policy/v1", "PodDisruptionBudget", "web", "default",
                spec={"selector": {}}, status={"disruptionsAllowed": 0},
            )  # fmt: skip
            store.put(kinds[("policy", "v1", "poddisruptionbudgets")], budget)
        try:
            state = (await bench.applied(bench.engine.proposal(name))).state
        except NotNow:
            state = bench.engine.proposal(name).state
        assert state == ("stale" if taken_over == "delivery tool" else "approved")
        assert bench.served.kube.effective_writes == []


async def test_a_policy_that_changed_ends_the_approval(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        other = _with_policy(bench.engine, "f" * 64)
        row = await apply(other, name)
        assert (row.state, row.note) == ("stale", "the policy has changed since the preview")
        assert bench.served.kube.effective_writes == []


def _with_policy(engine: Engine, version: str) -> Engine:
    return dataclasses.replace(engine, policy=lambda: version)
