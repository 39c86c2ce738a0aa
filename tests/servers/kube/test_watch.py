"""Watches that outlive their beginning: changes as they come, and every way a watch ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from evals.servers.kube import watch
from evals.servers.kube.jsonread import as_object, as_text, dig
from evals.servers.kube.store import Item
from tests.servers.kube.client import TABLE, TIMEOUT, Client
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import pod, small_world, thing
from tools.types import JsonObject

PODS = "/api/v1/namespaces/default/pods?watch=true"


class Stream:
    """The events of one open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> JsonObject:
        """The next event."""
        event: JsonObject = json.loads(await self._response.content.readline())
        return event

    async def seen(self) -> tuple[str, str]:
        """(type, object name) of the next event."""
        event = await self.next()
        return as_text(event["type"]), as_text(dig(event, "object", "metadata", "name"))

    async def ended(self) -> bool:
        """True when the server has ended the stream."""
        return await self._response.content.read() == b""


@asynccontextmanager
async def watching(client: Client, path: str, **headers: str) -> AsyncIterator[Stream]:
    """An open watch."""
    async with client.session.get(client.server.url + path, headers=headers, timeout=TIMEOUT) as response:
        assert response.status == 200
        yield Stream(response)


def _put(client: Client, raw: JsonObject) -> Item:
    return client.server.store.put(client.server.kinds.by_path[("", "v1", "pods")], raw)


async def test_changes_arrive_as_they_happen(serve: Serve) -> None:
    client = await serve(small_world([pod("a")]))
    async with watching(client, PODS) as stream:
        assert await stream.seen() == ("ADDED", "a")
        _put(client, pod("b"))
        assert await stream.seen() == ("ADDED", "b")
        item = _put(client, pod("b", phase="Failed"))
        _put(client, pod("elsewhere", "other"))
        assert await stream.seen() == ("MODIFIED", "b")
        client.server.store.remove(item)
        gone = await stream.next()
        assert gone["type"] == "DELETED"
        assert dig(gone, "object", "metadata", "resourceVersion") == str(client.server.store.revision)


async def test_an_object_that_leaves_the_selection_is_deleted(serve: Serve) -> None:
    client = await serve(small_world([pod("a"), pod("b", phase="Pending")]))
    async with watching(client, f"{PODS}&fieldSelector=status.phase=Running") as stream:
        assert await stream.seen() == ("ADDED", "a")
        _put(client, pod("a", phase="Failed"))
        assert await stream.seen() == ("DELETED", "a")
        _put(client, pod("b"))
        assert await stream.seen() == ("ADDED", "b")


async def test_one_object_can_be_watched_by_its_path(serve: Serve) -> None:
    client = await serve(small_world([pod("a"), pod("b")]))
    async with watching(client, "/api/v1/namespaces/default/pods/b?watch=1") as stream:
        assert await stream.seen() == ("ADDED", "b")
        _put(client, pod("a"))
        _put(client, pod("b"))
        assert await stream.seen() == ("MODIFIED", "b")


async def test_a_namespace_can_be_watched_by_its_path(serve: Serve) -> None:
    client = await serve(small_world([thing("v1", "Namespace", "a"), thing("v1", "Namespace", "b")]))
    async with watching(client, "/api/v1/namespaces/b?watch=1") as stream:
        assert await stream.seen() == ("ADDED", "b")


async def test_a_compacted_revision_is_an_error_event(serve: Serve) -> None:
    client = await serve(small_world([pod("a")]))
    old = client.server.store.revision - 1
    client.server.store.compact()
    async with watching(client, f"{PODS}&resourceVersion={old}") as stream:
        event = await stream.next()
        assert event["type"] == "ERROR"
        status = as_object(event["object"])
        assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
        assert as_text(status["message"]).startswith(f"too old resource version: {old}")
        assert await stream.ended()


async def test_bookmarks_say_how_far_the_watch_has_come(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SECOND", 0.02)
    client = await serve(small_world([pod("a")]))
    version = client.server.store.revision
    reply = await client.get(f"{PODS}&resourceVersion={version}&timeoutSeconds=4&allowWatchBookmarks=true")
    [event] = reply.events
    assert (event["type"], dig(event, "object", "kind")) == ("BOOKMARK", "Pod")
    assert dig(event, "object", "metadata", "resourceVersion") == str(version)
    without = await client.get(f"{PODS}&resourceVersion={version}&timeoutSeconds=4")
    assert without.events == []


async def test_a_streaming_list_ends_its_beginning_with_a_bookmark(serve: Serve) -> None:
    client = await serve(small_world([pod("a")]))
    path = f"{PODS}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with watching(client, path) as stream:
        assert await stream.seen() == ("ADDED", "a")
        event = await stream.next()
        assert dig(event, "object", "metadata", "annotations") == {"k8s.io/initial-events-end": "true"}


async def test_tables_name_their_columns_once(serve: Serve) -> None:
    client = await serve(small_world([pod("a"), pod("b")]))
    async with watching(client, PODS, Accept=TABLE) as stream:
        first, second = await stream.next(), await stream.next()
        assert dig(first, "object", "kind") == "Table"
        assert dig(first, "object", "columnDefinitions")
        assert dig(second, "object", "columnDefinitions") is None


async def test_a_watch_ends_when_the_server_stops(serve: Serve) -> None:
    client = await serve(small_world([pod("a")]))
    async with watching(client, PODS) as stream:
        await stream.next()
        await client.server.stop()
        assert await stream.ended()


async def test_a_client_that_goes_away_is_forgotten(serve: Serve) -> None:
    client = await serve(small_world([pod("a")]))
    async with watching(client, PODS) as stream:
        await stream.next()
        assert client.server.store.listeners == 1
    async with asyncio.timeout(5):
        while client.server.store.listeners:
            await asyncio.sleep(0)


@pytest.mark.parametrize("query", ["labelSelector=in in", "resourceVersion=x", "timeoutSeconds=x"])
async def test_a_wrong_watch_is_refused_before_it_begins(serve: Serve, query: str) -> None:
    client = await serve(small_world())
    assert (await client.get(f"{PODS}&{query.replace(' ', '+')}")).status == 400
