"""JSON Patch (RFC 6902): add, remove, replace, move, copy and test on a copy of a document.

Rules: all operations or none; a path that leads nowhere and a test that fails are the same refusal, as an API
server answers them; the document handed in is never changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from tools.naming import tokens_of
from tools.types import JsonObject

MAX_OPERATIONS = 10_000
"""Most operations in one patch (kube-apiserver's limit)."""


class PatchError(Exception):
    """An operation cannot be performed: no such place, a failed test, or not an operation at all."""


class MalformedPatch(Exception):
    """The body is no JSON Patch document."""


def apply_operations(document: JsonValue, operations: object) -> JsonValue:
    """The document after all operations. Raises PatchError, MalformedPatch."""
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise MalformedPatch("json: cannot unmarshal the body into an array of operations")
    if len(operations) > MAX_OPERATIONS:
        raise MalformedPatch(f"the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}")
    result = copy.deepcopy(document)
    for operation in operations:
        perform = _OPERATIONS.get(str(operation.get("op")))
        if perform is None:
            raise PatchError(f"unexpected kind of operation: {operation.get('op')}")
        result = perform(result, operation)
    return result


def pointer(text: object) -> list[str]:
    """The tokens of a JSON pointer (RFC 6901). Raises PatchError."""
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"not a JSON pointer: {text!r}")
    return tokens_of(text)


def value_at(document: JsonValue, tokens: list[str]) -> JsonValue:
    """The value a pointer leads to. Raises PatchError."""
    for token in tokens:
        if isinstance(document, dict) and token in document:
            document = document[token]
        elif isinstance(document, list):
            document = document[_index(token, len(document) - 1)]
        else:
            raise PatchError(f"no such place: {token!r}")
    return document


def _index(token: str, last: int) -> int:
    if not token.isascii() or not token.isdecimal() or (token != "0" and token.startswith("0")) or int(token) > last:
        raise PatchError(f"no such place in the list: {token!r}")
    return int(token)


def _value(operation: JsonObject) -> JsonValue:
    if "value" not in operation:
        raise PatchError("the operation has no value")
    return copy.deepcopy(operation["value"])


def _put(document: JsonValue, tokens: list[str], value: JsonValue) -> JsonValue:
    """`add` of RFC 6902: sets a field, inserts into a list, or replaces the whole document."""
    if not tokens:
        return value
    parent, last = value_at(document, tokens[:-1]), tokens[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent)), value)
    else:
        raise PatchError(f"no such place: {last!r}")
    return document


def _take(document: JsonValue, tokens: list[str]) -> JsonValue:
    """Remove what a pointer leads to; returns it."""
    if not tokens:
        raise PatchError("the whole document cannot be removed")
    value, parent = value_at(document, tokens), value_at(document, tokens[:-1])
    if isinstance(parent, dict):
        del parent[tokens[-1]]
    elif isinstance(parent, list):
        del parent[int(tokens[-1])]
    return value


def _add(document: JsonValue, operation: JsonObject) -> JsonValue:
    return _put(document, pointer(operation.get("path")), _value(operation))


def _remove(document: JsonValue, operation: JsonObject) -> JsonValue:
    _take(document, pointer(operation.get("path")))
    return document


def _replace(document: JsonValue, operation: JsonObject) -> JsonValue:
    tokens, value = pointer(operation.get("path")), _value(operation)
    if not tokens:
        return value
    value_at(document, tokens)
    parent = value_at(document, tokens[:-1])
    if isinstance(parent, dict):
        parent[tokens[-1]] = value
    elif isinstance(parent, list):
        parent[int(tokens[-1])] = value
    return document


def _move(document: JsonValue, operation: JsonObject) -> JsonValue:
    source, target = pointer(operation.get("from")), pointer(operation.get("path"))
    if source == target[: len(source)] and source != target:
        raise PatchError("a value cannot be moved into itself")
    return _put(document, target, _take(document, source))


def _copy(document: JsonValue, operation: JsonObject) -> JsonValue:
    value = copy.deepcopy(value_at(document, pointer(operation.get("from"))))
    return _put(document, pointer(operation.get("path")), value)


def _test(document: JsonValue, operation: JsonObject) -> JsonValue:
    if not same(value_at(document, pointer(operation.get("path"))), _value(operation)):
        raise PatchError("testing the value failed")
    return document


def same(one: JsonValue, other: JsonValue) -> bool:
    """Equality of JSON values: true is not 1, 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


_OPERATIONS: Mapping[str, Callable[[JsonValue, JsonObject], JsonValue]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
