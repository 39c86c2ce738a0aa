"""JSON merge patches (RFC 7396) as pure functions: what a patch does, what undoes it, and what two objects differ in.

Rules: nothing here mutates what it is given; a list is one value, as in the RFC; what a server writes by itself
(resourceVersion, generation, managedFields, timestamps, status) is no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from pydantic import JsonValue

from tools.changes import PLAN_ANNOTATION
from tools.types import Frozen, JsonObject

Path: TypeAlias = tuple[str, ...]
SERVERS_OWN: tuple[Path, ...] = (
    ("metadata", "resourceVersion"),
    ("metadata", "generation"),
    ("metadata", "managedFields"),
    ("metadata", "creationTimestamp"),
    ("metadata", "annotations", PLAN_ANNOTATION),
    ("status",),
)
"""What differs between two reads of an object that nobody changed."""
MAX_DEPTH = 64


class FieldValue(Frozen):
    """A field and what stands there; `present` tells null from absent."""

    path: Path
    value: JsonValue = None
    present: bool = True


class FieldChange(Frozen):
    """A field before and after."""

    path: Path
    before: JsonValue = None
    after: JsonValue = None
    added: bool = False
    removed: bool = False


def merged(target: JsonValue, patch: JsonValue) -> JsonValue:
    """What `target` becomes under a merge patch."""
    if not isinstance(patch, dict):
        return patch
    out: JsonObject = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def inverse(before: JsonValue, patch: JsonObject) -> JsonObject:
    """The merge patch that turns `merged(before, patch)` back into `before`.

    Raises ValueError where no merge patch can: an explicit null in `before` that the patch touches.
    """
    known = before if isinstance(before, dict) else {}
    out: JsonObject = {}
    for key, value in patch.items():
        if key not in known:
            if value is not None:
                out[key] = None
        elif isinstance(value, dict) and isinstance(known[key], dict):
            out[key] = inverse(known[key], value)
        else:
            _refuse_null(known[key], key)
            out[key] = known[key]
            if isinstance(value, dict) or isinstance(known[key], dict):
                out[key] = _replacing(known[key], value)
    return out


def _replacing(wanted: JsonValue, standing: JsonValue) -> JsonValue:
    """A patch value that leaves exactly `wanted` where `standing` was put: keys of `standing` that do not belong go."""
    if not isinstance(wanted, dict):
        return wanted
    extra: JsonObject = {}
    if isinstance(standing, dict):
        extra = {key: None for key, value in standing.items() if key not in wanted and value is not None}
    return {**wanted, **extra}


def _refuse_null(value: JsonValue, key: str) -> None:
    if value is None:
        raise ValueError(f"{key} is null, which no merge patch can restore")
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_null(inner, f"{key}.{name}")


def touched(patch: JsonObject, prefix: Path = ()) -> tuple[Path, ...]:
    """The fields a patch sets or removes; an object it puts in counts by its leaves."""
    found: list[Path] = []
    for key, value in patch.items():
        if isinstance(value, dict) and value:
            found += touched(value, (*prefix, key))
        else:
            found.append((*prefix, key))
    return tuple(found)


def value_at(obj: JsonValue, path: Path) -> FieldValue:
    """What stands at a path, absent included."""
    here = obj
    for key in path:
        if not isinstance(here, dict) or key not in here:
            return FieldValue(path=path, present=False)
        here = here[key]
    return FieldValue(path=path, value=here)


def stands(bound: FieldValue, obj: JsonValue) -> bool:
    """True where an object has at a path what was seen there, absent included."""
    now = value_at(obj, bound.path)
    return now.present == bound.present and same(now.value, bound.value)


def differences(
    before: JsonValue, after: JsonValue, *, ignore: Iterable[Path] = SERVERS_OWN
) -> tuple[FieldChange, ...]:
    """Fields in which two objects differ, in order of their paths, without what servers write by themselves."""
    left_out = frozenset(ignore)
    return tuple(sorted(_walk(before, after, (), left_out), key=lambda change: change.path))


def _walk(before: JsonValue, after: JsonValue, path: Path, ignore: frozenset[Path]) -> Iterator[FieldChange]:
    if path in ignore:
        return
    if len(path) > MAX_DEPTH:
        raise ValueError("the object is nested too deeply")
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            here = (*path, key)
            if key not in after:
                yield from _gone(before[key], here, ignore, removed=True)
            elif key not in before:
                yield from _gone(after[key], here, ignore, removed=False)
            else:
                yield from _walk(before[key], after[key], here, ignore)
    elif not same(before, after):
        yield FieldChange(path=path, before=before, after=after)


def _gone(value: JsonValue, path: Path, ignore: frozenset[Path], *, removed: bool) -> Iterator[FieldChange]:
    """A field that only one side has, leaf by leaf, so that ignored fields below it stay ignored."""
    if path in ignore:
        return
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _gone(inner, (*path, key), ignore, removed=removed)
    elif removed:
        yield FieldChange(path=path, before=value, removed=True)
    else:
        yield FieldChange(path=path, after=value, added=True)


def same(one: JsonValue, other: JsonValue) -> bool:
    """Equality as JSON has it: 1 and true differ, 1 and 1.0 do not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other
