"""Pods as a kubelet would report them, made from a template: what a world's `$pods` writes out in full.

Rules: everything the API server and the kubelet would fill in is there (defaults, conditions, container statuses,
image digests, QoS class); times are relative, so the pod can be anchored like anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import JsonValue

from evals.world.manifests import child, entries, image_id, mapping, merge_patch, short_hash, text
from evals.world.noise import seed_of
from evals.world.times import relative
from tools.types import JsonObject

_SPEC_DEFAULTS: JsonObject = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
}
_NODE_TOLERATIONS: list[JsonValue] = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for what in ("not-ready", "unreachable")
]
_NO_ROOM = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


@dataclass(frozen=True, slots=True)
class PodPlan:
    """One pod to be written out."""

    name: str
    namespace: str
    owner: JsonObject
    labels: JsonObject
    template: JsonObject
    node: str | None
    created: float
    """Seconds from now."""
    ready_after: float
    """Seconds from creation to Ready."""
    pending: str = ""
    """The scheduler's message for a pod without a node."""
    finished: float | None = None
    """When the containers ended well, seconds from now."""
    annotations: JsonObject = field(default_factory=dict)
    patch: JsonObject = field(default_factory=dict)


def pod(plan: PodPlan) -> JsonObject:
    """The full manifest of a pod."""
    template_meta = mapping(plan.template, "metadata")
    metadata: JsonObject = {
        "name": plan.name,
        "namespace": plan.namespace,
        "creationTimestamp": relative(plan.created),
        "labels": {**mapping(template_meta, "labels"), **plan.labels},
        "ownerReferences": [plan.owner],
    }
    annotations = {**mapping(template_meta, "annotations"), **plan.annotations}
    if annotations:
        metadata["annotations"] = annotations
    body: JsonObject = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": _spec(plan),
        "status": _pending(plan) if plan.node is None else _running(plan),
    }
    patched = merge_patch(body, plan.patch)
    assert isinstance(patched, dict)
    return patched


def _spec(plan: PodPlan) -> JsonObject:
    spec: JsonObject = {**_SPEC_DEFAULTS, **mapping(plan.template, "spec")}
    spec["tolerations"] = [*entries(spec, "tolerations"), *_NODE_TOLERATIONS]
    if plan.node is not None:
        spec["nodeName"] = plan.node
    for key in ("containers", "initContainers"):
        if key in spec:
            spec[key] = [container(entry) for entry in entries(spec, key)]
    return spec


def container(body: JsonObject) -> JsonObject:
    """A container with the API server's defaults; requests default to the limits."""
    resources = dict(mapping(body, "resources"))
    limits = mapping(resources, "limits")
    if limits:
        resources["requests"] = {**limits, **mapping(resources, "requests")}
    return {
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        **body,
        "resources": resources,
    }


def qos_class(spec: JsonObject) -> str:
    """Guaranteed, Burstable or BestEffort, by cpu and memory of all containers."""
    limits, requests, equal = 0, 0, True
    containers = entries(spec, "containers")
    for entry in containers:
        has, asks = mapping(entry, "resources", "limits"), mapping(entry, "resources", "requests")
        for name in ("cpu", "memory"):
            limits += name in has
            requests += name in asks
            equal = equal and has.get(name) == asks.get(name)
    if not limits and not requests:
        return "BestEffort"
    return "Guaranteed" if equal and limits == 2 * len(containers) else "Burstable"


def _condition(kind: str, moment: float, *, good: bool, reason: str = "", message: str = "") -> JsonObject:
    out: JsonObject = {
        "type": kind,
        "status": "True" if good else "False",
        "lastProbeTime": None,
        "lastTransitionTime": relative(moment),
    }
    if reason:
        out["reason"] = reason
    if message:
        out["message"] = message
    return out


def _pending(plan: PodPlan) -> JsonObject:
    message = plan.pending or _NO_ROOM
    return {
        "phase": "Pending",
        "conditions": [_condition("PodScheduled", plan.created, good=False, reason="Unschedulable", message=message)],
        "qosClass": qos_class(_spec(plan)),
    }


def _running(plan: PodPlan) -> JsonObject:
    started, ready = plan.created + 2, plan.created + plan.ready_after
    done = plan.finished is not None
    reason = "PodCompleted" if done else ""
    settled = plan.finished if plan.finished is not None else ready
    address = f"10.244.{seed_of(plan.node) % 250}.{seed_of(plan.name) % 250 + 2}"
    spec = _spec(plan)
    status: JsonObject = {
        "phase": "Succeeded" if done else "Running",
        "conditions": [
            _condition("PodReadyToStartContainers", settled if done else started, good=not done),
            _condition("Initialized", started, good=True, reason=reason),
            _condition("Ready", settled, good=not done, reason=reason),
            _condition("ContainersReady", settled, good=not done, reason=reason),
            _condition("PodScheduled", plan.created, good=True),
        ],
        "hostIP": f"192.0.2.{seed_of(plan.node) % 250 + 2}",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": relative(plan.created),
        "qosClass": qos_class(spec),
        "containerStatuses": [_container_status(plan, entry) for entry in entries(spec, "containers")],
    }
    first = [_init_status(plan, entry) for entry in entries(spec, "initContainers")]
    if first:
        status["initContainerStatuses"] = list(first)
    return status


def _container_status(plan: PodPlan, entry: JsonObject) -> JsonObject:
    started = plan.created + min(15.0, plan.ready_after)
    state: JsonObject = {"running": {"startedAt": relative(started)}}
    if plan.finished is not None:
        state = {"terminated": _terminated(started, plan.finished)}
    return {
        **_status_base(plan, entry),
        "ready": plan.finished is None,
        "started": plan.finished is None,
        "state": state,
    }


def _init_status(plan: PodPlan, entry: JsonObject) -> JsonObject:
    always = text(entry, "restartPolicy") == "Always"
    state: JsonObject = {"running": {"startedAt": relative(plan.created + 3)}}
    if not always:
        state = {"terminated": _terminated(plan.created + 3, plan.created + min(10.0, plan.ready_after))}
    return {**_status_base(plan, entry), "ready": True, "started": always, "state": state}


def _terminated(started: float, finished: float) -> JsonObject:
    return {
        "exitCode": 0,
        "reason": "Completed",
        "startedAt": relative(started),
        "finishedAt": relative(finished),
    }


def _status_base(plan: PodPlan, entry: JsonObject) -> JsonObject:
    image = text(entry, "image")
    return {
        "name": text(entry, "name"),
        "image": image,
        "imageID": image_id(image),
        "containerID": f"containerd://{short_hash(40, plan.name, text(entry, 'name'))}",
        "lastState": {},
        "restartCount": 0,
    }


def owner_reference(body: JsonObject, uid: str) -> JsonObject:
    """The ownerReferences entry that points a child at its controller."""
    return {
        "apiVersion": text(body, "apiVersion"),
        "kind": text(body, "kind"),
        "name": text(body, "metadata", "name"),
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def with_labels(template: JsonObject, labels: JsonObject) -> JsonObject:
    """A copy of a pod template whose labels are extended."""
    out = dict(template)
    out["metadata"] = {**mapping(template, "metadata")}
    child(out, "metadata")["labels"] = {**mapping(template, "metadata", "labels"), **labels}
    return out
