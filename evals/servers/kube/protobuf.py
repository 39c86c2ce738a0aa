"""Access reviews in protobuf: newer kubectls post them so, and take the answer in JSON.

Only the messages named in MESSAGES are read (field numbers of Kubernetes' authorization/v1 generated.proto), and of
the wire format only what they use: strings and messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from tools.types import JsonObject

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Message: TypeAlias = Mapping[int, "tuple[str, Message | None]"]
"""Field number → (JSON name, message of the field or None for text)."""

_RESOURCE: Message = {
    number: (name, None)
    for number, name in enumerate(("namespace", "verb", "group", "version", "resource", "subresource", "name"), 1)
}
_URL: Message = {1: ("path", None), 2: ("verb", None)}
_SELF: Message = {1: ("resourceAttributes", _RESOURCE), 2: ("nonResourceAttributes", _URL)}
_OTHER: Message = {**_SELF, 3: ("user", None), 4: ("groups", None)}
_TYPE: Message = {1: ("apiVersion", None), 2: ("kind", None)}
MESSAGES: Mapping[str, Message] = {
    "SelfSubjectAccessReview": {2: ("spec", _SELF)},
    "SubjectAccessReview": {2: ("spec", _OTHER)},
    "LocalSubjectAccessReview": {2: ("spec", _OTHER)},
    "SelfSubjectRulesReview": {2: ("spec", {1: ("namespace", None)})},
    "SelfSubjectReview": {},
}
_LISTS = ("groups",)


def read_message(data: bytes) -> JsonObject | None:
    """The object in a protobuf body; None where it is not one of MESSAGES. Raises ValueError on broken bytes."""
    if not data.startswith(_MAGIC):
        raise ValueError("not a Kubernetes protobuf message")
    kind, raw = "", b""
    for number, value in _fields(data[len(_MAGIC) :]):
        if number == 1:
            kind = str(_decode(value, _TYPE).get("kind", ""))
        elif number == 2:
            raw = value
    message = MESSAGES.get(kind)
    return None if message is None else {"kind": kind, **_decode(raw, message)}


def _decode(data: bytes, message: Message) -> JsonObject:
    found: JsonObject = {}
    for number, value in _fields(data):
        if number not in message:
            continue
        name, inner = message[number]
        if inner is not None:
            found[name] = _decode(value, inner)
        elif name in _LISTS:
            earlier = found.get(name)
            found[name] = [*(earlier if isinstance(earlier, list) else []), value.decode()]
        else:
            found[name] = value.decode()
    return found


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message; numbers are skipped."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field is longer than its message")
            yield number, data[at : at + size]
            at += size
        else:
            raise ValueError(f"unknown wire type {wire}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number without end")
