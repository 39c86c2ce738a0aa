"""The Prometheus HTTP API of a world: times, forms, limits, refusals, and what is remembered."""

from __future__ import annotations

import gzip
import json

import pytest

from evals.promql.memory import MemorySource
from evals.servers.prom.answers import show_value
from evals.servers.prom.server import BODY_LIMIT
from evals.world.model import Clock, RawSeries, World
from tests.servers.prom.client import NOW, served, small_world


async def test_the_clock_is_the_worlds() -> None:
    world = small_world()
    async with served(world) as (_, client):
        reply = await client.get("/api/v1/query", {"query": "time()"})
        assert reply.json == {"status": "success", "data": {"resultType": "scalar", "result": [NOW, str(int(NOW))]}}
        assert reply.headers["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
        world.clock.advance(60)
        reply = await client.get("/api/v1/query", {"query": "time()"})
        assert reply.json["data"] == {"resultType": "scalar", "result": [NOW + 60, str(int(NOW) + 60)]}
        assert reply.headers["Date"] == "Tue, 14 Nov 2023 22:14:20 GMT"


async def test_get_and_post_say_the_same() -> None:
    async with served(small_world()) as (server, client):
        query = {"query": 'sum by (node) (busy{gpu=~"0|1"})', "time": str(NOW)}
        read, posted = await client.get("/api/v1/query", query), await client.post("/api/v1/query", query)
        assert read.json == posted.json
        assert read.json["data"] == {
            "resultType": "vector",
            "result": [{"metric": {"node": "n1"}, "value": [int(NOW), "0.75"]}],
        }
        window = {"query": "busy", "start": str(NOW - 60), "end": str(NOW), "step": "30s"}
        read, posted = await client.get("/api/v1/query_range", window), await client.post("/api/v1/query_range", window)
        assert read.body == posted.body
        assert [r.method for r in server.requests] == ["GET", "POST", "GET", "POST"]
        assert [r.path for r in server.requests] == ["/api/v1/query"] * 2 + ["/api/v1/query_range"] * 2
        assert {(r.query, r.status) for r in server.requests} == {(query["query"], 200), ("busy", 200)}


async def test_limits_and_look_ups() -> None:
    async with served(small_world()) as (_, client):
        assert (await client.get("/api/v1/labels")).json["data"] == ["__name__", "gpu", "node"]
        assert (await client.get("/api/v1/labels", {"limit": "2"})).json["data"] == ["__name__", "gpu"]
        assert (await client.get("/api/v1/label/gpu/values", {"match[]": "busy"})).json["data"] == ["0", "1"]
        assert (await client.get("/api/v1/label/gpu/values", {"limit": "1"})).json["data"] == ["0"]
        assert (await client.get("/api/v1/label/gpu/values", {"end": str(NOW - 5000)})).json["data"] == []
        one = await client.get("/api/v1/series", {"match[]": "busy", "limit": "1"})
        assert one.json["data"] == [{"__name__": "busy", "gpu": "0", "node": "n1"}]
        cut = (await client.get("/api/v1/query", {"query": "busy", "limit": "1"})).json["data"]
        assert isinstance(cut, dict)
        assert isinstance(cut["result"], list)
        assert len(cut["result"]) == 1
        assert (await client.get("/api/v1/series", {"match[]": "busy", "limit": "x"})).status == 400


async def test_what_is_known_besides_samples() -> None:
    async with served(small_world(prometheus="2.x")) as (_, client):
        assert (await client.get("/api/v1/metadata")).json["data"] == {
            "busy": [{"type": "gauge", "help": "", "unit": ""}],
            "requests_total": [{"type": "counter", "help": "", "unit": ""}],
        }
        assert (await client.get("/api/v1/metadata", {"metric": "nothing"})).json["data"] == {}
        alerts = (await client.get("/api/v1/alerts")).json["data"]
        assert alerts == {"alerts": [{"labels": {"alertname": "Idle"}, "state": "firing", "value": "1e+00"}]}
        build = (await client.get("/api/v1/status/buildinfo")).json["data"]
        assert isinstance(build, dict)
        assert build["version"] == "2.42.0"


async def test_the_semantics_follow_the_world() -> None:
    query = {"query": "count_over_time(requests_total[1m])"}
    counts = []
    for version in ("2.x", "3.x"):
        async with served(small_world(prometheus=version)) as (_, client):
            counts.append(json.loads((await client.get("/api/v1/query", query)).body)["data"]["result"][0]["value"][1])
    assert counts == ["3", "2"]


async def test_large_answers_are_compressed_for_those_who_ask() -> None:
    async with served(small_world()) as (_, client):
        query = {"query": "busy", "start": str(NOW - 600), "end": str(NOW), "step": "5"}
        plain = await client.get("/api/v1/query_range", query, Accept_Encoding="identity")
        packed = await client.get("/api/v1/query_range", query, Accept_Encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert len(packed.body) < len(plain.body)
        assert gzip.decompress(packed.body) == plain.body
        small = await client.get("/api/v1/query", {"query": "1"}, Accept_Encoding="gzip")
        assert "Content-Encoding" not in small.headers


@pytest.mark.parametrize(
    "path", ["/-/reload", "/-/quit", "/api/v1/admin/tsdb/delete_series", "/api/v1/admin/tsdb/snapshot"]
)
async def test_admin_and_lifecycle_refuse(path: str) -> None:
    async with served(small_world()) as (_, client):
        for method in ("POST", "PUT", "GET", "DELETE"):
            assert (await client.send(method, path)).status in (403, 405)


async def test_bodies_that_are_none() -> None:
    async with served(small_world()) as (server, client):
        large = await client.send("POST", "/api/v1/query", b"query=" + b"x" * BODY_LIMIT)
        assert (large.status, large.json["errorType"]) == (413, "bad_data")
        broken = await client.send("POST", "/api/v1/query", b"query=\xff\xfe")
        assert (broken.status, broken.json["errorType"]) == (400, "bad_data")
        odd = await client.get("/api/v1/query", {"query": 'busy{gpu="\ud800"}'.encode("utf-8", "replace").decode()})
        assert odd.status == 200
        assert [r.status for r in server.requests] == [413, 400, 200]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.1, "0.1"), (3.0, "3"), (-0.0, "-0"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1e-6, "0.000001"),
        (1.5e-7, "1.5e-07"), (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"),
        (123456789.125, "123456789.125"), (5e-324, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)  # fmt: skip
def test_values_are_written_as_prometheus_writes_them(value: float, shown: str) -> None:
    assert show_value(value) == shown


async def test_an_error_in_the_evaluation_leaves_the_server_alive() -> None:
    twins = [RawSeries({"__name__": "x", "a": a}, [NOW], [1.0]) for a in ("1", "2")]
    world = World("w", "", Clock(NOW), "1.36", "3.x", [], MemorySource(twins))
    async with served(world) as (_, client):
        reply = await client.get("/api/v1/query", {"query": "x + on () x"})
        assert (reply.status, reply.json["errorType"]) == (422, "execution")
        assert (await client.get("/api/v1/query", {"query": "info(x)"})).json["errorType"] == "bad_data"
        assert (await client.get("/-/ready")).status == 200
