"""What differs between an object and what it should become, as edits that fit a manifest of it.

Rules: items of a list that have names are told apart by them, because a manifest lists what its author wrote and not
what a server added; a list of plain values (arguments) is one value; what servers write by themselves is no edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue

from agent.changes.patches import SERVERS_OWN, same
from tools import fields

MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Named:
    """The item of a list that has this name."""

    name: str

    def __str__(self) -> str:
        return f"[{self.name}]"


Token: TypeAlias = str | Named
Path: TypeAlias = tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class FieldEdit:
    """One field, what stands there in the cluster (None: nothing), and what should."""

    path: Path
    before: JsonValue
    value: JsonValue
    """None takes the field away."""

    def __str__(self) -> str:
        return spelled(self.path)


def spelled(path: Path) -> str:
    """A path as people write it: `spec.containers[vllm].args`."""
    out = ""
    for token in path:
        out += str(token) if isinstance(token, Named) else f".{token}" if out else token
    return out


def field_edits(before: JsonValue, after: JsonValue) -> list[FieldEdit]:
    """The edits that turn one object into the other, in order. Raises ValueError where it is nested too deeply."""
    return list(_walk(before, after, ()))


def _walk(before: JsonValue, after: JsonValue, path: Path) -> Iterator[FieldEdit]:
    if path in SERVERS_OWN or same(before, after):
        return
    if len(path) > MAX_DEPTH:
        raise ValueError("the object is nested too deeply")
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *(key for key in before if key not in after)]:
            yield from _walk(before.get(key), after.get(key), (*path, key))
        return
    old, new = by_name(before), by_name(after)
    if old is not None and new is not None and old.keys() == new.keys():
        for name in new:
            yield from _walk(old[name], new[name], (*path, Named(name)))
        return
    if isinstance(after, dict) and after and before is None:
        for key, value in after.items():
            yield from _walk(None, value, (*path, key))
        return
    yield FieldEdit(path, before, after)


def by_name(value: JsonValue) -> dict[str, JsonValue] | None:
    """The items of a list by their names; None for anything but a list of objects with different names."""
    if not isinstance(value, list) or not value:
        return None
    found: dict[str, JsonValue] = {}
    for item in value:
        name = fields.text(item, "name") if isinstance(item, dict) else ""
        if not name or name in found:
            return None
        found[name] = item
    return found


def located(data: JsonValue, path: Path) -> tuple[tuple[str | int, ...], bool]:
    """(the path with positions in the place of names, whether something stands there).

    Raises KeyError with the name of a list item that is not there.
    """
    out: list[str | int] = []
    here, there = data, True
    for token in path:
        if isinstance(token, Named):
            items = here if isinstance(here, list) else []
            at = next((n for n, item in enumerate(items) if fields.text(item, "name") == token.name), None)
            if at is None:
                raise KeyError(token.name)
            out.append(at)
            here = items[at]
        else:
            out.append(token)
            there = there and isinstance(here, dict) and token in here
            here = here.get(token) if isinstance(here, dict) else None
    return tuple(out), there


def value_in(data: JsonValue, path: tuple[str | int, ...]) -> JsonValue:
    """What stands at a path with positions; None for nothing."""
    return fields.dig(data, *path)


def agrees(one: JsonValue, other: JsonValue) -> bool:
    """True where two values mean the same in a manifest: equal, or the same quantity or number in other words."""
    if same(one, other):
        return True
    if isinstance(one, list | dict) or isinstance(other, list | dict) or one is None or other is None:
        return False
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    left, right = fields.quantity(str(one)), fields.quantity(str(other))
    return left is not None and left == right
