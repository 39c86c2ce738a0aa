"""Plans: bytes that any edit breaks, and objects that no longer fit them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.changes.patches import inverse, merged
from agent.changes.plans import BadPlan, Blast, Plan, Verification, bind, carries, changed, read, request, stale
from tools.types import JsonObject, ResourceRef

POLICY = "policy-1"
OBJECT: JsonObject = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "chat-70b",
        "namespace": "search",
        "uid": "uid-1",
        "resourceVersion": "10",
        "generation": 4,
        "annotations": {"team": "search"},
    },
    "spec": {"replicas": 6, "paused": False, "template": {"spec": {"containers": [{"name": "vllm"}]}}},
    "status": {"readyReplicas": 6},
}
PATCH: JsonObject = {"spec": {"replicas": 5}}


def plan(obj: JsonObject = OBJECT, patch: JsonObject = PATCH) -> Plan:
    """A plan that scales one replica down."""
    undo = inverse(obj, patch)
    after = merged(obj, patch)
    assert isinstance(after, dict)
    return Plan(
        proposal="0" * 12,
        change="scale",
        args={"replicas": 5},
        tier="B",
        cluster="cluster-uid",
        target=ResourceRef(group="apps", kind="Deployment", namespace="search", name="chat-70b", uid="uid-1"),
        generation=4,
        before=bind(obj, patch, undo, [("spec", "paused")]),
        patch=patch,
        inverse=undo,
        policy=POLICY,
        dry_run=changed(obj, after),
        predicted=("frees 4 GPUs",),
        blast=Blast(replicas_before=6, replicas_after=5, gpus_before=24, gpus_after=20),
        verification=(Verification(query="vllm_waiting_max_30m", comparator="<=", bound=3, settle=60, window=600),),
        expires=1_778_598_000.0,
        nonce="ab" * 16,
    )


def altered(change: Callable[[JsonObject], None]) -> JsonObject:
    obj = copy.deepcopy(OBJECT)
    change(obj)
    return obj


def put(obj: JsonObject, *path: str, value: object) -> None:
    *above, last = path
    for key in above:
        obj = obj[key]  # type: ignore[assignment]
    obj[last] = value  # type: ignore[assignment]


def test_a_plan_comes_back_from_its_bytes() -> None:
    made = plan()
    assert read(made.body, digest=made.digest) == made
    assert made.dry_run[0].path == ("spec", "replicas")
    assert [bound.path for bound in made.before] == [("spec", "paused"), ("spec", "replicas")]


def breaks(at: int, byte: int) -> None:
    made = plan()
    body = bytearray(made.body)
    at %= len(body)
    if body[at] == byte:
        return
    body[at] = byte
    with pytest.raises(BadPlan):
        read(bytes(body), digest=made.digest)


EDITS = given(st.integers(0, 10_000), st.integers(0, 255))
test_any_edited_byte_is_seen = settings(max_examples=200)(EDITS(breaks))
test_any_edited_byte_is_seen_in_full = pytest.mark.prove(settings(max_examples=20_000)(EDITS(breaks)))


@given(st.integers(1, 4_000))
def test_a_cut_plan_is_seen(length: int) -> None:
    made = plan()
    with pytest.raises(BadPlan):
        read(made.body[: min(length, len(made.body) - 1)], digest=made.digest)


def test_a_plan_under_another_digest_is_refused() -> None:
    made = plan()
    other = made.model_copy(update={"nonce": "cd" * 16})
    assert other.digest != made.digest
    with pytest.raises(BadPlan):
        read(made.body, digest=other.digest)


def test_every_field_counts() -> None:
    made = plan()
    changes: dict[str, object] = {
        "proposal": "1" * 12,
        "change": "set_resources",
        "args": {"replicas": 4},
        "tier": "A",
        "cluster": "other",
        "target": made.target.model_copy(update={"name": "chat-8b"}),
        "generation": 5,
        "before": made.before[:1],
        "patch": {"spec": {"replicas": 0}},
        "inverse": {},
        "policy": "policy-2",
        "dry_run": (),
        "predicted": (),
        "blast": Blast(),
        "verification": (),
        "expires": made.expires + 1,
        "nonce": "cd" * 16,
        "undoes": "2" * 12,
        "requesters": ("ada",),
    }
    assert changes.keys() | {"version"} == set(Plan.model_fields)
    digests = {made.model_copy(update={name: value}).digest for name, value in changes.items()}
    assert len(digests) == len(changes)
    assert made.digest not in digests


STILL_FINE: dict[str, Callable[[JsonObject], None]] = {
    "status": lambda obj: put(obj, "status", "readyReplicas", value=5),
    "resourceVersion": lambda obj: put(obj, "metadata", "resourceVersion", value="11"),
    "managedFields": lambda obj: put(obj, "metadata", "managedFields", value=[{"manager": "x"}]),
    "annotation": lambda obj: put(obj, "metadata", "annotations", "team", value="other"),
}
STALE: dict[str, Callable[[JsonObject], None]] = {
    "made again": lambda obj: put(obj, "metadata", "uid", value="uid-2"),
    "being deleted": lambda obj: put(obj, "metadata", "deletionTimestamp", value="2026-05-12T14:00:00Z"),
    "spec.replicas": lambda obj: put(obj, "spec", "replicas", value=7),
    "spec.paused": lambda obj: put(obj, "spec", "paused", value=True),
    "generation": lambda obj: put(obj, "metadata", "generation", value=5),
}


@pytest.mark.parametrize("name", STILL_FINE)
def test_what_moves_by_itself_makes_nothing_stale(name: str) -> None:
    assert stale(plan(), altered(STILL_FINE[name]), policy=POLICY) == ""


@pytest.mark.parametrize("name", STALE)
def test_what_was_bound_and_moved_makes_it_stale(name: str) -> None:
    assert name in stale(plan(), altered(STALE[name]), policy=POLICY)


def test_another_policy_makes_it_stale() -> None:
    assert "policy" in stale(plan(), OBJECT, policy="policy-2")


def test_a_field_that_became_absent_makes_it_stale() -> None:
    def remove(obj: JsonObject) -> None:
        spec = obj["spec"]
        assert isinstance(spec, dict)
        del spec["paused"]

    assert "paused" in stale(plan(), altered(remove), policy=POLICY)


def test_the_request_carries_uid_version_and_mark() -> None:
    made = plan()
    body = request(made, OBJECT)
    assert body["spec"] == {"replicas": 5}
    assert body["metadata"] == {
        "uid": "uid-1",
        "resourceVersion": "10",
        "annotations": {"plumbline.dev/plan": made.digest},
    }
    after = merged(OBJECT, body)
    assert isinstance(after, dict)
    assert carries(after, made)
    assert not carries(OBJECT, made)


def test_a_patch_that_removes_fields_still_removes_them_in_the_request() -> None:
    patch: JsonObject = {"spec": {"paused": None}}
    body = request(plan(patch=patch), OBJECT)
    assert body["spec"] == {"paused": None}
