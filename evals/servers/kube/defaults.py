"""What an API server fills in: defaults of the API types, and what the strategies of some kinds set at creation.

Rules: a default never replaces what is given; only kinds whose defaults tools read are listed (k8s.io/kubernetes
pkg/apis/*/v1/defaults.go, pkg/registry/*/strategy.go); the order of fields carries no meaning.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from evals.servers.kube.jsonread import as_object, as_text, dig, objects_at
from evals.servers.kube.kinds import Resource
from tools.types import JsonObject

_POD: JsonObject = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER: JsonObject = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_WAIT: list[JsonObject] = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for what in ("not-ready", "unreachable")
]


def with_defaults(resource: Resource, body: JsonObject) -> JsonObject:
    """A body as the API server completes it, before admission."""
    cleaned = _without_empty_maps(body)
    if resource.custom:
        return cleaned
    fill = _BY_KIND.get(f"{resource.group}/{resource.kind}")
    return fill(cleaned) if fill is not None else cleaned


def at_creation(resource: Resource, body: JsonObject, uid: str) -> JsonObject:
    """What the strategy of a kind sets in a new object; its creator does not own these fields."""
    prepare = _AT_CREATION.get(f"{resource.group}/{resource.kind}")
    return prepare(body, uid) if prepare is not None else body


def _without_empty_maps(body: JsonObject) -> JsonObject:
    given = as_object(body.get("metadata"))
    metadata: JsonObject = {k: v for k, v in given.items() if v is not None and v != {} and v != []}
    return {**body, "metadata": metadata}


def _pod_spec(spec: JsonObject) -> JsonObject:
    filled: JsonObject = {**_POD, **spec}
    for field in ("initContainers", "containers"):
        if isinstance(spec.get(field), list):
            filled[field] = [_container(one) for one in objects_at(spec, field)]
    return filled


def _container(body: JsonObject) -> JsonObject:
    image = as_text(body.get("image"))
    tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else "latest"
    policy = "Always" if tag == "latest" and "@" not in image else "IfNotPresent"
    filled: JsonObject = {**_CONTAINER, "imagePullPolicy": policy, "resources": {}, **body}
    if isinstance(body.get("ports"), list):
        ports: list[JsonObject] = [{"protocol": "TCP", **port} for port in objects_at(body, "ports")]
        filled["ports"] = list(ports)
    filled["resources"] = _resources(as_object(body.get("resources")))
    return filled


def _resources(resources: JsonObject) -> JsonObject:
    """Quantities are text, however they were written."""
    out: JsonObject = {}
    for part, amounts in resources.items():
        out[part] = amounts
        if part in ("limits", "requests") and isinstance(amounts, dict):
            texts: JsonObject = {name: as_text(value) for name, value in amounts.items()}
            out[part] = texts
    return out


def _template(spec: JsonObject) -> JsonObject:
    template = as_object(spec.get("template"))
    given = as_object(template.get("metadata"))
    metadata: JsonObject = {key: value for key, value in given.items() if value is not None}
    filled: JsonObject = {**template, "spec": _pod_spec(as_object(template.get("spec")))}
    if metadata or "metadata" in template:
        filled["metadata"] = metadata
    return filled


def _deployment(body: JsonObject) -> JsonObject:
    spec = as_object(body.get("spec"))
    strategy = as_object(spec.get("strategy")) or {"type": "RollingUpdate"}
    if strategy.get("type") == "RollingUpdate":
        rolling: JsonObject = {"maxUnavailable": "25%", "maxSurge": "25%", **as_object(strategy.get("rollingUpdate"))}
        strategy = {**strategy, "rollingUpdate": rolling}
    defaults: JsonObject = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    return {**body, "spec": {**defaults, **spec, "strategy": strategy, "template": _template(spec)}}


def _stateful_set(body: JsonObject) -> JsonObject:
    spec = as_object(body.get("spec"))
    defaults: JsonObject = {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }
    return {**body, "spec": {**defaults, **spec, "template": _template(spec)}}


def _job(body: JsonObject) -> JsonObject:
    spec = as_object(body.get("spec"))
    defaults: JsonObject = {
        "backoffLimit": 6,
        "manualSelector": False,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "parallelism": 1,
    }
    if "completions" not in spec and "parallelism" not in spec:
        defaults["completions"] = 1
    return {**body, "spec": {**defaults, **spec, "template": _template(spec)}}


def _pod(body: JsonObject) -> JsonObject:
    return {**body, "spec": {"enableServiceLinks": True, **_pod_spec(as_object(body.get("spec")))}}


def _autoscaler(body: JsonObject) -> JsonObject:
    return {**body, "spec": {"minReplicas": 1, **as_object(body.get("spec"))}}


def _secret(body: JsonObject) -> JsonObject:
    data = dict(as_object(body.get("data")))
    for key, value in as_object(body.get("stringData")).items():
        data[key] = base64.b64encode(as_text(value).encode()).decode()
    rest = {key: value for key, value in body.items() if key not in ("stringData", "data")}
    return {**rest, **({"data": data} if data else {}), "type": body.get("type") or "Opaque"}


def _namespace(body: JsonObject) -> JsonObject:
    metadata = as_object(body["metadata"])
    labels: JsonObject = {"kubernetes.io/metadata.name": metadata.get("name"), **as_object(metadata.get("labels"))}
    return {**body, "metadata": {**metadata, "labels": labels}}


_BY_KIND: Mapping[str, Callable[[JsonObject], JsonObject]] = {
    "apps/Deployment": _deployment,
    "apps/StatefulSet": _stateful_set,
    "autoscaling/HorizontalPodAutoscaler": _autoscaler,
    "batch/Job": _job,
    "/Namespace": _namespace,
    "/Pod": _pod,
    "/Secret": _secret,
}


# --- at creation -------------------------------------------------------------------------------------------


def _new_status(status: JsonObject) -> Callable[[JsonObject, str], JsonObject]:
    def prepare(body: JsonObject, _: str) -> JsonObject:
        return {**body, "status": dict(status)}

    return prepare


def _new_job(body: JsonObject, uid: str) -> JsonObject:
    """A Job's selector and labels are made from its uid."""
    body = {**body, "status": {}}
    if dig(body, "spec", "manualSelector") is True:
        return body
    name = as_text(dig(body, "metadata", "name"))
    long: JsonObject = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name}
    labels: JsonObject = {**long, "controller-uid": uid, "job-name": name}
    metadata, spec = as_object(body["metadata"]), as_object(body["spec"])
    template = as_object(spec["template"])
    inner = as_object(template.get("metadata"))
    inner = {**inner, "labels": {**as_object(inner.get("labels")), **labels}}
    selector: JsonObject = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    return {
        **body,
        "metadata": {**metadata, "labels": {**as_object(metadata.get("labels")), **labels}},
        "spec": {**spec, "selector": selector, "template": {**template, "metadata": inner}},
    }


def _new_pod(body: JsonObject, _: str) -> JsonObject:
    """What admission adds to a pod: service account, priority, and tolerations of nodes that fail."""
    spec = as_object(body["spec"])
    account = as_text(spec.get("serviceAccountName")) or "default"
    added: JsonObject = {
        "serviceAccountName": account,
        "serviceAccount": account,
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    tolerations = [*objects_at(spec, "tolerations"), *_WAIT]
    quality = _quality(objects_at(spec, "containers"))
    status: JsonObject = {"phase": "Pending", "qosClass": quality}
    return {**body, "spec": {**added, **spec, "tolerations": list(tolerations)}, "status": status}


def _quality(containers: list[JsonObject]) -> str:
    asks = [as_object(one.get("resources")) for one in containers]
    named = [
        (as_object(one.get("requests")), as_object(one.get("limits")), name)
        for one in asks
        for name in ("cpu", "memory")
    ]
    if not any(name in requests or name in limits for requests, limits, name in named):
        return "BestEffort"
    exact = all(name in limits and requests.get(name, limits[name]) == limits[name] for requests, limits, name in named)
    return "Guaranteed" if exact else "Burstable"


def _new_namespace(body: JsonObject, _: str) -> JsonObject:
    return {**body, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


_AT_CREATION: Mapping[str, Callable[[JsonObject, str], JsonObject]] = {
    "apps/Deployment": _new_status({}),
    "apps/StatefulSet": _new_status({"replicas": 0}),
    "autoscaling/HorizontalPodAutoscaler": _new_status({"desiredReplicas": 0, "currentMetrics": None}),
    "batch/Job": _new_job,
    "policy/PodDisruptionBudget": _new_status(
        {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    ),
    "resource.k8s.io/ResourceClaim": _new_status({}),
    "/Namespace": _new_namespace,
    "/Pod": _new_pod,
    "/ResourceQuota": _new_status({}),
}
