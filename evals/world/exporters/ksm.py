"""kube-state-metrics v2.20: nodes, pods and their containers.

Source: kubernetes/kube-state-metrics docs/metrics. Values follow from the objects and live from the creation of
the object on; `exporters.ksm` can switch it off. Autoscalers, workloads and quotas are in ksm_workloads.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pydantic import JsonValue

from evals.world.exporters.context import Context, PodRecord
from evals.world.generators import Constant, Generator, Moment, Steps
from evals.world.manifests import entries, mapping, text
from evals.world.noise import seed_of
from evals.world.quantity import amount
from evals.world.series import Entry, Families, Family
from tools.types import JsonObject

POD_LABELS = (
    "jobset.sigs.k8s.io/jobset-name",
    "leaderworkerset.sigs.k8s.io/name",
    "leaderworkerset.sigs.k8s.io/group-index",
    "training.kubeflow.org/job-name",
    "volcano.sh/job-name",
    "ray.io/cluster",
    "batch.kubernetes.io/job-name",
    "llm-d.ai/role",
    "notebook-name",
    "plumbline.dev/intent",
)
"""--metric-labels-allowlist=pods=[…]"""
NODE_LABELS = (
    "kubernetes.io/hostname",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/zone",
    "nvidia.com/gpu.product",
    "nvidia.com/gpu.replicas",
    "nvidia.com/mig.config",
    "nvidia.com/mig.config.state",
    "nvidia.com/gpu-driver-upgrade-state",
    "nvidia.com/cuda.driver-version.full",
)
_PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
_INVALID = re.compile(r"[^a-zA-Z0-9_]")
_SCRAPE = {"job": "kube-state-metrics", "instance": "kube-state-metrics.monitoring.svc:8080"}

Gaps = tuple[tuple[float, float], ...]
Row = tuple[Mapping[str, str], float, float | None]
"""Labels, value, and when the series began (None: with the object)."""


def sanitized(name: str) -> str:
    """A label or resource name as kube-state-metrics prints it."""
    return _INVALID.sub("_", name)


def resource(name: str) -> tuple[str, str]:
    """(resource, unit) labels of a resource name."""
    units = {"cpu": "core", "memory": "byte", "storage": "byte", "ephemeral-storage": "byte"}
    return sanitized(name), units.get(name, "byte" if name.startswith("hugepages-") else "integer")


def entry(labels: Mapping[str, str], value: Generator, born: float | None, gaps: Gaps) -> Entry:
    """One series of kube-state-metrics."""
    return Entry({**labels, **_SCRAPE}, value, seed_of(*labels.values()), born, None, gaps)


def label_pairs(body: JsonObject, allowed: tuple[str, ...]) -> dict[str, str]:
    """`label_…` pairs of the allow-listed labels an object has."""
    labels = mapping(body, "metadata", "labels")
    return {f"label_{sanitized(name)}": str(labels[name]) for name in allowed if name in labels}


PodRows = Callable[[Context, PodRecord], Iterator[Row]]
NodeRows = Callable[[Context, JsonObject], Iterator[Row]]


def families(context: Context) -> Families:
    """Families of nodes and pods, by metric name."""
    gaps = context.option("ksm").at("gaps").windows()
    out: Families = {name: _of_pods(context, name, rows, gaps) for name, rows in _POD_FAMILIES.items()}
    out |= {name: _of_nodes(context, rows, gaps) for name, rows in _NODE_FAMILIES.items()}
    out["kube_pod_status_phase"] = lambda: (_phase(pod, phase, gaps) for pod in context.pods for phase in _PHASES)
    return out


def _of_pods(context: Context, name: str, rows: PodRows, gaps: Gaps) -> Family:
    shape = Moment if name in MOMENTS else Constant

    def made() -> Iterator[Entry]:
        for pod in context.pods:
            base = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}
            for labels, value, born in rows(context, pod):
                yield entry({**base, **labels}, shape(value), pod.created if born is None else born, gaps)

    return made


def _of_nodes(context: Context, rows: NodeRows, gaps: Gaps) -> Family:
    def made() -> Iterator[Entry]:
        for name, node in context.nodes.items():
            for labels, value, born in rows(context, node):
                begin = context.created(node) if born is None else born
                yield entry({"node": name, **labels}, Constant(value), begin, gaps)

    return made


# --- nodes -------------------------------------------------------------------------------------------------


def _resources(part: str) -> NodeRows:
    def rows(context: Context, node: JsonObject) -> Iterator[Row]:
        for name, value in mapping(node, "status", part).items():
            number = amount(value)
            if number is not None:
                label, unit = resource(name)
                yield {"resource": label, "unit": unit}, number, None

    return rows


def _node_info(context: Context, node: JsonObject) -> Iterator[Row]:
    info = mapping(node, "status", "nodeInfo")
    labels = {
        "kernel_version": text(info, "kernelVersion"),
        "os_image": text(info, "osImage"),
        "container_runtime_version": text(info, "containerRuntimeVersion"),
        "kubelet_version": text(info, "kubeletVersion"),
        "provider_id": text(node, "spec", "providerID"),
        "system_uuid": text(info, "systemUUID"),
        "internal_ip": next((text(a, "address") for a in entries(node, "status", "addresses")), ""),
    }
    yield labels, 1.0, None


def _unschedulable(context: Context, node: JsonObject) -> Iterator[Row]:
    yield {}, float(mapping(node, "spec").get("unschedulable") is True), None


def _taints(context: Context, node: JsonObject) -> Iterator[Row]:
    for taint in entries(node, "spec", "taints"):
        labels = {key: text(taint, key) for key in ("key", "value", "effect")}
        yield labels, 1.0, context.offset(taint.get("timeAdded"))


def _node_labels(context: Context, node: JsonObject) -> Iterator[Row]:
    yield label_pairs(node, NODE_LABELS), 1.0, None


def _node_conditions(context: Context, node: JsonObject) -> Iterator[Row]:
    for condition in entries(node, "status", "conditions"):
        yield from _tristate(condition)


def _tristate(condition: JsonObject) -> Iterator[Row]:
    status = text(condition, "status").lower()
    for option in ("true", "false", "unknown"):
        yield {"condition": text(condition, "type"), "status": option}, float(status == option), None


_NODE_FAMILIES: dict[str, NodeRows] = {
    "kube_node_info": _node_info,
    "kube_node_labels": _node_labels,
    "kube_node_spec_unschedulable": _unschedulable,
    "kube_node_spec_taint": _taints,
    "kube_node_status_condition": _node_conditions,
    "kube_node_status_capacity": _resources("capacity"),
    "kube_node_status_allocatable": _resources("allocatable"),
}


# --- pods --------------------------------------------------------------------------------------------------


def _phase(pod: PodRecord, phase: str, gaps: Gaps) -> Entry:
    """Pending until the pod started, then its phase; a finished pod ran in between."""
    history: list[tuple[float, str]] = []
    if pod.started is not None and pod.phase != "Pending":
        history.append((pod.started, "Running"))
    if pod.finished is not None:
        history.append((pod.finished, pod.phase))
    labels = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid, "phase": phase, **_SCRAPE}
    before = "Pending" if history or pod.phase == "Pending" else pod.phase
    if not history or (history[0][0] <= pod.created and len(history) == 1):
        return Entry(labels, Constant(float(phase == pod.phase)), 0, pod.created, None, gaps)
    changes = tuple((at, Constant(float(phase == name))) for at, name in history)
    return Entry(labels, Steps(Constant(float(phase == before)), changes), 0, pod.created, None, gaps)


def _pod_info(context: Context, pod: PodRecord) -> Iterator[Row]:
    owner = pod.owners[0] if pod.owners else ("", "", "", "")
    labels = {
        "node": pod.node,
        "host_ip": text(pod.body, "status", "hostIP"),
        "pod_ip": text(pod.body, "status", "podIP"),
        "created_by_kind": owner[1],
        "created_by_name": owner[3],
        "priority_class": text(pod.body, "spec", "priorityClassName"),
        "host_network": text(pod.body, "spec", "hostNetwork") or "false",
    }
    yield labels, 1.0, None


def _owner(context: Context, pod: PodRecord) -> Iterator[Row]:
    owners = entries(pod.body, "metadata", "ownerReferences")
    if not owners:
        yield {"owner_kind": "", "owner_name": "", "owner_is_controller": ""}, 1.0, None
    for owner in owners:
        labels = {
            "owner_kind": text(owner, "kind"),
            "owner_name": text(owner, "name"),
            "owner_is_controller": text(owner, "controller") or "false",
        }
        yield labels, 1.0, None


def _pod_labels(context: Context, pod: PodRecord) -> Iterator[Row]:
    yield label_pairs(pod.body, POD_LABELS), 1.0, None


def _condition(pod: PodRecord, kind: str) -> JsonObject:
    return next((c for c in entries(pod.body, "status", "conditions") if text(c, "type") == kind), {})


def _yes_no(kind: str) -> PodRows:
    def rows(context: Context, pod: PodRecord) -> Iterator[Row]:
        status = text(_condition(pod, kind), "status").lower()
        for option in ("true", "false", "unknown"):
            yield {"condition": option}, float(status == option), None

    return rows


def _unscheduled(context: Context, pod: PodRecord) -> Iterator[Row]:
    condition = _condition(pod, "PodScheduled")
    if text(condition, "status") == "False" and text(condition, "reason") == "Unschedulable":
        yield {}, 1.0, None


def _moment(kind: str) -> PodRows:
    def rows(context: Context, pod: PodRecord) -> Iterator[Row]:
        condition = _condition(pod, kind)
        at = context.offset(condition.get("lastTransitionTime"))
        if text(condition, "status") == "True" and at is not None:
            yield {}, at, at

    return rows


def _created(context: Context, pod: PodRecord) -> Iterator[Row]:
    yield {}, pod.created, None


def _start_time(context: Context, pod: PodRecord) -> Iterator[Row]:
    if pod.started is not None:
        yield {}, pod.started, pod.started


def _reason(context: Context, pod: PodRecord) -> Iterator[Row]:
    actual = text(pod.body, "status", "reason")
    for reason in ("Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError"):
        if actual == reason:
            yield {"reason": reason}, 1.0, None


def _container_resources(part: str) -> PodRows:
    def rows(context: Context, pod: PodRecord) -> Iterator[Row]:
        for container in pod.containers:
            for name, value in mapping(container, "resources", part).items():
                number = amount(value)
                if number is not None:
                    label, unit = resource(name)
                    labels = {"container": text(container, "name"), "node": pod.node}
                    yield {**labels, "resource": label, "unit": unit}, number, None

    return rows


def _statuses(pod: PodRecord) -> list[JsonObject]:
    return entries(pod.body, "status", "containerStatuses")


def _container_info(context: Context, pod: PodRecord) -> Iterator[Row]:
    specified = {text(c, "name"): text(c, "image") for c in pod.containers}
    for status in _statuses(pod):
        name = text(status, "name")
        labels = {
            "container": name,
            "image": text(status, "image"),
            "image_spec": specified.get(name, ""),
            "image_id": text(status, "imageID"),
            "container_id": text(status, "containerID"),
        }
        yield labels, 1.0, pod.started


def _restarts(context: Context, pod: PodRecord) -> Iterator[Row]:
    for status in _statuses(pod):
        yield {"container": text(status, "name")}, amount(status.get("restartCount")) or 0.0, pod.started


def _state(state: str, *, last: bool = False) -> PodRows:
    def rows(context: Context, pod: PodRecord) -> Iterator[Row]:
        for status in _statuses(pod):
            reason = text(status, "lastState" if last else "state", state, "reason")
            if reason:
                yield {"container": text(status, "name"), "reason": reason}, 1.0, pod.finished or pod.started

    return rows


def _flag(key: str) -> PodRows:
    def rows(context: Context, pod: PodRecord) -> Iterator[Row]:
        for status in _statuses(pod):
            state: JsonValue = status.get(key)
            value = key in mapping(status, "state") if key in ("running", "waiting", "terminated") else state is True
            yield {"container": text(status, "name")}, float(value), pod.started

    return rows


def _claims(context: Context, pod: PodRecord) -> Iterator[Row]:
    made = {text(s, "name"): text(s, "resourceClaimName") for s in entries(pod.body, "status", "resourceClaimStatuses")}
    for claim in entries(pod.body, "spec", "resourceClaims"):
        name = text(claim, "name")
        labels = {
            "resourceclaim": name,
            "resourceclaim_name": made.get(name) or text(claim, "resourceClaimName"),
            "resourceclaim_template": text(claim, "resourceClaimTemplateName"),
        }
        yield labels, 1.0, None


_POD_FAMILIES: dict[str, PodRows] = {
    "kube_pod_info": _pod_info,
    "kube_pod_owner": _owner,
    "kube_pod_labels": _pod_labels,
    "kube_pod_status_unschedulable": _unscheduled,
    "kube_pod_status_scheduled": _yes_no("PodScheduled"),
    "kube_pod_status_ready": _yes_no("Ready"),
    "kube_pod_status_reason": _reason,
    "kube_pod_container_info": _container_info,
    "kube_pod_container_resource_requests": _container_resources("requests"),
    "kube_pod_container_resource_limits": _container_resources("limits"),
    "kube_pod_container_status_ready": _flag("ready"),
    "kube_pod_container_status_running": _flag("running"),
    "kube_pod_container_status_restarts_total": _restarts,
    "kube_pod_container_status_waiting_reason": _state("waiting"),
    "kube_pod_container_status_terminated_reason": _state("terminated"),
    "kube_pod_container_status_last_terminated_reason": _state("terminated", last=True),
    "kube_pod_resourceclaim_info": _claims,
    "kube_pod_created": _created,
    "kube_pod_start_time": _start_time,
    "kube_pod_status_scheduled_time": _moment("PodScheduled"),
    "kube_pod_status_ready_time": _moment("Ready"),
    "kube_pod_completion_time": lambda c, p: iter([({}, p.finished, p.finished)] if p.finished is not None else []),
}
MOMENTS = frozenset(
    (
        "kube_pod_created",
        "kube_pod_start_time",
        "kube_pod_status_scheduled_time",
        "kube_pod_status_ready_time",
        "kube_pod_completion_time",
    )
)
"""Families whose values are Unix times."""
