"""Object metadata as kept: who wrote which fields, what differs from the last apply, no raw copies of the object."""

from __future__ import annotations

import json

from pydantic import JsonValue

from tools import fields
from tools.documents import load_json
from tools.errors import DocumentError
from tools.projection.hiding import secret
from tools.projection.marks import long
from tools.redaction.names import is_secret
from tools.types import JsonObject

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_PATHS = 500
"""Paths kept of one managedFields entry or one last-applied comparison; a Deployment has about 120."""
_KEPT = (
    "name", "namespace", "uid", "labels", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "generation", "ownerReferences", "finalizers",
)  # fmt: skip


def metadata(item: JsonObject, *, owned: bool = True) -> JsonObject:
    """The metadata of a raw object. `owned=False` leaves out managedFields (bulk reads of pods and events)."""
    raw = fields.mapping(item, "metadata")
    kept: JsonObject = {name: raw[name] for name in _KEPT if raw.get(name) is not None}
    annotations = fields.mapping(raw, "annotations")
    if annotations:
        shown = {k: _annotation(k, v) for k, v in annotations.items() if k != LAST_APPLIED}
        if shown:
            kept["annotations"] = shown
        if LAST_APPLIED in annotations:
            kept["lastApplied"] = last_applied(item, annotations[LAST_APPLIED])
    if owned and isinstance(raw.get("managedFields"), list):
        kept["managedFields"] = [managed(entry) for entry in fields.items(raw, "managedFields")]
    return kept


def _annotation(key: str, value: JsonValue) -> JsonValue:
    if not isinstance(value, str):
        return value
    return secret(value) if is_secret(key.rpartition("/")[2]) else long(value)


def managed(entry: JsonObject) -> JsonObject:
    """One managedFields entry as {manager, operation, subresource, time, paths}."""
    kept: JsonObject = {
        name: entry[name]
        for name in ("manager", "operation", "subresource", "time")
        if isinstance(entry.get(name), str)
    }
    paths: list[JsonValue] = list(field_paths(fields.mapping(entry, "fieldsV1")))
    kept["paths"] = paths
    return kept


def field_paths(fields_v1: JsonObject) -> list[str]:
    """The leaves of FieldsV1 as paths: `spec.replicas`, `metadata.labels[a.b/c]`, `containers[name=main].image`.

    Format: sigs.k8s.io/structured-merge-diff, fieldpath serialisation (f: field, k: keys, v: value, i: index).
    """
    paths: list[str] = []
    stack: list[tuple[str, JsonObject]] = [("", fields_v1)]
    while stack and len(paths) < MAX_PATHS:
        prefix, node = stack.pop()
        for token, child in node.items():
            if token == ".":
                continue
            path = prefix + _step(token)
            if isinstance(child, dict) and any(key != "." for key in child):
                stack.append((path, child))
            else:
                paths.append(path.lstrip("."))
    return sorted(paths[:MAX_PATHS])


def _step(token: str) -> str:
    what, _, name = token.partition(":")
    if what == "f":
        return f"[{name}]" if "." in name or "/" in name else f".{name}"
    if what == "k":
        try:
            keys = json.loads(name)
        except (ValueError, RecursionError):
            return f"[{name}]"
        if isinstance(keys, dict):
            return "[" + ",".join(f"{key}={value}" for key, value in keys.items()) + "]"
    return f"[{name}]"


def last_applied(live: JsonObject, text: JsonValue) -> JsonValue:
    """Path by path, whether the live object still has what was last applied; the values themselves are dropped."""
    try:
        applied = load_json(text, name="last-applied", max_bytes=1 << 20) if isinstance(text, str) else None
    except DocumentError:
        return "unreadable"
    verdicts: JsonObject = {}
    stack: list[tuple[str, JsonValue, JsonValue]] = []
    for part in ("spec", "data", "metadata"):
        wanted = fields.dig(applied, part)
        if wanted is not None:
            stack.append((part, wanted, live.get(part)))
    while stack and len(verdicts) < MAX_PATHS:
        path, wanted, found = stack.pop()
        if isinstance(wanted, dict) and wanted:
            stack.extend((_join(path, key), value, fields.dig(found, key)) for key, value in wanted.items())
        elif isinstance(wanted, list) and wanted:
            stack.extend(_pairs(path, wanted, found))
        elif not path.startswith("metadata.annotations[" + LAST_APPLIED):
            verdicts[path] = "equal" if same(wanted, found) else "differs"
    return verdicts


def _join(path: str, key: str) -> str:
    return f"{path}[{key}]" if "." in key or "/" in key else f"{path}.{key}"


def _pairs(path: str, wanted: list[JsonValue], found: JsonValue) -> list[tuple[str, JsonValue, JsonValue]]:
    """List items side by side: by name where they have names, else by position."""
    named = {fields.text(item, "name"): item for item in fields.items(found)}
    pairs: list[tuple[str, JsonValue, JsonValue]] = []
    for index, item in enumerate(wanted):
        name = fields.text(item, "name")
        if name:
            pairs.append((f"{path}[name={name}]", item, named.get(name)))
        else:
            pairs.append((f"{path}[{index}]", item, fields.dig(found, index)))
    return pairs


def same(wanted: JsonValue, found: JsonValue) -> bool:
    """Equal as Kubernetes sees it: null and empty are absent, quantities compare by value."""
    if wanted == found or (wanted in (None, "", [], {}) and found in (None, "", [], {})):
        return True
    if isinstance(wanted, str | int | float) and isinstance(found, str | int | float):
        first, second = fields.number(wanted), fields.number(found)
        return first is not None and first == second
    return False
