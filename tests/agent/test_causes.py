"""Each cause against the one fact that makes it and the one that unmakes it."""

from __future__ import annotations

import copy

import pytest

from agent import diagnosers
from agent.analysis import queries
from agent.analysis.signals.hardware import XID_CHANGES, XID_LAST
from agent.analysis.signals.input import CPU_THROTTLED, IO_WAITING, READ_PEAK, WRITE_PEAK
from agent.analysis.view import View
from agent.types import Finding
from agent.verdict import decide
from tests.agent.build import (
    CPU_METRIC,
    NOW,
    QUEUE_METRIC,
    Samples,
    ago,
    by_pod,
    deployment,
    hpa,
    measured,
    node,
    owner,
    pod,
    view,
    workload,
)
from tools.types import JsonObject, ResourceRef

NODES = [node("gpu-0"), node("gpu-1")]
CHAT = {"chat-5f6d7c8b9-aaaaa": "gpu-0", "chat-5f6d7c8b9-bbbbb": "gpu-1"}
RANKS = ("train-0", "train-1")


def judge(cause: str, seen: View) -> list[Finding]:
    return diagnosers.load()[cause].judge(seen)


def chat(*extra: JsonObject, busy: float = 0.4, **series: float) -> View:
    values = {**measured(tuple(CHAT), busy)}
    return view([*NODES, *deployment("chat", CHAT), *extra], values)


def job(busy: float) -> tuple[list[JsonObject], dict[str, Samples]]:
    train = workload("Job", "train", "batch/v1")
    by = owner("Job", "train", "batch/v1")
    ranks = [
        pod(name, owned_by=by, gpus=8, on=f"gpu-{i}", spec={"restartPolicy": "Never"}) for i, name in enumerate(RANKS)
    ]
    return [*NODES, train, *ranks], dict(measured(RANKS, busy))


# --- U13 ---------------------------------------------------------------------------------------------------


def test_u13_cpu_hpa_of_gpu_workload() -> None:
    (finding,) = judge("U13", chat(hpa("chat", "chat", [CPU_METRIC])))
    assert finding.subject.kind == "HorizontalPodAutoscaler"
    assert [ref.name for ref in finding.affects] == ["chat"]
    assert any("cpu 80 %" in claim.text for claim in finding.seen)


@pytest.mark.parametrize(
    "metrics", [[QUEUE_METRIC], [CPU_METRIC, QUEUE_METRIC], []], ids=["queue", "cpu and queue", "none"]
)
def test_u13_silent_when_load_is_among_the_metrics(metrics: list[JsonObject]) -> None:
    assert judge("U13", chat(hpa("chat", "chat", metrics))) == []


def test_u13_silent_without_gpus() -> None:
    seen = view([*deployment("web", {"web-5f6d7c8b9-aaaaa": "cpu-0"}, gpus=0), hpa("web", "web", [CPU_METRIC])])
    assert judge("U13", seen) == []


def test_u13_silent_at_floor_and_when_blind() -> None:
    floor = hpa("chat", "chat", [CPU_METRIC], floor=2)
    series = {
        **measured(tuple(CHAT), 0.4),
        queries.HPA_AT_FLOOR_SHARE.name: [({"namespace": "ml", "horizontalpodautoscaler": "chat"}, 0.97)],
    }
    assert judge("U13", view([*NODES, *deployment("chat", CHAT), floor], series)) == []
    blind = hpa("chat", "chat", [CPU_METRIC], conditions=[{"type": "ScalingActive", "status": "False", "reason": "X"}])  # type: ignore[arg-type]
    assert judge("U13", chat(blind)) == []


# --- U01 ---------------------------------------------------------------------------------------------------


def test_u01_idle_deployment_and_its_neighbours() -> None:
    (finding,) = judge("U01", chat(busy=0.0))
    assert str(finding.subject) == "ml/Deployment/chat"
    assert judge("U01", chat(busy=0.05)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"labels": {"notebook-name": "nb"}}},
        {"metadata": {"labels": {"plumbline.dev/intent": "standby"}}},
        {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        {"status": {"startTime": ago(600)}},
    ],
    ids=["notebook", "standby", "not ready", "young"],
)
def test_u01_silent_for_a_reason(change: JsonObject) -> None:
    lone = pod("nb-0", **change)  # type: ignore[arg-type]
    assert judge("U01", view([*NODES, lone], measured(["nb-0"], 0.0))) == []
    assert judge("U01", view([*NODES, pod("nb-0")], measured(["nb-0"], 0.0)))


def test_u01_silent_when_requests_were_served_and_on_cpu_fallback() -> None:
    base = measured(["a"], 0.0)
    served = {**base, **by_pod(queries.VLLM_FINISHED_30M, {"a": 12.0})}
    assert judge("U01", view([*NODES, pod("a")], served)) == []
    fallback = {**base, **by_pod(queries.GPU_MEMORY_USED, {"a": 3.0}), **by_pod(queries.POD_CPU_CORES, {"a": 7.0})}
    assert judge("U01", view([*NODES, pod("a")], fallback)) == []


def test_u01_never_without_coverage() -> None:
    thin = {**measured(["a", "b"], 0.0), **by_pod(queries.GPU_COVERAGE_BY_POD, {"a": 11.0, "b": 60.0})}
    found = judge("U01", view([*NODES, pod("a"), pod("b")], thin))
    assert [f.subject.name for f in found] == ["b"]


# --- U00 ---------------------------------------------------------------------------------------------------


def test_u00_dark_node_and_unattributed_pods() -> None:
    series = {**measured(["a"], 0.5), queries.GPU_SAMPLES_BY_NODE.name: [({"node": "gpu-0"}, 8.0)]}
    (dark,) = judge("U00", view([*NODES, pod("a")], series))
    assert str(dark.subject) == "Node/gpu-1"
    (blind,) = judge("U00", view([*NODES, pod("a"), pod("b")], measured(["a"], 0.5)))
    assert str(blind.subject) == "ml/Pod/b"


def test_u00_silent_for_shared_gpus_young_pods_and_failed_queries() -> None:
    shared = copy.deepcopy(NODES)
    for item in shared:
        item["metadata"]["labels"]["nvidia.com/gpu.replicas"] = "4"  # type: ignore[index,call-overload]
    assert judge("U00", view([*shared, pod("a"), pod("b")], measured(["a"], 0.5))) == []
    assert judge("U00", view([*NODES, pod("a"), pod("b", age=300)], measured(["a"], 0.5))) == []
    failed = view([*NODES, pod("a")], failed={queries.GPU_SAMPLES_BY_NODE.name: "unavailable"})
    assert judge("U00", failed) == []
    assert diagnosers.load()["U00"].survey(failed).missing


# --- U08 ---------------------------------------------------------------------------------------------------


def waiting(message: str, **extra: JsonObject) -> JsonObject:
    condition: JsonObject = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod("eager", on=None, gpus=4, age=900, status={"conditions": [condition]}, **extra)  # type: ignore[arg-type]


TAINT: JsonObject = {"key": "dedicated", "value": "search", "effect": "NoSchedule"}
MESSAGE = "0/2 nodes are available: 2 node(s) had untolerated taint(s)."


def test_u08_taint_selector_and_volume() -> None:
    tainted = [node("gpu-0", taints=[TAINT]), node("gpu-1", taints=[TAINT])]
    (finding,) = judge("U08", view([*tainted, waiting(MESSAGE)]))
    assert "dedicated=search:NoSchedule" in finding.seen[0].text
    picky = waiting("0/2 ...", spec={"nodeSelector": {"nvidia.com/gpu.product": "H200"}})
    assert judge("U08", view([*NODES, picky]))
    volume = waiting("0/2 nodes are available: 2 node(s) had volume node affinity conflict.")
    assert judge("U08", view([*NODES, volume]))


def test_u08_silent_on_shortage_cpu_gates_and_tolerations() -> None:
    full = [pod("big-0", gpus=8, on="gpu-0"), pod("big-1", gpus=6, on="gpu-1")]
    tainted = [node("gpu-0", taints=[TAINT]), node("gpu-1", taints=[TAINT])]
    assert judge("U08", view([*tainted, *full, waiting(MESSAGE)])) == []
    assert judge("U08", view([*NODES, waiting("0/2 nodes are available: 2 Insufficient cpu.")])) == []
    tolerant = waiting(MESSAGE, spec={"tolerations": [{"key": "dedicated", "operator": "Exists"}]})
    assert judge("U08", view([*tainted, tolerant])) == []
    gated = waiting(MESSAGE)
    gated["status"]["conditions"][0]["reason"] = "SchedulingGated"  # type: ignore[index,call-overload]
    assert judge("U08", view([*tainted, gated])) == []


# --- U16 ---------------------------------------------------------------------------------------------------


def kv(preempted: dict[str, float], full: dict[str, float]) -> View:
    names = tuple(CHAT)
    series = {
        **by_pod(queries.VLLM_PREEMPTIONS, dict(zip(names, preempted.values(), strict=True))),
        **by_pod(queries.VLLM_KV_MAX, dict(zip(names, full.values(), strict=True))),
        **by_pod(queries.VLLM_FINISHED_RATE, dict.fromkeys(names, 1.0)),
    }
    return view([*NODES, *deployment("chat", CHAT)], series)


def test_u16_preempting_with_a_full_cache() -> None:
    (finding,) = judge("U16", kv({"a": 0.2, "b": 0.1}, {"a": 0.99, "b": 0.98}))
    assert str(finding.subject) == "ml/Deployment/chat"
    assert "20 % of finished requests" in finding.seen[0].text


def test_u16_silent_when_stable_roomy_or_one_sided() -> None:
    assert judge("U16", kv({"a": 0.0, "b": 0.0}, {"a": 0.99, "b": 0.99})) == []
    assert judge("U16", kv({"a": 0.2, "b": 0.2}, {"a": 0.7, "b": 0.7})) == []
    assert judge("U16", kv({"a": 0.2, "b": 0.0}, {"a": 0.99, "b": 0.2})) == []


# --- U25 ---------------------------------------------------------------------------------------------------


def test_u25_io_pressure_and_saw_tooth() -> None:
    objects, series = job(0.3)
    pressure = {**series, **by_pod(IO_WAITING, dict.fromkeys(RANKS, 0.45))}
    (finding,) = judge("U25", view(objects, pressure))
    assert str(finding.subject) == "ml/Job/train"
    saw = {
        **series,
        **by_pod(queries.GPU_BUSY_DEVIATION, dict.fromkeys(RANKS, 0.42)),
        **by_pod(IO_WAITING, dict.fromkeys(RANKS, 0.01)),
    }
    assert judge("U25", view(objects, saw))


def test_u25_silent_for_throttling_checkpoints_stragglers_and_serving() -> None:
    objects, series = job(0.3)
    pressure = {**series, **by_pod(IO_WAITING, dict.fromkeys(RANKS, 0.45))}
    assert judge("U25", view(objects, {**pressure, **by_pod(CPU_THROTTLED, dict.fromkeys(RANKS, 0.6))})) == []
    writes = {**by_pod(WRITE_PEAK, dict.fromkeys(RANKS, 9e8)), **by_pod(READ_PEAK, dict.fromkeys(RANKS, 1e6))}
    assert judge("U25", view(objects, {**pressure, **writes})) == []
    one = {**series, **by_pod(IO_WAITING, {"train-0": 0.45, "train-1": 0.0})}
    assert judge("U25", view(objects, one)) == []
    serving = {**measured(tuple(CHAT), 0.3), **by_pod(queries.GPU_BUSY_DEVIATION, dict.fromkeys(CHAT, 0.42))}
    assert judge("U25", view([*NODES, *deployment("chat", CHAT)], serving)) == []


def test_u25_says_what_it_lacks() -> None:
    objects, series = job(0.3)
    missing = diagnosers.load()["U25"].survey(view(objects, series)).missing
    assert any("container_pressure_io_waiting_seconds_total" in entry.need for entry in missing)


# --- U35 ---------------------------------------------------------------------------------------------------


def xid(code: float, changes: float, nodes: tuple[str, ...] = ("gpu-0",)) -> View:
    labels = [{"node": n, "UUID": f"GPU-{n}", "gpu": "3", "namespace": "ml", "pod": f"p-{n}"} for n in nodes]
    series = {
        XID_CHANGES.name: [(label, changes) for label in labels],
        XID_LAST.name: [(label, code) for label in labels],
    }
    job_pods = [pod(f"p-{n}", on=n, owned_by=owner("Job", "train", "batch/v1")) for n in nodes]
    return view(
        [*(node(n) for n in ("gpu-0", "gpu-1", "gpu-2")), workload("Job", "train", "batch/v1"), *job_pods], series
    )


def test_u35_new_fatal_xid() -> None:
    (finding,) = judge("U35", xid(79.0, 1.0))
    assert str(finding.subject) == "Node/gpu-0"
    assert "ml/Job/train" in [str(ref) for ref in finding.affects]


@pytest.mark.parametrize(
    "seen",
    [xid(79.0, 0.0), xid(31.0, 1.0), xid(9.223372036854776e18, 1.0), xid(46.0, 1.0, ("gpu-0", "gpu-1", "gpu-2"))],
    ids=["old", "application error", "blank value", "follows one program"],
)
def test_u35_silent(seen: View) -> None:
    assert judge("U35", seen) == []


# --- D03 ---------------------------------------------------------------------------------------------------


def replicas(**second: JsonObject) -> View:
    objects = deployment("chat", CHAT)
    other = objects[-1]
    status = other["status"]["containerStatuses"][0]  # type: ignore[index,call-overload]
    status.update({"imageID": "registry.example/app@sha256:" + "b" * 64, **second})  # type: ignore[union-attr]
    return view([*NODES, *objects])


def test_d03_one_tag_two_digests() -> None:
    (finding,) = judge("D03", replicas())
    assert str(finding.subject) == "ml/Deployment/chat"
    assert "2 digests" in finding.seen[0].text


def test_d03_silent_in_rollout_soon_after_start_and_across_architectures() -> None:
    assert judge("D03", replicas(state={"running": {"startedAt": ago(600)}})) == []
    rolling = replicas()
    deploy = rolling.find(ResourceRef(group="apps", kind="Deployment", namespace="ml", name="chat"))
    assert deploy is not None
    deploy.data["status"]["updatedReplicas"] = 1  # type: ignore[index,call-overload]
    assert judge("D03", rolling) == []
    arm = replicas()
    record = arm.find(ResourceRef(kind="Node", name="gpu-1"))
    assert record is not None
    record.data["metadata"]["labels"]["kubernetes.io/arch"] = "arm64"  # type: ignore[index,call-overload]
    assert judge("D03", arm) == []


# --- together ----------------------------------------------------------------------------------------------


def test_every_reference_of_every_finding_resolves() -> None:
    seen = chat(hpa("chat", "chat", [CPU_METRIC]), busy=0.4)
    verdict = decide(seen, diagnosers.load(), judge("U13", seen))
    refs = [ref for finding in verdict.findings for ref in finding.refs]
    assert refs
    for ref in refs:
        seen.resolve(ref)
    assert [r.cause for r in verdict.ruled_out if r.cause == "U01"] == ["U01"]
    assert verdict.findings[0].role == "root"


def test_empty_and_odd_objects_never_raise() -> None:
    odd: list[JsonObject] = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "x", "annotations": {"a": 3}},
            "spec": None,
            "status": None,
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": None},
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"allocatable": None}},
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h"},
            "spec": {"metrics": None},
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "ownerReferences": None}, "spec": []},
    ]
    for seen in (view(odd), view([]), view([*odd, *NODES], measured(["x"], 0.0))):
        for diagnoser in diagnosers.load().values():
            assert diagnoser.judge(seen) == []
            diagnoser.survey(seen)
            diagnoser.follow(seen)


def test_now_is_the_views_own() -> None:
    assert view().now == NOW
