"""What the schema of a kind refuses: the built-in schemas, and the OpenAPI schema of a world's own definitions."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_object, as_text
from evals.servers.kube.kinds import Resource
from evals.servers.kube.status import Cause
from evals.world.schemas.fields import Problem, problems
from evals.world.schemas.kinds import SCHEMAS
from tools.types import JsonObject


def structure(resource: Resource, body: JsonObject) -> Iterator[Cause]:
    """What a schema refuses: types, bounds, enums, required fields."""
    schema = SCHEMAS.get((resource.group, resource.kind))
    if schema is not None:
        shown: JsonObject = {key: value for key, value in body.items() if key not in ("status", "metadata")}
        for problem in problems(schema.root, shown):
            cause = _cause(resource, problem)
            if cause is not None:
                yield cause
    if resource.schema:
        yield from _open_api(resource.schema, body, "")


def _cause(resource: Resource, problem: Problem) -> Cause | None:
    value, field = printed(problem.value), problem.field
    body = f"{problem.path} in body should be" if resource.custom else "must be"
    match problem.kind:
        case "required":
            return ("FieldValueRequired", "Required value", problem.path)
        case "enum":
            known = ", ".join(f'"{one}"' for one in field.enum if one)
            return ("FieldValueNotSupported", f"Unsupported value: {value}: supported values: {known}", problem.path)
        case "low":
            said = f"{body} greater than or equal to {field.low:g}"
            return ("FieldValueInvalid", f"Invalid value: {value}: {said}", problem.path)
        case "high":
            said = f"{body} less than or equal to {field.high:g}"
            return ("FieldValueInvalid", f"Invalid value: {value}: {said}", problem.path)
        case "format":
            return (
                "FieldValueInvalid",
                f"Invalid value: {value}: quantities must match the regular expression",
                problem.path,
            )
        case "type":
            return _type_cause(problem.path, problem.value, field.type)
    return None


def _type_cause(path: str, value: JsonValue, wanted: str) -> Cause:
    got = f'"{_type_name(value)}"'
    said = f"{path} in body must be of type {wanted}: {got}"
    return ("FieldValueTypeInvalid", f"Invalid value: {got}: {said}", path)


def _type_name(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _open_api(schema: JsonObject, value: JsonValue, path: str) -> Iterator[Cause]:
    """The part of OpenAPI that a world's own definitions use: types, bounds, enums, required fields."""
    wanted = as_text(schema.get("type"))
    if value is None or (wanted and not _is(wanted, value)):
        if value is not None:
            yield _type_cause(path, value, wanted)
        return
    yield from _open_api_bounds(schema, value, path)
    if isinstance(value, dict):
        for name in schema.get("required") or ():  # type: ignore[union-attr]
            if name not in value:
                yield ("FieldValueRequired", "Required value", f"{path}.{name}".lstrip("."))
        for name, inner in as_object(schema.get("properties")).items():
            yield from _open_api(as_object(inner), value.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _open_api(as_object(schema.get("items")), one, f"{path}[{number}]")


def _open_api_bounds(schema: JsonObject, value: JsonValue, path: str) -> Iterator[Cause]:
    enum, low, high = schema.get("enum"), schema.get("minimum"), schema.get("maximum")
    if isinstance(enum, list) and value not in enum:
        known = ", ".join(printed(one) for one in enum)
        yield ("FieldValueNotSupported", f"Unsupported value: {printed(value)}: supported values: {known}", path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(low, int | float) and value < low:
        said = f"{path} in body should be greater than or equal to {low}"
        yield ("FieldValueInvalid", f"Invalid value: {printed(value)}: {said}", path)
    if isinstance(high, int | float) and value > high:
        said = f"{path} in body should be less than or equal to {high}"
        yield ("FieldValueInvalid", f"Invalid value: {printed(value)}: {said}", path)


def _is(wanted: str, value: JsonValue) -> bool:
    got = _type_name(value)
    return got == wanted or (wanted == "number" and got == "integer")


def printed(value: JsonValue) -> str:
    """A value as causes print it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
