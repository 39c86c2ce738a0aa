"""Small clusters for unit tests of causes: objects and series in, a View out, no server in between.

Wire truth is tested by the scenarios; here each rule meets the one field that turns it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from agent.analysis.view import View
from tools import fields
from tools.types import (
    Evidence,
    JsonObject,
    NamedQuery,
    Row,
    Scope,
    Status,
    ToolCall,
    digest_of,
)

NOW = 1_780_000_000.0
Samples = Sequence[tuple[Mapping[str, str], float | list[tuple[float, float]]]]


def ago(seconds: float) -> str:
    """An RFC 3339 time before NOW."""
    return fields.rfc3339(NOW - seconds)


def evidence(
    name: str, tool: str, rows: Sequence[Row], family: str, status: Status = "ok", detail: str = ""
) -> Evidence:
    """A piece of evidence with those rows."""
    return Evidence(
        id=name,
        tool=tool,
        source="prometheus" if tool == "named_query" else "kubernetes",
        family=family,
        query=f"{tool} {name}",
        call_digest=name,
        status=status if rows or status != "ok" else "empty",
        detail=detail,
        observed_at=NOW,
        rows=tuple(rows),
        digest=digest_of([row.data for row in rows]),
    )


def view(
    objects: Sequence[JsonObject] = (),
    series: Mapping[str, Samples] | None = None,
    *,
    failed: Mapping[str, Status] | None = None,
    denied: Sequence[tuple[str, str]] = (),
    scope: Scope | None = None,
) -> View:
    """A View over objects (grouped by kind) and series by query name; `failed` gives statuses by query name,
    `denied` the (group, kind)s that may not be listed.
    """
    pairs: list[tuple[ToolCall, Evidence]] = []
    kinds: dict[tuple[str, str], list[JsonObject]] = {}
    for obj in objects:
        group = fields.text(obj, "apiVersion").rpartition("/")[0]
        kinds.setdefault((group, fields.text(obj, "kind")), []).append(obj)
    for (group, kind), members in kinds.items():
        rows = [Row(key=_key(obj), namespace=_namespace(obj), data=copy.deepcopy(obj)) for obj in members]
        call = ToolCall(tool="list_objects", args={"group": group, "kind": kind})
        pairs.append((call, evidence(f"E{len(pairs) + 1}", "list_objects", rows, "objects")))
    for group, kind in denied:
        call = ToolCall(tool="list_objects", args={"group": group, "kind": kind})
        pairs.append((call, evidence(f"E{len(pairs) + 1}", "list_objects", [], "objects", "denied", "forbidden")))
    for name, samples in (series or {}).items():
        rows = [_series_row(labels, value) for labels, value in samples]
        call = ToolCall(tool="named_query", args={"name": name})
        pairs.append((call, evidence(f"E{len(pairs) + 1}", "named_query", rows, name.split("_")[0])))
    for name, status in (failed or {}).items():
        call = ToolCall(tool="named_query", args={"name": name})
        pairs.append((call, evidence(f"E{len(pairs) + 1}", "named_query", [], "dcgm", status, "no answer in 15 s")))
    return View(pairs, now=NOW, scope=scope or Scope(asked="cluster"))


def _key(obj: JsonObject) -> str:
    namespace = _namespace(obj)
    name = fields.text(obj, "metadata", "name")
    return f"{namespace}/{name}" if namespace else name


def _namespace(obj: JsonObject) -> str | None:
    return fields.text(obj, "metadata", "namespace") or None


def _series_row(labels: Mapping[str, str], value: float | list[tuple[float, float]]) -> Row:
    key = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    data: JsonObject = {"labels": dict(labels)}
    if isinstance(value, list):
        data["points"] = [[t, v] for t, v in value]
    else:
        data["value"] = value
    return Row(key=key, namespace=labels.get("namespace"), data=data)


def by_pod(query: NamedQuery, values: Mapping[str, float], namespace: str = "ml") -> dict[str, Samples]:
    """Series of a query for pods of one namespace."""
    return {query.name: [({"namespace": namespace, "pod": pod}, value) for pod, value in values.items()]}


def node(name: str, gpus: int = 8, **spec: JsonValue) -> JsonObject:
    """A ready GPU node."""
    resources: JsonObject = {"cpu": "128", "memory": "1Ti", "nvidia.com/gpu": str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": ago(864_000),
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "nvidia.com/gpu.product": "H100"},
        },
        "spec": {**spec},
        "status": {"capacity": dict(resources), "allocatable": dict(resources)},
    }


def owner(kind: str, name: str, api: str) -> JsonObject:
    """An ownerReferences entry of a controller."""
    return {"apiVersion": api, "kind": kind, "name": name, "uid": f"uid-{kind}-{name}", "controller": True}


def pod(
    name: str,
    *,
    namespace: str = "ml",
    gpus: int = 1,
    on: str | None = "gpu-0",
    owned_by: JsonObject | None = None,
    age: float = 86_400,
    **extra: JsonObject,
) -> JsonObject:
    """A pod: running and ready on a node, or pending and refused where `on` is None."""
    limits: JsonObject = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    spec: JsonObject = {
        "containers": [{"name": "main", "image": "registry.example/app:v1", "resources": {"limits": limits}}],
        "restartPolicy": "Always",
    }
    status: JsonObject = {"phase": "Pending"}
    if on is not None:
        spec["nodeName"] = on
        status = {
            "phase": "Running",
            "startTime": ago(age),
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "main",
                    "image": "registry.example/app:v1",
                    "imageID": "registry.example/app@sha256:" + "a" * 64,
                    "state": {"running": {"startedAt": ago(age)}},
                }
            ],
        }
    metadata: JsonObject = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": ago(age)}
    if owned_by:
        metadata["ownerReferences"] = [owned_by]
    spec.update(extra.get("spec", {}))
    status.update(extra.get("status", {}))
    metadata.update(extra.get("metadata", {}))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def workload(
    kind: str, name: str, api: str, *, namespace: str = "ml", owned_by: JsonObject | None = None, **body: JsonObject
) -> JsonObject:
    """A controller object."""
    metadata: JsonObject = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{kind}-{name}",
        "creationTimestamp": ago(864_000),
    }
    if owned_by:
        metadata["ownerReferences"] = [owned_by]
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def deployment(
    name: str, pods: Mapping[str, str], *, gpus: int = 1, namespace: str = "ml", **body: JsonObject
) -> list[JsonObject]:
    """A Deployment with its ReplicaSet and one running pod per (pod name → node)."""
    replica_set = f"{name}-5f6d7c8b9"
    spec: JsonObject = {"replicas": len(pods), **body.get("spec", {})}
    status: JsonObject = {"replicas": len(pods), "updatedReplicas": len(pods), **body.get("status", {})}
    objects = [
        workload("Deployment", name, "apps/v1", namespace=namespace, spec=spec, status=status),
        workload(
            "ReplicaSet", replica_set, "apps/v1", namespace=namespace, owned_by=owner("Deployment", name, "apps/v1")
        ),
    ]
    by = owner("ReplicaSet", replica_set, "apps/v1")
    return objects + [pod(p, namespace=namespace, gpus=gpus, on=on, owned_by=by) for p, on in pods.items()]


def hpa(
    name: str, target: str, metrics: list[JsonObject], *, namespace: str = "ml", floor: int = 1, **status: JsonObject
) -> JsonObject:
    """An HPA on a Deployment."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": ago(864_000)},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": floor,
            "maxReplicas": 6,
            "metrics": list(metrics),
        },
        "status": {"currentReplicas": 2, "conditions": [{"type": "ScalingActive", "status": "True"}], **status},
    }


CPU_METRIC: JsonObject = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}
QUEUE_METRIC: JsonObject = {
    "type": "External",
    "external": {"metric": {"name": "s0-prometheus"}, "target": {"type": "AverageValue", "averageValue": "5"}},
}


def measured(pods: Sequence[str], busy: float, namespace: str = "ml") -> dict[str, Samples]:
    """Full telemetry coverage of pods at one busy share."""
    from agent.analysis import queries

    series: dict[str, Samples] = {
        queries.GPU_SAMPLES_BY_NODE.name: [({"node": "gpu-0"}, 8.0), ({"node": "gpu-1"}, 8.0)],
        **by_pod(queries.GPU_COVERAGE_BY_POD, dict.fromkeys(pods, 60.0), namespace),
        **by_pod(queries.GPU_BUSY_MAX, dict.fromkeys(pods, busy), namespace),
        **by_pod(queries.GPU_BUSY_MEAN, dict.fromkeys(pods, busy), namespace),
    }
    return series
