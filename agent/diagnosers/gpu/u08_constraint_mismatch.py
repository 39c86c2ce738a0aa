"""A GPU pod waits although nodes have its GPUs free: a taint, selector, affinity or volume zone rules them out.

The pod would fit by count; what filters it is in its own spec or on the nodes. Told apart from shortage and
fragmentation (no node has enough free), from CPU and memory (a node passes every constraint and still refuses),
from quota (the pod is gated, not refused) and from claims. Bar: waiting for 5 minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.analysis import queries
from agent.analysis.diagnoser import Survey, findings, judged, undecided
from agent.analysis.gpus import gpu_nodes, gpu_pods
from agent.analysis.judging import Judged
from agent.analysis.kinds import DEPLOYMENT, JOB, JOB_SET, NODE, POD, REPLICA_SET, STATEFUL_SET, TRAIN_JOB
from agent.analysis.readings import plural, spell
from agent.analysis.signals.scheduling import gated_pods, unscheduled, waiting_pods, waiting_workloads, waits_since
from agent.analysis.view import View, claim, once_per_view
from agent.types import Advice, Cause, Finding, Missing, Need, Objects, Query, Remedy
from tools import fields
from tools.types import ResourceRef, ToolCall

CAUSE = Cause(
    id="U08",
    family="gpu",
    title="taint, selector, affinity or volume zone keeps a GPU pod off free GPUs",
    severity="high",
    doc="Kubernetes: Taints and Tolerations; Assigning Pods to Nodes; Scheduling Framework filter plugins",
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
)
CONFIRMS = ("filtered_though_free",)
EXCLUDES: tuple[str, ...] = ()
MESSAGE = 300
"""Characters of the scheduler's message that are quoted."""


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Workloads with a GPU pod that the scheduler has refused for long enough."""
    return waiting_workloads(view)


@once_per_view
def judge(view: View) -> list[Finding]:
    """Waiting workloads for which every node with room is filtered out."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    pods = waiting_pods(view, ref)
    return Finding(
        cause=CAUSE.id,
        title=f"{ref} waits for GPUs that are free but closed to it",
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=result.claims,
        affects=(ref, *(pod.ref for pod in pods[:32])),
        since=waits_since(view, ref),
    )


def follow(view: View) -> list[ToolCall]:
    """The scheduler's own events about a waiting pod."""
    calls: list[ToolCall] = []
    for ref in subjects(view)[:2]:
        for pod in waiting_pods(view, ref)[:1]:
            args = {"namespace": pod.ref.namespace, "kind": "Pod", "name": pod.ref.name}
            calls.append(ToolCall(tool="list_events", args=dict(args), reason=f"why {pod.ref} waits"))
    return calls


def survey(view: View) -> Survey:
    """Whether any GPU pod waits at all, and for what."""
    if not gpu_nodes(view):
        return Survey()
    waiting = subjects(view)
    missing = undecided(view, waiting, CONFIRMS, CAUSE.id)
    unexplained = (*_unexplained(view, waiting), *_gated(view))
    if waiting or unexplained:
        return Survey(missing=(*missing, *unexplained))
    pods = gpu_pods(view)
    if not pods:
        return Survey()
    refs = [pod.cite("status", "phase") for pod in pods[:4]]
    return Survey(checked=(claim(f"none of {plural(len(pods), 'GPU pod')} waits for a node", *refs),))


def _unexplained(view: View, waiting: list[ResourceRef]) -> Iterator[Missing]:
    """Workloads that wait for another reason: the scheduler's own words, and what was excluded here."""
    for ref in waiting:
        against = judged(view, ref, CONFIRMS, EXCLUDES).against
        pods = waiting_pods(view, ref)
        if against is None or against.claim is None or not pods:
            continue
        _, message = unscheduled(view, pods[0]) or (0, "")
        because = f"no constraint keeps it off free GPUs: {against.claim.text}; the scheduler says: {message[:MESSAGE]}"
        yield Missing(need=f"the reason why {ref} waits", because=because, causes=("*",))


def _gated(view: View) -> Iterator[Missing]:
    found: dict[ResourceRef, str] = {}
    for pod in gated_pods(view):
        gates = [fields.text(gate, "name") for gate in pod.items("spec", "schedulingGates")]
        found.setdefault(view.workload(pod), spell(gates))
    for ref, names in found.items():
        because = f"its pods are held back by {names}: look at the quota and the queue, the scheduler never saw them"
        yield Missing(need=f"the reason why {ref} waits", because=because, causes=("*",))


def remedy(finding: Finding, view: View) -> Remedy:
    """Which constraint to relax is the owner's choice: a slower or reserved GPU may be the price."""
    return Advice(
        text=f"add the matching toleration to {finding.subject}, or widen its selector or affinity to a list of GPU"
        " products; check first that the filtered nodes are not reserved on purpose"
    )
