"""Server-side apply: the fields a manager declares, conflicts with the owners of other values, and what it let go.

Rules: a conflict is a declared field whose live value differs and which somebody else owns; with `force` it becomes
the applier's; a field the applier owned and no longer declares is removed unless somebody else owns it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from evals.servers.kube.jsonpatch import same
from evals.servers.kube.jsonread import as_list, as_object, as_text, objects_at
from evals.servers.kube.managed import ATOMIC, content, entry_of, in_order, keyed, minus, union
from evals.servers.kube.status import ApiError
from evals.servers.kube.strategic import MERGED_SETS
from tools.types import JsonObject

Path = tuple[str, ...]
"""Keys of a FieldsV1 tree, such as ("f:spec", "f:replicas")."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The object after an apply, and who owns what of it."""

    body: JsonObject
    managed: list[JsonObject]


def declared(config: JsonObject) -> JsonObject:
    """The fields an applied configuration holds, as a FieldsV1 tree."""
    return _fields("", {key: value for key, value in content(config).items() if key != "metadata" or value})


def _fields(name: str, value: JsonValue) -> JsonObject:
    if name in ATOMIC:
        return {}
    if isinstance(value, dict):
        return {f"f:{key}": _fields(key, child) for key, child in value.items() if child is not None}
    if name in MERGED_SETS:
        return {f"v:{json.dumps(one)}": {} for one in as_list(value)}
    return {key: {".": {}, **_fields("", item)} for key, item in keyed(name, value).items()}


def apply_configuration(
    live: JsonObject, config: JsonObject, *, manager: str, api_version: str, time: str, force: bool, subresource: str
) -> Applied:
    """Apply `config` to a live object. Raises ApiError 409 with every conflict."""
    mine = declared(config)
    entry = entry_of(manager=manager, operation="Apply", api_version=api_version, time=time, fields=mine)
    if subresource:
        entry["subresource"] = subresource
    entries = objects_at(live, "metadata", "managedFields")
    others = [one for one in entries if not _same_manager(one, entry)]
    before = next((one for one in entries if _same_manager(one, entry)), None)
    different = list(_different(mine, content(config), content(live)))
    conflicts = [(one, path) for path in different for one in others if _owns(one, path)]
    if conflicts and not force:
        raise _refusal(conflicts)
    taken: JsonObject = {}
    for path in different:
        taken = union(taken, _tree(path))
    kept = [{**one, "fieldsV1": left} for one in others if (left := minus(as_object(one.get("fieldsV1")), taken))]
    body = _merged("", live, {**config, "metadata": _declared_metadata(config)})
    gone = minus(as_object(before.get("fieldsV1")) if before else {}, mine)
    for one in kept:
        gone = minus(gone, as_object(one.get("fieldsV1")))
    result = as_object(_without("", body, gone))
    if before is not None and before.get("fieldsV1") == mine and content(result) == content(live):
        return Applied(live, entries)
    return Applied(result, in_order([*kept, entry]))


def _declared_metadata(config: JsonObject) -> JsonObject:
    return as_object(content(config).get("metadata"))


def _same_manager(one: JsonObject, other: JsonObject) -> bool:
    fields = ("manager", "operation", "subresource")
    return all(as_text(one.get(field)) == as_text(other.get(field)) for field in fields)


def _different(tree: JsonObject, wanted: JsonValue, live: JsonValue, at: Path = ()) -> Iterator[Path]:
    """Paths of declared leaves that exist with another value."""
    for key, child in tree.items():
        if key == "." or key.startswith("v:"):
            continue
        found, mine, theirs = _step(key, wanted, live, at)
        if not found:
            continue
        if child:
            yield from _different(as_object(child), mine, theirs, (*at, key))
        elif not same(mine, theirs):
            yield (*at, key)


def _step(key: str, wanted: JsonValue, live: JsonValue, at: Path) -> tuple[bool, JsonValue, JsonValue]:
    """(is it there, the declared value, the live value) one key further down."""
    if key.startswith("f:"):
        name = key[2:]
        ours, theirs = as_object(wanted), as_object(live)
        return name in theirs, ours.get(name), theirs.get(name)
    name = at[-1][2:]
    items = keyed(name, live)
    return key in items, keyed(name, wanted).get(key), items.get(key)


def _owns(entry: JsonObject, path: Path) -> bool:
    tree = as_object(entry.get("fieldsV1"))
    for key in path:
        if key not in tree:
            return False
        tree = as_object(tree[key])
    return True


def _tree(path: Path) -> JsonObject:
    tree: JsonObject = {}
    for key in reversed(path):
        tree = {key: tree}
    return tree


# --- the object --------------------------------------------------------------------------------------------


def _merged(name: str, live: JsonValue, config: JsonValue) -> JsonObject:
    out = dict(as_object(live))
    for key, value in as_object(config).items():
        before = out.get(key)
        if isinstance(value, dict) and isinstance(before, dict) and key not in ATOMIC:
            out[key] = _merged(key, before, value)
        elif key in MERGED_SETS and isinstance(before, list):
            out[key] = [*before, *(one for one in as_list(value) if one not in before)]  # type: ignore[list-item]
        elif keyed(key, value) and keyed(key, before):
            out[key] = _merged_items(key, before, value)
        elif value is not None:
            out[key] = value
    return out


def _merged_items(name: str, live: JsonValue, config: JsonValue) -> list[JsonValue]:
    have, wanted = keyed(name, live), keyed(name, config)
    merged: list[JsonValue] = [_merged("", item, wanted.get(key, {})) for key, item in have.items()]
    return [*merged, *(item for key, item in wanted.items() if key not in have)]


def _without(name: str, value: JsonValue, gone: JsonObject) -> JsonValue:
    """The value without the fields of a tree."""
    if isinstance(value, dict):
        out = dict(value)
        for key, child in gone.items():
            field = key[2:]
            if not key.startswith("f:") or field not in out:
                continue
            if child:
                out[field] = _without(field, out[field], as_object(child))
            else:
                del out[field]
        return out
    if not isinstance(value, list):
        return value
    dropped = {key for key, child in gone.items() if "." in as_object(child) or key.startswith("v:")}
    items = keyed(name, value)
    if not items:
        return [one for one in value if f"v:{json.dumps(one)}" not in dropped]
    left = {key: _without("", item, as_object(gone.get(key))) for key, item in items.items() if key not in dropped}
    return list(left.values())


# --- the refusal -------------------------------------------------------------------------------------------


def _refusal(conflicts: list[tuple[JsonObject, Path]]) -> ApiError:
    """409 that lists every conflict, by manager."""
    causes: list[JsonObject] = []
    by_manager: dict[str, list[str]] = {}
    for entry, path in conflicts:
        who, where = _printed_manager(entry), printed_path(path)
        causes.append({"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": where})
        by_manager.setdefault(who, []).append(where)
    if len(conflicts) == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        parts = [
            "\n".join([f"conflicts with {who}:", *(f"- {where}" for where in paths)])
            for who, paths in sorted(by_manager.items())
        ]
        message = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(parts)
    return ApiError(409, message, details={"causes": list(causes)})


def _printed_manager(entry: JsonObject) -> str:
    said = json.dumps(as_text(entry.get("manager")), ensure_ascii=False)
    if entry.get("subresource"):
        said += f" with subresource {json.dumps(entry['subresource'])}"
    if entry.get("operation") == "Update":
        said += f" using {as_text(entry.get('apiVersion'))}"
    return said


def printed_path(path: Path) -> str:
    """A path as conflicts name it: `.spec.template.spec.containers[name="server"].image`."""
    out = ""
    for key in path:
        if key.startswith("f:"):
            out += f".{key[2:]}"
        else:
            pairs = json.loads(key[2:]).items()
            out += "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in pairs) + "]"
    return out
