"""The metrics port where nothing is broken: values, warnings, deadlines, threads, and a served world."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from pydantic import JsonValue

from evals.servers.prom.server import PromServer
from evals.world.model import Clock, Matcher, RawSeries, World
from tests.ports.faults import FaultServer, Seen
from tools.errors import BadAnswer, Refused, Unavailable
from tools.prom.connect import connect_prom
from tools.prom.port import LiveProm, one_thread


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A Prometheus that can be told to misbehave."""
    async with FaultServer() as made:
        yield made


@pytest.fixture
async def port(server: FaultServer) -> AsyncIterator[LiveProm]:
    """A port to it."""
    async with connect_prom(server.url + "/") as made:
        yield made


def _says(server: FaultServer, kind: str, result: JsonValue) -> None:
    server.answer = lambda _: (200, {"status": "success", "data": {"resultType": kind, "result": result}})


async def test_nan_and_infinities_survive(port: LiveProm) -> None:
    answer = await port.instant("up", at=1.5)
    values = [one.points[0][1] for one in answer.series]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 0.25]
    ranged = await port.range("up", start=0.0, end=10.0, step=1.0)
    assert [moment for moment, _ in ranged.series[0].points] == [1.0, 2.0]


async def test_a_scalar_is_one_series_without_labels(server: FaultServer, port: LiveProm) -> None:
    _says(server, "scalar", [5.0, "42"])
    answer = await port.instant("scalar(up)", at=5.0)
    assert [(one.labels, one.points) for one in answer.series] == [({}, [(5.0, 42.0)])]
    assert await port.server_time() == 42.0


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("string", [1, "x"]),
        ("streams", []),
        ("vector", None),
        ("vector", [None]),
        ("vector", [{"metric": None, "value": [1, "1"]}]),
        ("vector", [{"metric": {}, "value": [1]}]),
        ("vector", [{"metric": {}, "value": [1, "one"]}]),
        ("vector", [{"metric": {}, "value": ["1", 1]}]),
        ("matrix", [{"metric": {}, "values": 3}]),
        ("scalar", None),
    ],
)
async def test_an_answer_of_another_shape_is_an_error(
    server: FaultServer, port: LiveProm, kind: str, result: JsonValue
) -> None:
    _says(server, kind, result)
    with pytest.raises(BadAnswer):
        await port.instant("up", at=1.0)


async def test_native_histograms_are_left_out_and_named(server: FaultServer, port: LiveProm) -> None:
    _says(server, "vector", [{"metric": {"a": "1"}, "histogram": [1, {}]}, {"metric": {"a": "2"}, "value": [1, "3"]}])
    answer = await port.instant("h", at=1.0)
    assert [one.labels for one in answer.series] == [{"a": "2"}]
    assert answer.warnings == ("1 series hold native histograms, which are not read",)


async def test_look_ups_send_their_limit_and_keep_to_it(server: FaultServer, port: LiveProm) -> None:
    assert await port.series(["up", "{a=b}"], start=1.0, end=2.0) == [{"__name__": "up", "pod": "a"}]
    assert server.seen[-1].form | {"match[]": ""} == {"match[]": "", "start": "1.0", "end": "2.0", "limit": "1000"}
    assert server.seen[-1].body.count(b"match") == 2
    assert await port.label_values("pod", [], start=1.0, end=2.0, limit=1) == ["a"]
    assert await port.alerts() == [{"state": "firing"}]
    assert await port.buildinfo() == {"version": "3.5.0"}
    with pytest.raises(Refused):
        await port.label_values("a/../b", [], start=1.0, end=2.0)


async def test_a_long_query_travels_in_the_body(server: FaultServer, port: LiveProm) -> None:
    query = "up + " * 3000 + "up"
    await port.instant(query, at=1.0)
    assert server.seen[-1].target == "/api/v1/query"
    assert server.seen[-1].form["query"] == query
    with pytest.raises(Refused):
        await port.instant("x" * 70_000, at=1.0)


async def test_the_message_of_prometheus_comes_through(server: FaultServer, port: LiveProm) -> None:
    server.answer = lambda _: (422, {"status": "error", "errorType": "execution", "error": "too many\nsamples"})
    with pytest.raises(BadAnswer, match=r"^Prometheus answered 422: too many samples$"):
        await port.instant("up", at=1.0)


async def test_connections_are_used_again(server: FaultServer, port: LiveProm) -> None:
    for _ in range(5):
        await port.instant("up", at=1.0)
    assert port.requests == len(server.seen) == 5
    assert server.connections == 1


async def test_a_cancelled_query_returns_at_once_and_its_thread_ends(server: FaultServer, port: LiveProm) -> None:
    before = set(threading.enumerate())
    server.fault = "slow loris"
    asked = asyncio.create_task(port.instant("up", at=1.0))
    while not server.seen:
        await asyncio.sleep(0.001)
    start = time.monotonic()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert time.monotonic() - start < 0.5
    server.fault = ""
    await port.instant("up", at=1.0)
    await port.aclose()
    for thread in set(threading.enumerate()) - before:
        thread.join(2.0)
        assert not thread.is_alive()


async def _in_flight(server: FaultServer, port: LiveProm, *, asked: int, expected: int) -> None:
    """Ask `asked` questions of a hanging server; exactly `expected` of them arrive."""
    server.fault = "hang"
    tasks = [asyncio.create_task(port.instant("up", at=1.0)) for _ in range(asked)]
    while len(server.seen) < expected:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.02)  # time for one too many
    assert len(server.seen) == expected
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_eight_queries_run_at_once_and_the_ninth_waits(server: FaultServer, port: LiveProm) -> None:
    await _in_flight(server, port, asked=12, expected=8)


async def test_one_thread_serves_while_a_cassette_is_open(server: FaultServer) -> None:
    with one_thread():
        port = connect_prom(server.url)
    async with port:
        await _in_flight(server, port, asked=3, expected=1)


async def test_a_deadline_wins_over_a_pause_the_server_asks_for(server: FaultServer, port: LiveProm) -> None:
    server.fault = "503+3600"
    start = time.monotonic()
    with pytest.raises(Unavailable, match="503"):
        await port.instant("up", at=1.0)
    assert time.monotonic() - start < 2.0
    assert len(server.seen) == 1


async def test_a_prometheus_that_is_not_there_is_unavailable(server: FaultServer) -> None:
    async with connect_prom("http://127.0.0.1:9") as port:  # the discard port: nothing listens
        with pytest.raises(Unavailable, match="no answer from Prometheus"):
            await port.instant("up", at=1.0)


# --- a served world -------------------------------------------------------------------------------------------


class _Steady:
    """One gauge of value 2 in two namespaces, sampled every 30 s."""

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """Series that match."""
        times = [t * 30.0 for t in range(math.ceil(start / 30), math.floor(end / 30) + 1)]
        return [RawSeries(labels, times, [2.0] * len(times)) for labels in self.label_sets(matchers, start, end)]

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> list[dict[str, str]]:
        """Label sets that match."""
        both = [{"__name__": "vllm:running", "namespace": name} for name in ("ml", "search")]
        return [labels for labels in both if all(m.op == "=" and labels.get(m.label) == m.value for m in matchers)]


async def test_a_served_world_answers_as_prometheus_does() -> None:
    now = 1_800_000_000.0
    world = World("w", "one gauge", Clock(now), "1.36", "3.x", [], _Steady())
    served = PromServer(world)
    try:
        async with connect_prom(await served.start()) as port:
            answer = await port.instant("sum(vllm:running)", at=now)
            assert [(one.labels, one.points) for one in answer.series] == [({}, [(now, 4.0)])]
            ranged = await port.range('vllm:running{namespace="ml"}', start=now - 60, end=now, step=30.0)
            assert [value for _, value in ranged.series[0].points] == [2.0, 2.0, 2.0]
            assert len(await port.series(["vllm:running"], start=now - 60, end=now)) == 2
            assert await port.label_values("namespace", ["vllm:running"], start=now - 60, end=now) == ["ml", "search"]
            assert await port.server_time() == now
            with pytest.raises(BadAnswer):
                await port.instant("sum(", at=now)
    finally:
        await served.stop()


def test_seen_requests_are_read_as_forms() -> None:
    """The test server's own reading, on which the tests above stand."""
    assert Seen("POST", "/x?a=1", [], b"query=a%2Bb").form == {"query": "a+b"}
