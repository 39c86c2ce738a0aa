"""The telling columns of each kind of object: what a person would ask `kubectl get -o wide` to show, and the GPUs.

Rules: nothing here raises on data; cells are bare or quoted by `cell`, never raw; an age is from creation to the
moment of the observation; a kind nobody has heard of shows the scalars of its spec and status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from agent.llm.untrusted import cell, pointer_cell
from tools import fields
from tools.naming import tokens_of
from tools.types import JsonObject

GPU_WORDS = ("/gpu", "/mig-", "/shared-gpu", ".gpu")
"""What extended resources that are GPUs have in their names: nvidia.com/gpu, amd.com/gpu, nvidia.com/mig-1g.10gb."""
WIDE = 6
"""Columns of a kind nobody has heard of."""
LISTED = 3
"""Items of a list in one cell; the rest is counted."""
YOUNG = 604_800.0
"""Seconds of age that a pod's row shows: what started within a week may have to do with what began within it."""
LEAVES = 400
"""Leaves of one object shown path by path."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Column names, and one row's cells in their order."""

    names: tuple[str, ...]
    cells: Callable[[JsonObject, float], tuple[str, ...]]
    alarm: int | None = None
    """Which cell, when it is not empty, says that the row needs attention."""


def several(values: Iterable[str]) -> str:
    """Cells joined into one, the ones beyond LISTED counted; "" for none."""
    found = list(dict.fromkeys(value for value in values if value))
    more = f",+{len(found) - LISTED}" if len(found) > LISTED else ""
    return ",".join(found[:LISTED]) + more


def shown(obj: JsonValue, *path: str | int) -> str:
    """The cell of the value at a path; "" where there is none."""
    value = fields.dig(obj, *path)
    return "" if value is None or value == "" else cell(value)


def age(since: JsonValue, now: float) -> str:
    """How long ago an RFC 3339 time was, in the largest unit that fits: 45s, 12m, 5h, 21d."""
    began = fields.timestamp(since)
    return "" if began is None else span(now - began)


def span(seconds: float) -> str:
    """A length of time in the largest unit that fits."""
    length = max(0, int(seconds))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if length >= 2 * size:
            return f"{length // size}{unit}"
    return f"{length}s"


def gpus(resources: JsonObject) -> str:
    """GPU resources of a requests, limits or allocatable map: `8`, or `mig-1g.10gb:2` for what is no whole GPU."""
    found = []
    for name, amount in resources.items():
        if any(word in name for word in GPU_WORDS):
            kind = name.rpartition("/")[2]
            found.append(cell(amount) if kind == "gpu" else f"{cell(kind)}:{cell(amount)}")
    return several(found)


def _containers(spec: JsonValue) -> list[JsonObject]:
    return fields.items(spec, "initContainers") + fields.items(spec, "containers")


def _pod_gpus(spec: JsonValue) -> str:
    totals: dict[str, JsonValue] = {}
    for container in fields.items(spec, "containers"):
        wanted = {
            **fields.mapping(container, "resources", "requests"),
            **fields.mapping(container, "resources", "limits"),
        }
        for name, amount in wanted.items():
            if any(word in name for word in GPU_WORDS):
                before, one = fields.number(totals, name), fields.number({"n": amount}, "n")
                totals[name] = int((before or 0) + one) if one is not None else amount
    return gpus(totals)


def _images(spec: JsonValue) -> str:
    return several(shown(container, "image") for container in fields.items(spec, "containers"))


def _condition(data: JsonObject, wanted: str) -> JsonObject:
    found = (c for c in fields.items(data, "status", "conditions") if fields.text(c, "type") == wanted)
    return next(found, {})


_PRESSING = ("Pressure", "Fail", "Unavailable", "Degraded", "Limited", "Suspended", "Evicted", "Error", "Disruption")
"""Words in the types of conditions that are good when they are False."""


def conditions(data: JsonObject) -> str:
    """Conditions that are not as they should be: `Ready=False(KubeletNotReady)`; good ones are left out."""
    bad = []
    for one in fields.items(data, "status", "conditions"):
        kind, state = fields.text(one, "type"), fields.text(one, "status")
        pressing = any(word in kind for word in _PRESSING)
        if state != ("False" if pressing else "True"):
            reason = shown(one, "reason")
            bad.append(f"{cell(kind)}={cell(state)}" + (f"({reason})" if reason else ""))
    return several(bad)


# --- kinds -------------------------------------------------------------------------------------------------------


def _pod(data: JsonObject, now: float) -> tuple[str, ...]:
    created = fields.timestamp(fields.dig(data, "metadata", "creationTimestamp"))
    young = span(now - created) if created is not None and now - created < YOUNG else ""
    return shown(data, "spec", "nodeName"), _pod_gpus(data.get("spec")), young, _pod_state(data)


def _pod_state(data: JsonObject) -> str:
    """ "" for a pod that runs with all containers ready and none restarted; else what is not so."""
    phase = fields.text(data, "status", "phase")
    states = fields.items(data, "status", "initContainerStatuses") + fields.items(data, "status", "containerStatuses")
    mains = fields.items(data, "status", "containerStatuses")
    ready, total = sum(one.get("ready") is True for one in mains), len(fields.items(data, "spec", "containers"))
    restarts = int(sum(fields.number(one, "restartCount") or 0 for one in states))
    said = []
    if phase != "Running":
        said.append(cell(phase) if phase else "phase unknown")
    if ready < total and phase in ("Running", "Pending"):
        said.append(f"{ready}/{total} ready")
    if restarts:
        said.append(f"{restarts} restarts")
    reasons = [shown(one, "state", "waiting", "reason") for one in states]
    reasons += [_ended(one) for one in states]
    unscheduled = _condition(data, "PodScheduled")
    if fields.text(unscheduled, "status") == "False":
        reasons.append(shown(unscheduled, "reason"))
    reasons.append(shown(data, "status", "reason"))
    if fields.dig(data, "metadata", "deletionTimestamp"):
        reasons.append("Terminating")
    return " ".join(said + ([several(reasons)] if any(reasons) else []))


def _ended(status: JsonObject) -> str:
    for when in ("state", "lastState"):
        ended = fields.mapping(status, when, "terminated")
        code = fields.number(ended, "exitCode")
        if code:
            return f"{'last ' if when == 'lastState' else ''}{shown(ended, 'reason') or 'exit'}({int(code)})"
    return ""


def _node(data: JsonObject, now: float) -> tuple[str, ...]:
    taints = (f"{shown(t, 'key')}:{shown(t, 'effect')}" for t in fields.items(data, "spec", "taints"))
    labels = fields.strings(data, "metadata", "labels")
    products = (cell(v) for k, v in sorted(labels.items()) if k.endswith(("/gpu.product", "/gpu.product-name")))
    state = "Ready" if fields.text(_condition(data, "Ready"), "status") == "True" else "not Ready"
    cordoned = " cordoned" if fields.dig(data, "spec", "unschedulable") is True else ""
    return (
        state + cordoned,
        gpus(fields.mapping(data, "status", "allocatable")),
        several(products),
        shown(data, "status", "allocatable", "cpu"),
        shown(data, "status", "allocatable", "memory"),
        several(taints),
        conditions(data),
        age(fields.dig(data, "metadata", "creationTimestamp"), now),
    )


def _workload(data: JsonObject, now: float) -> tuple[str, ...]:
    spec = fields.mapping(data, "spec", "template", "spec")
    status = fields.mapping(data, "status")
    wanted = fields.dig(data, "spec", "replicas")
    if "desiredNumberScheduled" in status:
        counts = [shown(status, n) for n in ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled")]
    else:
        counts = [cell(wanted), *(shown(status, n) or "0" for n in ("readyReplicas", "updatedReplicas"))]
    return (
        *counts,
        _pod_gpus(spec),
        _images(spec),
        conditions(data),
        age(fields.dig(data, "metadata", "creationTimestamp"), now),
    )


def _job(data: JsonObject, now: float) -> tuple[str, ...]:
    spec = fields.mapping(data, "spec", "template", "spec")
    counts = " ".join(f"{name} {shown(data, 'status', name)}" for name in ("active", "ready", "succeeded", "failed")
                      if shown(data, "status", name))  # fmt: skip
    suspended = "suspended" if fields.dig(data, "spec", "suspend") is True else ""
    wanted = f"{shown(data, 'spec', 'completions') or '1'}/{shown(data, 'spec', 'parallelism') or '1'}"
    created = age(fields.dig(data, "metadata", "creationTimestamp"), now)
    return wanted, counts, suspended, _pod_gpus(spec), _images(spec), conditions(data), created


def _metric(metric: JsonObject) -> str:
    """One metric of an autoscaler, target or current: `cpu 80%`, `vllm_waiting 5`."""
    kind = fields.text(metric, "type")
    body = fields.mapping(metric, kind[:1].lower() + kind[1:])
    name = shown(body, "name") or shown(body, "metric", "name")
    value = fields.mapping(body, "target") or fields.mapping(body, "current")
    share = fields.number(value, "averageUtilization")
    amount = f"{share:g}%" if share is not None else shown(value, "averageValue") or shown(value, "value")
    return f"{name} {amount}".strip()


def _autoscaler(data: JsonObject, _now: float) -> tuple[str, ...]:
    target = fields.mapping(data, "spec", "scaleTargetRef")
    bounds = f"{shown(data, 'spec', 'minReplicas') or '1'}-{shown(data, 'spec', 'maxReplicas')}"
    replicas = f"{shown(data, 'status', 'currentReplicas')}→{shown(data, 'status', 'desiredReplicas')}"
    return (
        f"{shown(target, 'kind')}/{shown(target, 'name')}",
        several(_metric(one) for one in fields.items(data, "spec", "metrics")),
        several(_metric(one) for one in fields.items(data, "status", "currentMetrics")),
        bounds,
        replicas,
        conditions(data),
    )


def _claim(data: JsonObject, now: float) -> tuple[str, ...]:
    size = shown(data, "status", "capacity", "storage") or shown(data, "spec", "resources", "requests", "storage")
    modes = several(cell(mode) for mode in fields.texts(data, "spec", "accessModes"))
    created = age(fields.dig(data, "metadata", "creationTimestamp"), now)
    return shown(data, "status", "phase"), size, shown(data, "spec", "storageClassName"), modes, created


_WORKLOAD = Columns(("replicas", "ready", "updated", "gpus", "images", "conditions", "age"), _workload, 5)
KINDS: Mapping[str, Columns] = {
    "Pod": Columns(("node", "gpus", "age (empty: over 7d)", "state (empty: Running, ready, no restarts)"), _pod, 3),
    "Node": Columns(("state", "gpus", "product", "cpu", "memory", "taints", "conditions", "age"), _node, 6),
    "Deployment": _WORKLOAD,
    "StatefulSet": _WORKLOAD,
    "ReplicaSet": _WORKLOAD,
    "DaemonSet": _WORKLOAD,
    "Job": Columns(("wanted", "pods", "suspended", "gpus", "images", "conditions", "age"), _job),
    "HorizontalPodAutoscaler": Columns(
        ("target", "metric", "current", "bounds", "replicas", "conditions"), _autoscaler
    ),
    "PersistentVolumeClaim": Columns(("phase", "size", "class", "modes", "age"), _claim),
}
"""Kinds with columns of their own."""


# --- any other kind ----------------------------------------------------------------------------------------------


def leaves(value: JsonValue, *, limit: int = LEAVES, lists: bool = False) -> Iterator[tuple[str, JsonValue]]:
    """Scalars of a tree with their JSON Pointers, in document order; empty containers are left out.

    `lists`: a list of scalars is given whole.
    """
    stack: list[tuple[str, JsonValue]] = [("", value)]
    given = 0
    while stack and given < limit:
        path, node = stack.pop()
        if not isinstance(node, dict | list) or (lists and _plain(node)):
            given += 1
            yield path, node
            continue
        parts = node.items() if isinstance(node, dict) else enumerate(node)
        below = [(f"{path}/{str(token).replace('~', '~0').replace('/', '~1')}", part) for token, part in parts]
        stack.extend(reversed(below))


def _plain(node: JsonValue) -> bool:
    return isinstance(node, list) and bool(node) and not any(isinstance(item, dict | list) for item in node)


_TELLING = ("phase", "suspend", "replicas", "status", "health", "queueName", "type", "reason", "ready", "active")
_DULL = ("observedGeneration", "uid", "lastTransitionTime", "message", "apiVersion", "generation", "resourceVersion")
_FRAME = frozenset({"apiVersion", "kind", "metadata"})


def generic(rows: Iterable[JsonObject]) -> Columns:
    """Columns for objects of an unknown kind: scalars of spec and status that most have, telling ones first."""
    seen: dict[str, int] = {}
    for data in rows:
        for path, _ in leaves({part: value for part, value in data.items() if part not in _FRAME}, limit=60):
            if path.count("/") <= 4 and path.rpartition("/")[2] not in _DULL and "/conditions/" not in path:
                seen[path] = seen.get(path, 0) + 1
    chosen = sorted(sorted(seen, key=lambda path: (*_dullness(path), -seen[path], path))[:WIDE], key=list(seen).index)

    def cells(data: JsonObject, now: float) -> tuple[str, ...]:
        values = (_at(data, path) for path in chosen)
        return (*values, conditions(data), age(fields.dig(data, "metadata", "creationTimestamp"), now))

    return Columns((*(pointer_cell(path[1:]) for path in chosen), "conditions", "age"), cells, len(chosen))


def _dullness(path: str) -> tuple[bool, bool, int]:
    tokens = path.split("/")
    return any(token.isdigit() for token in tokens), tokens[-1] not in _TELLING, len(tokens)


def _at(data: JsonObject, path: str) -> str:
    tokens = tokens_of(path)
    node: JsonValue = data
    for token in tokens:
        node = fields.dig(node, int(token) if isinstance(node, list) and token.isdigit() else token)
    return "" if node is None else cell(node)
