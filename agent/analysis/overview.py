"""The cluster, or the part that was asked about, at a glance: GPUs, use, nodes, pods, workloads.

Rules: only what the evidence holds whole (nothing is counted from a denied or truncated listing); every number is a
value in evidence or a Fact over values; a total of more than FACT_INPUTS values is left out, not estimated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice

from agent.analysis import kinds, queries
from agent.analysis.gpus import GPU_RESOURCE, allocatable, gpu_nodes, gpu_pods, running_gpu_pods
from agent.analysis.readings import MANY, amount, percent, plural, spell
from agent.analysis.records import Record
from agent.analysis.view import View, claim
from agent.types import Claim
from tools import fields
from tools.types import EvidenceRef, KindRef, NamedQuery

FACT_INPUTS = 2048
"""Values up to which a total is worked out; a Fact keeps each of its inputs, 70 bytes and 15 µs apiece."""
WHOLE = ("ok", "absent")
WORKLOADS = (
    kinds.DEPLOYMENT,
    kinds.STATEFUL_SET,
    kinds.DAEMON_SET,
    kinds.JOB,
    kinds.JOB_SET,
    kinds.TRAIN_JOB,
    kinds.INFERENCE_SERVICE,
    kinds.NOTEBOOK,
)
"""Kinds counted, where they were read."""
FAILING = (
    "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError",
)  # fmt: skip
"""Waiting reasons of the kubelet that do not pass by themselves."""


def overview(view: View) -> list[Claim]:
    """GPUs first, then their use, nodes, pods, workloads; nothing about what was not read."""
    lines = [_gpus(view), _use(view), *_nodes(view), _pods(view), _failing(view), _workloads(view)]
    return [line for line in lines if line is not None]


# --- shared with the other summaries -----------------------------------------------------------------------


def total(view: View, name: str, function: str, refs: Iterable[EvidenceRef], unit: str) -> EvidenceRef | None:
    """A Fact over the values at `refs`; None without any, or with more than FACT_INPUTS (no more are looked at)."""
    inputs = list(islice(refs, FACT_INPUTS + 1))
    return view.fact(name, function, inputs, unit) if 0 < len(inputs) <= FACT_INPUTS else None


def value(ref: EvidenceRef | None) -> float | None:
    """The number a reference to a Fact quotes."""
    return ref.value if ref is not None and isinstance(ref.value, float) else None


def asked_pods(view: View, pods: Iterable[Record]) -> list[Record]:
    """The pods of those that the scope is about."""
    scope = view.scope
    if scope.subject is not None:
        ours = {pod.ref.identity for pod in view.pods_of(scope.subject)}
        return [pod for pod in pods if pod.ref.identity in ours]
    return [
        pod
        for pod in pods
        if (scope.namespaces is None or pod.ref.namespace in scope.namespaces)
        and (scope.node is None or pod.text("spec", "nodeName") == scope.node)
    ]


def gpu_refs(pod: Record) -> list[EvidenceRef]:
    """References to the GPU amounts that `gpus.requested` adds up (or takes from a larger init container)."""
    refs: dict[str, list[EvidenceRef]] = defaultdict(list)
    sums: dict[str, float] = defaultdict(float)
    for index, container in enumerate(pod.items("spec", "containers")):
        for name, (section, count) in _amounts(container, ("limits", "requests")).items():
            refs[name].append(pod.cite("spec", "containers", index, "resources", section, name))
            sums[name] += count
    for index, container in enumerate(pod.items("spec", "initContainers")):
        for name, (section, count) in _amounts(container, ("limits",)).items():
            if count > sums[name]:
                refs[name] = [pod.cite("spec", "initContainers", index, "resources", section, name)]
                sums[name] = count
    return [ref for name in sorted(refs) for ref in refs[name]]


def _amounts(container: fields.JsonValue, sections: tuple[str, ...]) -> dict[str, tuple[str, float]]:
    found: dict[str, tuple[str, float]] = {}
    for section in sections:
        for name, text in fields.strings(container, "resources", section).items():
            count = fields.quantity(text) if GPU_RESOURCE.match(name) else None
            if count:
                found[name] = (section, count)
    return found


def whole(view: View, *needs: KindRef | NamedQuery) -> bool:
    """True when all of these were read, and read to the end."""
    return all(view.state(need) in WHOLE for need in needs)


# --- the lines ---------------------------------------------------------------------------------------------


def _gpus(view: View) -> Claim | None:
    """GPUs offered, requested and free; in a narrower scope, requested only."""
    held: EvidenceRef | None = None
    if whole(view, kinds.POD):
        placed = [pod for pod in asked_pods(view, gpu_pods(view)) if pod.text("spec", "nodeName")]
        held = total(view, "GPUs requested by placed pods", "sum", (r for p in placed for r in gpu_refs(p)), "GPUs")
    taken = value(held) or 0.0
    nodes = [node for node in gpu_nodes(view) if view.scope.node in (None, node.ref.name)]
    narrow = view.scope.namespaces is not None or view.scope.subject is not None
    if narrow or not nodes or not whole(view, kinds.NODE):
        return claim(f"{plural(taken, 'GPU')} requested by placed pods in {view.scope.asked}", held) if held else None
    refs = [node.cite("status", "allocatable", name) for node in nodes for name in allocatable(node)]
    offered = total(view, "GPUs allocatable", "sum", refs, "GPUs")
    count = total(view, "GPU nodes", "count", (node.cite("metadata", "name") for node in nodes), "nodes")
    if offered is None or count is None:
        return None
    text = f"{plural(value(offered) or 0.0, 'GPU')} allocatable on {plural(value(count) or 0.0, 'node')}"
    if held is None:
        return claim(text, offered, count)
    free = view.fact("GPUs free", "difference", [offered, held], "GPUs")
    left = f", {amount(value(free) or 0.0)} free" if free else ""
    return claim(f"{text}: {amount(taken)} requested by placed pods{left}", offered, count, held, free)


def _use(view: View) -> Claim | None:
    """Mean busy share: of the fleet's nodes, and of the GPU pods asked about."""
    parts: list[str] = []
    refs: list[EvidenceRef] = []
    fleet = [row for row in view.rows(queries.GPU_BUSY_FLEET) if view.scope.node in (None, row.label("node"))]
    by_node = total(view, "mean busy share by node", "mean", (row.cite() for row in fleet), "share of time busy")
    if by_node is not None and view.scope.namespaces is None and view.scope.subject is None:
        parts.append(f"GPUs are {percent(value(by_node) or 0.0)} busy on average over nodes in 30 min")
        refs.append(by_node)
    rows = view.rows_for(queries.GPU_BUSY_MEAN, asked_pods(view, running_gpu_pods(view)))
    by_pod = total(view, "mean busy share of GPU pods", "mean", (row.cite() for row in rows), "share of time busy")
    if by_pod is not None:
        parts.append(f"GPU pods are {percent(value(by_pod) or 0.0)} busy on average in 30 min")
        refs.append(by_pod)
    return claim("; ".join(parts), *refs) if refs else None


def _nodes(view: View) -> list[Claim]:
    """Nodes that are Ready, that are not, and that are cordoned."""
    scope = view.scope
    if scope.namespaces is not None or scope.subject is not None or not whole(view, kinds.NODE):
        return []
    nodes = [node for node in view.objects(kinds.NODE) if scope.node in (None, node.ref.name)]
    states = {node.ref.name: _readiness(node) for node in nodes}
    ready = [ref for ref in states.values() if ref.value == "True"]
    bad = {name: ref for name, ref in states.items() if ref.value != "True"}
    all_nodes = total(view, "nodes", "count", (node.cite("metadata", "name") for node in nodes), "nodes")
    good = total(view, "nodes Ready", "count", ready, "nodes")
    if all_nodes is None:
        return []
    ready_count = amount(value(good) or 0.0) if good else "none"
    text = f"{ready_count} of {plural(value(all_nodes) or 0.0, 'node')} Ready"
    if bad:
        text += f"; not Ready: {spell(list(bad))}"
    lines = [claim(text, all_nodes, good, *list(bad.values())[: MANY - 2])]
    closed = [node for node in nodes if fields.flag(node.data, "spec", "unschedulable")]
    if closed:
        refs = [node.cite("spec", "unschedulable") for node in closed[:MANY]]
        lines.append(claim(f"cordoned: {spell([node.ref.name for node in closed])}", *refs))
    return lines


def _readiness(node: Record) -> EvidenceRef:
    """A reference to the status of the Ready condition, or to its absence."""
    for index, condition in enumerate(node.items("status", "conditions")):
        if condition.get("type") == "Ready":
            return node.cite("status", "conditions", index, "status")
    return node.cite("metadata", "name")


def _pods(view: View) -> Claim | None:
    """Pods by phase; those that wait, by name."""
    pods = asked_pods(view, view.objects(kinds.POD)) if whole(view, kinds.POD) else []
    by_phase: dict[str, list[Record]] = defaultdict(list)
    for pod in pods:
        by_phase[pod.text("status", "phase") or "Unknown"].append(pod)
    parts: list[str] = []
    refs: list[EvidenceRef] = []
    for phase, members in sorted(by_phase.items(), key=lambda item: (-len(item[1]), item[0]))[:MANY]:
        path = ("metadata", "name") if phase == "Unknown" else ("status", "phase")
        count = total(view, f"pods {phase}", "count", (pod.cite(*path) for pod in members), "pods")
        if count is not None:
            parts.append(f"{amount(value(count) or 0.0)} {phase}")
            refs.append(count)
    waiting = [str(pod.ref) for pod in by_phase.get("Pending", [])]
    names = f" ({spell(waiting)} wait)" if waiting and refs else ""
    return claim(f"pods: {', '.join(parts)}{names}", *refs) if refs else None


def _failing(view: View) -> Claim | None:
    """Pods of which a container cannot start, and why."""
    found: dict[str, EvidenceRef] = {}
    for pod in asked_pods(view, view.objects(kinds.POD)):
        for part in ("initContainerStatuses", "containerStatuses"):
            for index, status in enumerate(pod.items("status", part)):
                if fields.text(status, "state", "waiting", "reason") in FAILING:
                    found.setdefault(str(pod.ref), pod.cite("status", part, index, "state", "waiting", "reason"))
    count = total(view, "pods that cannot start a container", "count", list(found.values()), "pods")
    if count is None:
        return None
    named = [f"{pod} ({ref.value})" for pod, ref in found.items()]
    text = f"{plural(value(count) or 0.0, 'pod')} with a container that cannot start: {spell(named)}"
    return claim(text, count, *list(found.values())[: MANY - 1])


def _workloads(view: View) -> Claim | None:
    """Workloads nobody owns, by kind."""
    scope = view.scope
    if scope.subject is not None or scope.node is not None:
        return None
    counted: list[tuple[KindRef, EvidenceRef]] = []
    for kind in WORKLOADS:
        if not whole(view, kind):
            continue
        roots = [
            record.cite("metadata", "name")
            for record in view.objects(kind)
            if view.owner(record) is None and (scope.namespaces is None or record.ref.namespace in scope.namespaces)
        ]
        count = total(view, f"{kind.kind}s", "count", roots, "objects")
        if count is not None:
            counted.append((kind, count))
    if not counted:
        return None
    parts = [f"{amount(value(ref) or 0.0)} {kind.kind}" for kind, ref in counted]
    return claim(f"workloads: {', '.join(parts)}", *(ref for _, ref in counted))
