"""Failures a world plays on its Prometheus side."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.servers.prom.client import served, small_world
from tools.types import JsonObject


def fault(**fields: str | int | bool | list[str]) -> JsonObject:
    made: JsonObject = {"server": "prom", "match": "busy"}
    for name, value in fields.items():
        made[name] = [*value] if isinstance(value, list) else value
    return made


async def test_only_what_matches_fails_and_only_as_often_as_told() -> None:
    async with served(small_world(fault(status=503, count=2, retry_after=7))) as (server, client):
        for _ in range(2):
            reply = await client.get("/api/v1/query", {"query": "sum(busy)"})
            assert (reply.status, reply.json["status"], reply.json["errorType"]) == (503, "error", "timeout")
            assert reply.headers["Retry-After"] == "7"
            assert (await client.get("/api/v1/query", {"query": "requests_total"})).status == 200
        assert (await client.get("/api/v1/query", {"query": "sum(busy)"})).status == 200
        assert [r.status for r in server.requests] == [503, 200, 503, 200, 200]


async def test_html_where_json_belongs() -> None:
    async with served(small_world(fault(html=True), fault(match="/api/v1/labels", html=True, status=502))) as (
        _,
        client,
    ):
        reply = await client.get("/api/v1/query", {"query": "busy"})
        assert reply.status == 200
        assert reply.headers["Content-Type"].startswith("text/html")
        assert b"<html" in reply.body
        assert (await client.get("/api/v1/labels")).status == 502


async def test_partial_data_comes_with_warnings() -> None:
    async with served(small_world(fault(warnings=["one store did not answer"]))) as (_, client):
        reply = await client.get("/api/v1/query", {"query": "count(busy)"})
        assert reply.json["warnings"] == ["one store did not answer"]
        assert json.loads(reply.body)["data"]["result"][0]["value"][1] == "2"
        assert (await client.get("/api/v1/query", {"query": "busy +"})).status == 400


async def test_half_an_answer_and_any_body() -> None:
    async with served(small_world(fault(truncate=40, count=1), fault(body="{}", status=422))) as (_, client):
        assert len((await client.get("/api/v1/query", {"query": "busy"})).body) == 40
        reply = await client.get("/api/v1/query", {"query": "busy"})
        assert (reply.status, reply.body) == (422, b"{}")


async def test_silence_ends_with_the_server() -> None:
    async with served(small_world(fault(hang=True))) as (server, client):
        async with ClientSession(timeout=ClientTimeout(total=0.05)) as session:
            with pytest.raises(asyncio.TimeoutError):
                await session.get(f"{client.url}/api/v1/query?query=busy")
        assert (await client.get("/api/v1/query", {"query": "1"})).status == 200
        await asyncio.wait_for(server.stop(), 5)


async def test_faults_of_the_other_server_are_not_ours() -> None:
    other: JsonObject = {"server": "kube", "match": "busy", "status": 500}
    async with served(small_world(other)) as (_, client):
        assert (await client.get("/api/v1/query", {"query": "busy"})).status == 200
