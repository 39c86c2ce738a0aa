"""Changes of objects that exist: PUT and the four kinds of PATCH, on the object, its status or its scale.

Rules: what is asked for is made of the stored object first, then one pipeline decides about it (preconditions,
decoding, validation, admission) and keeps it; a write that changes nothing leaves everything as it was. Seam: HANDLERS
maps (verb, subresource) to what performs a write; a pair that is not in it is refused with 405.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evals.servers.kube import creates, deletes
from evals.servers.kube.apply import apply_configuration, declared
from evals.servers.kube.calls import Answer, Call, Target
from evals.servers.kube.decoding import decoded, field_validation, warning_headers
from evals.servers.kube.defaults import with_defaults
from evals.servers.kube.jsonpatch import MalformedPatch, PatchError, apply_operations
from evals.servers.kube.jsonread import as_int, as_object, as_text, rfc3339
from evals.servers.kube.kinds import Resource
from evals.servers.kube.managed import after_update, entry_of
from evals.servers.kube.negotiate import wanted
from evals.servers.kube.patch import decode_body, decode_configuration, decode_operations, manager_of, merge
from evals.servers.kube.reads import find, printer_of, scale_of
from evals.servers.kube.status import (
    ApiError,
    Cause,
    bad_request,
    conflict,
    immutable,
    invalid,
    not_supported,
    unsupported_media,
)
from evals.servers.kube.store import Item
from evals.servers.kube.strategic import StrategicError, merge_strategic
from evals.servers.kube.validation import validate
from evals.servers.kube.views import OBJECT_KINDS, answer, object_answer, object_body
from evals.servers.kube.writing import Desk, dry_run
from tools.types import JsonObject

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
_KEPT = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp")
"""Metadata a client cannot change."""


class Writer:
    """Performs the writes of one server on its store."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def write(self, call: Call, resource: Resource) -> Answer:
        """Perform a write. Raises ApiError 400, 403, 404, 405, 406, 409, 415, 422, 429."""
        verb, sub = call.target.verb, call.target.subresource
        if verb not in resource.verbs and not sub:
            raise not_supported(resource, verb)
        handler = HANDLERS.get((verb, sub))
        if handler is None:
            raise not_supported(resource, verb)
        if verb == "patch":
            _require_patch_type(call, resource)
        return handler(self._desk, call, resource)


def patch(desk: Desk, call: Call, resource: Resource) -> Answer:
    """PATCH of an object or its status."""
    want = wanted(call.accept, kinds=OBJECT_KINDS)
    keep = not dry_run(call, "PatchOptions")
    if call.content_type == APPLY_PATCH:
        return _apply(desk, call, resource, keep=keep)
    _no_force(call)
    item = find(call, resource, desk.store)
    old = object_body(resource, item)
    new = _patched(call, resource, old)
    _check_preconditions(old, new, resource)
    item, warnings = update(desk, call, resource, (item, old, new), keep=keep)
    result = object_answer(resource, item, want, printer_of(call, resource, desk.now))
    result.headers.update(warning_headers(warnings))
    return result


def put(desk: Desk, call: Call, resource: Resource) -> Answer:
    """PUT of an object or its status."""
    want = wanted(call.accept, kinds=OBJECT_KINDS)
    keep = not dry_run(call, "UpdateOptions")
    new = decode_body(call, kind=resource.kind)
    item = find(call, resource, desk.store)
    old = object_body(resource, item)
    _check_replacement(old, new, resource)
    new = {"kind": resource.kind, "apiVersion": resource.api_version, **new}
    item, warnings = update(desk, call, resource, (item, old, new), keep=keep)
    result = object_answer(resource, item, want, printer_of(call, resource, desk.now))
    result.headers.update(warning_headers(warnings))
    return result


def scale(desk: Desk, call: Call, resource: Resource) -> Answer:
    """PUT or PATCH of the scale of a workload."""
    want = wanted(call.accept, kinds=())
    keep = not dry_run(call, "PatchOptions" if call.target.verb == "patch" else "UpdateOptions")
    item = find(call, resource, desk.store)
    old, before = object_body(resource, item), scale_of(resource, item)
    after = decode_body(call, kind="Scale") if call.target.verb == "update" else _patched(call, _SCALE, before)
    version = as_text(as_object(after.get("metadata")).get("resourceVersion"))
    if version and version != as_text(item.metadata["resourceVersion"]):
        raise conflict(resource, item.name)
    replicas = as_int(as_object(after.get("spec")).get("replicas"))
    if replicas < 0:
        said = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid("Scale", "autoscaling", item.name, [("FieldValueInvalid", said, "spec.replicas")])
    desk.admission.review(call, resource, {**after, "spec": {"replicas": replicas}}, before)
    new = _at_path(old, resource.scale_paths[0].strip(".").split("."), replicas)
    item, _ = update(desk, call, resource, (item, old, new), keep=keep)
    return answer(scale_of(resource, item), want)


_SCALE = Resource("autoscaling", "v1", "Scale", "scales", "scale", namespaced=True)


def _at_path(body: JsonObject, path: list[str], value: int) -> JsonObject:
    if len(path) == 1:
        return {**body, path[0]: value}
    return {**body, path[0]: _at_path(as_object(body.get(path[0])), path[1:], value)}


Handler = Callable[[Desk, Call, Resource], Answer]
HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("create", ""): creates.create,
    ("create", "eviction"): deletes.evict,
    ("update", ""): put,
    ("update", "status"): put,
    ("update", "scale"): scale,
    ("patch", ""): patch,
    ("patch", "status"): patch,
    ("patch", "scale"): scale,
    ("delete", ""): deletes.delete,
}
"""(verb, subresource) → what performs it."""


# --- what is asked for -------------------------------------------------------------------------------------


def _require_patch_type(call: Call, resource: Resource) -> None:
    if resource.custom and call.content_type == STRATEGIC_PATCH:
        raise unsupported_media(", ".join((JSON_PATCH, MERGE_PATCH, APPLY_PATCH)))
    if call.content_type not in _PATCH_TYPES or (
        call.target.subresource == "scale" and call.content_type == APPLY_PATCH
    ):
        raise unsupported_media()


def _no_force(call: Call) -> None:
    if "force" in call.query:
        cause: Cause = ("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force")
        raise invalid("PatchOptions", "meta.k8s.io", "", [cause])


def _patched(call: Call, resource: Resource, old: JsonObject) -> JsonObject:
    """The object as the patch makes it. Raises ApiError 400, 422."""
    if call.content_type == JSON_PATCH:
        try:
            return as_object(apply_operations(old, decode_operations(call)))
        except MalformedPatch as error:
            raise bad_request(str(error)) from None
        except PatchError:
            said = "the server rejected our request due to an error in our request"
            raise ApiError(422, said, details={}) from None
    change = decode_body(call, kind=resource.kind)
    if call.content_type == STRATEGIC_PATCH:
        try:
            return as_object(merge_strategic(old, change))
        except StrategicError as error:
            raise bad_request(str(error)) from None
    return as_object(merge(old, change))


def _check_preconditions(old: JsonObject, new: JsonObject, resource: Resource) -> None:
    """The uid and resourceVersion a patch names must be those of the object. Raises ApiError 400, 409, 422."""
    have, asked = as_object(old["metadata"]), as_object(new.get("metadata"))
    name = as_text(have["name"])
    uid = as_text(asked.get("uid"))
    if uid and uid != have["uid"]:
        # The real server reports the field twice: once from metadata, once from the object's own validation.
        cause = immutable(uid, "metadata.uid")
        raise invalid(resource.kind, resource.group, name, [cause, cause])
    version = as_text(asked.get("resourceVersion"))
    if version and version != have["resourceVersion"]:
        raise conflict(resource, name)
    _check_identity(have, asked, new, resource)


def _check_replacement(old: JsonObject, new: JsonObject, resource: Resource) -> None:
    """As preconditions of a PUT, which must name a version where the kind insists. Raises ApiError 400, 409, 422."""
    have, asked = as_object(old["metadata"]), as_object(new.get("metadata"))
    _check_identity(have, {"name": "", **asked}, new, resource)
    name, uid = as_text(have["name"]), as_text(asked.get("uid"))
    version = as_text(asked.get("resourceVersion"))
    if uid and uid != have["uid"]:
        said = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {as_text(have['uid'])}"
        raise conflict(resource, name, said)
    if not version and resource.custom:
        cause: Cause = (
            "FieldValueInvalid",
            "Invalid value: 0: must be specified for an update",
            "metadata.resourceVersion",
        )
        raise invalid(resource.kind, resource.group, name, [cause])
    if version and version != have["resourceVersion"]:
        raise conflict(resource, name)


def _check_identity(have: JsonObject, asked: JsonObject, new: JsonObject, resource: Resource) -> None:
    for field, word in (("name", "name"), ("namespace", "namespace")):
        if field in asked and asked[field] != have.get(field):
            said = f"the {word} of the object ({as_text(asked[field])}) does not match the {word} on the URL"
            raise bad_request(f"{said} ({as_text(have.get(field))})")
    for field, right in (("kind", resource.kind), ("apiVersion", resource.api_version)):
        if new.get(field, right) != right:
            said = f"{field} in the data ({as_text(new[field])}) does not match the expected {field} ({right})"
            raise bad_request(f"the {said}")


# --- the pipeline ------------------------------------------------------------------------------------------


def update(
    desk: Desk,
    call: Call,
    resource: Resource,
    change: tuple[Item, JsonObject, JsonObject],
    *,
    keep: bool,
    managed: list[JsonObject] | None = None,
) -> tuple[Item, tuple[str, ...]]:
    """Decide about (item, old, new) and keep it; also the warnings. Raises ApiError 400, 403, 422."""
    item, old, new = change
    subresource = call.target.subresource
    result = decoded(call, resource, new, old)
    new = _allowed_part(old, _completed(resource, old, result.body), resource, subresource)
    validate(resource, new, old, subresource=subresource)
    if subresource != "scale":
        desk.admission.review(call, resource, new, old)
    if new == old and managed is None:
        return item, result.warnings
    metadata = as_object(new["metadata"])
    if resource.counts_generation and _desired(old) != _desired(new):
        metadata = {**metadata, "generation": as_int(metadata.get("generation")) + 1}
    if managed is None:
        managed = after_update(
            old,
            new,
            manager=manager_of(call),
            api_version=resource.api_version,
            time=rfc3339(desk.now),
            subresource=subresource,
        )
    kept = desk.keep(resource, {**new, "metadata": {**metadata, "managedFields": list(managed)}}, keep=keep)
    if keep and metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
        desk.store.remove(kept)
    return kept, result.warnings


def _completed(resource: Resource, old: JsonObject, new: JsonObject) -> JsonObject:
    """With defaults, unless the world's author wrote the object without: a change then shows only itself."""
    return with_defaults(resource, new) if with_defaults(resource, old) == old else new


def _allowed_part(old: JsonObject, new: JsonObject, resource: Resource, subresource: str) -> JsonObject:
    """`new`, but for what this endpoint does not change: status on the object, all else on status."""
    if subresource == "status":
        return _with_status(old, new)
    if resource.subresource("status") is not None:
        new = _with_status(new, old)
    have, metadata = as_object(old["metadata"]), as_object(new.get("metadata"))
    kept: JsonObject = {key: have[key] for key in _KEPT if key in have}
    return {**new, "metadata": {**{key: value for key, value in metadata.items() if key not in _KEPT}, **kept}}


def _with_status(base: JsonObject, other: JsonObject) -> JsonObject:
    joined = {key: value for key, value in base.items() if key != "status"}
    return {**joined, "status": other["status"]} if "status" in other else joined


def _desired(body: JsonObject) -> JsonObject:
    return {key: value for key, value in body.items() if key not in ("metadata", "status")}


# --- server-side apply -------------------------------------------------------------------------------------


def _apply(desk: Desk, call: Call, resource: Resource, *, keep: bool) -> Answer:
    """PATCH with an applied configuration; makes the object where there is none. Raises ApiError 409 on conflicts."""
    want = wanted(call.accept, kinds=OBJECT_KINDS)
    if not call.query.get("fieldManager"):
        cause: Cause = ("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
        raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
    field_validation(call)
    config = decode_configuration(call)
    _check_configuration(config, resource)
    target = call.target
    found = desk.store.get(resource, target.namespace if resource.namespaced else "", target.name)
    if found is None and not target.subresource:
        item = _create_by_apply(desk, call, resource, config, keep=keep)
        result = object_answer(resource, item, want, printer_of(call, resource, desk.now))
        result.status = 201
        return result
    item = found or find(call, resource, desk.store)
    old = object_body(resource, item)
    _check_preconditions(old, as_object(merge(old, {"metadata": config.get("metadata")})), resource)
    applied = apply_configuration(
        old,
        as_object(with_quantities(config)),
        manager=manager_of(call),
        api_version=resource.api_version,
        time=rfc3339(desk.now),
        force=call.flag("force"),
        subresource=target.subresource,
    )
    if applied.body is not old:
        item, _ = update(desk, call, resource, (item, old, applied.body), keep=keep, managed=applied.managed)
    return object_answer(resource, item, want, printer_of(call, resource, desk.now))


def _create_by_apply(desk: Desk, call: Call, resource: Resource, config: JsonObject, *, keep: bool) -> Item:
    target = call.target
    desk.authority.require(
        call.user,
        Target("create", target.path, target.group, target.version, target.resource, "", target.namespace, target.name),
    )
    desk.admission.require_namespace(target.namespace)
    body = decoded(
        call, resource, {**config, "metadata": {"name": target.name, **as_object(config.get("metadata"))}}
    ).body
    entry = entry_of(
        manager=manager_of(call),
        operation="Apply",
        api_version=resource.api_version,
        time=rfc3339(desk.now),
        fields=declared(body),
    )
    return creates.create_object(desk, call, resource, body, keep=keep, managed=entry)


def _check_configuration(config: JsonObject, resource: Resource) -> None:
    """What every applied configuration must say, and must not. Raises ApiError 400."""
    for field, right in (("kind", resource.kind), ("apiVersion", resource.api_version)):
        if config.get(field) != right:
            said = as_text(config.get(field)) or "none"
            raise bad_request(f"the {field} in the data ({said}) does not match the expected {field} ({right})")
    if as_object(config.get("metadata")).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")


def with_quantities(config: JsonObject) -> JsonObject:
    """Amounts of resources as text, so that `1` and `"1"` are the same value to an apply."""

    def walk(value: object, name: str) -> object:
        if isinstance(value, dict):
            texts = name in ("limits", "requests", "hard")
            return {
                key: as_text(one) if texts and isinstance(one, int | float) else walk(one, key)
                for key, one in value.items()
            }
        return [walk(one, "") for one in value] if isinstance(value, list) else value

    return as_object(walk(config, ""))
