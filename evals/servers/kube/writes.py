"""Writes: JSON merge patch with its preconditions, dry-run, generation and managedFields.

Seam: HANDLERS maps (verb, content type) to what performs the write; any pair that is not in it is refused with
405 (or 415 for a body type no API server knows) before anything is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evals.servers.kube.calls import Answer, Call
from evals.servers.kube.convert import stored_form
from evals.servers.kube.jsonread import as_int, as_object, as_text, dig, objects_at, rfc3339
from evals.servers.kube.kinds import Kinds, Resource
from evals.servers.kube.managed import after_update
from evals.servers.kube.negotiate import wanted
from evals.servers.kube.patch import decode_body, manager_of, merge
from evals.servers.kube.reads import find, printer_of
from evals.servers.kube.status import (
    Cause,
    bad_request,
    conflict,
    immutable,
    invalid,
    not_supported,
    unsupported_media,
)
from evals.servers.kube.store import Item, Store
from evals.servers.kube.views import OBJECT_KINDS, object_answer, object_body
from evals.world.model import World
from tools.types import JsonObject

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_PATCH_TYPES = (
    "application/json-patch+json",
    MERGE_PATCH,
    STRATEGIC_PATCH,
    "application/apply-patch+yaml",
    "application/apply-patch+cbor",
)
_CUSTOM_PATCH_TYPES = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
_KEPT = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp")
"""Metadata a client cannot change by a patch."""


class Writer:
    """Performs the writes of one server on its store."""

    def __init__(self, world: World, kinds: Kinds, store: Store) -> None:
        self._world, self._kinds, self._store = world, kinds, store

    def write(self, call: Call, resource: Resource) -> Answer:
        """Perform a write. Raises ApiError 400, 404, 405, 406, 409, 415, 422."""
        verb = call.target.verb
        if verb not in resource.verbs and not call.target.subresource:
            raise not_supported(resource, verb)
        if verb == "patch":
            _require_patch_type(call, resource)
        handler = HANDLERS.get((verb, call.content_type if verb == "patch" else ""))
        if handler is None or call.target.subresource not in ("", "status"):
            raise not_supported(resource, verb)
        return handler(self, call, resource)

    def merge_patch(self, call: Call, resource: Resource) -> Answer:
        """PATCH with JSON merge patch on an object or its status."""
        want = wanted(call.accept, kinds=OBJECT_KINDS)
        dry_run = _dry_run(call)
        item = find(call, resource, self._store)
        old = object_body(resource, item)
        patch = decode_body(call, kind=resource.kind)
        _check_preconditions(old, patch, resource)
        new = _allowed_part(old, as_object(merge(old, patch)), resource, call.target.subresource)
        if causes := _problems(new):
            raise invalid(resource.kind, resource.group, item.name, causes)
        if new != old:
            item = self._keep(call, resource, old, new, dry_run=dry_run)
        return object_answer(resource, item, want, printer_of(call, resource, self._world.clock.now))

    def _keep(self, call: Call, resource: Resource, old: JsonObject, new: JsonObject, *, dry_run: bool) -> Item:
        metadata = as_object(new["metadata"])
        if resource.counts_generation and _desired(old) != _desired(new):
            metadata = {**metadata, "generation": as_int(metadata.get("generation")) + 1}
        managed = after_update(
            old,
            new,
            manager=manager_of(call),
            api_version=resource.api_version,
            time=rfc3339(self._world.clock.now),
            subresource=call.target.subresource,
        )
        raw: JsonObject = {**new, "metadata": {**metadata, "managedFields": list(managed)}}
        kept_as, stored = stored_form(resource, raw, self._kinds)
        if dry_run:
            return Item(kept_as, stored, self._store.revision, self._world.clock.now)
        return self._store.put(kept_as, stored)


Handler = Callable[[Writer, Call, Resource], Answer]
HANDLERS: Mapping[tuple[str, str], Handler] = {("patch", MERGE_PATCH): Writer.merge_patch}
"""(verb, content type of a patch or "") → what performs it."""


def _require_patch_type(call: Call, resource: Resource) -> None:
    if resource.custom and call.content_type == STRATEGIC_PATCH:
        raise unsupported_media(_CUSTOM_PATCH_TYPES)
    if call.content_type not in _PATCH_TYPES:
        raise unsupported_media()


def _dry_run(call: Call) -> bool:
    value = call.query.get("dryRun")
    if value not in (None, "All"):
        cause: Cause = ("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: "All"', "dryRun")
        raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
    return value is not None


def _check_preconditions(old: JsonObject, patch: JsonObject, resource: Resource) -> None:
    """The uid and resourceVersion a patch names must be those of the object. Raises ApiError 400, 409, 422."""
    have, asked = as_object(old["metadata"]), as_object(patch.get("metadata"))
    name = as_text(have["name"])
    uid = as_text(asked.get("uid"))
    if uid and uid != have["uid"]:
        # The real server reports the field twice: once from metadata, once from the object's own validation.
        cause = immutable(uid, "metadata.uid")
        raise invalid(resource.kind, resource.group, name, [cause, cause])
    version = as_text(asked.get("resourceVersion"))
    if version and version != have["resourceVersion"]:
        raise conflict(resource, name)
    _check_identity(have, asked, patch, resource)


def _check_identity(have: JsonObject, asked: JsonObject, patch: JsonObject, resource: Resource) -> None:
    for field, word in (("name", "name"), ("namespace", "namespace")):
        if field in asked and asked[field] != have.get(field):
            said = f"the {word} of the object ({as_text(asked[field])}) does not match the {word} on the URL"
            raise bad_request(f"{said} ({as_text(have.get(field))})")
    for field, right in (("kind", resource.kind), ("apiVersion", resource.api_version)):
        if patch.get(field, right) != right:
            said = f"{field} in the data ({as_text(patch[field])}) does not match the expected {field} ({right})"
            raise bad_request(f"the {said}")


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


def _problems(body: JsonObject) -> list[Cause]:
    """What validation refuses: a container without image, a negative number of replicas."""
    causes: list[Cause] = []
    replicas = dig(body, "spec", "replicas")
    if isinstance(replicas, int) and replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        causes.append(("FieldValueInvalid", message, "spec.replicas"))
    for field in ("initContainers", "containers"):
        for index, container in enumerate(objects_at(body, "spec", "template", "spec", field)):
            if not container.get("image"):
                where = f"spec.template.spec.{field}[{index}].image"
                causes.append(("FieldValueRequired", "Required value", where))
    return causes
