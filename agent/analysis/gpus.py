"""GPUs as objects declare them: what a pod asks for, what a node has, what is free.

Extended resources only (device plugins); GPUs allocated through ResourceClaims are the business of DRA causes.
"""

from __future__ import annotations

import re
from collections import defaultdict

from agent.analysis import kinds, queries, requests
from agent.analysis.records import Record
from agent.analysis.requests import active
from agent.analysis.view import View
from tools import fields
from tools.types import JsonObject

GPU_RESOURCE = re.compile(r"(nvidia\.com/(gpu|gpu\.shared|mig-.+)|amd\.com/gpu|gpu\.intel\.com/(i915|xe))$")
"""Extended resources that are GPUs or slices of them (NVIDIA, AMD and Intel device plugins)."""


def _gpu_amounts(obj: JsonObject, *path: str) -> dict[str, float]:
    return {name: amount for name, amount in requests.amounts(obj, *path, only=GPU_RESOURCE.match).items() if amount}


def requested(pod: Record) -> dict[str, float]:
    """GPU resources a pod asks for, by resource name."""
    return {name: amount for name, amount in requests.requested(pod, GPU_RESOURCE.match).items() if amount}


def gpu_count(pod: Record) -> float:
    """GPUs (or slices) a pod asks for in all."""
    return sum(requested(pod).values())


def gpu_container(pod: Record) -> str:
    """Name of the first container that asks for GPUs, "" when none does: whose log tells what the GPUs wait for."""
    for container in pod.items("spec", "containers"):
        if _gpu_amounts(container, "resources", "limits"):
            return fields.text(container, "name")
    return ""


def gpu_pods(view: View) -> list[Record]:
    """Live pods that ask for GPUs."""
    pods = view.objects(kinds.POD)
    return view.once(("gpu_pods",), lambda: [pod for pod in pods if active(pod) and gpu_count(pod) > 0])


def running_gpu_pods(view: View) -> list[Record]:
    """GPU pods in phase Running that are not being deleted."""
    return [
        pod
        for pod in gpu_pods(view)
        if pod.text("status", "phase") == "Running" and not pod.text("metadata", "deletionTimestamp")
    ]


def claiming_pods(view: View) -> list[Record]:
    """Running pods that hold devices by ResourceClaims (dynamic resource allocation); `gpu_count` does not see them."""
    return [
        pod
        for pod in view.objects(kinds.POD)
        if pod.text("status", "phase") == "Running" and pod.items("spec", "resourceClaims")
    ]


def allocatable(node: Record) -> dict[str, float]:
    """GPU resources a node offers."""
    return _gpus_of(node, "allocatable")


def _gpus_of(node: Record, which: str) -> dict[str, float]:
    return _gpu_amounts(node.data, "status", which)


def gpu_nodes(view: View) -> list[Record]:
    """Nodes that have, or should have, GPUs."""
    nodes = view.objects(kinds.NODE)
    return view.once(("gpu_nodes",), lambda: [n for n in nodes if allocatable(n) or _gpus_of(n, "capacity")])


def free(view: View) -> dict[str, dict[str, float]] | None:
    """As `_free`, worked out once per view."""
    return view.once(("free_gpus",), lambda: _free(view))


def _free(view: View) -> dict[str, dict[str, float]] | None:
    """Node name → GPU resource → allocatable minus what live pods on it ask for (never below zero).

    Where only some namespaces were read, kube-state-metrics says what the pods of all hold; None where it cannot.
    """
    whole = view.scope.namespaces is None and view.scope.permitted is None
    held = _held_by_pods(view) if whole else _held_by_series(view)
    if held is None:
        return None
    return {
        node.ref.name: {
            name: max(0.0, amount - held.get((node.ref.name, sanitized(name)), 0.0))
            for name, amount in allocatable(node).items()
        }
        for node in gpu_nodes(view)
    }


def _held_by_pods(view: View) -> dict[tuple[str, str], float]:
    held: dict[tuple[str, str], float] = defaultdict(float)
    for pod in gpu_pods(view):
        for name, amount in requested(pod).items():
            held[(pod.text("spec", "nodeName"), sanitized(name))] += amount
    return held


def _held_by_series(view: View) -> dict[tuple[str, str], float] | None:
    if view.state(queries.GPU_REQUESTED_BY_NODE) != "ok":
        return None
    rows = view.rows(queries.GPU_REQUESTED_BY_NODE)
    return {(row.label("node"), row.label("resource")): row.value or 0.0 for row in rows}


def sanitized(resource: str) -> str:
    """A resource name as kube-state-metrics writes it in a label."""
    return re.sub(r"[^A-Za-z0-9_]", "_", resource)
