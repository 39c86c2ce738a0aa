"""A pod waits for more GPUs on one node than any node has free, while together they have enough.

Pods with few GPUs each are spread over the nodes, and what they leave is in pieces that nothing large fits into.
Placing pods so that fewer such pieces come to be left up to 49 % fewer GPUs unallocated on a production trace of 6,200
(Weng et al., USENIX ATC 2023). Told apart from shortage (the pieces together are too few), from a request that no node
could ever take, from constraints (only nodes that may take the pod count) and from a cordon that hides a whole node.
Bar: waiting for 5 minutes.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.diagnoser import Survey, findings, undecided
from agent.analysis.judging import Judged
from agent.analysis.kinds import DEPLOYMENT, JOB, JOB_SET, NODE, POD, REPLICA_SET, STATEFUL_SET, TRAIN_JOB
from agent.analysis.signals.scheduling import waiting_pods, waiting_workloads, waits_since
from agent.analysis.view import View, once_per_view
from agent.types import Advice, Cause, Finding, Need, Objects, Query, Remedy
from tools.types import ResourceRef, ToolCall

CAUSE = Cause(
    id="U03",
    family="gpu",
    title="free GPUs are scattered in pieces too small for the pod that waits",
    severity="high",
    doc="Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent, ATC 2023;"
    " Kubernetes: Resource Bin Packing (NodeResourcesFit, MostAllocated)",
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
CONFIRMS = ("free_in_pieces",)
EXCLUDES = ("room_on_cordoned",)


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Workloads with a GPU pod that the scheduler has refused for long enough."""
    return waiting_workloads(view)


@once_per_view
def judge(view: View) -> list[Finding]:
    """Waiting workloads whose GPUs are free, but on no single node."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    return Finding(
        cause=CAUSE.id,
        title=f"{ref} waits for GPUs on one node; enough are free, but scattered",
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
    """Moving pods is a decision about somebody's running work; packing prevents the next time."""
    return Advice(
        text=f"move pods with few GPUs off one node so that {finding.subject} fits (their owners lose what they hold in"
        " memory), or split it over nodes; for the next time let the scheduler pack: NodeResourcesFit with"
        " scoringStrategy MostAllocated weighted on the GPU resource"
    )
