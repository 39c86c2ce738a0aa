"""How far a plan reaches: one object, within its steps; an hour's budget over appliers and restarts; budgets of others.

Size: 60 generated fleets in `make test`, 3,000 in `make prove`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.changes.applier import work
from agent.changes.applying import apply
from agent.changes.engine import Floor, Limits, NotNow, listed
from agent.changes.guards import below_floor
from agent.changes.plans import read
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from tests.changes.cluster import START, Site, run
from tests.tools.changing import at, deployment, hpa, keda, kserve
from tools import fields, registry
from tools.errors import Unavailable
from tools.types import Discovery, JsonObject, KindRef, KubePort, ResourceRef, digest_of

APP: JsonObject = {
    "name": "app",
    "image": "registry.example.com/app:1",
    "resources": {"limits": {"nvidia.com/gpu": "2"}},
}


def _ref(name: str, namespace: str = "search") -> ResourceRef:
    return ResourceRef(group="apps", version="v1", kind="Deployment", namespace=namespace, name=name)


def _add(site: Site, ref: ResourceRef, count: int) -> None:
    obj = deployment(count, APP)
    uid = f"uid-{ref.namespace}-{ref.name}"
    fields.mapping(obj, "metadata").update(name=ref.name, namespace=ref.namespace, uid=uid)
    site.cluster.add(ref, obj)


def _propose(site: Site, ref: ResourceRef, replicas: int) -> Proposal:
    args = {**at("Deployment", replicas=replicas), "name": ref.name, "namespace": ref.namespace}
    name = digest_of([str(ref), replicas])[:12]
    row = Proposal(id=name, at=START, change="scale", args=args, target=ref, author="test")
    site.ledger.add(row, actor="test")
    return run(preview(site.engine(), row.id, requester="ada"))


def _approve(site: Site, row: Proposal) -> Proposal:
    given = Approval(proposal=row.id, digest=row.digest, principal="grace", surface="cli", at=site.cluster.now)
    return site.ledger.approve(row, given, needed=1)[0]


def _one_object_within_steps(counts: list[int], chosen: int, replicas: int) -> None:
    """A fleet, a wish: what is applied changes one object, by a quarter down or double up at most."""
    site = Site()
    for number, count in enumerate(counts):
        _add(site, _ref(f"s{number}"), count)
    ref, before = _ref(f"s{chosen % len(counts)}"), counts[chosen % len(counts)]
    others = {key: str(obj) for key, obj in site.cluster.objects.items() if key != ref.identity}
    row = _propose(site, ref, replicas)
    may = before - max(1, before // 4) <= replicas <= before + max(4, before) and replicas != before
    assert (row.state == "awaiting approval") is may, (before, replicas, row.note)
    if may:
        plan = read(row.plan.encode(), digest=row.digest)
        assert {change.path for change in plan.dry_run} == {("spec", "replicas")}
        assert run(apply(site.engine(), _approve(site, row).id)).state == "applied"
    assert len(site.cluster.effective) == int(may)
    assert {key: str(obj) for key, obj in site.cluster.objects.items() if key != ref.identity} == others


FLEETS = (st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 3), st.integers(1, 90))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(*FLEETS)
def test_one_object_within_its_steps(counts: list[int], chosen: int, replicas: int) -> None:
    _one_object_within_steps(counts, chosen, replicas)


@pytest.mark.prove
@settings(max_examples=3_000, deadline=None, derandomize=True)
@given(*FLEETS)
def test_one_object_within_its_steps_in_full(counts: list[int], chosen: int, replicas: int) -> None:
    _one_object_within_steps(counts, chosen, replicas)


# --- an hour -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "namespaces", "applied"),
    [
        (Limits(hour_objects=2, hour_namespaces=9), ["a", "a", "a", "a"], 2),
        (Limits(hour_objects=9, hour_namespaces=2), ["a", "b", "c", "b"], 3),
        (Limits(hour_objects=9, hour_namespaces=9), ["a", "b", "c", "d"], 4),
    ],
)
def test_an_hours_writes_stay_within_their_budget(limits: Limits, namespaces: list[str], applied: int) -> None:
    """What the budget keeps from being written does not count against it, and goes on when the hour is over."""
    site = Site(limits=limits)
    rows = []
    for number, namespace in enumerate(namespaces):
        ref = _ref(f"s{number}", namespace)
        _add(site, ref, 4)
        rows.append(_approve(site, _propose(site, ref, 5)))
    for row in rows:
        with suppress(NotNow):
            run(apply(site.engine(), row.id))
    assert len(site.cluster.effective) == applied
    held = [row for row in site.ledger.rows.values() if row.state == "approved"]
    assert len(held) == len(rows) - applied
    for row in held:
        with pytest.raises(NotNow, match="an hour's writes"):
            run(apply(site.engine(), row.id))
    site.cluster.now += 3_601.0
    run(work(site.engine("applier-2")))
    assert len(site.cluster.effective) == len(rows)


def test_the_budget_counts_what_every_applier_wrote_after_any_restart() -> None:
    site = Site(limits=Limits(hour_objects=1))
    for number in range(2):
        _add(site, _ref(f"s{number}"), 4)
    first, second = (_approve(site, _propose(site, _ref(f"s{number}"), 5)) for number in range(2))
    assert run(apply(site.engine("one"), first.id)).state == "applied"
    site.ledger.documents.clear()  # what was read of the moves before is only a shortcut
    with pytest.raises(NotNow, match="an hour's writes touch at most 1 objects"):
        run(apply(site.engine("two"), second.id))
    assert site.cluster.effective == [first.digest]


def test_many_small_steps_are_a_large_one() -> None:
    """Every step alone is within its bound; an undo takes one back, and is never held up."""
    site = Site(limits=Limits(hour_steps=2))
    ref = _ref("s0")
    for before, after in ((16, 12), (12, 9)):
        _add(site, ref, before)
        done = run(apply(site.engine(), _approve(site, _propose(site, ref, after)).id))
        assert done.state == "applied", done.note
    _add(site, ref, 9)
    third = _approve(site, _propose(site, ref, 7))
    with pytest.raises(NotNow, match="take one object at most 2 steps on"):
        run(apply(site.engine(), third.id))
    site.cluster.now += 3_601.0
    assert run(apply(site.engine(), third.id)).state == "applied"


def test_a_clock_set_back_over_a_restart_revives_nothing() -> None:
    site = Site()
    for name in ("s0", "s1"):
        _add(site, _ref(name), 4)
    first, second = (_approve(site, _propose(site, _ref(name), 5)) for name in ("s0", "s1"))
    site.cluster.now += 5 * 3_600.0
    assert run(apply(site.engine("one"), first.id)).state == "expired"
    site.cluster.now -= 5 * 3_600.0 - 10.0
    with pytest.raises(NotNow, match="17990 s behind what it has shown before"):
        run(apply(site.engine("two"), second.id))
    assert site.cluster.effective == []


# --- guards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("replicas", "state"), [(5, "awaiting approval"), (6, "refused")])
def test_gpus_that_one_plan_reaches_are_bounded(replicas: int, state: str) -> None:
    site = Site(limits=Limits(gpus=3.0))
    _add(site, _ref("s"), 4)
    row = _propose(site, _ref("s"), replicas)
    assert row.state == state
    assert state != "refused" or "4 GPUs, and one plan may reach 3" in row.note


CHAT: JsonObject = {"app": "chat"}


@pytest.mark.parametrize(
    ("allowed", "selector", "state"),
    [
        (1, {"matchLabels": CHAT}, "awaiting approval"),
        (0, {"matchLabels": CHAT}, "refused"),
        (None, {"matchLabels": CHAT}, "refused"),
        (0, {"matchLabels": {"app": "other"}}, "awaiting approval"),
        (0, {}, "refused"),
        (0, {"matchExpressions": [{"key": "app", "operator": "In", "values": ["chat"]}]}, "refused"),
        (0, {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["chat"]}]}, "awaiting approval"),
        (0, {"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "refused"),
        (0, {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, "awaiting approval"),
        (0, {"matchExpressions": [{"key": "app", "operator": "Odd"}]}, "refused"),
    ],
)
def test_a_disruption_budget_of_its_pods_is_kept(allowed: int | None, selector: JsonObject, state: str) -> None:
    site = Site()
    _add(site, _ref("s"), 4)
    status: JsonObject = {} if allowed is None else {"disruptionsAllowed": allowed}
    meta: JsonObject = {"name": "pdb", "namespace": "search"}
    site.cluster.related["PodDisruptionBudget.policy"] = [
        {"metadata": meta, "spec": {"selector": selector}, "status": status}
    ]
    row = _propose(site, _ref("s"), 3)
    assert row.state == state, row.note
    assert state != "refused" or "PodDisruptionBudget pdb" in row.note


def test_where_nobody_counts_the_replicas_a_floor_still_binds() -> None:
    """A ScaledObject and an InferenceService do not say how many run: the new minimum is what may come of it."""
    limits = Limits(floors=(Floor(namespace="search", name="chat", replicas=4),))
    for kind, obj in (
        ("ScaledObject", keda(minReplicaCount=4, maxReplicaCount=8)),
        ("InferenceService", kserve(minReplicas=4, maxReplicas=8)),
    ):
        spec = registry.changes()["set_autoscaler_bounds"]
        args = spec.parse(at(kind, min=3))
        assert "at least 4" in below_floor(args.ref, obj, spec.blast(args, obj), limits)
    spec = registry.changes()["set_autoscaler_metric"]
    for low, said in ((1, True), (4, False)):
        scaler = hpa(minReplicas=low, maxReplicas=8)
        args = spec.parse(at("HorizontalPodAutoscaler", metric="vllm:num_requests_waiting", per_replica=5))
        assert ("at least 4" in below_floor(args.ref, scaler, spec.blast(args, scaler), limits)) is said


async def test_a_group_that_cannot_be_asked_now_is_not_taken_for_one_that_is_not_served() -> None:
    kind = KindRef(group="policy", kind="PodDisruptionBudget")
    hidden = Discovery(server_version="v1.34.0", resources=(), unreachable=("policy",))

    class Half:
        """A server one of whose groups does not answer."""

        async def discovery(self) -> Discovery:
            return hidden

    assert await listed(cast("KubePort", Half()), KindRef(group="keda.sh", kind="ScaledObject"), "search") == []
    with pytest.raises(Unavailable, match="PodDisruptionBudget"):
        await listed(cast("KubePort", Half()), kind, "search")


def test_an_applier_leaves_the_plans_of_other_clusters_alone() -> None:
    site = Site()
    ref = _ref("chat")
    _add(site, ref, 6)
    row = _propose(site, ref, 7)
    site.ledger.rows[row.id] = row.model_copy(update={"cluster": "another"})
    done = run(work(site.engine()))
    assert (done.moved, site.ledger.rows[row.id].state) == ({}, "awaiting approval")
    site.cluster.now += 5 * 3600.0
    assert run(work(site.engine())).moved == {}
