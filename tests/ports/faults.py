"""A small HTTP server written on bare sockets, because a well-behaved server library cannot misbehave enough.

It serves one cluster of five pods in three pages, and one Prometheus, and plays one named fault on request.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import JsonValue

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"
POD_NAMES = ("p0", "p1", "p2", "p3", "p4")
PAGES = (("p0", "p1"), ("p2", "p3"), ("p4",))
BILLION = 10 * (1 << 30)
"""A body nobody should read: 10 GiB."""


@dataclass(slots=True)
class Seen:
    """One request as it arrived, headers in order and unchanged."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        """The path, still encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """First value of each query parameter."""
        return {key: values[0] for key, values in parse_qs(urlsplit(self.target).query).items()}

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def form(self) -> dict[str, str]:
        """First value of each form field."""
        return {key: values[0] for key, values in parse_qs(self.body.decode()).items()}


Answer = Callable[[Seen], tuple[int, JsonValue | bytes]]
"""How a server answers a request: status and body."""


def _pod(name: str) -> JsonValue:
    return {"metadata": {"name": name, "namespace": "search", "uid": f"uid-{name}"}, "spec": {"containers": None}}


def _pods(seen: Seen) -> JsonValue:
    at = int(seen.query.get("continue", "0"))
    meta: dict[str, JsonValue] = {"resourceVersion": "1"}
    if at + 1 < len(PAGES):
        meta |= {"continue": str(at + 1), "remainingItemCount": sum(map(len, PAGES[at + 1 :]))}
    return {"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": [_pod(name) for name in PAGES[at]]}


def _resources(group_version: str, *entries: tuple[str, str]) -> JsonValue:
    listed: list[JsonValue] = [
        {"name": plural, "kind": kind, "namespaced": True, "verbs": ["get", "list"]} for plural, kind in entries
    ]
    return {"kind": "APIResourceList", "groupVersion": group_version, "resources": listed}


def _group(name: str, *versions: str) -> JsonValue:
    listed: list[JsonValue] = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[-1]}


VECTOR: JsonValue = {
    "status": "success",
    "warnings": ["one store did not answer"],
    "infos": ["PromQL info: metric might not be a counter"],
    "data": {
        "resultType": "vector",
        "result": [
            {"metric": {"pod": "a"}, "value": [1.5, "NaN"]},
            {"metric": {"pod": "b"}, "value": [1.5, "+Inf"]},
            {"metric": {"pod": "c"}, "value": [1.5, "-Inf"]},
            {"metric": {"pod": "d"}, "value": [1.5, "0.25"]},
        ],
    },
}
MATRIX: JsonValue = {
    "status": "success",
    "data": {"resultType": "matrix", "result": [{"metric": {"pod": "a"}, "values": [[1, "1"], [2, "NaN"]]}]},
}


def healthy(seen: Seen) -> tuple[int, JsonValue | bytes]:
    """What the server answers without a fault."""
    documents: dict[str, JsonValue | bytes] = {
        "/version": {"gitVersion": "v1.36.2"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "groups": [_group("apps", "v1"), _group("broken.example.com", "v1", "v2")]},
        "/api/v1": _resources("v1", ("pods", "Pod"), ("pods/log", "Pod"), ("secrets", "Secret")),
        "/apis/apps/v1": _resources("apps/v1", ("deployments", "Deployment")),
        "/apis/broken.example.com/v1": _resources("broken.example.com/v1", ("widgets", "Widget")),
        "/apis/broken.example.com/v2": _resources("broken.example.com/v2", ("widgets", "Widget"), ("gears", "Gear")),
        "/api/v1/namespaces/search/pods/p0": _pod("p0"),
        "/api/v1/namespaces/search/pods/p0/log": b"line 1\n\xff\xfe line 2\n",
        "/api/v1/query": VECTOR,
        "/api/v1/query_range": MATRIX,
        "/api/v1/series": {"status": "success", "data": [{"__name__": "up", "pod": "a"}]},
        "/api/v1/label/pod/values": {"status": "success", "data": ["a", "b"]},
        "/api/v1/alerts": {"status": "success", "data": {"alerts": [{"state": "firing"}]}},
        "/api/v1/status/buildinfo": {"status": "success", "data": {"version": "3.5.0"}},
        "/apis/authentication.k8s.io/v1/selfsubjectreviews": {
            "status": {"userInfo": {"username": "ann", "groups": ["dev", "system:authenticated"]}}
        },
    }
    if seen.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
        verb = json.loads(seen.body)["spec"]["resourceAttributes"].get("verb")
        return 201, {"status": {"allowed": verb == "get"}}
    if seen.path.endswith("/pods"):
        return 200, _pods(seen)
    if seen.path in documents:
        return 200, documents[seen.path]
    missing: JsonValue = {
        "kind": "Status",
        "reason": "NotFound",
        "code": 404,
        "message": f'pods "{seen.path.rpartition("/")[2]}" not found',
        "details": {"name": seen.path.rpartition("/")[2], "kind": "pods"},
    }
    return 404, missing


@dataclass(slots=True)
class FaultServer:
    """Listens on an ephemeral loopback port. `fault` is played on targets holding `match`, `times` times."""

    fault: str = ""
    match: str = ""
    times: int = 1 << 30
    seen: list[Seen] = field(default_factory=list)
    answer: Answer = healthy
    port: int = 0
    connections: int = 0
    _server: asyncio.Server | None = None
    _closing: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> FaultServer:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Base address."""
        return f"http://127.0.0.1:{self.port}"

    def kubeconfig(self, path: Path, *, token: str = "secret-token") -> str:
        """Write a kubeconfig for this server and return its name."""
        document = {
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path.write_text(json.dumps(document))
        return str(path)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (seen := await _request(reader)) is not None:
                    self.seen.append(seen)
                    if not await self._play(seen, writer):
                        break
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _play(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection ends with it."""
        status, document = self.answer(seen)
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        if self.fault and self.match in seen.target and self.times > 0:
            self.times -= 1
            if self.fault.isdigit() or "+" in self.fault:
                code, _, wait = self.fault.partition("+")
                await _send(writer, int(code), _status_body(int(code)), wait=wait)
                return True
            return await _FAULTS[self.fault](self, writer, body)
        await _send(writer, status, body)
        return True

    async def hang(self) -> None:
        """Wait until the server closes."""
        await self._closing.wait()


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    headers = [(line.partition(":")[0], line.partition(":")[2].strip()) for line in lines]
    length = next((int(value) for key, value in headers if key.lower() == "content-length"), 0)
    return Seen(method, target, headers, await reader.readexactly(length))


def _head(status: int, *extra: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", f"Date: {DATE}", *extra, "", ""]).encode()


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, *, wait: str = "") -> None:
    extra = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    writer.write(_head(status, *extra, *([f"Retry-After: {wait}"] if wait else [])) + body)
    await writer.drain()


def _status_body(code: int) -> bytes:
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired", 422: "Invalid"}
    return json.dumps(
        {"kind": "Status", "code": code, "reason": reasons.get(code, ""), "message": f"the fault is {code}",
         "status": "error", "errorType": "execution", "error": f"the fault is {code}"}
    ).encode()  # fmt: skip


Play = Callable[[FaultServer, asyncio.StreamWriter, bytes], Awaitable[bool]]


async def _latency(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    for _turn in range(20):  # some turns of the loop, not a time
        await asyncio.sleep(0)
    await _send(writer, 200, body)
    return True


async def _hang(server: FaultServer, _writer: asyncio.StreamWriter, _body: bytes) -> bool:
    await server.hang()
    return False


async def _hang_in_body(server: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(_head(200, f"Content-Length: {len(body)}") + body[:10])
    await server.hang()
    return False


async def _reset(_: FaultServer, writer: asyncio.StreamWriter, _body: bytes) -> bool:
    writer.transport.abort()
    return False


async def _reset_in_body(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(_head(200, f"Content-Length: {len(body)}") + body[:10])
    await writer.drain()
    return False


async def _cut_json(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    await _send(writer, 200, body[: len(body) // 2])
    return True


async def _cut_chunks(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(_head(200, "Transfer-Encoding: chunked") + f"{len(body):x}\r\n".encode() + body + b"\r\n")
    await writer.drain()
    return False


async def _long_length(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(_head(200, f"Content-Length: {len(body) + 100}") + body)
    await writer.drain()
    return False


async def _short_length(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(_head(200, f"Content-Length: {len(body) - 5}", "Connection: close") + body)
    await writer.drain()
    return False


async def _html(_: FaultServer, writer: asyncio.StreamWriter, _body: bytes) -> bool:
    page = b"<!DOCTYPE html><html><body>Sign in</body></html>"
    writer.write(_head(200, "Content-Type: text/html", f"Content-Length: {len(page)}") + page)
    return True


async def _deep(_: FaultServer, writer: asyncio.StreamWriter, _body: bytes) -> bool:
    await _send(writer, 200, b"[" * 200_000)
    return True


async def _redirect(_: FaultServer, writer: asyncio.StreamWriter, _body: bytes) -> bool:
    writer.write(_head(302, "Location: http://169.254.169.254/latest/meta-data/", "Content-Length: 0"))
    return True


async def _gzip_broken(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    packed = gzip.compress(body, mtime=0)[:-12]
    writer.write(_head(200, "Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed)
    return True


async def _gzip(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    packed = gzip.compress(body, mtime=0)
    writer.write(_head(200, "Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed)
    return True


async def _other_encoding(_: FaultServer, writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(_head(200, "Content-Encoding: br", f"Content-Length: {len(body)}") + body)
    return True


async def _garbage(_: FaultServer, writer: asyncio.StreamWriter, _body: bytes) -> bool:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    await writer.drain()
    return False


async def _endless(_: FaultServer, writer: asyncio.StreamWriter, _body: bytes) -> bool:
    writer.write(_head(200, f"Content-Length: {BILLION}", "Content-Type: application/json") + b'{"items":[')
    block = b'{"metadata":{"name":"x"}},' * 2520
    for _turn in range(BILLION // len(block)):
        writer.write(block)
        await writer.drain()
    return False


async def _bomb(_: FaultServer, writer: asyncio.StreamWriter, _body: bytes) -> bool:
    """About 10 MiB of gzip that inflate to 10 GiB: one compressed block, sent over and over."""
    packer = zlib.compressobj(9, wbits=31)
    writer.write(_head(200, "Content-Encoding: gzip", "Connection: close") + packer.compress(b'{"items":['))
    writer.write(packer.flush(zlib.Z_FULL_FLUSH))
    block = packer.compress(b" " * (16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    for _turn in range(BILLION // (16 << 20)):
        writer.write(block)
        await writer.drain()
    return False


async def _loris(server: FaultServer, writer: asyncio.StreamWriter, _body: bytes) -> bool:
    """Headers, one byte at a time, without end."""
    writer.write(b"HTTP/1.1 200 X\r\nX-Slow: ")
    while not server._closing.is_set():
        writer.write(b"a")
        await writer.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(server._closing.wait(), 0.02)
    return False


_FAULTS: dict[str, Play] = {
    "latency": _latency,
    "hang": _hang,
    "hang in body": _hang_in_body,
    "reset": _reset,
    "reset in body": _reset_in_body,
    "cut json": _cut_json,
    "cut chunks": _cut_chunks,
    "length too long": _long_length,
    "length too short": _short_length,
    "html": _html,
    "deep json": _deep,
    "redirect": _redirect,
    "gzip": _gzip,
    "broken gzip": _gzip_broken,
    "other encoding": _other_encoding,
    "garbage": _garbage,
    "endless": _endless,
    "gzip bomb": _bomb,
    "slow loris": _loris,
}
