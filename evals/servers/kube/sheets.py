"""Columns of the built-in kinds, as kube-apiserver 1.36 prints them (pods stand in podsheet.py).

Every function takes an object without kind and the moment to reckon ages from.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_int, as_list, as_object, as_text, dig, objects_at, seconds_of
from evals.servers.kube.podsheet import pod_cells
from evals.servers.kube.tables import NONE, UNKNOWN, UNSET, Sheet, age, human, name_of, sheet, since
from tools.types import JsonObject

_NODE_ROLE = "node-role.kubernetes.io/"


def _containers(body: JsonObject, *path: str) -> list[JsonValue]:
    found = objects_at(body, *path, "containers")
    return [",".join(as_text(one.get(key)) for one in found) for key in ("name", "image")]


def _selector(selector: object) -> str:
    """A label selector in one line; `<none>` for none."""
    terms = [f"{key}={as_text(value)}" for key, value in sorted(as_object(dig(selector, "matchLabels")).items())]
    for one in objects_at(selector, "matchExpressions"):
        terms.append(_expression(one))
    return ",".join(terms) or NONE


def _expression(one: JsonObject) -> str:
    key, op = as_text(one.get("key")), as_text(one.get("operator"))
    if op == "Exists":
        return key
    if op == "DoesNotExist":
        return f"!{key}"
    return f"{key} {op.lower()} ({','.join(as_text(value) for value in as_list(one.get('values')))})"


def _map(value: object) -> str:
    return ",".join(f"{key}={as_text(text)}" for key, text in sorted(as_object(value).items())) or NONE


def _count(body: JsonObject, *path: str) -> int:
    return as_int(dig(body, *path))


def _desired(body: JsonObject) -> int:
    replicas = dig(body, "spec", "replicas")
    return 1 if replicas is None else as_int(replicas)


def _node(body: JsonObject, now: float) -> list[JsonValue]:
    info = as_object(dig(body, "status", "nodeInfo"))
    kernel, arch = as_text(info.get("kernelVersion")), as_text(info.get("architecture"))
    return [
        name_of(body),
        _node_status(body),
        _node_roles(as_object(dig(body, "metadata", "labels"))),
        age(body, now),
        as_text(info.get("kubeletVersion")),
        _address(body, "InternalIP"),
        _address(body, "ExternalIP"),
        as_text(info.get("osImage")) or UNKNOWN,
        (f"{kernel} ({arch})" if arch else kernel) or UNKNOWN,
        as_text(info.get("containerRuntimeVersion")) or UNKNOWN,
    ]


def _node_status(body: JsonObject) -> str:
    ready = [one.get("status") for one in objects_at(body, "status", "conditions") if one.get("type") == "Ready"]
    words = ["Ready" if ready[0] == "True" else "NotReady"] if ready else ["Unknown"]
    if dig(body, "spec", "unschedulable") is True:
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(labels: Mapping[str, object]) -> str:
    roles = {key.removeprefix(_NODE_ROLE) for key in labels if key.startswith(_NODE_ROLE)}
    named = as_text(labels.get("kubernetes.io/role"))
    return ",".join(sorted((roles | {named}) - {""})) or NONE


def _address(body: JsonObject, kind: str) -> str:
    for one in objects_at(body, "status", "addresses"):
        if one.get("type") == kind:
            return as_text(one.get("address"))
    return NONE


def _deployment(body: JsonObject, now: float) -> list[JsonValue]:
    return [
        name_of(body),
        f"{_count(body, 'status', 'readyReplicas')}/{_desired(body)}",
        _count(body, "status", "updatedReplicas"),
        _count(body, "status", "availableReplicas"),
        age(body, now),
        *_containers(body, "spec", "template", "spec"),
        _selector(dig(body, "spec", "selector")),
    ]


def _replica_set(body: JsonObject, now: float) -> list[JsonValue]:
    return [
        name_of(body),
        _desired(body),
        _count(body, "status", "replicas"),
        _count(body, "status", "readyReplicas"),
        age(body, now),
        *_containers(body, "spec", "template", "spec"),
        _selector(dig(body, "spec", "selector")),
    ]


def _stateful_set(body: JsonObject, now: float) -> list[JsonValue]:
    ready = f"{_count(body, 'status', 'readyReplicas')}/{_desired(body)}"
    return [name_of(body), ready, age(body, now), *_containers(body, "spec", "template", "spec")]


def _daemon_set(body: JsonObject, now: float) -> list[JsonValue]:
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady")
    more = ("updatedNumberScheduled", "numberAvailable")
    return [
        name_of(body),
        *(_count(body, "status", field) for field in (*counts, *more)),
        _map(dig(body, "spec", "template", "spec", "nodeSelector")),
        age(body, now),
        *_containers(body, "spec", "template", "spec"),
        _selector(dig(body, "spec", "selector")),
    ]


def _job(body: JsonObject, now: float) -> list[JsonValue]:
    return [
        name_of(body),
        _job_status(body),
        _job_completions(body),
        _job_duration(body, now),
        age(body, now),
        *_containers(body, "spec", "template", "spec"),
        _selector(dig(body, "spec", "selector")),
    ]


def _job_status(body: JsonObject) -> str:
    held = {one.get("type") for one in objects_at(body, "status", "conditions") if one.get("status") == "True"}
    if dig(body, "metadata", "deletionTimestamp") and not held & {"Complete", "Failed"}:
        return "Terminating"
    for condition in ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if condition in held:
            return condition
    return "Running"


def _job_completions(body: JsonObject) -> str:
    succeeded = _count(body, "status", "succeeded")
    completions = dig(body, "spec", "completions")
    if completions is not None:
        return f"{succeeded}/{as_text(completions)}"
    parallelism = _count(body, "spec", "parallelism")
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(body: JsonObject, now: float) -> str:
    start = seconds_of(dig(body, "status", "startTime"))
    end = seconds_of(dig(body, "status", "completionTime"))
    return "" if start is None else human((now if end is None else end) - start)


def _cron_job(body: JsonObject, now: float) -> list[JsonValue]:
    last = dig(body, "status", "lastScheduleTime")
    return [
        name_of(body),
        as_text(dig(body, "spec", "schedule")),
        as_text(dig(body, "spec", "timeZone")) or NONE,
        "True" if dig(body, "spec", "suspend") is True else "False",
        len(as_list(dig(body, "status", "active"))),
        since(last, now) if last else NONE,
        age(body, now),
        *_containers(body, "spec", "jobTemplate", "spec", "template", "spec"),
        _selector(dig(body, "spec", "jobTemplate", "spec", "selector")),
    ]


def _event(body: JsonObject, now: float) -> list[JsonValue]:
    involved = as_object(body.get("involvedObject"))
    first = body.get("firstTimestamp") or body.get("eventTime")
    last = dig(body, "series", "lastObservedTime") or body.get("lastTimestamp") or first
    kind, name = as_text(involved.get("kind")).lower(), as_text(involved.get("name"))
    return [
        since(last, now),
        as_text(body.get("type")),
        as_text(body.get("reason")),
        f"{kind}/{name}" if name else kind,
        as_text(involved.get("fieldPath")),
        _event_source(body),
        as_text(body.get("message")).strip(),
        since(first, now),
        as_int(dig(body, "series", "count")) or as_int(body.get("count")) or 1,
        name_of(body),
    ]


def _event_source(body: JsonObject) -> str:
    component, host = as_text(dig(body, "source", "component")), as_text(dig(body, "source", "host"))
    if not component:
        component, host = as_text(body.get("reportingComponent")), as_text(body.get("reportingInstance"))
    return f"{component}, {host}" if host else component


def _autoscaler(body: JsonObject, now: float) -> list[JsonValue]:
    ref = as_object(dig(body, "spec", "scaleTargetRef"))
    minimum = dig(body, "spec", "minReplicas")
    return [
        name_of(body),
        f"{as_text(ref.get('kind'))}/{as_text(ref.get('name'))}",
        _targets(body),
        UNSET if minimum is None else as_text(minimum),
        _count(body, "spec", "maxReplicas"),
        _count(body, "status", "currentReplicas"),
        age(body, now),
    ]


def _targets(body: JsonObject) -> str:
    current = objects_at(body, "status", "currentMetrics")
    metrics = objects_at(body, "spec", "metrics")
    shown = [_target(one, current[index] if index < len(current) else {}) for index, one in enumerate(metrics)]
    if len(shown) > 2:
        return f"{', '.join(shown[:2])} + {len(shown) - 2} more..."
    return ", ".join(shown) or NONE


def _target(metric: JsonObject, current: JsonObject) -> str:
    field = as_text(metric.get("type"))
    field = field[:1].lower() + field[1:]
    goal = as_object(dig(metric, field, "target"))
    now = as_object(dig(current, field, "current"))
    prefix = f"{as_text(dig(metric, field, 'name'))}: " if field in ("resource", "containerResource") else ""
    if goal.get("averageUtilization") is not None:
        used = now.get("averageUtilization")
        return f"{prefix}{UNKNOWN if used is None else f'{as_text(used)}%'}/{as_text(goal['averageUtilization'])}%"
    key = "averageValue" if goal.get("averageValue") is not None else "value"
    average = " (avg)" if key == "averageValue" and field in ("external", "object") else ""
    return f"{prefix}{as_text(now.get(key)) or UNKNOWN}/{as_text(goal.get(key))}{average}"


def _service(body: JsonObject, now: float) -> list[JsonValue]:
    kind = as_text(dig(body, "spec", "type")) or "ClusterIP"
    return [
        name_of(body),
        kind,
        as_text(dig(body, "spec", "clusterIP")) or NONE,
        _external(body, kind),
        ",".join(map(_port, objects_at(body, "spec", "ports"))) or NONE,
        age(body, now),
        _map(dig(body, "spec", "selector")),
    ]


def _external(body: JsonObject, kind: str) -> str:
    listed = [as_text(one) for one in as_list(dig(body, "spec", "externalIPs"))]
    if kind == "ExternalName":
        return as_text(dig(body, "spec", "externalName")) or NONE
    if kind == "LoadBalancer":
        ingress = objects_at(body, "status", "loadBalancer", "ingress")
        listed = [as_text(one.get("ip")) or as_text(one.get("hostname")) for one in ingress] + listed
        return ",".join(listed) or "<pending>"
    return ",".join(listed) or NONE


def _port(port: JsonObject) -> str:
    protocol = as_text(port.get("protocol")) or "TCP"
    node = f":{as_text(port['nodePort'])}" if port.get("nodePort") else ""
    return f"{as_text(port.get('port'))}{node}/{protocol}"


def _budget(body: JsonObject, now: float) -> list[JsonValue]:
    spec = as_object(body.get("spec"))
    limits = [as_text(spec.get(field)) or "N/A" for field in ("minAvailable", "maxUnavailable")]
    return [name_of(body), *limits, _count(body, "status", "disruptionsAllowed"), age(body, now)]


def _claim(body: JsonObject, now: float) -> list[JsonValue]:
    spec, status = as_object(body.get("spec")), as_object(body.get("status"))
    return [
        name_of(body),
        "Terminating" if dig(body, "metadata", "deletionTimestamp") else as_text(status.get("phase")),
        as_text(spec.get("volumeName")),
        as_text(dig(status, "capacity", "storage")),
        ",".join(_SHORT_MODES.get(as_text(mode), as_text(mode)) for mode in as_list(status.get("accessModes"))),
        as_text(spec.get("storageClassName")),
        as_text(spec.get("volumeAttributesClassName")) or UNSET,
        age(body, now),
        as_text(spec.get("volumeMode")) or UNSET,
    ]


_SHORT_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_WORKLOAD = "+Containers, +Images, +Selector"
SHEETS: Mapping[str, Sheet] = {
    "/pods": sheet("Name, Ready, Status, Restarts, Age, +IP, +Node, +Nominated Node, +Readiness Gates", pod_cells),
    "/nodes": sheet(
        "Name, Status, Roles, Age, Version, +Internal-IP, +External-IP, +OS-Image, +Kernel-Version, +Container-Runtime",
        _node,
    ),
    "apps/deployments": sheet(f"Name, Ready, Up-to-date, Available, Age, {_WORKLOAD}", _deployment),
    "apps/replicasets": sheet(f"Name, Desired:integer, Current:integer, Ready:integer, Age, {_WORKLOAD}", _replica_set),
    "apps/statefulsets": sheet("Name, Ready, Age, +Containers, +Images", _stateful_set),
    "apps/daemonsets": sheet(
        "Name, Desired:integer, Current:integer, Ready:integer, Up-to-date:integer, Available:integer, "
        f"Node Selector, Age, {_WORKLOAD}",
        _daemon_set,
    ),
    "batch/jobs": sheet(f"Name, Status, Completions, Duration, Age, {_WORKLOAD}", _job),
    "batch/cronjobs": sheet(
        f"Name, Schedule, Timezone, Suspend:boolean, Active:integer, Last Schedule, Age, {_WORKLOAD}", _cron_job
    ),
    "/events": sheet(
        "Last Seen, Type, Reason, Object, +Subobject, +Source, Message, +First Seen, +Count, +Name", _event
    ),
    "autoscaling/horizontalpodautoscalers": sheet(
        "Name, Reference, Targets, MinPods, MaxPods, Replicas, Age", _autoscaler
    ),
    "/services": sheet("Name, Type, Cluster-IP, External-IP, Port(s), Age, +Selector", _service),
    "/namespaces": sheet(
        "Name, Status, Age",
        lambda body, now: [name_of(body), as_text(dig(body, "status", "phase")), age(body, now)],
    ),
    "/configmaps": sheet(
        "Name, Data, Age",
        lambda body, now: [
            name_of(body),
            len(as_object(body.get("data"))) + len(as_object(body.get("binaryData"))),
            age(body, now),
        ],
    ),
    "/secrets": sheet(
        "Name, Type, Data, Age",
        lambda body, now: [name_of(body), as_text(body.get("type")), len(as_object(body.get("data"))), age(body, now)],
    ),
    "apiextensions.k8s.io/customresourcedefinitions": sheet(
        "Name, Created At:date",
        lambda body, _now: [name_of(body), as_text(dig(body, "metadata", "creationTimestamp"))],
    ),
    "policy/poddisruptionbudgets": sheet(
        "Name, Min Available, Max Unavailable, Allowed Disruptions:integer, Age", _budget
    ),
    "/persistentvolumeclaims": sheet(
        "Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age, +VolumeMode", _claim
    ),
}
"""How each built-in kind is printed, keyed like storage: `group/plural`."""
