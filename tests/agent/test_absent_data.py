"""What was not measured rules nothing out: neither a cause, nor the neighbour of one."""

from __future__ import annotations

from agent import diagnosers
from agent.analysis import queries
from agent.analysis.signals import input as input_signals
from agent.analysis.signals import load
from agent.analysis.view import View
from agent.types import Finding, RuledOut
from agent.verdict import decide
from tests.agent.build import Samples, by_pod, deployment, measured, node, owner, pod, view, workload
from tools.types import ResourceRef

NODES = [node("gpu-0"), node("gpu-1")]
CHAT = ("chat-5f6d7c8b9-aaaaa", "chat-5f6d7c8b9-bbbbb")
RANKS = ("train-0", "train-1")


def found(cause: str, seen: View) -> tuple[Finding, ...]:
    return tuple(diagnosers.load()[cause].judge(seen))


def ruled_out(seen: View, cause: str) -> tuple[RuledOut, ...]:
    """What the findings of a cause rule out."""
    return decide(seen, diagnosers.load(), found(cause, seen)).ruled_out


def test_a_node_without_telemetry_does_not_rule_idle_gpus_out() -> None:
    series = {queries.GPU_SAMPLES_BY_NODE.name: [({"node": "gpu-0"}, 8.0)], **measured(["a"], 0.5)}
    dark = view([*NODES, pod("a"), pod("b", on="gpu-1")], series)
    assert found("U00", dark)
    assert "U01" not in {entry.cause for entry in ruled_out(dark, "U00")}


def test_an_unmeasured_workload_does_not_rule_idle_gpus_out() -> None:
    blind = view([*NODES, pod("a"), pod("b")], measured(["a"], 0.5))
    assert [str(finding.subject) for finding in found("U00", blind)] == ["ml/Pod/b"]
    assert "U01" not in {entry.cause for entry in ruled_out(blind, "U00")}


def served(preempted: dict[str, float], full: dict[str, float]) -> View:
    series = {
        **by_pod(queries.VLLM_PREEMPTIONS, preempted),
        **by_pod(queries.VLLM_KV_MAX, full),
        **by_pod(queries.VLLM_FINISHED_RATE, dict.fromkeys(CHAT, 1.0)),
    }
    return view([*NODES, *deployment("chat", dict.fromkeys(CHAT, "gpu-0"))], series)


def test_preemptions_without_the_cache_beside_them_are_undecided() -> None:
    ref = ResourceRef(group="apps", kind="Deployment", namespace="ml", name="chat")
    preempting = served({CHAT[0]: 0.5, CHAT[1]: 0.0}, {CHAT[1]: 0.3})
    reading = load()["kv_preemptions"](preempting, ref)
    assert reading.holds is None
    assert "kv_cache" in reading.lacks
    calm = served({CHAT[0]: 0.0, CHAT[1]: 0.0}, {CHAT[1]: 0.3})
    assert load()["kv_preemptions"](calm, ref).holds is False


def trained(pressure: dict[str, float]) -> View:
    by = owner("Job", "train", "batch/v1")
    pods = [pod(name, owned_by=by, spec={"restartPolicy": "Never"}) for name in RANKS]
    series: dict[str, Samples] = {**measured(RANKS, 0.3), **by_pod(input_signals.IO_WAITING, pressure)}
    return view([*NODES, workload("Job", "train", "batch/v1"), *pods], series)


def test_a_slow_rank_without_its_pressure_is_undecided() -> None:
    ref = ResourceRef(group="batch", kind="Job", namespace="ml", name="train")
    assert load()["input_stall"](trained({"train-0": 0.01}), ref).holds is None
    assert load()["input_stall"](trained({"train-0": 0.01, "train-1": 0.01}), ref).holds is False


def test_telemetry_says_how_many_gpus_it_covers() -> None:
    young = [pod(name, age=age, owned_by=owner("Job", "train", "batch/v1")) for name, age in (("a", 9_000), ("b", 300))]
    seen = view([*NODES, workload("Job", "train", "batch/v1"), *young], measured(["a"], 0.5))
    reading = load()["gpus_unmeasured"](seen, ResourceRef(group="batch", kind="Job", namespace="ml", name="train"))
    assert reading.holds is False
    assert reading.claim is not None
    assert reading.claim.text == "telemetry covers 1 of its 2 GPUs"
