"""Why a GPU pod waits although GPUs are free: taints, selectors, affinity, volumes; never mere shortage.

Sources: kube-scheduler filter plugins and the PodScheduled condition's message; bar of 5 minutes is a practice value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.analysis import placement, queries
from agent.analysis.gpus import allocatable, free, gpu_nodes, gpu_pods, requested, sanitized
from agent.analysis.readings import absent, amount, plural, reading, spell, unknown
from agent.analysis.records import Record
from agent.analysis.view import View
from agent.types import Reading
from tools import fields
from tools.types import EvidenceRef, ResourceRef

WAITING = 300.0
"""Seconds a pod must have waited."""
MESSAGE_FILTERS = (
    (re.compile(r"(\d+) node\(s\) (?:had volume node affinity conflict|didn't find available persistent volumes)"),
     "its volume's zone"),
    (re.compile(r"(\d+) node\(s\) (?:didn't match pod (?:anti-)?affinity|didn't satisfy existing pods anti-affinity)"),
     "pod affinity"),
    (re.compile(r"(\d+) node\(s\) didn't match pod topology spread constraints"), "topology spread constraints"),
)  # fmt: skip
"""Filters that objects of the pod and the node alone do not decide, by the scheduler's own words and node counts."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a node with enough free GPUs does not take the pod, with where that stands."""

    node: str
    why: str
    refs: tuple[EvidenceRef, ...]


def unscheduled(view: View, pod: Record) -> tuple[int, str] | None:
    """(index, message) of the PodScheduled=False condition of a pod that has waited long enough, else None."""
    created = pod.created
    if created is None or view.now - created < WAITING or pod.text("spec", "nodeName"):
        return None
    for index, condition in enumerate(pod.items("status", "conditions")):
        is_scheduled = fields.text(condition, "type") == "PodScheduled"
        if is_scheduled and fields.text(condition, "status") == "False":
            if fields.text(condition, "reason") != "Unschedulable":
                return None
            return index, fields.text(condition, "message")
    return None


def gated_pods(view: View) -> list[Record]:
    """GPU pods that a controller holds back from the scheduler by scheduling gates, for long enough."""
    return [
        pod
        for pod in gpu_pods(view)
        if pod.items("spec", "schedulingGates") and view.now - (pod.created or view.now) >= WAITING
    ]


def waiting_pods(view: View, ref: ResourceRef) -> list[Record]:
    """GPU pods of the subject that the scheduler has refused for long enough."""
    members = {pod.ref.identity for pod in view.pods_of(ref)}
    return [p for p in gpu_pods(view) if p.ref.identity in members and unscheduled(view, p)]


def roomy_nodes(view: View, pod: Record) -> list[Record] | None:
    """Nodes in service that have all the GPUs the pod asks for free; None where that cannot be told."""
    asks, left = requested(pod), free(view)
    if left is None:
        return None
    return [
        node
        for node in gpu_nodes(view)
        if not placement.out_of_service(pod, node)
        and all(left.get(node.ref.name, {}).get(name, 0.0) >= amount for name, amount in asks.items())
    ]


def refusal(pod: Record, node: Record) -> Refusal | None:
    """The taint or selector by which a node refuses a pod, or None when it passes both."""
    taints = placement.untolerated(pod, node)
    if taints:
        index, taint = taints[0]
        key, value = fields.text(taint, "key"), fields.text(taint, "value")
        why = f"taint {key}={value}:{fields.text(taint, 'effect')}" if value else f"taint {key}"
        return Refusal(node.ref.name, why, (node.cite("spec", "taints", index, "key"),))
    failed = placement.refused_selector(pod, node)
    if failed:
        path = ("spec", "nodeSelector") if "=" in failed else ("spec", "affinity", "nodeAffinity")
        return Refusal(node.ref.name, f"selector {failed}", (pod.cite(*path), node.cite("metadata", "labels")))
    return None


def _by_message(message: str, nodes: list[Record]) -> dict[str, Refusal]:
    """Refusals that only the scheduler's message tells; none unless it refused at least that many nodes so."""
    counted = [(int(m[1]), why) for pattern, why in MESSAGE_FILTERS for m in pattern.finditer(message)]
    if not nodes or sum(count for count, _ in counted) < len(nodes):
        return {}
    why = " or ".join(dict.fromkeys(why for _, why in counted))
    return {node.ref.name: Refusal(node.ref.name, why, ()) for node in nodes}


@dataclass(frozen=True, slots=True)
class Wait:
    """A pod that waits, the nodes in service with room for it, and the scheduler's words about it."""

    pod: Record
    roomy: list[Record]
    message: str
    condition: EvidenceRef
    text: str
    """`distill-0 has waited 70 min for 4 GPUs`."""


def waiting(view: View, ref: ResourceRef, signal: str) -> Wait | Reading:
    """The first pod of the subject that waits, or the reading of `signal` where none does or it cannot be told."""
    pods = waiting_pods(view, ref)
    if not pods:
        refs = [pod.cite("status", "phase") for pod in view.pods_of(ref)]
        return reading(signal, "no GPU pod of it waits for a node", refs, holds=False)
    if not any(allocatable(node) for node in gpu_nodes(view)):
        return unknown(signal, "GPU nodes: none could be read")
    pod = pods[0]
    roomy = roomy_nodes(view, pod)
    if roomy is None:
        return absent(signal, view, queries.GPU_REQUESTED_BY_NODE)
    index, message = unscheduled(view, pod) or (0, "")
    condition = pod.cite("status", "conditions", index, "message")
    text = f"{pod.ref.name} has waited {(view.now - (pod.created or view.now)) / 60:.0f} min"
    text += f", with {plural(len(pods) - 1, 'more pod')}," if len(pods) > 1 else ""
    return Wait(pod, roomy, message, condition, f"{text} for {plural(sum(requested(pod).values()), 'GPU')}")


def witnesses(view: View, pod: Record, nodes: Sequence[Record]) -> list[EvidenceRef]:
    """The series of kube-state-metrics that agree with the pods read about what is held on these nodes."""
    left, asks = free(view) or {}, requested(pod)
    rows = {(row.label("node"), row.label("resource")): row for row in view.rows(queries.GPU_REQUESTED_BY_NODE)}
    return [
        row.cite()
        for node in nodes
        for name in asks
        if (row := rows.get((node.ref.name, sanitized(name)))) is not None and row.value is not None
        if allocatable(node).get(name, 0.0) - row.value == left.get(node.ref.name, {}).get(name)
    ]


def waiting_workloads(view: View) -> list[ResourceRef]:
    """Workloads with a GPU pod that the scheduler has refused for long enough."""
    refs = (view.workload(pod) for pod in gpu_pods(view) if unscheduled(view, pod))
    return list({ref.identity: ref for ref in refs}.values())


def waits_since(view: View, ref: ResourceRef) -> float | None:
    """When the first of the subject's waiting pods was made, Unix seconds."""
    return min((pod.created for pod in waiting_pods(view, ref) if pod.created is not None), default=None)


def filtered_though_free(view: View, ref: ResourceRef) -> Reading:
    """Holds when nodes have the GPUs free and every one of them is ruled out by a constraint, not by resources."""
    name = "filtered_though_free"
    wait = waiting(view, ref, name)
    if isinstance(wait, Reading):
        return wait
    pod, roomy, message, condition = wait.pod, wait.roomy, wait.message, wait.condition
    refusals = _refusals(pod, roomy, message)
    kept = [r for r in refusals if r is not None]
    if not roomy or len(kept) < len(roomy):
        wanted = amount(sum(requested(pod).values()))
        why = f"no node in service has the {wanted} GPUs free that it asks for"
        if roomy:
            passing = _passing(roomy, refusals)
            verb = "has its GPUs free and passes" if len(passing) == 1 else "have its GPUs free and pass"
            why = f"{spell(passing)} {verb} every constraint checked here"
        return reading(name, why, [condition], holds=False)
    reasons = spell(sorted({r.why for r in kept}))
    text = f"{wait.text} free on {spell([node.ref.name for node in roomy])}, kept off by {reasons}"
    refs = [condition, *dict.fromkeys(ref for r in kept[:3] for ref in r.refs)]
    refs += [*(node.cite("status", "allocatable") for node in roomy[:2]), *witnesses(view, pod, roomy)[:1]]
    return reading(name, text, refs, holds=True)


def _refusals(pod: Record, nodes: list[Record], message: str) -> list[Refusal | None]:
    own = [refusal(pod, node) for node in nodes]
    told = _by_message(message, [node for node, refusal in zip(nodes, own, strict=True) if refusal is None])
    return [refusal or told.get(node.ref.name) for node, refusal in zip(nodes, own, strict=True)]


def _passing(roomy: list[Record], refusals: list[Refusal | None]) -> list[str]:
    return [node.ref.name for node, refusal in zip(roomy, refusals, strict=True) if refusal is None]


SIGNALS = {"filtered_though_free": filtered_though_free}
