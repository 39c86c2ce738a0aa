"""What pods ask of a node in all, and what the pods on a node leave of it.

Source: Kubernetes documentation, "Resource Management for Pods and Containers" (requests, limits, pod overhead),
"Sidecar Containers" and "Init Containers" (effective request of a pod), "Assign Pod-level CPU and memory resources".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from agent.analysis import kinds, queries
from agent.analysis.records import Record
from agent.analysis.view import View
from tools import fields
from tools.types import JsonObject

Chosen = Callable[[str], object]
"""Which resources count, by their names."""
TERMINAL = ("Succeeded", "Failed")


def active(pod: Record) -> bool:
    """True while a pod counts against its node: not Succeeded, not Failed."""
    return pod.text("status", "phase") not in TERMINAL


def amounts(obj: JsonObject, *path: str, only: Chosen | None = None) -> dict[str, float]:
    """A map of quantities, in base units, of the resources chosen; what is no quantity is left out."""
    held = fields.mapping(obj, *path)  # ten thousand pods are read so: what is not chosen costs a look at its name
    read = {
        name: fields.quantity(value)
        for name, value in held.items()
        if (only is None or only(name)) and isinstance(value, str)
    }
    return {name: amount for name, amount in read.items() if amount is not None}


def _asked(obj: JsonObject, only: Chosen | None) -> dict[str, float]:
    """Requests; a limit stands for a request that is not given."""
    if not isinstance(given := obj.get("resources"), dict):
        return {}
    return amounts(given, "limits", only=only) | amounts(given, "requests", only=only)


def _sum(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for part in parts:
        for name, amount in part.items():
            total[name] += amount
    return dict(total)


def requested(pod: Record, only: Chosen | None = None) -> dict[str, float]:
    """What the scheduler reserves for a pod, by resource name in base units (cores, bytes, devices).

    The larger of its containers with their sidecars, and of each init container with the sidecars started before it;
    requests of the pod as a whole stand for both; overhead comes on top.
    """
    sidecars: list[dict[str, float]] = []
    largest: dict[str, float] = {}
    for container in pod.items("spec", "initContainers"):
        own = _asked(container, only)
        largest = _max(largest, _sum([*sidecars, own]))
        if fields.text(container, "restartPolicy") == "Always":
            sidecars.append(own)
    running = _sum([*sidecars, *(own for one in pod.items("spec", "containers") if (own := _asked(one, only)))])
    spec = fields.mapping(pod.data, "spec")
    whole = (_max(largest, running) if largest else running) | _asked(spec, only)
    return _sum([whole, amounts(spec, "overhead", only=only)]) if "overhead" in spec else whole


def _max(left: dict[str, float], right: dict[str, float]) -> dict[str, float]:
    return {name: max(left.get(name, 0.0), right.get(name, 0.0)) for name in left | right}


def left(view: View) -> dict[str, dict[str, float]] | None:
    """Node name → resource → allocatable minus what live pods on it ask for.

    Where only some namespaces were read, kube-state-metrics says what the pods of all ask of CPU and memory (of their
    containers only, so that nothing looks scarcer than it is); None where it cannot.
    """
    if view.scope.namespaces is None and view.scope.permitted is None:
        return view.once(("left_on_nodes",), lambda: _left(view))
    if view.state(queries.REQUESTED_BY_NODE) != "ok":
        return None
    rest = _allocatable(view)
    for row in view.rows(queries.REQUESTED_BY_NODE):
        on = rest.get(row.label("node"), {})
        if row.label("resource") in on:
            on[row.label("resource")] -= row.value or 0.0
    return rest


def _allocatable(view: View) -> dict[str, dict[str, float]]:
    return {node.ref.name: amounts(node.data, "status", "allocatable") for node in view.objects(kinds.NODE)}


def _left(view: View) -> dict[str, dict[str, float]]:
    rest = _allocatable(view)
    for pod in view.objects(kinds.POD):
        on = rest.get(pod.text("spec", "nodeName"))
        if on is None or not active(pod):
            continue
        for name, amount in requested(pod).items():
            if name in on:
                on[name] -= amount
    return rest
