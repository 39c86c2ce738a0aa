"""Each change on real objects: the patch it sends, what undoes it, when it refuses, how far it reaches."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.analysis.queries import CATALOGUE
from agent.changes.patches import inverse, merged, touched, value_at
from agent.changes.plans import bind
from tests.tools.change_cases import (
    JOB_KINDS,
    MET,
    MORNING,
    QUOTA_ARGS,
    REFUSED,
    SEQS,
    TAKEN,
    UPGRADE,
)  # fmt: skip
from tests.tools.changing import (
    ARGS,
    GPU_TAINT,
    JOB_SPECS,
    OLD_TEMPLATE,
    OTHER_TAINT,
    QUEUED,
    Case,
    at,
    container,
    deployment,
    engine,
    groups,
    hpa,
    job,
    keda,
    kserve,
    llm,
    made,
    node,
    notebook,
    quota,
    resources,
    revised,
    stateful,
    template,
)  # fmt: skip
from tools import registry
from tools.changes import RELATED, Blast, Verification, Wanted, patch_of
from tools.types import JsonObject

CHANGES = registry.changes()
NAMES = [f"{number}-{case.change}" for number, case in enumerate(TAKEN)]
QUERIES = {query.name for query in CATALOGUE}


def containers(*some: JsonValue) -> JsonObject:
    """The patch of a pod template's containers."""
    return {"spec": {"template": {"spec": {"containers": [*some]}}}}


def at_path(value: JsonValue, *path: str) -> JsonObject:
    """A patch of one field."""
    for key in reversed(path):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def labelled(key: str, value: str) -> JsonObject:
    """The patch of one label."""
    return at_path(value, "metadata", "labels", key)


SEQS_128: list[JsonValue] = ["128" if one == "256" else one for one in ARGS]
LIMITS: JsonObject = {"memory": "96Gi", "nvidia.com/gpu": "4"}
REQUESTS: JsonObject = {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "4"}
WAITING: JsonObject = {
    "type": "Pods",
    "pods": {
        "metric": {"name": "vllm:num_requests_waiting"},
        "target": {"type": "AverageValue", "averageValue": "5"},
    },
}
ASKED: JsonObject = {
    "serverAddress": "http://prometheus.monitoring:9090",
    "query": 'sum(vllm:num_requests_waiting{namespace="search",pod=~"chat-.+"})',
    "threshold": "5",
}
PATCHES: dict[str, tuple[Case, JsonObject]] = {
    "scale": (Case("scale", at("Deployment", replicas=5), deployment()), at_path(5, "spec", "replicas")),
    "scale a predictor": (
        Case("scale", at("InferenceService", replicas=3), kserve(minReplicas=2)),
        at_path(3, "spec", "predictor", "minReplicas"),
    ),
    "bounds": (
        Case("set_autoscaler_bounds", at("ScaledObject", min=3, max=9), keda()),
        at_path({"minReplicaCount": 3, "maxReplicaCount": 9}, "spec"),
    ),
    "a bound that stands is left out": (
        Case("set_autoscaler_bounds", at("HorizontalPodAutoscaler", min=4, max=9), hpa()),
        at_path(9, "spec", "maxReplicas"),
    ),
    "HPA metric": (
        Case("set_autoscaler_metric", at("HorizontalPodAutoscaler", **MET), hpa()),
        at_path([WAITING], "spec", "metrics"),
    ),
    "KEDA trigger": (
        Case("set_autoscaler_metric", at("ScaledObject", **MET), keda()),
        at_path(
            [
                {"type": "prometheus", "name": "load", "metadata": ASKED},
                {"type": "cron", "metadata": {"timezone": "UTC", "desiredReplicas": "4"}},
            ],
            "spec",
            "triggers",
        ),
    ),
    "GPUs in limit and request": (
        Case("set_resources", resources(gpus=8, cpu_request="16"), deployment()),
        containers(
            container(
                resources={
                    "requests": {**REQUESTS, "cpu": "16", "nvidia.com/gpu": "8"},
                    "limits": {**LIMITS, "nvidia.com/gpu": "8"},
                }
            )
        ),
    ),
    "resources of a model": (
        Case("set_resources", at("InferenceService", container="kserve-container", cpu_limit="16"), kserve()),
        at_path("16", "spec", "predictor", "model", "resources", "limits", "cpu"),
    ),
    "engine": (Case("set_engine_args", engine(**SEQS), deployment()), containers(container(args=SEQS_128))),
    "engine of a preset": (
        Case("set_engine_args", at("LLMInferenceService", container="main", **SEQS), llm()),
        at_path(
            [{"name": "main", "env": [{"name": "VLLM_ADDITIONAL_ARGS", "value": "--max-num-seqs 128"}]}],
            "spec",
            "template",
            "containers",
        ),
    ),
    "suspend": (Case("suspend", at("JobSet"), job("JobSet")), at_path(True, "spec", "suspend")),
    "suspend PyTorchJob": (
        Case("suspend", at("PyTorchJob"), job("PyTorchJob")),
        at_path(True, "spec", "runPolicy", "suspend"),
    ),
    "deactivate": (Case("suspend", at("Workload"), job("Workload")), at_path(False, "spec", "active")),
    "resume": (Case("resume", at("RayJob"), job("RayJob", held=True)), at_path(False, "spec", "suspend")),
    "queue": (
        Case("set_queue", at("Job", queue="b"), job("Job", held=True, labels=QUEUED)),
        labelled("kueue.x-k8s.io/queue-name", "b"),
    ),
    "priority": (
        Case("set_priority", at("Job", priority_class="b"), job("Job", held=True, labels=QUEUED)),
        labelled("kueue.x-k8s.io/priority-class", "b"),
    ),
    "restart": (
        Case("restart", at("Deployment"), deployment()),
        at_path("4", "spec", "template", "metadata", "annotations", "plumbline.dev/restarted-generation"),
    ),
    "restart a predictor": (
        Case("restart", at("InferenceService"), kserve()),
        at_path("4", "spec", "predictor", "annotations", "plumbline.dev/restarted-generation"),
    ),
    "rollback": (
        Case("rollback", at("Deployment", revision=2), revised(template(), OLD_TEMPLATE)),
        at_path(
            {
                "metadata": {"annotations": {"note": "old"}},
                "spec": {
                    "containers": [container(image="registry.example.com/serving/vllm-openai:v0.17.0")],
                    "nodeSelector": {"a": "b"},
                    "restartPolicy": None,
                },
            },
            "spec",
            "template",
        ),
    ),
    "cordon": (Case("cordon", at("Node"), node()), at_path(True, "spec", "unschedulable")),
    "uncordon": (Case("uncordon", at("Node"), node(unschedulable=True)), at_path(None, "spec", "unschedulable")),
    "taint": (
        Case("taint", at("Node", taint="gpu-only"), node(taints=[OTHER_TAINT])),
        at_path([OTHER_TAINT, GPU_TAINT], "spec", "taints"),
    ),
    "untaint the last": (
        Case("untaint", at("Node", taint="gpu-only"), node(taints=[GPU_TAINT])),
        at_path(None, "spec", "taints"),
    ),
    "MIG": (
        Case("set_mig_profile", at("Node", profile="all-1g.10gb"), node(unschedulable=True)),
        labelled("nvidia.com/mig.config", "all-1g.10gb"),
    ),
    "time slicing": (
        Case("set_time_slicing", at("Node", config="shared"), node(unschedulable=True)),
        labelled("nvidia.com/device-plugin.config", "shared"),
    ),
    "notebook": (
        Case("stop_notebook", at("Notebook", at=MORNING), notebook()),
        at_path(MORNING, "metadata", "annotations", "kubeflow-resource-stopped"),
    ),
}


@pytest.mark.parametrize("name", PATCHES)
def test_the_patch_holds_the_changed_fields_and_no_others(name: str) -> None:
    case, patch = PATCHES[name]
    assert case.objection == ""
    assert case.patch == patch


@pytest.mark.parametrize("nominal", ["16", 16])
def test_a_quota_is_written_in_the_type_it_has(nominal: str | int) -> None:
    case = Case("set_quota", at("ClusterQueue", **QUOTA_ARGS), quota(nominal))
    whole = json.dumps(value_at(case.obj, ("spec", "resourceGroups")).value)
    expected = whole.replace(
        f'"nominalQuota": {json.dumps(nominal)}', f'"nominalQuota": {json.dumps(type(nominal)(20))}'
    )
    assert case.patch == at_path(json.loads(expected), "spec", "resourceGroups")


@pytest.mark.parametrize("case", TAKEN, ids=NAMES)
def test_a_possible_change_can_be_undone_and_tells_what_it_is(case: Case) -> None:
    spec = CHANGES[case.change]
    args, before = spec.parse(case.args), copy.deepcopy(case.obj)
    assert spec.objection(args, case.obj) == ""
    patch = spec.patch(args, case.obj)
    after = merged(case.obj, patch)
    assert isinstance(after, dict)
    assert after != case.obj
    assert merged(after, inverse(case.obj, patch)) == case.obj == before
    assert {path[0] for path in touched(patch)} <= {"metadata", "spec"}
    assert not [path for path in touched(patch) if path[0] == "metadata" and path[1] not in ("labels", "annotations")]
    assert bind(case.obj, patch, inverse(case.obj, patch), spec.guards)
    assert case.patch == patch  # asked twice, the same
    if case.change != "restart":  # which has a new generation by then
        assert spec.patch(args, after) == {}
        assert spec.objection(args, after)


@pytest.mark.parametrize("case", TAKEN, ids=NAMES)
def test_what_is_checked_afterwards_exists_and_could_fail(case: Case) -> None:
    spec = CHANGES[case.change]
    args = spec.parse(case.args)
    checks = spec.verification(args, case.obj)
    assert checks
    for check in checks:
        assert [bool(check.query), bool(check.field), bool(check.condition)].count(True) == 1
        assert not check.query or check.query in QUERIES
        assert check.settle >= 0
        assert check.window >= 0
        assert Verification.model_validate_json(check.model_dump_json()) == check
    assert Blast.model_validate_json(spec.blast(args, case.obj).model_dump_json()) == spec.blast(args, case.obj)


def test_every_change_has_five_objects() -> None:
    assert {name: sum(case.change == name for case in TAKEN) >= 5 for name in CHANGES} == dict.fromkeys(CHANGES, True)


@pytest.mark.parametrize(("case", "why"), REFUSED, ids=[f"{n}-{c.change}" for n, (c, _) in enumerate(REFUSED)])
def test_a_change_that_must_not_be_is_refused_in_one_line(case: Case, why: str) -> None:
    assert why in case.objection
    assert "\n" not in case.objection


@pytest.mark.parametrize("name", CHANGES)
def test_objects_that_are_not_the_target_are_refused(name: str) -> None:
    case = next(case for case in TAKEN if case.change == name)
    for key, value in (
        ("kind", "Secret"),
        ("apiVersion", "evil.example/v1"),
        ("metadata", {"name": "chat"}),
        ("metadata", None),
    ):
        if key == "metadata" and value and "namespace" not in case.args:
            continue
        other = {**case.obj, key: _plain(value)}
        assert CHANGES[name].objection(CHANGES[name].parse(case.args), other).startswith("the object read is not")


def _plain(value: str | dict[str, str] | None) -> JsonValue:
    return {**value} if isinstance(value, dict) else value


# --- reach, risk and checks ----------------------------------------------------------------------------------


def told(change: str, args: JsonObject, obj: JsonObject) -> Blast:
    """How far a change reaches."""
    spec = CHANGES[change]
    return spec.blast(spec.parse(args), obj)


def test_reach_counts_replicas_and_gpus() -> None:
    down = told("scale", at("Deployment", replicas=5), deployment())
    assert down == Blast(replicas_before=6, replicas_after=5, gpus_before=24, gpus_after=20, restarts=True)
    assert not told("scale", at("Deployment", replicas=7), deployment()).restarts
    lws = told("scale", at("LeaderWorkerSet", replicas=3), groups())
    assert (lws.gpus_before, lws.gpus_after) == (64, 48)  # four pods of four GPUs a group
    more = told("set_resources", resources(gpus=8), deployment())
    assert more == Blast(replicas_before=6, replicas_after=6, gpus_before=24, gpus_after=48, restarts=True)
    rolled = revised(template(), template(container(resources={})))
    assert told("rollback", at("Deployment", revision=2), rolled).gpus_after == 0
    assert told("set_quota", at("ClusterQueue", **QUOTA_ARGS), quota()) == Blast(gpus_before=16, gpus_after=20)
    assert told("cordon", at("Node"), node()) == Blast(gpus_before=4, gpus_after=0)
    assert told("stop_notebook", at("Notebook", at=MORNING), notebook()).gpus_before == 4


@pytest.mark.parametrize(
    ("kind", "gpus"), [(kind, 8) for kind in ("Job", "JobSet", "TrainJob", "PyTorchJob", "RayJob", "Workload")]
)
def test_a_suspended_job_gives_all_its_gpus_back(kind: str, gpus: float) -> None:
    assert told("suspend", at(kind), job(kind)) == Blast(gpus_before=gpus, gpus_after=0, restarts=True)
    assert told("resume", at(kind), job(kind, held=True)) == Blast(gpus_before=0, gpus_after=gpus)
    assert set(JOB_SPECS) == {*JOB_KINDS, "Workload"}


@pytest.mark.parametrize(("change", "args", "obj", "tier"), [
    ("scale", at("Deployment", replicas=7), deployment(), "A"),
    ("scale", at("Deployment", replicas=5), deployment(), "B"),
    ("set_autoscaler_bounds", at("HorizontalPodAutoscaler", max=9), hpa(), "A"),
    ("set_autoscaler_bounds", at("HorizontalPodAutoscaler", min=3), hpa(), "B"),
    ("set_quota", at("ClusterQueue", **QUOTA_ARGS), quota(), "C"), ("cordon", at("Node"), node(), "D"),
    ("restart", at("StatefulSet"), stateful(), "B"),
])  # fmt: skip
def test_risk(change: str, args: JsonObject, obj: JsonObject, tier: str) -> None:
    assert CHANGES[change].tier(CHANGES[change].parse(args), obj) == tier


def test_a_serving_change_is_watched_for_a_day_and_waits_for_its_pods() -> None:
    spec = CHANGES["set_engine_args"]
    ready, seen, *rest = spec.verification(spec.parse(engine(**SEQS)), deployment())
    assert (ready.field, ready.comparator, ready.bound) == (("status", "readyReplicas"), ">=", 6)
    assert (seen.field, seen.bound) == (("status", "observedGeneration"), 5)
    assert [check.query for check in rest] == ["vllm_waiting_max_30m", "vllm_kv_cache_max_10m", "vllm_preemptions_10m"]
    assert all(check.window == 86_400 and check.settle >= 1800 for check in rest)
    quiet = spec.verification(
        spec.parse(engine(max_running_requests=8)),
        deployment(6, container(image="x/sglang:1", args=None, command=["python3", "-m", "sglang.launch_server"])),
    )
    assert not [check.query for check in quiet if check.query]


def test_two_restarts_differ() -> None:
    spec = CHANGES["restart"]
    args = spec.parse(at("Deployment"))
    first = merged(deployment(), spec.patch(args, deployment()))
    assert isinstance(first, dict)
    again: JsonObject = {**first, "metadata": {**made("Deployment")["metadata"], "generation": 5}}  # type: ignore[dict-item]
    assert spec.patch(args, {**again, "status": {"observedGeneration": 5}})


def test_no_change_writes_what_was_read_besides_its_target() -> None:
    for case in TAKEN:
        assert RELATED not in case.patch


def test_two_values_for_one_field_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two values"):
        patch_of([Wanted(path=("a",), value=1), Wanted(path=("a", "b"), value=2)], {})


# --- properties ----------------------------------------------------------------------------------------------

COUNT = st.integers(1, 1000)


def stepping(before: int, after: int) -> None:
    case = Case("scale", at("Deployment", replicas=after), deployment(before))
    if after == before:
        assert "already" in case.objection
    elif case.objection == "":
        assert after >= before - max(1, before // 4)
        assert after <= before + max(4, before)
    else:
        assert after < before - max(1, before // 4) or after > before + max(4, before)


STEPS = given(COUNT, COUNT)
test_a_step_never_takes_more_than_a_quarter = settings(max_examples=300, deadline=None)(STEPS(stepping))
test_a_step_never_takes_more_than_a_quarter_in_full = pytest.mark.prove(
    settings(max_examples=20_000, deadline=None)(STEPS(stepping))
)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 1000))
def test_one_replica_fewer_is_always_possible(count: int) -> None:
    assert Case("scale", at("Deployment", replicas=count - 1), deployment(count)).objection == ""


LEAF = st.one_of(st.none(), st.booleans(), st.integers(-3, 300), st.text(max_size=6), st.just([]), st.just({}))
JUNK = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from([
                "spec", "template", "containers", "name", "args", "env", "replicas", "metrics", "triggers", "labels",
                "annotations", "taints", "resources", "limits", "predictor", "resourceGroups", "conditions", UPGRADE,
            ]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


def on_junk(number: int, spec: JsonValue, status: JsonValue, meta: dict[str, JsonValue]) -> None:
    """On whatever an object holds, a change answers: with a reason, or with a patch that can be undone."""
    case = TAKEN[number]
    known = case.obj["metadata"]
    assert isinstance(known, dict)
    obj: JsonObject = {**case.obj, "metadata": {**known, **meta}, "spec": spec, "status": status}
    change = CHANGES[case.change]
    args = change.parse(case.args)
    reason = change.objection(args, obj)
    assert "\n" not in reason
    change.tier(args, obj), change.blast(args, obj), change.verification(args, obj)
    if reason == "":
        patch = change.patch(args, obj)
        try:
            back = inverse(obj, patch)
        except ValueError:
            assert "null" in json.dumps(obj), "only an explicit null cannot be restored"
        else:
            assert merged(merged(obj, patch), back) == obj


ON_JUNK = given(
    st.integers(0, len(TAKEN) - 1), JUNK, JUNK,
    st.dictionaries(st.sampled_from(["labels", "annotations", "generation", "ownerReferences"]), JUNK, max_size=3),
)  # fmt: skip
test_any_object_is_answered = settings(max_examples=300, deadline=None)(ON_JUNK(on_junk))
test_any_object_is_answered_in_full = pytest.mark.prove(settings(max_examples=30_000, deadline=None)(ON_JUNK(on_junk)))
