"""GPUs as objects declare them: what a pod asks for, what a node has, what is free.

Extended resources only (device plugins); GPUs allocated through ResourceClaims are the business of DRA causes.
"""

from __future__ import annotations

import re
from collections import defaultdict

from agent.analysis import kinds
from agent.analysis.records import Record
from agent.analysis.view import View
from tools import fields
from tools.types import JsonObject

GPU_RESOURCE = re.compile(r"(nvidia\.com/(gpu|gpu\.shared|mig-.+)|amd\.com/gpu|gpu\.intel\.com/(i915|xe))$")
"""Extended resources that are GPUs or slices of them (NVIDIA, AMD and Intel device plugins)."""
TERMINAL = ("Succeeded", "Failed")


def _gpu_amounts(obj: JsonObject, *path: str) -> dict[str, float]:
    out: dict[str, float] = {}
    for name, text in fields.strings(obj, *path).items():
        amount = fields.quantity(text) if GPU_RESOURCE.match(name) else None
        if amount:
            out[name] = amount
    return out


def requested(pod: Record) -> dict[str, float]:
    """GPU resources a pod asks for, by resource name: the sum over containers, or its largest init container."""
    total: dict[str, float] = defaultdict(float)
    for container in pod.items("spec", "containers"):
        merged = _gpu_amounts(container, "resources", "limits") | _gpu_amounts(container, "resources", "requests")
        for name, amount in merged.items():
            total[name] += amount
    for container in pod.items("spec", "initContainers"):
        for name, amount in _gpu_amounts(container, "resources", "limits").items():
            total[name] = max(total[name], amount)
    return dict(total)


def gpu_count(pod: Record) -> float:
    """GPUs (or slices) a pod asks for in all."""
    return sum(requested(pod).values())


def active(pod: Record) -> bool:
    """True while a pod counts against its node: not Succeeded, not Failed."""
    return pod.text("status", "phase") not in TERMINAL


def gpu_pods(view: View) -> list[Record]:
    """Live pods that ask for GPUs."""
    return [pod for pod in view.objects(kinds.POD) if active(pod) and gpu_count(pod) > 0]


def running_gpu_pods(view: View) -> list[Record]:
    """GPU pods in phase Running that are not being deleted."""
    return [
        pod
        for pod in gpu_pods(view)
        if pod.text("status", "phase") == "Running" and not pod.text("metadata", "deletionTimestamp")
    ]


def allocatable(node: Record) -> dict[str, float]:
    """GPU resources a node offers."""
    return _gpu_amounts(node.data, "status", "allocatable")


def gpu_nodes(view: View) -> list[Record]:
    """Nodes that have, or should have, GPUs."""
    return [n for n in view.objects(kinds.NODE) if allocatable(n) or _gpu_amounts(n.data, "status", "capacity")]


def free(view: View) -> dict[str, dict[str, float]]:
    """Node name → GPU resource → allocatable minus what live pods on it ask for (never below zero)."""
    left = {node.ref.name: allocatable(node) for node in gpu_nodes(view)}
    for pod in gpu_pods(view):
        node = left.get(pod.text("spec", "nodeName"))
        if node is None:
            continue
        for name, amount in requested(pod).items():
            node[name] = max(0.0, node.get(name, 0.0) - amount)
    return left
