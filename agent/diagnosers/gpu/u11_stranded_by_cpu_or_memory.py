"""A pod waits for GPUs that are free on nodes without the CPU or memory it asks for beside them.

GPUs are given out with cores and memory of the same node; where those run out first, the GPUs left are of no use to
anybody. In the traces of a large training cluster the median use of host CPU was 8 % (Hu et al., "Characterization of
Large Language Model Development in the Datacenter", NSDI 2024), so that mostly requests, not use, are in the way. Told
apart from constraints (the node may take the pod) and from shortage of GPUs. Bar: waiting for 5 minutes.
"""

from __future__ import annotations

from agent.analysis import queries, requests
from agent.analysis.diagnoser import Survey, findings, undecided
from agent.analysis.gpus import gpu_count
from agent.analysis.judging import Judged
from agent.analysis.kinds import DEPLOYMENT, JOB, JOB_SET, NODE, POD, REPLICA_SET, STATEFUL_SET, TRAIN_JOB
from agent.analysis.records import Record
from agent.analysis.signals.room import shortages
from agent.analysis.signals.scheduling import refusal, roomy_nodes, waiting_pods, waiting_workloads, waits_since
from agent.analysis.view import View, once_per_view
from agent.types import Advice, Cause, Finding, Need, Objects, Query, Remedy
from tools.types import ResourceRef, ToolCall

CAUSE = Cause(
    id="U11",
    family="gpu",
    title="free GPUs are stranded: their nodes lack the CPU or memory that the waiting pod asks for",
    severity="high",
    doc="Kubernetes: Resource Management for Pods and Containers; Characterization of Large Language Model Development"
    " in the Datacenter, NSDI 2024",
)
NEEDS: tuple[Need, ...] = (
    Objects(kind=POD, decisive=True),
    Objects(kind=NODE, decisive=True),
    Objects(kind=REPLICA_SET),
    Objects(kind=DEPLOYMENT),
    Objects(kind=STATEFUL_SET),
    Objects(kind=JOB),
    Objects(kind=JOB_SET),
    Objects(kind=TRAIN_JOB),
    Query(query=queries.GPU_REQUESTED_BY_NODE),
    Query(query=queries.REQUESTED_BY_NODE),
)
CONFIRMS = ("short_of_cpu_or_memory",)
EXCLUDES: tuple[str, ...] = ()


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Workloads with a GPU pod that the scheduler has refused for long enough."""
    return waiting_workloads(view)


@once_per_view
def judge(view: View) -> list[Finding]:
    """Waiting workloads whose every node with free GPUs is short of something else."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    return Finding(
        cause=CAUSE.id,
        title=f"{ref} waits for GPUs that are free where CPU or memory is not",
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=result.claims,
        affects=(ref, *(pod.ref for pod in waiting_pods(view, ref)[:32])),
        since=waits_since(view, ref),
    )


def follow(_view: View) -> list[ToolCall]:
    """Nothing would sharpen it."""
    return []


def survey(view: View) -> Survey:
    """What could not be told of a workload that waits."""
    return Survey(missing=undecided(view, subjects(view), CONFIRMS, CAUSE.id))


def remedy(finding: Finding, view: View) -> Remedy:
    """Who gives way is told by who holds what is short: the pod itself, pods without a GPU, or other GPU pods."""
    told = [text for pod in waiting_pods(view, finding.subject) if (text := _advice(view, pod))]
    return Advice(text=told[0] if told else f"lower what {finding.subject} asks for beside its GPUs")


def _advice(view: View, pod: Record) -> str:
    for node in roomy_nodes(view, pod) or ():
        lacking = list(shortages(view, pod, node))
        if refusal(pod, node) is not None or not lacking:
            continue
        resource, wanted, rest = lacking[0]
        if wanted > requests.amounts(node.data, "status", "allocatable").get(resource, 0.0):
            return f"lower the request for {resource} of {pod.ref.name}: {node.ref.name} has less even when it is empty"
        if rest + _held_without_gpu(view, node, resource) >= wanted:
            return f"keep pods without a GPU off {node.ref.name} by a taint of GPU nodes: they hold the {resource}"
        return (
            f"set requests for {resource} of {pod.ref.name} and of the GPU pods on {node.ref.name} to what they use"
            " (p95 with a fifth more, over whole epochs of data loading)"
        )
    return ""


def _held_without_gpu(view: View, node: Record, resource: str) -> float:
    """What live pods without a GPU ask of a node."""
    return sum(
        requests.requested(pod).get(resource, 0.0)
        for pod in view.objects(POD)
        if pod.text("spec", "nodeName") == node.ref.name and requests.active(pod) and not gpu_count(pod)
    )
