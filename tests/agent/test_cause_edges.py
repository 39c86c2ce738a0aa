"""Where rules met real clusters' edges: units, partial views, operators' objects, symptoms nobody explains."""

from __future__ import annotations

import pytest

from agent import diagnosers
from agent.analysis import queries, signals
from agent.analysis.signals.hardware import XID_CHANGES, XID_LAST
from agent.analysis.signals.input import IO_WAITING, WRITE_PEAK
from agent.analysis.view import View
from agent.types import Finding, Missing
from agent.verdict import decide
from tests.agent.build import (
    CPU_METRIC,
    NOW,
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
from tools.types import JsonObject, ResourceRef, Scope

NODES = [node("gpu-0"), node("gpu-1")]
RANKS = ("train-0", "train-1")


def judge(cause: str, seen: View) -> list[Finding]:
    return diagnosers.load()[cause].judge(seen)


def missing(cause: str, seen: View) -> tuple[Missing, ...]:
    return diagnosers.load()[cause].survey(seen).missing


def open_because(cause: str, seen: View) -> str:
    """The one entry that keeps the answer from being "healthy"."""
    (entry,) = [entry for entry in missing(cause, seen) if entry.causes]
    return entry.because


# --- queries -----------------------------------------------------------------------------------------------


def test_counting_samples_has_no_unit_and_memory_survives_the_renaming() -> None:
    for query in (queries.GPU_COVERAGE_BY_POD, queries.GPU_SAMPLES_BY_NODE):
        assert "/ 100" not in query.promql, "a count of percent samples is no percentage"
    assert "max_over_time(DCGM_FI_DEV_GPU_UTIL[30m]) / 100" in queries.GPU_BUSY_MAX.promql
    assert "max_over_time(DCGM_FI_DEV_FB_USED_BYTES[30m]) / 1048576" in queries.GPU_MEMORY_USED.promql


def test_a_gpu_that_fell_silent_after_its_fault_is_still_seen() -> None:
    assert XID_LAST.promql.count("last_over_time") == 1
    assert "[30m:" in XID_LAST.promql and "[30m:" in XID_CHANGES.promql  # noqa: PT018  one thought


# --- U00 ---------------------------------------------------------------------------------------------------


def test_u00_is_one_finding_where_no_sample_names_a_pod() -> None:
    exporter = pod("dcgm-exporter-x", gpus=0, owned_by=owner("DaemonSet", "dcgm-exporter", "apps/v1"))
    nodes: dict[str, Samples] = {queries.GPU_SAMPLES_BY_NODE.name: [({"node": n}, 8.0) for n in ("gpu-0", "gpu-1")]}
    seen = view([*NODES, exporter, pod("a"), pod("b"), pod("c", on="gpu-1")], nodes)
    (finding,) = judge("U00", seen)
    assert str(finding.subject) == "ml/DaemonSet/dcgm-exporter"
    assert len(finding.affects) == 3
    (settled,) = decide(seen, diagnosers.load(), [finding]).findings
    assert settled.role == "root"


def test_u00_tells_too_few_samples_from_none() -> None:
    thin = {**measured(["a", "b"], 0.5), **by_pod(queries.GPU_COVERAGE_BY_POD, {"a": 60.0, "b": 21.0})}
    (finding,) = judge("U00", view([*NODES, pod("a"), pod("b")], thin))
    assert [claim.text for claim in finding.seen] == [
        "b has only 21 samples in 30 min of some GPU; at least 45 are needed"
    ]


# --- U01 ---------------------------------------------------------------------------------------------------


def test_u01_is_not_excused_by_a_sibling_that_waits_or_has_ended() -> None:
    by = owner("Job", "train", "batch/v1")
    waiting = pod("train-9", on=None, owned_by=by)
    ended = pod("train-8", owned_by=by, status={"phase": "Succeeded", "conditions": []})
    seen = view([*NODES, pod("train-0", owned_by=by), waiting, ended], measured(["train-0"], 0.0))
    (finding,) = judge("U01", seen)
    assert finding.seen[0].text == "1 GPU held by 1 running pod"


@pytest.mark.parametrize(
    ("change", "open_for"),
    [
        ({"metadata": {"labels": {"notebook-name": "nb"}}}, ()),
        ({"metadata": {"labels": {"plumbline.dev/intent": "standby"}}}, ()),
        ({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, ("*",)),
    ],
    ids=["notebook", "standby", "not ready"],
)
def test_u01_names_who_was_set_aside(change: JsonObject, open_for: tuple[str, ...]) -> None:
    seen = view([*NODES, pod("nb-0", **change)], measured(["nb-0"], 0.0))  # type: ignore[arg-type]
    (entry,) = missing("U01", seen)
    assert entry.need == "a judgement of ml/Pod/nb-0"
    assert entry.causes == open_for


def test_a_batch_workload_needs_no_request_counts() -> None:
    lone = pod("train-0", owned_by=owner("Job", "train", "batch/v1"))
    seen = view([*NODES, lone], measured(["train-0"], 0.0))
    reading = signals.load()["requests_served"](
        seen, ResourceRef(group="batch", kind="Job", namespace="ml", name="train")
    )
    assert reading.holds is False


# --- U08 ---------------------------------------------------------------------------------------------------

TAINT: JsonObject = {"key": "dedicated", "value": "search", "effect": "NoSchedule"}


def waiting_pod(message: str) -> JsonObject:
    condition: JsonObject = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod("eager", on=None, gpus=4, age=900, status={"conditions": [condition]})


@pytest.mark.parametrize("key", ["not-ready", "unreachable", "disk-pressure", "unschedulable"])
def test_u08_a_node_out_of_service_has_nothing_free(key: str) -> None:
    state: JsonObject = {"key": f"node.kubernetes.io/{key}", "effect": "NoSchedule"}
    cordon = key == "unschedulable"
    nodes = [node(name, taints=[state], unschedulable=cordon) for name in ("gpu-0", "gpu-1")]
    seen = view([*nodes, waiting_pod("0/2 nodes are available: 2 node(s) had untolerated taint.")])
    assert judge("U08", seen) == []
    assert "no node in service has the 4 GPUs free" in open_because("U08", seen)


def test_u08_counts_what_the_scheduler_says_of_each_filter() -> None:
    both = "0/2 nodes are available: 2 node(s) had volume node affinity conflict."
    assert judge("U08", view([*NODES, waiting_pod(both)]))
    one = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had volume node affinity conflict."
    seen = view([*NODES, waiting_pod(one)])
    assert judge("U08", seen) == []
    assert "1 Insufficient cpu" in open_because("U08", seen)


def test_u08_takes_what_it_may_not_see_from_the_metrics() -> None:
    """In a view of one namespace, GPUs that others hold must not look free."""
    tainted = [node("gpu-0", taints=[TAINT]), node("gpu-1", taints=[TAINT])]
    ours = Scope(asked="namespace ml", namespaces=("ml",))
    blind = view([*tainted, waiting_pod("…")], scope=ours)
    assert judge("U08", blind) == []
    assert "kube_pod_container_resource_requests" in missing("U08", blind)[0].need

    def held(gpus: float) -> View:
        rows = [({"node": n, "resource": "nvidia_com_gpu"}, gpus) for n in ("gpu-0", "gpu-1")]
        return view([*tainted, waiting_pod("…")], {queries.GPU_REQUESTED_BY_NODE.name: rows}, scope=ours)

    assert judge("U08", held(8.0)) == []
    assert judge("U08", held(4.0))


def test_u08_names_the_gate_that_holds_a_pod_back() -> None:
    gated = pod("gated", on=None, age=900, spec={"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]})
    assert "kueue.x-k8s.io/admission" in open_because("U08", view([*NODES, gated]))


# --- U13, U16, U25, U35 ------------------------------------------------------------------------------------


def test_u13_a_blind_autoscaler_is_not_healthy() -> None:
    false: list[JsonObject] = [{"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}]
    blind = hpa("chat", "chat", [CPU_METRIC], conditions=false)  # type: ignore[arg-type]
    seen = view([*NODES, *deployment("chat", {"chat-5f6d7c8b9-aaaaa": "gpu-0"}), blind])
    assert judge("U13", seen) == []
    assert "FailedGetResourceMetric" in open_because("U13", seen)


def train(busy: dict[str, float], **limits: str) -> tuple[list[JsonObject], dict[str, Samples]]:
    by = owner("Job", "train", "batch/v1")
    resources: JsonObject = {"limits": {"nvidia.com/gpu": "8", **limits}}
    spec: JsonObject = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "i", "resources": resources}],
    }
    pods = [pod(name, on=f"gpu-{i}", owned_by=by, spec=spec) for i, name in enumerate(RANKS)]
    series = {**measured(RANKS, 0.3), **by_pod(queries.GPU_BUSY_MEAN, busy)}
    return [*NODES, workload("Job", "train", "batch/v1"), *pods], series


def test_u25_without_a_cpu_limit_nothing_is_throttled() -> None:
    ref = ResourceRef(group="batch", kind="Job", namespace="ml", name="train")
    throttled = signals.load()["cpu_throttled"]
    free, series = train(dict.fromkeys(RANKS, 0.3))
    assert throttled(view(free, series), ref).holds is False
    limited, series = train(dict.fromkeys(RANKS, 0.3), cpu="4")
    assert throttled(view(limited, series), ref).holds is None


def test_u25_one_starved_rank_is_named_not_claimed() -> None:
    objects, series = train({"train-0": 0.9, "train-1": 0.3})
    seen = view(objects, {**series, **by_pod(IO_WAITING, {"train-0": 0.01, "train-1": 0.5})})
    assert judge("U25", seen) == []
    assert "1 of 2 pods are starved" in open_because("U25", seen)


def test_u25_a_sawtooth_alone_may_be_checkpoints_where_cadvisor_is_silent() -> None:
    saw = dict.fromkeys(RANKS, 0.4)
    objects, series = train(saw)
    seen = {**series, **by_pod(queries.GPU_BUSY_DEVIATION, saw)}
    assert judge("U25", view(objects, seen)) == []
    (entry,) = [entry for entry in missing("U25", view(objects, seen)) if entry.causes]
    assert "container_pressure_io_waiting_seconds_total" in f"{entry.need} {entry.because}"
    written = {**seen, **by_pod(WRITE_PEAK, dict.fromkeys(RANKS, 1e5))}
    assert judge("U25", view(objects, written)), "they write next to nothing, so it is the input"


BOARDS = ("gpu-0", "gpu-1", "gpu-2")


def xids(code: float, nodes: tuple[str, ...] = BOARDS) -> dict[str, Samples]:
    """The same new XID on a board of each node, with the pod that runs there."""
    labels = [{"node": n, "UUID": f"GPU-{n}", "gpu": "3", "namespace": "ml", "pod": f"p-{n}"} for n in nodes]
    return {
        XID_CHANGES.name: [(label, 1.0) for label in labels],
        XID_LAST.name: [(label, code) for label in labels],
    }


def test_u35_one_program_on_many_boards_stays_open_and_is_said_once() -> None:
    pods = [pod(f"p-{n}", on=n, owned_by=owner("Job", "train", "batch/v1")) for n in BOARDS]
    seen = view([*map(node, BOARDS), workload("Job", "train", "batch/v1"), *pods], xids(46.0))
    assert "XID 46 on 3 nodes" in open_because("U35", seen)


def test_u35_many_boards_stay_open_where_pods_may_not_be_read() -> None:
    """Three nodes with one code may run one program; two are two faults, also without pods."""
    denied = [("", "Pod")]
    seen = view([*map(node, BOARDS)], xids(46.0), denied=denied)
    assert judge("U35", seen) == []
    assert "XID 46 on 3 nodes: one program, or so many faults" in open_because("U35", seen)
    two = view([*map(node, BOARDS)], xids(46.0, BOARDS[:2]), denied=denied)
    assert [finding.subject.name for finding in judge("U35", two)] == list(BOARDS[:2])


# --- D03 ---------------------------------------------------------------------------------------------------


def digests(*pods: tuple[str, float, str], kind: str = "Deployment", revision: str = "") -> View:
    """Replicas of one workload: (imageID, seconds since start, deletionTimestamp or ""); `revision` labels differ."""
    by = owner(kind, "w", "apps/v1")
    made = []
    for number, (image_id, age, gone) in enumerate(pods):
        body = pod(f"w-{number}", owned_by=by, gpus=0, age=age)
        body["status"]["containerStatuses"][0]["imageID"] = image_id  # type: ignore[index,call-overload]
        if revision:
            body["metadata"]["labels"] = {revision: f"r{number}"}  # type: ignore[index,call-overload]
        if gone:
            body["metadata"]["deletionTimestamp"] = gone  # type: ignore[index,call-overload]
        made.append(body)
    operator = owner("ClusterPolicy", "cluster-policy", "nvidia.com/v1")
    return view([*NODES, workload(kind, "w", "apps/v1", owned_by=operator), *made])


OLD, NEW = "registry.example/app@sha256:" + "a" * 64, "registry.example/app@sha256:" + "b" * 64


def test_d03_a_fresh_replica_does_not_hide_old_drift() -> None:
    (finding,) = judge("D03", digests((OLD, 86_400, ""), (NEW, 40_000, ""), (OLD, 60, "")))
    assert str(finding.subject) == "ml/Deployment/w", "an operator's own object is not what has replicas"
    assert finding.since == NOW - 40_000
    assert judge("D03", digests((OLD, 86_400, ""), (NEW, 600, ""))) == []


def test_d03_ignores_pods_that_leave_and_ids_that_are_no_digests() -> None:
    assert judge("D03", digests((OLD, 86_400, ""), (NEW, 40_000, ago(5)))) == []
    loaded_by_hand = "sha256:" + "c" * 64
    assert judge("D03", digests((OLD, 86_400, ""), (loaded_by_hand, 40_000, ""))) == []


@pytest.mark.parametrize("label", ["controller-revision-hash", "leaderworkerset.sigs.k8s.io/template-revision-hash"])
def test_d03_two_revisions_side_by_side_are_a_rollout(label: str) -> None:
    two = ((OLD, 86_400.0, ""), (NEW, 40_000.0, ""))
    assert judge("D03", digests(*two, kind="StatefulSet"))
    assert judge("D03", digests(*two, kind="StatefulSet", revision=label)) == []
