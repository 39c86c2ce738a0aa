"""Why a GPU pod waits although GPUs are free: taints, selectors, affinity, volumes; never mere shortage.

Sources: kube-scheduler filter plugins and the PodScheduled condition's message; bar of 5 minutes is a practice value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.analysis import placement
from agent.analysis.gpus import allocatable, free, gpu_nodes, gpu_pods, requested
from agent.analysis.readings import plural, reading, spell, unknown
from agent.analysis.records import Record
from agent.analysis.view import View
from agent.types import Reading
from tools import fields
from tools.types import EvidenceRef, ResourceRef

WAITING = 300.0
"""Seconds a pod must have waited."""
MESSAGE_FILTERS = (
    (re.compile(r"volume node affinity conflict|no available persistent volumes|had volume"), "its volume's zone"),
    (re.compile(r"didn't match pod (anti-)?affinity rules|didn't satisfy existing pods anti-affinity"), "pod affinity"),
    (re.compile(r"didn't match pod topology spread constraints"), "topology spread constraints"),
)  # fmt: skip
"""Filters that objects of the pod and the node alone do not decide, by the scheduler's own words."""


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


def waiting_pods(view: View, ref: ResourceRef) -> list[Record]:
    """GPU pods of the subject that the scheduler has refused for long enough."""
    members = {pod.ref.identity for pod in view.pods_of(ref)}
    return [p for p in gpu_pods(view) if p.ref.identity in members and unscheduled(view, p)]


def roomy_nodes(view: View, pod: Record) -> list[Record]:
    """Nodes that are not cordoned and have all the GPUs the pod asks for free."""
    asks, left = requested(pod), free(view)
    return [
        node
        for node in gpu_nodes(view)
        if not placement.cordoned(node)
        and all(left.get(node.ref.name, {}).get(name, 0.0) >= amount for name, amount in asks.items())
    ]


def _refusal(pod: Record, node: Record, message: str) -> Refusal | None:
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
    for pattern, why in MESSAGE_FILTERS:
        if pattern.search(message):
            return Refusal(node.ref.name, why, ())
    return None


def filtered_though_free(view: View, ref: ResourceRef) -> Reading:
    """Holds when nodes have the GPUs free and every one of them is ruled out by a constraint, not by resources."""
    name = "filtered_though_free"
    pods = waiting_pods(view, ref)
    if not pods:
        refs = [pod.cite("status", "phase") for pod in view.pods_of(ref)]
        return reading(name, "no GPU pod of it waits for a node", refs, holds=False)
    if not any(allocatable(node) for node in gpu_nodes(view)):
        return unknown(name, "GPU nodes: none could be read")
    pod = pods[0]
    index, message = unscheduled(view, pod) or (0, "")
    condition = pod.cite("status", "conditions", index, "message")
    roomy = roomy_nodes(view, pod)
    refusals = [_refusal(pod, node, message) for node in roomy]
    kept = [r for r in refusals if r is not None]
    if not roomy or len(kept) < len(roomy):
        why = "no node has its GPUs free" if not roomy else "some node passes every constraint: resources decide"
        return reading(name, why, [condition], holds=False)
    reasons = spell(sorted({r.why for r in kept}))
    waits = f"{pod.ref.name} waits" + (f" with {plural(len(pods) - 1, 'more pod')}" if len(pods) > 1 else "")
    text = f"{waits} although {plural(len(roomy), 'node')} have its GPUs free: {reasons}"
    refs = [condition, *dict.fromkeys(ref for r in kept[:3] for ref in r.refs)]
    refs += [node.cite("status", "allocatable") for node in roomy[:2]]
    return reading(name, text, refs, holds=True)


SIGNALS = {"filtered_though_free": filtered_though_free}
