"""Bodies of writes: how they are read, who sent them, and JSON Merge Patch (RFC 7396)."""

from __future__ import annotations

import json

from pydantic import JsonValue

from evals.servers.kube.calls import Call
from evals.servers.kube.protobuf import CONTENT_TYPE, read_message
from evals.servers.kube.status import bad_request, unsupported_media
from tools.documents import load_yaml
from tools.errors import DocumentError
from tools.types import JsonObject

_READABLE = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_MANAGER_LIMIT = 128
"""Longest fieldManager Kubernetes accepts (characters)."""


def decode_body(call: Call, *, kind: str = "") -> JsonObject:
    """The body as a JSON object. Raises ApiError 400, 415."""
    if call.content_type == CONTENT_TYPE:
        return _protobuf(call.body)
    if call.content_type.startswith("text/"):
        raise unsupported_media(_READABLE)
    try:
        value = json.loads(call.body)
    except ValueError:
        what = f" (must be of type {kind})" if kind else ""
        text = call.body.decode("utf-8", "replace")
        problem = "couldn't get version/kind; json parse error: unexpected end of JSON input"
        raise bad_request(f"the object provided is unrecognized{what}: {problem} ({text})") from None
    if not isinstance(value, dict):
        raise bad_request("json: cannot unmarshal the body into an object")
    return value


def decode_operations(call: Call) -> JsonValue:
    """The body of a JSON patch. Raises ApiError 400."""
    try:
        operations: JsonValue = json.loads(call.body)
    except ValueError as error:
        raise bad_request(f"the body is not JSON: {error}") from None
    return operations


def decode_configuration(call: Call) -> JsonObject:
    """The body of a server-side apply: an object in YAML (or JSON). Raises ApiError 400."""
    try:
        value = load_yaml(call.body.decode("utf-8"), name="body")
    except (UnicodeDecodeError, DocumentError) as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(value, dict):
        raise bad_request("error decoding YAML: the body is no object")
    return value


def _protobuf(body: bytes) -> JsonObject:
    try:
        value = read_message(body)
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from None
    if value is None:
        raise unsupported_media(_READABLE)
    return value


def manager_of(call: Call) -> str:
    """The field manager of a write: `fieldManager`, else the client's name from its User-Agent."""
    named = call.query.get("fieldManager", "") or call.headers.get("User-Agent", "").partition("/")[0]
    return named[:_MANAGER_LIMIT] or "unknown"


def merge(target: JsonValue, patch: JsonValue) -> JsonValue:
    """`patch` applied to `target`: objects merge, null removes, everything else replaces. Neither is changed."""
    if not isinstance(patch, dict):
        return patch
    merged: JsonObject = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged
