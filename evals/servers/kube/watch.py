"""Watch: what is there (unless a resourceVersion is given), then what changes, until the time is up.

A world stands still unless written to, so a watch mostly waits; it ends at its timeout, when the client goes
away, and when the server stops. A revision that was compacted is one ERROR event of code 410.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from aiohttp import web

from evals.servers.kube.calls import Call
from evals.servers.kube.kinds import Resource
from evals.servers.kube.negotiate import wanted
from evals.servers.kube.paging import revision_of, whole
from evals.servers.kube.reads import matcher, printer_of
from evals.servers.kube.status import expired
from evals.servers.kube.store import Change, Item, Store, encode
from evals.servers.kube.views import OBJECT_KINDS, PARTIAL, TABLE, object_bytes, partial, table
from tools.types import JsonObject

_LONGEST = 1800.0
"""Seconds a watch lasts without timeoutSeconds (kube-apiserver's --min-request-timeout)."""
SECOND = 1.0
"""Real seconds in one second of a watch: its timeouts are the client's, not the world's (tests shorten it)."""
_BOOKMARK_EVERY = 60.0
_BOOKMARK_BEFORE_END = 2.0
_INITIAL_END = "k8s.io/initial-events-end"


class Watch:
    """One watch request, checked and ready to play. Raises ApiError 400, 406."""

    def __init__(self, call: Call, resource: Resource, store: Store, now: float) -> None:
        self._wanted = wanted(call.accept, kinds=OBJECT_KINDS)
        self._call, self._resource, self._store = call, resource, store
        self._matches = matcher(call, resource)
        self._printer = printer_of(call, resource, now)
        self._seconds = float(whole("timeoutSeconds", call.query.get("timeoutSeconds", ""))) or _LONGEST
        self._from = revision_of(call.query.get("resourceVersion", ""))
        self._bookmarks = call.flag("allowWatchBookmarks")
        self._columns_sent = False

    async def play(
        self, request: web.BaseRequest, headers: Mapping[str, str], closing: asyncio.Event
    ) -> web.StreamResponse:
        """Send events until the end."""
        response = web.StreamResponse(headers={**headers, "Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        wake = asyncio.Event()
        stop_listening = self._store.listen(wake.set)
        try:
            await self._send(response, wake, closing)
        finally:
            stop_listening()
        await response.write_eof()
        return response

    async def _send(self, response: web.StreamResponse, wake: asyncio.Event, closing: asyncio.Event) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + self._seconds * SECOND
        bookmark = self._next_bookmark(clock(), end)
        seen = self._store.revision
        if 0 < self._from < self._store.compacted:
            await response.write(self._too_old())
            return
        await self._write(response, self._beginning())
        while clock() < end and not closing.is_set():
            due = min(bookmark, end) if self._bookmarks and bookmark > clock() else end
            wake.clear()
            if self._store.revision == seen:
                await _wait(wake, due - clock())
            changes = [one for one in self._store.since(self._resource, seen) if one.revision > seen]
            seen = self._store.revision
            await self._write(response, (line for change in changes for line in self._event(change)))
            if self._bookmarks and due < end and clock() >= bookmark:
                await response.write(self._bookmark({}))
                bookmark = self._next_bookmark(clock(), end)

    def _next_bookmark(self, now: float, end: float) -> float:
        return min(now + _BOOKMARK_EVERY * SECOND, end - _BOOKMARK_BEFORE_END * SECOND)

    async def _write(self, response: web.StreamResponse, lines: Iterator[bytes]) -> None:
        data = b"".join(lines)
        if data:
            await response.write(data)

    def _beginning(self) -> Iterator[bytes]:
        if self._from:
            for change in self._store.since(self._resource, self._from):
                yield from self._event(change)
            return
        if self._call.query.get("sendInitialEvents") == "false":
            return
        for item in self._store.select(self._resource):
            if self._admits(item):
                yield self._line("ADDED", item)
        if self._call.flag("sendInitialEvents") and self._bookmarks:
            yield self._bookmark({"annotations": {_INITIAL_END: "true"}})

    def _event(self, change: Change) -> Iterator[bytes]:
        """At most one event: an object that enters or leaves the selection is added or deleted."""
        new = change.new if change.new is not None and self._admits(change.new) else None
        old = change.old if change.old is not None and self._admits(change.old) else None
        if new is not None:
            yield self._line("ADDED" if old is None else "MODIFIED", new)
        elif old is not None:
            yield self._line("DELETED", _at(change.new or old, change.revision))

    def _admits(self, item: Item) -> bool:
        namespace = self._call.target.namespace if self._resource.namespaced else ""
        return namespace in ("", item.namespace) and (self._matches is None or self._matches(item))

    def _line(self, kind: str, item: Item) -> bytes:
        if self._wanted.kind == TABLE:
            shown = table([item], self._printer, {"resourceVersion": item.metadata["resourceVersion"]})
            if self._columns_sent:
                shown["columnDefinitions"] = None
            self._columns_sent = True
            return _line(kind, encode(shown))
        if self._wanted.kind == PARTIAL:
            return _line(kind, encode(partial(item)))
        return _line(kind, object_bytes(self._resource, item))

    def _bookmark(self, metadata: JsonObject) -> bytes:
        body: JsonObject = {
            "kind": self._resource.kind,
            "apiVersion": self._resource.api_version,
            "metadata": {"resourceVersion": str(self._store.revision), "creationTimestamp": None, **metadata},
        }
        return _line("BOOKMARK", encode(body))

    def _too_old(self) -> bytes:
        error = expired(f"too old resource version: {self._from} ({self._store.compacted})")
        return _line("ERROR", encode(error.body()))


def _line(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


def _at(item: Item, revision: int) -> Item:
    """The object as its deletion shows it: the last state, at the revision of the deletion."""
    metadata: JsonObject = {**item.metadata, "resourceVersion": str(revision)}
    return Item(item.resource, {**item.body, "metadata": metadata}, revision, item.created)


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await wake.wait()
    except TimeoutError:
        return
