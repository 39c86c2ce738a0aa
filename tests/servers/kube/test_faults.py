"""The failures a world plays: each is what a client really meets, as often as the world says."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.servers.kube.client import TIMEOUT
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import pod, small_world
from tools.types import JsonObject

PODS = "/api/v1/pods"


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "text"),
    [
        ({"status": 503}, 503, "application/json", '"reason":"ServiceUnavailable"'),
        ({"status": 500}, 500, "application/json", '"reason":"InternalError"'),
        ({"status": 403, "body": {"kind": "Status", "code": 403}}, 403, "application/json", '{"kind":"Status"'),
        ({"html": True}, 200, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ({"html": True, "status": 502, "body": "<html>gateway"}, 502, "text/html; charset=utf-8", "<html>gateway"),
        ({"body": '{"kind": "PodLi'}, 200, "text/plain; charset=utf-8", '{"kind": "PodLi'),
    ],
)
async def test_an_answer_in_place_of_the_real_one(
    serve: Serve, fault: JsonObject, status: int, content_type: str, text: str
) -> None:
    client = await serve(small_world([pod("a")], faults=[{"server": "kube", "match": PODS, **fault}]))
    for _ in range(2):
        reply = await client.get(PODS)
        assert (reply.status, reply.headers["Content-Type"]) == (status, content_type)
        assert reply.text.startswith(text) or text in reply.text
    assert (await client.get("/version")).status == 200
    assert [one.status for one in client.server.requests] == [status, status, 200]


async def test_a_counted_fault_is_over_after_its_count_and_says_when_to_come_back(serve: Serve) -> None:
    entry: JsonObject = {"server": "kube", "match": "pods?limit", "status": 429, "count": 2, "retry_after": 3}
    client = await serve(small_world([pod("a")], faults=[entry]))
    replies = [await client.get(f"{PODS}?limit=5") for _ in range(3)]
    assert [reply.status for reply in replies] == [429, 429, 200]
    assert replies[0].headers["Retry-After"] == "3"
    assert replies[0].at("details", "retryAfterSeconds") == 3
    assert replies[0].at("reason") == "TooManyRequests"


async def test_faults_of_the_other_server_are_not_played(serve: Serve) -> None:
    client = await serve(small_world([pod("a")], faults=[{"server": "prom", "match": "", "status": 500}]))
    assert (await client.get(PODS)).status == 200


async def test_a_truncated_answer_breaks_off(serve: Serve) -> None:
    entry: JsonObject = {"server": "kube", "match": PODS, "truncate": 40}
    client = await serve(small_world([pod("a")], faults=[entry]))
    async with client.session.get(client.server.url + PODS, timeout=TIMEOUT) as response:
        assert response.status == 200
        assert await response.content.readexactly(40)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_hanging_answer_never_comes_and_does_not_hold_up_the_stop(serve: Serve) -> None:
    client = await serve(small_world([pod("a")], faults=[{"server": "kube", "match": PODS, "hang": True}]))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.get(PODS)
    waiting = asyncio.ensure_future(client.get(PODS))
    async with asyncio.timeout(5):
        while len(client.server.requests) < 2:
            await asyncio.sleep(0)
        await client.server.stop()
        assert isinstance(await asyncio.gather(waiting, return_exceptions=True), list)
    assert [one.status for one in client.server.requests] == [0, 0]
