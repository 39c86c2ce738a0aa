"""managedFields: which manager owns which fields, kept up to date by a write (operation Update).

A set of fields is a FieldsV1 tree: `f:name` for a field, `k:{…}` for an item of a keyed list, `.` for the parent
itself. A changed field goes to whoever changed it; a removed one is nobody's. Server-side apply is in `apply`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_object, as_text, objects_at
from evals.servers.kube.kinds import Resource
from tools.types import JsonObject

_SERVER_OWNED = frozenset(
    {
        "creationTimestamp",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
_LIST_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "claims": (("name",),),
    "conditions": (("type",),),
    "containers": (("name",),),
    "env": (("name",),),
    "ephemeralContainers": (("name",),),
    "hostAliases": (("ip",),),
    "imagePullSecrets": (("name",),),
    "initContainers": (("name",),),
    "ownerReferences": (("uid",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "resourceClaims": (("name",),),
    "schedulingGates": (("name",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "volumeDevices": (("devicePath",),),
    "volumeMounts": (("mountPath",),),
    "volumes": (("name",),),
}
"""Lists that are merged by key, by field name, with the keys in use (Kubernetes' listType=map markers)."""
ATOMIC = frozenset({"selector", "nodeSelector", "labelSelector", "namespaceSelector"})
"""Objects owned as a whole (Kubernetes' structType=atomic markers), by field name."""
_POD: JsonObject = {"metadata": {}, "spec": {"containers": None}}
_EMPTY: Mapping[str, JsonObject] = {
    "apps/Deployment": {"spec": {"selector": None, "strategy": {}, "template": _POD}},
    "apps/StatefulSet": {"spec": {"selector": None, "updateStrategy": {}, "template": _POD}},
    "apps/DaemonSet": {"spec": {"selector": None, "updateStrategy": {}, "template": _POD}},
    "apps/ReplicaSet": {"spec": {"selector": None, "template": _POD}},
    "autoscaling/HorizontalPodAutoscaler": {"spec": {"scaleTargetRef": {}}},
    "batch/Job": {"spec": {"template": _POD}},
    "policy/PodDisruptionBudget": {"spec": {}},
    "resource.k8s.io/DeviceClass": {"spec": {}},
    "resource.k8s.io/ResourceClaim": {"spec": {"devices": {}}},
    "resource.k8s.io/ResourceSlice": {"spec": {"pool": {}}},
    "/Namespace": {"spec": {}},
    "/Node": {"spec": {}},
    "/Pod": {"spec": {"containers": None}},
    "/ResourceQuota": {"spec": {}},
    "/Service": {"spec": {}},
}
"""What the Go type of a kind holds before anything is set: such parts have no `.` of their own when created."""


def owned_fields(value: JsonObject) -> JsonObject:
    """All fields of a new object as a tree; the fields of its top level have no `.` of their own."""
    return {f"f:{name}": _undotted(name, child) for name, child in value.items()}


def _undotted(name: str, value: object) -> JsonObject:
    tree = _whole(name, value)
    tree.pop(".", None)
    return tree


def _whole(name: str, value: object) -> JsonObject:
    """The tree of a value that was not there before."""
    if name in ATOMIC:
        return {}
    if isinstance(value, dict) and value:
        return {".": {}, **{f"f:{key}": _whole(key, child) for key, child in value.items()}}
    items = keyed(name, value)
    if items:
        return {".": {}, **{key: _whole("", item) for key, item in items.items()}}
    return {}


def keyed(name: str, value: object) -> dict[str, JsonObject]:
    """The items of a keyed list by their `k:` name; {} where the list is not keyed."""
    if not isinstance(value, list):
        return {}
    for keys in _LIST_KEYS.get(name, ()):
        if value and all(isinstance(one, dict) and keys[0] in one for one in value):
            return {_key(one, keys): one for one in value if isinstance(one, dict)}
    return {}


def default_key(item: JsonObject, key: str) -> JsonValue:
    """The value of a merge key; a port without protocol is TCP."""
    return item.get(key, "TCP" if key == "protocol" else None)


def _key(item: JsonObject, keys: tuple[str, ...]) -> str:
    named = {key: default_key(item, key) for key in keys}
    return "k:" + json.dumps(named, separators=(",", ":"), sort_keys=True)


def gained(old: JsonObject, new: JsonObject) -> JsonObject:
    """The tree of fields that are new or different in `new`."""
    tree: JsonObject = {}
    for name, value in new.items():
        before = old.get(name)
        if name in old and before == value:
            continue
        child = _gained_child(name, before, value, known=name in old)
        if child is not None:
            tree[f"f:{name}"] = child
    return tree


def _gained_child(name: str, before: object, value: object, *, known: bool) -> JsonObject | None:
    if not known:
        return _whole(name, value)
    if isinstance(before, dict) and isinstance(value, dict) and value and name not in ATOMIC:
        return gained(before, value) or None
    old_items, new_items = keyed(name, before), keyed(name, value)
    if new_items and (old_items or before is None):
        tree: JsonObject = {}
        for key, item in new_items.items():
            if key not in old_items:
                tree[key] = _whole("", item)
            elif item != old_items[key]:
                tree[key] = gained(old_items[key], item)
        return {key: child for key, child in tree.items() if child} or None
    return {}


def content(item: JsonObject) -> JsonObject:
    """What managers can own: everything but kind, apiVersion and the server's own metadata."""
    metadata = {key: value for key, value in as_object(item.get("metadata")).items() if key not in _SERVER_OWNED}
    rest = {key: value for key, value in item.items() if key not in ("kind", "apiVersion", "metadata")}
    return {"metadata": metadata, **rest}


def created_fields(resource: Resource, item: JsonObject) -> JsonObject:
    """The fields of a new object; what its kind holds anyway is not owned by itself."""
    empty = {} if resource.custom else _EMPTY.get(f"{resource.group}/{resource.kind}", {})
    written = {key: value for key, value in content(item).items() if key != "status"}
    tree = gained({**empty, "metadata": {}}, written)
    return tree


def entry_of(*, manager: str, operation: str, api_version: str, time: str, fields: JsonObject) -> JsonObject:
    """One entry of managedFields."""
    head: JsonObject = {"manager": manager, "operation": operation, "apiVersion": api_version, "time": time}
    return {**head, "fieldsType": "FieldsV1", "fieldsV1": fields}


def after_update(
    old: JsonObject, new: JsonObject, *, manager: str, api_version: str, time: str, subresource: str = ""
) -> list[JsonObject]:
    """managedFields after `manager` turned `old` into `new`; the old ones where nothing changed."""
    before, after = content(old), content(new)
    changed, dropped = gained(before, after), gained(after, before)
    entries = objects_at(old, "metadata", "managedFields")
    if not changed and not dropped:
        return entries
    mine = entry_of(manager=manager, operation="Update", api_version=api_version, time=time, fields=changed)
    if subresource:
        mine["subresource"] = subresource
    kept: list[JsonObject] = []
    for entry in entries:
        fields = as_object(entry.get("fieldsV1"))
        if _who(entry) == _who(mine):
            mine["fieldsV1"] = union(minus(fields, minus(dropped, changed)), changed)
        elif left := minus(minus(fields, changed), dropped):
            kept.append({**entry, "fieldsV1": left})
    if mine["fieldsV1"]:
        kept.append(mine)
    return in_order(kept)


def in_order(entries: list[JsonObject]) -> list[JsonObject]:
    """Entries as the server lists them: applied before updated, then by time and manager."""
    return sorted(entries, key=lambda one: tuple(as_text(one.get(field)) for field in ("operation", "time", "manager")))


def _who(entry: JsonObject) -> tuple[str, ...]:
    return tuple(as_text(entry.get(field)) for field in ("manager", "operation", "apiVersion", "subresource"))


def minus(tree: JsonObject, other: JsonObject) -> JsonObject:
    """The fields of `tree` that `other` does not hold."""
    left: JsonObject = {}
    for key, child in tree.items():
        if key not in other:
            left[key] = child
            continue
        rest = minus(as_object(child), as_object(other[key])) if other[key] else {}
        if rest and rest != {".": {}}:
            left[key] = rest
    return left


def union(tree: JsonObject, other: JsonObject) -> JsonObject:
    """The fields of both."""
    joined = dict(tree)
    for key, child in other.items():
        joined[key] = union(as_object(joined.get(key)), as_object(child))
    return joined
