"""Creation: POST to a collection, and what turns a client's body into a stored object.

Rules: the order of refusals is the real server's: body, namespace, decoding, validation, admission, existence;
a dry run goes all the way but the store.
"""

from __future__ import annotations

import re
import uuid

from evals.servers.kube.calls import Answer, Call
from evals.servers.kube.decoding import decoded, warning_headers
from evals.servers.kube.defaults import at_creation, with_defaults
from evals.servers.kube.jsonread import as_object, as_text, rfc3339
from evals.servers.kube.kinds import Resource
from evals.servers.kube.managed import created_fields, entry_of
from evals.servers.kube.negotiate import wanted
from evals.servers.kube.patch import decode_body, manager_of
from evals.servers.kube.reads import printer_of
from evals.servers.kube.status import ApiError, Cause, bad_request, details_of, invalid
from evals.servers.kube.store import NAMES, Item
from evals.servers.kube.validation import validate
from evals.servers.kube.views import OBJECT_KINDS, object_answer
from evals.servers.kube.writing import Desk, dry_run
from tools.types import JsonObject

_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '" + _SUBDOMAIN + "')"
)
_NAME_LIMIT = 253


def create(desk: Desk, call: Call, resource: Resource) -> Answer:
    """POST of a new object. Raises ApiError 400, 403, 404, 409, 415, 422."""
    want = wanted(call.accept, kinds=OBJECT_KINDS)
    keep = not dry_run(call, "CreateOptions")
    raw = decode_body(call, kind=resource.kind)
    _check_identity(call, resource, raw)
    desk.admission.require_namespace(call.target.namespace)
    result = decoded(call, resource, raw)
    item = create_object(desk, call, resource, result.body, keep=keep)
    answer = object_answer(resource, item, want, printer_of(call, resource, desk.now))
    answer.status = 201
    answer.headers.update(warning_headers(result.warnings))
    return answer


def create_object(
    desk: Desk, call: Call, resource: Resource, raw: JsonObject, *, keep: bool, managed: JsonObject | None = None
) -> Item:
    """Complete, check and store a new object; `managed` is the entry of an apply. Raises ApiError 403, 409, 422."""
    body = with_defaults(resource, _named(call, resource, raw))
    entry = managed or entry_of(
        manager=manager_of(call),
        operation="Update",
        api_version=resource.api_version,
        time=rfc3339(desk.now),
        fields=created_fields(resource, body),
    )
    metadata = as_object(body["metadata"])
    name = as_text(metadata.get("name"))
    uid = str(uuid.uuid5(NAMES, f"{resource.storage}/{call.target.namespace}/{name}/{desk.store.revision}"))
    head: JsonObject = {"uid": uid, "creationTimestamp": rfc3339(desk.now), "managedFields": [entry]}
    if resource.counts_generation:
        head["generation"] = 1
    if resource.subresource("status") is not None:
        body = {key: value for key, value in body.items() if key != "status"}
    body = at_creation(resource, {**body, "metadata": {**metadata, **head}}, uid)
    _check_name(resource, name)
    validate(resource, body, None)
    desk.admission.review(call, resource, body, None)
    desk.admission.charge(resource, call.target.namespace, body, dry_run=not keep)
    if desk.store.get(resource, call.target.namespace, name) is not None:
        message = f'{resource.qualified} "{name}" already exists'
        raise ApiError(409, message, reason="AlreadyExists", details=details_of(resource, name))
    return desk.keep(resource, body, keep=keep)


def _named(call: Call, resource: Resource, raw: JsonObject) -> JsonObject:
    metadata = dict(as_object(raw.get("metadata")))
    if not metadata.get("name") and metadata.get("generateName"):
        suffix = uuid.uuid5(NAMES, call.body.decode("utf-8", "replace")).hex[:5]
        metadata["name"] = f"{as_text(metadata['generateName'])}{suffix}"
    if resource.namespaced:
        metadata["namespace"] = call.target.namespace
    for field in ("resourceVersion", "uid", "selfLink", "generation", "creationTimestamp", "managedFields"):
        metadata.pop(field, None)
    return {**raw, "metadata": metadata}


def _check_identity(call: Call, resource: Resource, raw: JsonObject) -> None:
    """Kind, version and namespace of the body agree with the path. Raises ApiError 400."""
    for field, right in (("kind", resource.kind), ("apiVersion", resource.api_version)):
        if raw.get(field, right) != right:
            raise bad_request(
                f"the {field} in the data ({as_text(raw[field])}) does not match the expected {field} ({right})"
            )
    namespace = as_text(as_object(raw.get("metadata")).get("namespace"))
    if namespace and namespace != call.target.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _check_name(resource: Resource, name: str) -> None:
    if not name:
        cause: Cause = ("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
        raise invalid(resource.kind, resource.group, "", [cause])
    if not re.fullmatch(_SUBDOMAIN, name) or len(name) > _NAME_LIMIT:
        if resource.group == "rbac.authorization.k8s.io" and "/" not in name and "%" not in name:
            return
        problem = f'Invalid value: "{name}": {_NAME_RULE}'
        raise invalid(resource.kind, resource.group, name, [("FieldValueInvalid", problem, "metadata.name")])
