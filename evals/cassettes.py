"""Conversations with a model endpoint, recorded once and replayed without one.

Rules: only the model client is recorded, clusters and Prometheus are served for real; a request is played only where
method, path, query and the whole body agree, each once; nothing that identifies a caller is stored; in replay no
socket reaches a model, whatever happens, and a miss or an interaction left over is an error.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import vcr
from pydantic import JsonValue
from vcr.record_mode import RecordMode
from vcr.request import Request

from tools.types import JsonObject, canonical

MATCH: Final = ("method", "path", "query", "body")
"""Never host or port: a conversation is the same at any address."""
REQUEST_HEADERS: Final = frozenset({"content-type"})
RESPONSE_HEADERS: Final = frozenset({"content-type", "retry-after"})
"""All that is stored of headers; authorization, cookies, x-stainless and those of gateways are not in it."""
_OTHERS: Final = ("httplib", "requests", "boto3", "urllib3", "httplib2", "tornado", "aiohttp", "httpx")
"""Clients that are left alone. vcrpy un-patches the process for a moment where it patches http.client, so that calls
in threads escape it (its issues 212, 849 and 1051): it never patches it here."""


class CassetteError(AssertionError):
    """A conversation that is not the recorded one, or one that must not be stored."""


@contextmanager
def cassette(path: Path, *, record: bool, reachable: Iterable[str] = (), secrets: Iterable[str] = ()) -> Iterator[None]:
    """Record into `path`, or replay from it and let nothing out but to the `reachable` base URLs.

    Raises CassetteError on leaving: in replay for a request that was not recorded and for an interaction that was not
    played; when recording, where one of the `secrets` would be stored (nothing is kept then).
    """
    if record:
        path.unlink(missing_ok=True)
        with _recorder().use_cassette(str(path), record_mode=RecordMode.ALL):
            yield
        _refuse_secrets(path, secrets)
        return
    if not path.is_file():
        raise CassetteError(f"there is no cassette {path}; record it first")
    missed: list[str] = []
    with guarded(reachable), _recorder().use_cassette(str(path), record_mode=RecordMode.NONE) as played:
        played.can_play_response_for = _watched(played.can_play_response_for, missed)
        yield
    if missed:
        raise CassetteError(f"not in {path.name}: {missed[0]}; the prompts or the case changed: record it again")
    if not played.all_played:
        left = len(played) - played.play_count
        raise CassetteError(f"{left} of {len(played)} interactions of {path.name} were not played; record it again")


def _recorder() -> vcr.VCR:
    return vcr.VCR(
        match_on=MATCH,
        before_record_request=_request,
        before_record_response=_response,
        skip_patchers=_OTHERS,
        decode_compressed_response=True,
    )


def _watched(play: Callable[[Request], bool], missed: list[str]) -> Callable[[Request], bool]:
    """Remembers misses, because the client turns the exception of a miss into one more failed connection."""

    def can_play(request: Request) -> bool:
        found = bool(play(request))
        if not found:
            missed.append(f"{request.method} {request.path}")
        return found

    return can_play


# --- what is stored ----------------------------------------------------------------------------------------


def _request(request: Request) -> Request:
    """A request without address and callers' headers, its fixed parts (tools, system prompt) as digests."""
    parts = urlsplit(request.uri)
    query = f"?{parts.query}" if parts.query else ""
    return Request(
        request.method, f"http://model{parts.path}{query}", _body(request.body), _only(request.headers, REQUEST_HEADERS)
    )


def _only(headers: Mapping[str, str], wanted: frozenset[str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() in wanted}


def _body(raw: bytes | str | None) -> bytes | str | None:
    """The body with long fixed parts digested: they match as exactly, and cassettes stay small and readable."""
    try:
        body: JsonValue = json.loads(raw or "null")
    except ValueError:
        return raw
    if not isinstance(body, dict):
        return raw
    slim: JsonObject = dict(body)
    if isinstance(slim.get("tools"), list):
        slim["tools"] = _digest(slim["tools"])
    messages = slim.get("messages")
    if isinstance(messages, list):
        slim["messages"] = [_message(message) for message in messages]
    return json.dumps(slim, ensure_ascii=False, indent=1, sort_keys=True)


def _message(message: JsonValue) -> JsonValue:
    if isinstance(message, dict) and message.get("role") == "system" and isinstance(message.get("content"), str):
        content = str(message["content"])
        return message if content.startswith("sha256:") else {**message, "content": _digest(content)}
    return message


def _digest(value: JsonValue) -> str:
    return f"sha256:{hashlib.sha256(canonical(value)).hexdigest()}"


def _response(response: JsonObject) -> JsonObject:
    headers = response.get("headers")
    kept = headers.items() if isinstance(headers, dict) else ()
    return {**response, "headers": {name: value for name, value in kept if name.lower() in RESPONSE_HEADERS}}


def _refuse_secrets(path: Path, secrets: Iterable[str]) -> None:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if any(secret and secret in text for secret in secrets):
        path.unlink()
        raise CassetteError(f"{path.name} would hold a secret; nothing was kept")


# --- nothing gets out --------------------------------------------------------------------------------------


@contextmanager
def guarded(reachable: Iterable[str] = ()) -> Iterator[None]:
    """Refuse every TCP connection of this process but those to the host and port of `reachable` URLs."""
    allowed = {(parts.hostname, parts.port) for url in reachable if (parts := urlsplit(url)).port}
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def check(address: object) -> None:
        if isinstance(address, tuple) and (address[0], address[1]) not in allowed:
            raise ConnectionRefusedError(f"a replay tried to reach {address[0]}:{address[1]}")

    def guarded_connect(self: socket.socket, address: tuple[str, int] | str) -> None:
        check(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: tuple[str, int] | str) -> int:
        check(address)
        return connect_ex(self, address)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
