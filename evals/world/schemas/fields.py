"""What a field may hold, and the walk that finds what is wrong with a value.

Rules: a schema names only fields that somebody reads or changes; an object is open (other fields pass) unless it is
`closed`, which says that its field names are complete. Null is an absent field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

FieldType = Literal["integer", "number", "boolean", "string", "quantity", "int-or-string", "object", "array", "any"]
ProblemKind = Literal["unknown", "type", "required", "enum", "low", "high", "format"]

QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?")
"""Kubernetes' resource.Quantity (apimachinery pkg/api/resource)."""
_PERCENT = re.compile(r"\d+%")


@dataclass(frozen=True, slots=True)
class Field:
    """One value's type and bounds."""

    type: FieldType = "any"
    fields: Mapping[str, Field] = field(default_factory=dict)
    item: Field | None = None
    """Of an array its items, of an object without named fields its values."""
    closed: bool = False
    required: tuple[str, ...] = ()
    enum: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with the path as Kubernetes prints it."""

    kind: ProblemKind
    path: str
    value: JsonValue
    field: Field


ANY = Field()
BOOL = Field("boolean")
STRING = Field("string")
QUANTITIES = Field("object", item=Field("quantity"))
STRINGS = Field("object", item=STRING)
WORDS = Field("array", item=STRING)


def whole(low: float | None = None, high: float | None = None) -> Field:
    """A whole number within bounds."""
    return Field("integer", low=low, high=high)


def one_of(*values: str) -> Field:
    """One of a few words."""
    return Field("string", enum=values)


def items(of: Field) -> Field:
    """A list of one kind of item."""
    return Field("array", item=of)


def record(*, closed: bool = False, required: tuple[str, ...] = (), **named: Field) -> Field:
    """An object with these fields."""
    return Field("object", named, closed=closed, required=required)


def names(text: str, **typed: Field) -> Mapping[str, Field]:
    """Fields of any type by their names, some of them typed."""
    return {**dict.fromkeys(text.split(), ANY), **typed}


def problems(schema: Field, value: JsonValue, path: str = "") -> Iterator[Problem]:
    """Everything that is wrong with a value, in the order of its fields."""
    if value is None or schema.type == "any":
        return
    if not _fits(schema.type, value):
        yield Problem("type", path, value, schema)
    elif isinstance(value, dict):
        yield from _object(schema, value, path)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from problems(schema.item or ANY, one, f"{path}[{number}]")
    else:
        yield from _scalar(schema, value, path)


def _fits(wanted: FieldType, value: JsonValue) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    if isinstance(value, int):
        return wanted in ("integer", "number", "quantity", "int-or-string")
    if isinstance(value, float):
        return wanted in ("number", "quantity") or (wanted == "integer" and value.is_integer())
    if isinstance(value, str):
        return wanted in ("string", "quantity", "int-or-string")
    return wanted == ("object" if isinstance(value, dict) else "array")


def _object(schema: Field, value: Mapping[str, JsonValue], path: str) -> Iterator[Problem]:
    for name in schema.required:
        if value.get(name) is None:
            yield Problem("required", _join(path, name), None, schema)
    for name, inner in value.items():
        known = schema.fields.get(name, schema.item)
        if known is not None:
            yield from problems(known, inner, _join(path, name))
        elif schema.closed:
            yield Problem("unknown", _join(path, name), inner, schema)


def _scalar(schema: Field, value: JsonValue, path: str) -> Iterator[Problem]:
    if schema.enum and value not in schema.enum:
        yield Problem("enum", path, value, schema)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if schema.low is not None and value < schema.low:
            yield Problem("low", path, value, schema)
        if schema.high is not None and value > schema.high:
            yield Problem("high", path, value, schema)
    if isinstance(value, str) and (
        (schema.type == "quantity" and not QUANTITY.fullmatch(value))
        or (schema.type == "int-or-string" and not _PERCENT.fullmatch(value))
    ):
        yield Problem("format", path, value, schema)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def without(value: JsonValue, unknown: Iterable[str], path: str = "") -> JsonValue:
    """The value without the fields at these paths: what decoding into a closed type leaves."""
    gone = frozenset(unknown)
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if _join(path, name) not in gone}
        return {name: without(inner, gone, _join(path, name)) for name, inner in kept.items()}
    if isinstance(value, list):
        return [without(inner, gone, f"{path}[{number}]") for number, inner in enumerate(value)]
    return value
