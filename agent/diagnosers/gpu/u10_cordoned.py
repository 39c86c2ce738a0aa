"""GPUs that pods wait for are free on cordoned nodes only.

A cordon keeps new pods off a node: set for an upgrade, a repair or a test, and easily forgotten. Told apart from
constraints (a node in service has room), from shortage and fragmentation (no cordoned node would take the pod either)
and from a broken node (a fault on its GPUs explains the cordon). Whether it is planned is said by the driver upgrade's
label, which NVIDIA's GPU operator keeps. Bar: pods waiting for 5 minutes; a cordon of a day is taken for forgotten.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.diagnoser import Survey, findings, undecided
from agent.analysis.judging import Judged
from agent.analysis.kinds import DEPLOYMENT, JOB, JOB_SET, NODE, POD, REPLICA_SET, STATEFUL_SET, TRAIN_JOB
from agent.analysis.placement import CORDON
from agent.analysis.records import Record
from agent.analysis.signals.room import cordoned_with_room
from agent.analysis.signals.scheduling import waiting_pods, waiting_workloads, waits_since
from agent.analysis.view import View, claim, once_per_view
from agent.types import Advice, Cause, Finding, LiveChange, Need, Objects, Query, Remedy
from tools import fields
from tools.types import ResourceRef, ToolCall

CAUSE = Cause(
    id="U10",
    family="gpu",
    title="the GPUs that pods wait for are free on cordoned nodes only",
    severity="high",
    doc="Kubernetes: Safely Drain a Node; NVIDIA GPU Operator: GPU Driver Upgrades",
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
CONFIRMS = ("room_on_cordoned",)
EXCLUDES: tuple[str, ...] = ()
UPGRADE = "nvidia.com/gpu-driver-upgrade-state"
DONE = ("", "upgrade-done")
FORGOTTEN = 86_400.0
"""Seconds after which a cordon outside any upgrade is taken for forgotten: a practice value."""


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Workloads with a GPU pod that the scheduler has refused for long enough."""
    return waiting_workloads(view)


@once_per_view
def judge(view: View) -> list[Finding]:
    """Waiting workloads that only cordoned nodes have room for."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _nodes(view: View, ref: ResourceRef) -> list[Record]:
    return [node for pod in waiting_pods(view, ref)[:1] for node in cordoned_with_room(view, pod)]


def cordoned_at(node: Record) -> float | None:
    """When a node was cordoned, by the taint the node controller sets; None where it does not say."""
    found = [one for one in node.items("spec", "taints") if fields.text(one, "key") == CORDON]
    return fields.timestamp(found[0].get("timeAdded")) if found else None


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    nodes = _nodes(view, ref)
    begun = [at for node in nodes if (at := cordoned_at(node)) is not None]
    states = [
        claim(f"{node.ref.name} is in an upgrade: {node.labels[UPGRADE]}", node.cite("metadata", "labels", UPGRADE))
        for node in nodes[:2]
        if node.labels.get(UPGRADE, "") not in DONE
    ]
    return Finding(
        cause=CAUSE.id,
        title=f"{ref} waits for GPUs that only cordoned nodes have free",
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=(*result.claims, *states),
        affects=(ref, *(node.ref for node in nodes), *(pod.ref for pod in waiting_pods(view, ref)[:32])),
        since=min(begun) if len(begun) == len(nodes) else waits_since(view, ref),
    )


def follow(view: View) -> list[ToolCall]:
    """The nodes' own events: who cordoned them, and for what."""
    nodes = {node.ref.name: None for ref in subjects(view)[:2] for node in _nodes(view, ref)[:2]}
    return [
        ToolCall(tool="list_events", args={"kind": "Node", "name": name}, reason=f"why {name} is cordoned")
        for name in nodes
    ]


def survey(view: View) -> Survey:
    """What could not be told of a workload that waits."""
    return Survey(missing=undecided(view, subjects(view), CONFIRMS, CAUSE.id))


def remedy(finding: Finding, view: View) -> Remedy:
    """A cordon outside an upgrade that is a day old is lifted; a younger one has somebody to ask."""
    nodes = _nodes(view, finding.subject)
    idle = [
        node
        for node in nodes
        if node.labels.get(UPGRADE, "") in DONE and view.now - (cordoned_at(node) or view.now) >= FORGOTTEN
    ]
    if idle:
        return LiveChange(name="uncordon", args={"name": idle[0].ref.name})
    names = ", ".join(node.ref.name for node in nodes[:3]) or "the node"
    return Advice(text=f"ask whoever cordoned {names} whether the work is done, test its GPUs, then uncordon it")
