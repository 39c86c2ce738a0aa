"""What differs between two objects, as field paths with the values before and after."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import JsonValue

from tools import fields
from tools.projection.metadata import same
from tools.types import JsonObject

Side: TypeAlias = tuple[JsonValue] | None
"""A value that is there, or None where there is no such field (null is a value)."""


def differences(before: JsonValue, after: JsonValue, *, limit: int) -> list[JsonObject]:
    """Changed leaves in path order, at most `limit`: {path, before, after}; a missing side is left out.

    Lists of named items (containers, env) are compared by name, other lists by position. Hidden values stay marked.
    """
    found: list[JsonObject] = []
    stack: list[tuple[str, Side, Side]] = [("", (before,), (after,))]
    while stack and len(found) < limit:
        path, old, new = stack.pop()
        parts = _parts(old[0], new[0]) if old and new else None
        if parts is not None:
            stack.extend((path + step, *pair) for step, pair in parts.items())
        elif old is None or new is None or not same(old[0], new[0]):
            change: JsonObject = {"path": path.lstrip(".")}
            if old is not None:
                change["before"] = old[0]
            if new is not None:
                change["after"] = new[0]
            found.append(change)
    return sorted(found, key=lambda change: str(change["path"]))


def _parts(old: JsonValue, new: JsonValue) -> dict[str, tuple[Side, Side]] | None:
    """The members of two objects or lists side by side by path step; None when they are to be compared whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        first = {_step(key): value for key, value in old.items()}
        second = {_step(key): value for key, value in new.items()}
    elif isinstance(old, list) and isinstance(new, list):
        first, second = _by_name(old), _by_name(new)
    else:
        return None
    return {step: (_side(first, step), _side(second, step)) for step in {**first, **second}}


def _side(members: dict[str, JsonValue], step: str) -> Side:
    return (members[step],) if step in members else None


def _step(key: str) -> str:
    return f"[{key}]" if "." in key or "/" in key else f".{key}"


def _by_name(values: list[JsonValue]) -> dict[str, JsonValue]:
    steps: dict[str, JsonValue] = {}
    for index, value in enumerate(values):
        name = fields.text(value, "name")
        key = f"[name={name}]" if name else f"[{index}]"
        steps[key if key not in steps else f"[{index}]"] = value
    return steps
