"""Raw objects to rows, kind by kind.

Rules: full spec and status stay but for what is listed here; a kind nobody has heard of is kept whole, hidden by
structure; null lists, missing fields and wrong types pass through.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from tools import fields
from tools.projection.hiding import config_data, hide
from tools.projection.marks import Shared, long
from tools.projection.metadata import metadata
from tools.types import JsonObject, KindRef, Row

_CONTAINER = (
    "name", "image", "args", "command", "env", "envFrom", "resources", "ports", "livenessProbe", "readinessProbe",
    "startupProbe", "restartPolicy", "securityContext",
)  # fmt: skip
_POD_SPEC_DROPPED = frozenset(
    {"containers", "initContainers", "ephemeralContainers", "volumes", "dnsPolicy", "dnsConfig", "enableServiceLinks",
     "serviceAccount", "terminationGracePeriodSeconds", "hostAliases"}
)  # fmt: skip
_POD_SPEC_OWN = ("nodeName", "hostname", "subdomain", "schedulingGates", "resourceClaims")
_TOKEN_MOUNT = "/var/run/secrets/"
_POD = KindRef(kind="Pod")


def object_row(kind: KindRef, item: JsonObject, *, bulk: bool = True) -> Row | None:
    """One object as a row keyed `namespace/name` or `name`; None for an item without a name.

    In bulk reads pods and events come without managedFields, ReplicaSets without the paths of theirs.
    """
    name = fields.text(item, "metadata", "name")
    if not name:
        return None
    namespace = fields.text(item, "metadata", "namespace") or None
    data: JsonObject = {"apiVersion": fields.text(item, "apiVersion"), "kind": fields.text(item, "kind") or kind.kind}
    data["metadata"] = metadata(item, owned=not (bulk and kind.kind in ("Pod", "Event", "Lease")))
    data.update(_BODIES.get(kind, _generic)(item))
    key = f"{namespace}/{name}" if namespace else name
    tenant = name if kind == KindRef(kind="Namespace") else namespace
    return Row(key=key, namespace=tenant, data=data)


def _generic(item: JsonObject) -> JsonObject:
    body = {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata")}
    hide(body)
    return body


def _pod(item: JsonObject) -> JsonObject:
    raw = fields.mapping(item, "spec")
    spec: JsonObject = {key: value for key, value in raw.items() if key not in _POD_SPEC_DROPPED}
    own: JsonObject = {key: spec.pop(key) for key in _POD_SPEC_OWN if key in spec}
    for key in ("initContainers", "containers", "ephemeralContainers"):
        if key in raw:
            spec[key] = [container(one) for one in fields.items(raw, key)] if isinstance(raw[key], list) else None
    if "volumes" in raw:
        spec["volumes"] = [volume(one) for one in fields.items(raw, "volumes") if not _is_token_volume(one)]
    return {"spec": Shared(spec, own, hide), "status": item.get("status")}


def container(raw: JsonObject) -> JsonObject:
    """A container with what diagnosers read. Still to be hidden by structure."""
    kept: JsonObject = {key: raw[key] for key in _CONTAINER if key in raw}
    mounts: list[JsonValue] = [
        {"name": fields.text(mount, "name"), "mountPath": fields.text(mount, "mountPath")}
        for mount in fields.items(raw, "volumeMounts")
        if not fields.text(mount, "mountPath").startswith(_TOKEN_MOUNT)
    ]
    if mounts:
        kept["volumeMounts"] = mounts
    return kept


def volume(raw: JsonObject) -> JsonObject:
    """A volume without inline content: its name, its type, and the claim, size or medium that matter."""
    kept: JsonObject = {}
    for key, value in raw.items():
        if not isinstance(value, dict):
            kept[key] = value
        else:
            named = ("claimName", "name", "secretName", "medium", "sizeLimit", "path", "driver", "type", "server")
            kept[key] = {name: value[name] for name in named if name in value}
    return kept


def _is_token_volume(raw: JsonObject) -> bool:
    """The service account token that admission adds to every pod, under a name of its own each time."""
    return "projected" in raw and fields.text(raw, "name").startswith("kube-api-access-")


def _node(item: JsonObject) -> JsonObject:
    status = dict(fields.mapping(item, "status"))
    for dropped in ("images", "volumesInUse", "volumesAttached"):
        status.pop(dropped, None)
    body: JsonObject = {"spec": fields.mapping(item, "spec"), "status": status}
    hide(body)
    return body


def _config_map(item: JsonObject) -> JsonObject:
    binary = fields.mapping(item, "binaryData")
    body: JsonObject = {"data": config_data(fields.mapping(item, "data"))}
    if binary:
        body["binaryData"] = {name: f"{len(str(value)):,} base64 characters" for name, value in binary.items()}
    return body


_EVENT = (
    "type", "reason", "action", "count", "firstTimestamp", "lastTimestamp", "eventTime", "reportingComponent",
    "reportingController", "series", "source", "involvedObject", "regarding", "related", "deprecatedCount",
    "deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedSource",
)  # fmt: skip


def _event(item: JsonObject) -> JsonObject:
    kept: JsonObject = {name: item[name] for name in _EVENT if item.get(name) not in (None, "")}
    for name in ("message", "note"):
        if isinstance(item.get(name), str):
            kept[name] = long(str(item[name]))
    return kept


_BODIES: dict[KindRef, Callable[[JsonObject], JsonObject]] = {
    _POD: _pod,
    KindRef(kind="Node"): _node,
    KindRef(kind="ConfigMap"): _config_map,
    KindRef(kind="Event"): _event,
    KindRef(group="events.k8s.io", kind="Event"): _event,
}
"""Kinds with a projection of their own; every other kind is kept whole and hidden by structure."""
