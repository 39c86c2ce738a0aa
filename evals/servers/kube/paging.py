"""Paging: `limit`, `continue`, and the snapshot a list keeps to until its last page.

A token says which revision the list is of and after which key it goes on (base64url of JSON, as the real server's).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from evals.servers.kube.status import ApiError, bad_request, expired, too_large

_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is asked for."""

    revision: int | None
    """Revision of the snapshot; None is the newest."""
    start: str
    """First key that may appear; "" from the beginning."""
    limit: int
    """Most items in the answer; 0 is all."""


def window_of(query: Mapping[str, str], *, current: int, compacted: int) -> Window:
    """The window a list request asks for. Raises ApiError 400, 410 or 504."""
    limit = whole("limit", query.get("limit", ""))
    token = query.get("continue", "")
    version = query.get("resourceVersion", "")
    if token:
        if version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        revision, start = read_token(token)
        if 0 <= revision < compacted:
            raise expired(_EXPIRED, cont=make_token(-1, start))
        return Window(None if revision < 0 else revision, start, limit)
    asked = revision_of(version)
    if asked > current:
        raise too_large(asked, current)
    exact = query.get("resourceVersionMatch") == "Exact"
    if exact and 0 < asked < compacted:
        raise expired(f"The resourceVersion for the provided list is too old: {asked}")
    # From its watch cache (resourceVersion=0) the real server answers in one piece.
    return Window(asked if exact else None, "", 0 if version == "0" else limit)


def revision_of(text: str) -> int:
    """A resourceVersion parameter as a number; 0 for none. Raises ApiError 400."""
    if not text:
        return 0
    if not text.isascii() or not text.isdecimal():
        raise bad_request(
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def whole(name: str, text: str) -> int:
    """A whole-number parameter; 0 for none. Raises ApiError 400."""
    try:
        return max(0, int(text)) if text else 0
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def make_token(revision: int, start: str) -> str:
    """A continue token; `start` is the first key still to come (or just before it)."""
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(token: str) -> tuple[int, str]:
    """(revision, start) of a continue token. Raises ApiError 400."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad("illegal base64 data at input byte 0") from None
    try:
        value = json.loads(raw)
    except ValueError:
        raise _bad(f"invalid character {_quoted(raw)} looking for beginning of value") from None
    if not isinstance(value, dict) or value.get("v") != "meta.k8s.io/v1":
        raise bad_request('continue key is not valid: server does not recognize this encoded version ""')
    revision, start = value.get("rv"), value.get("start")
    if not isinstance(revision, int) or not isinstance(start, str) or not start or ".." in start:
        raise _bad("server encoded an invalid start key")
    return revision, start


def _bad(problem: str) -> ApiError:
    return bad_request(f"invalid continue token: continue key is not valid: {problem}")


def _quoted(raw: bytes) -> str:
    first = raw[:1].decode("latin-1")
    return f"'{first}'" if first.isprintable() and first.isascii() else f"'\\u{ord(first or chr(0)):04x}'"
