"""Strategic merge patch: like JSON merge patch, but lists of known keys are merged item by item.

Rules: which lists merge, and by which key, are the patchMergeKey markers of the Kubernetes API types, found by the
field's name (tolerations, taints, args and all others are replaced whole). `$patch: replace|delete|merge`,
`$deleteFromPrimitiveList/…` and `$retainKeys` are obeyed; `$setElementOrder/…` orders nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_list, as_object
from evals.servers.kube.managed import default_key
from tools.types import JsonObject

MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "addresses": ("type",),
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "ports": ("containerPort", "port"),
    "resourceClaims": ("name",),
    "schedulingGates": ("name",),
    "secrets": ("name",),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Field name → the keys its items may be told apart by; the first one present in the patch counts."""
MERGED_SETS = frozenset({"finalizers", "podCIDRs"})
"""Lists of plain values that grow by a patch."""
_DIRECTIVE, _RETAIN = "$patch", "$retainKeys"
_DELETE_FROM, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"


class StrategicError(Exception):
    """The patch is not one: an unknown directive, or an item without its merge key."""


def merge_strategic(target: JsonValue, patch: JsonObject) -> JsonValue:
    """`patch` applied to an object; neither argument is changed. Raises StrategicError."""
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise StrategicError(f"Unknown patch type: {directive}")
    merged = _retained(as_object(target), patch)
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            name, gone = key.removeprefix(_DELETE_FROM), as_list(value)
            merged[name] = [one for one in as_list(merged.get(name)) if one not in gone]  # type: ignore[misc]
        elif not key.startswith("$"):
            _merge_field(merged, key, value)
    return merged


def _retained(target: JsonObject, patch: JsonObject) -> JsonObject:
    keep = patch.get(_RETAIN)
    return dict(target) if keep is None else {key: value for key, value in target.items() if key in as_list(keep)}


def _merge_field(merged: JsonObject, key: str, value: JsonValue) -> None:
    before = merged.get(key)
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        merged[key] = merge_strategic(before if isinstance(before, dict) else {}, value)
    elif isinstance(value, list):
        merged[key] = _merge_list(key, before if isinstance(before, list) else [], value)
    else:
        merged[key] = value


def _merge_list(name: str, before: Sequence[JsonValue], patch: list[JsonValue]) -> list[JsonValue]:
    items = [one for one in patch if isinstance(one, dict)]
    if name in MERGED_SETS:
        return [*before, *(one for one in patch if one not in before)]
    if any(one == {_DIRECTIVE: "replace"} for one in items):
        return [one for one in patch if one != {_DIRECTIVE: "replace"}]
    if name not in MERGE_KEYS or len(items) != len(patch):
        return patch
    merged = list(before)
    for item in items:
        _merge_item(name, merged, item)
    return merged


def _merge_item(name: str, merged: list[JsonValue], item: JsonObject) -> None:
    key = next((one for one in MERGE_KEYS[name] if one in item), None)
    if key is None:
        raise StrategicError(f"map: {item} does not contain declared merge key: {MERGE_KEYS[name][0]}")
    at = next((n for n, one in enumerate(merged) if isinstance(one, dict) and _matches(one, item, key)), None)
    if item.get(_DIRECTIVE) == "delete":
        if at is not None:
            del merged[at]
    elif at is None:
        merged.append(merge_strategic({}, item))
    else:
        merged[at] = merge_strategic(merged[at], item)


def _matches(have: JsonObject, item: JsonObject, key: str) -> bool:
    # Two ports of one number differ by protocol, which is why the real server keys them by both when applying.
    if key in ("containerPort", "port") and "protocol" in item:
        return have.get(key) == item[key] and default_key(have, "protocol") == item["protocol"]
    return have.get(key) == item[key]
