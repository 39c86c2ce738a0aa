"""Why free GPUs are of no use to a pod that waits: on cordoned nodes, without CPU or memory beside them, in pieces.

Sources: kube-scheduler's filters NodeUnschedulable and NodeResourcesFit; "Beware of Fragmentation: Scheduling
GPU-Sharing Workloads with Fragmentation Gradient Descent" (USENIX ATC 2023) for free GPUs that no task fits.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.analysis import placement, queries, requests
from agent.analysis.gpus import GPU_RESOURCE, allocatable, free, gpu_nodes, requested
from agent.analysis.readings import absent, amount, reading, spell
from agent.analysis.records import Record
from agent.analysis.signals.scheduling import refusal, waiting, witnesses
from agent.analysis.view import View
from agent.types import Reading
from tools.types import ResourceRef

UNITS = {"cpu": ("cores", 1.0), "memory": ("GiB", 2.0**30), "ephemeral-storage": ("GiB of ephemeral storage", 2.0**30)}
"""Resource → how amounts of it are worded, and what one of these is in its base unit."""


def _quantity(resource: str, value: float) -> str:
    words, unit = UNITS.get(resource, (resource, 1.0))
    return f"{amount(max(0.0, value) / unit)} {words}"


def cordoned_with_room(view: View, pod: Record) -> list[Record]:
    """Cordoned nodes, in order otherwise, that have the pod's GPUs free and that no other constraint keeps it off."""
    asks, rest = requested(pod), free(view) or {}
    return [
        node
        for node in gpu_nodes(view)
        if placement.cordoned(node)
        and all(rest.get(node.ref.name, {}).get(name, 0.0) >= wanted for name, wanted in asks.items())
        and refusal(pod, node) is None
    ]


def room_on_cordoned(view: View, ref: ResourceRef) -> Reading:
    """Holds when only cordoned nodes have the GPUs free that a pod of the subject waits for."""
    name = "room_on_cordoned"
    wait = waiting(view, ref, name)
    if isinstance(wait, Reading):
        return wait
    if wait.roomy:
        in_service = spell([node.ref.name for node in wait.roomy])
        return reading(name, f"GPUs for it are free in service: {in_service}", [wait.condition], holds=False)
    nodes = cordoned_with_room(view, wait.pod)
    if not nodes:
        return reading(name, "no cordoned node would take it", [wait.condition], holds=False)
    are = "is" if len(nodes) == 1 else "are"
    text = f"{wait.text}, free only on {spell([node.ref.name for node in nodes])}, which {are} cordoned"
    refs = [wait.condition, *witnesses(view, wait.pod, nodes)[:1]]
    for node in nodes[:3]:
        refs += [node.cite("spec", "unschedulable"), node.cite("status", "allocatable")]
    return reading(name, text, refs, holds=True)


def shortages(view: View, pod: Record, node: Record) -> Iterator[tuple[str, float, float]]:
    """(resource, what the pod asks, what is left) of each resource but GPUs that a node has too little of."""
    rest = (requests.left(view) or {}).get(node.ref.name, {})
    for name, wanted in sorted(requests.requested(pod).items()):
        if not GPU_RESOURCE.match(name) and wanted > rest.get(name, 0.0):
            yield name, wanted, rest.get(name, 0.0)


def short_of_cpu_or_memory(view: View, ref: ResourceRef) -> Reading:
    """Holds when every node that has the GPUs free for a waiting pod, and may take it, is short of something else."""
    name = "short_of_cpu_or_memory"
    wait = waiting(view, ref, name)
    if isinstance(wait, Reading):
        return wait
    nodes = [node for node in wait.roomy if refusal(wait.pod, node) is None]
    if not nodes:
        return reading(name, "no node that may take it has its GPUs free", [wait.condition], holds=False)
    if requests.left(view) is None:
        return absent(name, view, queries.REQUESTED_BY_NODE)
    lacking = {node.ref.name: list(shortages(view, wait.pod, node)) for node in nodes}
    if not all(lacking.values()):
        fits = spell([node for node, lacks in lacking.items() if not lacks])
        return reading(name, f"{fits} has room for all that it asks", [wait.condition], holds=False)
    short = [f"{_quantity(what, rest)} on {node}" for node, ((what, _, rest), *_) in lacking.items()]
    asked = {_quantity(what, wanted): None for (what, wanted, _), *_ in lacking.values()}
    text = (
        f"{wait.text}, free on {spell(list(lacking))}, and for {' and '.join(asked)}, of which are left {spell(short)}"
    )
    refs = [wait.condition, wait.pod.cite("spec", "containers"), *witnesses(view, wait.pod, nodes)[:1]]
    return reading(name, text, [*refs, *(node.cite("status", "allocatable") for node in nodes[:3])], holds=True)


def free_in_pieces(view: View, ref: ResourceRef) -> Reading:
    """Holds when the nodes that may take a waiting pod have its GPUs free together, and none of them alone."""
    name = "free_in_pieces"
    wait = waiting(view, ref, name)
    if isinstance(wait, Reading):
        return wait
    if wait.roomy:
        nodes = spell([node.ref.name for node in wait.roomy])
        return reading(name, f"all the GPUs it asks for are free on one node: {nodes}", [wait.condition], holds=False)
    pod, rest = wait.pod, free(view) or {}
    usable = [n for n in gpu_nodes(view) if not placement.out_of_service(pod, n) and refusal(pod, n) is None]
    for resource, wanted in sorted(requested(pod).items()):
        pieces = {node.ref.name: rest.get(node.ref.name, {}).get(resource, 0.0) for node in usable}
        held = sorted((node for node in usable if pieces[node.ref.name]), key=lambda node: -pieces[node.ref.name])
        total = sum(pieces.values())
        refs = [wait.condition, *(node.cite("status", "allocatable") for node in held[:4])]
        if total < wanted:
            short = (
                f"nodes that may take it have {amount(total)} {resource} free in all, of the {amount(wanted)} it asks"
            )
            return reading(name, short, refs, holds=False)
        if not any(allocatable(node).get(resource, 0.0) >= wanted for node in usable):
            return reading(name, f"no node has {amount(wanted)} {resource} at all", refs, holds=False)
        if max(pieces.values()) < wanted:
            parts = spell([f"{amount(pieces[node.ref.name])} on {node.ref.name}" for node in held])
            text = f"{wait.text} on one node: {amount(total)} {resource} are free, {parts}, and none has them all"
            return reading(name, text, [*refs, *witnesses(view, pod, held)[:1]], holds=True)
    return reading(name, "each of its resources is free on some node", [wait.condition], holds=False)


SIGNALS = {
    "room_on_cordoned": room_on_cordoned,
    "short_of_cpu_or_memory": short_of_cpu_or_memory,
    "free_in_pieces": free_in_pieces,
}
WHY_WAITING = frozenset({"filtered_though_free", *SIGNALS})
"""Signals that tell why a GPU pod waits."""
