"""Whether a body fits its kind: unknown fields and wrong types, as the API server's decoders refuse them.

Rules: built-in kinds are decoded into closed types, so an unknown field is dropped, warned of or (Strict) refused and
a wrong type never gets further; of custom kinds only metadata is, the rest is checked as part of validation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evals.servers.kube.calls import Call
from evals.servers.kube.jsonread import as_object
from evals.servers.kube.kinds import Resource
from evals.servers.kube.status import ApiError, Cause, bad_request, invalid
from evals.world.schemas.fields import Field, Problem, problems, without
from evals.world.schemas.kinds import SCHEMAS
from tools.types import JsonObject

VALIDATIONS = ("Ignore", "Strict", "Warn")
_GO_TYPES = {
    "integer": "int32",
    "number": "float64",
    "boolean": "bool",
    "string": "string",
    "array": "[]",
    "object": "map[string]",
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body that fits its kind."""

    body: JsonObject
    warnings: tuple[str, ...] = ()
    """Texts of the Warning headers that go with the answer."""


def field_validation(call: Call) -> str:
    """The `fieldValidation` of a write, Warn where absent. Raises ApiError 422."""
    mode = call.query.get("fieldValidation") or "Warn"
    if mode not in VALIDATIONS:
        known = ", ".join(f'"{one}"' for one in VALIDATIONS)
        cause: Cause = (
            "FieldValueNotSupported",
            f'Unsupported value: "{mode}": supported values: {known}',
            "fieldValidation",
        )
        raise invalid(_OPTIONS[call.target.verb], "meta.k8s.io", "", [cause])
    return mode


_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def decoded(call: Call, resource: Resource, body: JsonObject, old: JsonObject | None = None) -> Decoded:
    """The body without unknown fields that `old` does not have. Raises ApiError 400 (create, update), 422 (patch)."""
    mode = field_validation(call)
    schema = SCHEMAS.get((resource.group, resource.kind))
    if schema is None or call.target.subresource not in ("", "status"):
        return Decoded(body)
    had = list(_had(schema.root, old))
    found = [one for one in problems(schema.root, _desired(body)) if one not in had]
    wrong = [one for one in found if one.kind == "type" and (not resource.custom or one.path.startswith("metadata"))]
    if wrong:
        raise _refused(call, resource, body, _wrong_type(resource, wrong[0]))
    unknown = [one.path for one in found if one.kind == "unknown"]
    if not unknown or (resource.custom and mode == "Ignore"):
        return Decoded(body)
    if mode == "Strict":
        said = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise _refused(call, resource, body, f"strict decoding error: {said}")
    warnings = tuple(f'unknown field "{path}"' for path in unknown) if mode == "Warn" else ()
    return Decoded(as_object(without(body, unknown)), warnings)


def _desired(body: JsonObject) -> JsonObject:
    return {key: value for key, value in body.items() if key != "status"}


def _had(root: Field, old: JsonObject | None) -> Iterator[Problem]:
    """What was wrong already: a world's author may write what a server would not have taken."""
    return iter(()) if old is None else problems(root, _desired(old))


def _wrong_type(resource: Resource, problem: Problem) -> str:
    got = {dict: "object", list: "array", bool: "bool", str: "string"}.get(type(problem.value), "number")
    wanted = _GO_TYPES.get(problem.field.type, problem.field.type)
    owner = "ObjectMeta" if problem.path.startswith("metadata") else resource.kind
    where = f"{owner}{'Spec' if problem.path.startswith('spec') else ''}.{problem.path}"
    return f"json: cannot unmarshal {got} into Go struct field {where} of type {wanted}"


def _refused(call: Call, resource: Resource, body: JsonObject, said: str) -> ApiError:
    if call.target.verb != "patch":
        head = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
        return bad_request(f"{head}: {said}")
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return invalid("", "", "", [("FieldValueInvalid", f"Invalid value: {json.dumps(text)}: {said}", "patch")])


def warning_headers(warnings: Sequence[str]) -> dict[str, str]:
    """The Warning header of an answer (RFC 9110: code 299, agent unknown); {} for none."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in warnings)
    return {"Warning": ", ".join(f'299 - "{text}"' for text in quoted)} if warnings else {}
