"""Kinds that are served in two forms but kept in one: Events (core and events.k8s.io) and autoscalers (v2 and v1).

Stored forms are core/v1 Event and autoscaling/v2. Bodies here are objects without kind and apiVersion.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from evals.servers.kube.jsonread import as_int, as_object, objects_at
from evals.servers.kube.kinds import Kinds, Resource
from tools.types import JsonObject

_EVENT_FIELDS: Mapping[str, str] = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
"""Field of core/v1 Event → field of events.k8s.io/v1 Event."""
_EVENT_BACK = {new: old for old, new in _EVENT_FIELDS.items()}
_METRICS_ANNOTATION = "autoscaling.alpha.kubernetes.io/metrics"


def stored_form(resource: Resource, raw: JsonObject, kinds: Kinds) -> tuple[Resource, JsonObject]:
    """The resource and form in which an object is kept."""
    if resource.api_version == "events.k8s.io/v1" and resource.kind == "Event":
        return kinds.by_kind[("", "v1", "Event")], {_EVENT_BACK.get(key, key): value for key, value in raw.items()}
    if resource.api_version == "autoscaling/v1" and resource.kind == "HorizontalPodAutoscaler":
        return kinds.by_kind[("autoscaling", "v2", resource.kind)], {
            **raw,
            "spec": _spec_v2(as_object(raw.get("spec"))),
        }
    return resource, raw


def served_form(resource: Resource, body: JsonObject) -> JsonObject:
    """A stored body as the resource of a request shows it (the same body where the forms agree)."""
    if resource.api_version == "events.k8s.io/v1" and resource.kind == "Event":
        shown = {_EVENT_FIELDS.get(key, key): value for key, value in body.items()}
        return {key: value for key, value in shown.items() if value != "" or key != "reportingInstance"}
    if resource.api_version == "autoscaling/v1" and resource.kind == "HorizontalPodAutoscaler":
        return _autoscaler_v1(body)
    return body


def converts(resource: Resource) -> bool:
    """True where `served_form` changes anything."""
    return (resource.api_version, resource.kind) in (
        ("events.k8s.io/v1", "Event"),
        ("autoscaling/v1", "HorizontalPodAutoscaler"),
    )


def _spec_v2(spec: JsonObject) -> JsonObject:
    target = spec.get("targetCPUUtilizationPercentage")
    rest: JsonObject = {key: value for key, value in spec.items() if key != "targetCPUUtilizationPercentage"}
    if target is not None:
        resource: JsonObject = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}
        rest["metrics"] = [{"type": "Resource", "resource": resource}]
    return rest


def _autoscaler_v1(body: JsonObject) -> JsonObject:
    spec, status = as_object(body.get("spec")), as_object(body.get("status"))
    shown: JsonObject = {key: spec[key] for key in ("scaleTargetRef", "minReplicas", "maxReplicas") if key in spec}
    others: list[JsonObject] = []
    for metric in objects_at(spec, "metrics"):
        used = _cpu_target(metric)
        if used is None:
            others.append(metric)
        else:
            shown["targetCPUUtilizationPercentage"] = used
    fields = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
    state: JsonObject = {key: status[key] for key in fields if key in status}
    state.setdefault("currentReplicas", 0)
    state.setdefault("desiredReplicas", 0)
    metadata = as_object(body.get("metadata"))
    if others:
        annotations = {**as_object(metadata.get("annotations")), _METRICS_ANNOTATION: json.dumps(others)}
        metadata = {**metadata, "annotations": annotations}
    return {**body, "metadata": metadata, "spec": shown, "status": state}


def _cpu_target(metric: JsonObject) -> int | None:
    resource = as_object(metric.get("resource"))
    target = as_object(resource.get("target"))
    if metric.get("type") == "Resource" and resource.get("name") == "cpu" and target.get("averageUtilization"):
        return as_int(target.get("averageUtilization"))
    return None
