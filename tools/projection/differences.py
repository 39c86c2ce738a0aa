"""What differs between two objects, as field paths with the values before and after."""

from __future__ import annotations

from pydantic import JsonValue

from tools import fields
from tools.projection.metadata import same
from tools.types import JsonObject

_ABSENT = object()


def differences(before: JsonValue, after: JsonValue, *, limit: int) -> list[JsonObject]:
    """Changed leaves in path order, at most `limit`: {path, before, after}; a missing side is left out.

    Lists of named items (containers, env) are compared by name, other lists by position. Hidden values stay marked.
    """
    found: list[JsonObject] = []
    stack: list[tuple[str, JsonValue | object, JsonValue | object]] = [("", before, after)]
    while stack and len(found) < limit:
        path, old, new = stack.pop()
        parts = _parts(old, new)
        if parts is not None:
            stack.extend((path + step, *pair) for step, pair in parts.items())
        elif old is _ABSENT or new is _ABSENT or not _same(old, new):
            change: JsonObject = {"path": path.lstrip(".")}
            for side, value in (("before", old), ("after", new)):
                if _is_json(value):
                    change[side] = value
            found.append(change)
    return sorted(found, key=lambda change: str(change["path"]))


def _is_json(value: object) -> bool:
    return value is not _ABSENT


def _same(old: JsonValue | object, new: JsonValue | object) -> bool:
    return same(old, new)


def _parts(
    old: JsonValue | object, new: JsonValue | object
) -> dict[str, tuple[JsonValue | object, JsonValue | object]] | None:
    """The members of two objects or lists side by side by path step; None when they are to be compared whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {_step(key): (old.get(key, _ABSENT), new.get(key, _ABSENT)) for key in [*old, *(set(new) - set(old))]}
    if isinstance(old, list) and isinstance(new, list):
        first, second = _by_name(old), _by_name(new)
        return {key: (first.get(key, _ABSENT), second.get(key, _ABSENT)) for key in {**first, **second}}
    return None


def _step(key: str) -> str:
    return f"[{key}]" if "." in key or "/" in key else f".{key}"


def _by_name(values: list[JsonValue]) -> dict[str, JsonValue]:
    steps: dict[str, JsonValue] = {}
    for index, value in enumerate(values):
        name = fields.text(value, "name")
        key = f"[name={name}]" if name else f"[{index}]"
        steps[key if key not in steps else f"[{index}]"] = value
    return steps
