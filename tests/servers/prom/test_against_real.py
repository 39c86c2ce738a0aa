"""A world served by us and by a real Prometheus: the same requests get the same answers, errors included."""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from evals.promql.memory import MemorySource
from evals.promql.model import STALE
from evals.servers.prom.openmetrics import check_size, write_openmetrics
from evals.servers.prom.real import RealPrometheus, available
from evals.servers.prom.server import PromServer
from evals.world.model import Clock, RawSeries, World
from tests.promql.series import END, LENGTH, generate, world
from tests.servers.prom.client import NOW, client, small_world
from tools.errors import TargetError, UserError

needs_prometheus = pytest.mark.skipif(not available(), reason="needs prometheus and promtool on the path")

T = "time=1700003000"
RANGE = "start=1700003000&end=1700003060&step=1m"
SAME = [
    ("GET", f"/api/v1/query?query=g&{T}"),
    ("GET", f"/api/v1/query?query=sort_desc(c_total)&{T}"),
    ("GET", f"/api/v1/query?query=info[1m]&{T}"),
    ("GET", f"/api/v1/query?query=nothing&{T}"),
    ("GET", f"/api/v1/query?query={quote('g%0*1e-9')}&{T}"),
    ("GET", f"/api/v1/query?query={quote('flat*1e25 or flat*1e-9')}&{T}"),
    ("GET", "/api/v1/query?query=1&time=2023-11-14T22:13:20Z"),
    ("GET", "/api/v1/query?query=%22a%22&time=5.5"),
    ("GET", "/api/v1/query?query=1e-9&time=5.5"),
    ("GET", "/api/v1/query?query=1e22&time=5"),
    ("GET", "/api/v1/query"),
    ("GET", "/api/v1/query?query=sum("),
    ("GET", "/api/v1/query?query=foo(1)"),
    ("GET", "/api/v1/query?query=g&time=abc"),
    ("GET", "/api/v1/query?query=g&timeout=x"),
    ("GET", f"/api/v1/query?query={quote('c_total + on (missing) info')}&{T}"),
    ("GET", f"/api/v1/query_range?query=lone&{RANGE}"),
    ("GET", f"/api/v1/query_range?query=rate(c_total[5m])&{RANGE}"),
    ("GET", "/api/v1/query_range?query=g&start=1700000000.5&end=1700000001&step=500ms"),
    ("GET", "/api/v1/query_range?query=g"),
    ("GET", "/api/v1/query_range?query=g&start=1&end=0&step=1"),
    ("GET", "/api/v1/query_range?query=g&start=0&end=1&step=0"),
    ("GET", "/api/v1/query_range?query=g&start=0&end=1"),
    ("GET", "/api/v1/query_range?query=g&start=0&end=11001&step=1"),
    ("GET", "/api/v1/query_range?query=g[5m]&start=0&end=1&step=1"),
    ("GET", "/api/v1/series"),
    ("GET", "/api/v1/series?match[]=lone"),
    ("GET", "/api/v1/series?match[]=g&match[]=%7Bnode=%22n0%22%7D&start=1699999200&end=1700006400"),
    ("GET", "/api/v1/series?match[]={}"),
    ("GET", "/api/v1/series?match[]=lone&start=x"),
    ("GET", "/api/v1/series?match[]=lone&start=9&end=1"),
    ("GET", "/api/v1/labels"),
    ("GET", "/api/v1/labels?match[]=flat"),
    ("GET", "/api/v1/label/gpu/values"),
    ("GET", "/api/v1/label/g-u/values"),
    ("GET", "/api/v1/label/nothing/values"),
    ("GET", "/api/v1/rules"),
    ("GET", "/api/v1/alerts"),
    ("GET", "/api/v1/targets"),
    ("GET", "/api/v1/format_query?query=sum(g)by(node)"),
    ("GET", "/api/v1/format_query?query=sum("),
    ("GET", "/-/healthy"),
    ("GET", "/-/ready"),
    ("POST", "/-/reload"),
    ("GET", "/-/reload"),
    ("POST", "/-/quit"),
    ("GET", "/api/v1/nothing"),
    ("GET", "/nothing"),
    ("DELETE", "/api/v1/query"),
    ("POST", "/api/v1/label/gpu/values"),
    ("POST", "/api/v1/alerts"),
    ("OPTIONS", "/api/v1/query"),
]


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    """A real Prometheus with seeded series."""
    with RealPrometheus(world(generate(7)), history=LENGTH + 600) as started:
        yield started.url


def comparable(body: bytes) -> str:
    """A body without the position of a parse error, its kind of quotes, and zeros at the end of a time."""
    body = re.sub(rb"(\[\d{10}\.5)00,", rb"\1,", body)
    return re.sub(r"\d+:\d+: parse error", "parse error", body.decode()).replace('\\"', "'")


@needs_prometheus
async def test_the_same_answers(real: str) -> None:
    # Without a time, a real one looks up labels of all times, ours those of the last hour: one with all series.
    twin = PromServer(replace(world(generate(7)), clock=Clock(END - 3600)))
    url = await twin.start()
    try:
        async with client(real) as theirs, client(url) as ours:
            for method, path in SAME:
                wanted, got = await asyncio.gather(theirs.send(method, path), ours.send(method, path))
                assert (got.status, comparable(got.body)) == (wanted.status, comparable(wanted.body)), path
                kinds = [reply.headers.get("Content-Type", "").partition(";")[0] for reply in (got, wanted)]
                assert method == "OPTIONS" or kinds[0] == kinds[1], path
    finally:
        await twin.stop()


@needs_prometheus
async def test_a_world_of_any_date_is_kept(tmp_path: Path) -> None:
    started = RealPrometheus(small_world(), history=600.0)
    try:
        async with client(started.start()) as asked:
            reply = await asked.get("/api/v1/query", {"query": "count_over_time(busy[1h])", "time": "1700000000"})
            rows = reply.json["data"]
            assert isinstance(rows, dict)
            assert started.samples == 63
            assert str(rows["result"]).count("'21'") == 2
            assert (await asked.send("POST", "/-/quit")).status == 403
    finally:
        started.stop()
        started.stop()


@needs_prometheus
def test_a_world_without_samples_is_served_too() -> None:
    empty = World("empty", "", Clock(1_700_000_000.0), "1.36", "3.x", [], MemorySource())
    with RealPrometheus(empty) as started:
        assert started.samples == 0
        assert started.url.startswith("http://127.0.0.1:")


def test_too_many_samples_are_refused_in_one_line() -> None:
    with pytest.raises(UserError) as caught:
        check_size(small_world().series, start=NOW - 90_000_000, end=NOW, interval=30.0)
    assert "\n" not in str(caught.value)
    assert "3 series over 25000 h are more than the 5,000,000 samples" in str(caught.value)
    assert "--history" in str(caught.value)
    check_size(small_world().series, start=NOW - 600, end=NOW, interval=30.0, limit=63)
    with pytest.raises(UserError, match="more than the 62 samples"):
        write_openmetrics(small_world().series, io.StringIO(), start=NOW - 600, end=NOW, interval=30.0, limit=62)


@needs_prometheus
def test_a_refused_world_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UserError, match="shorter --history"):
        RealPrometheus(small_world(), history=600.0, max_samples=62).start()
    assert list(tmp_path.iterdir()) == []


def test_programs_that_are_not_there() -> None:
    with pytest.raises(UserError, match=r"no program '/nowhere/prometheus' to run.*--prometheus-bin"):
        RealPrometheus(small_world(), binary="/nowhere/prometheus")


@needs_prometheus
def test_a_program_that_is_no_prometheus(tmp_path: Path) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 2\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(TargetError, match="ended at once: no such flag") as caught:
        RealPrometheus(small_world(), binary=str(program), promtool="promtool").start()
    assert "\n" not in str(caught.value)
    with pytest.raises(TargetError, match="failed: no such flag"):
        RealPrometheus(small_world(), promtool=str(program)).start()


def test_openmetrics_text() -> None:
    made = [
        RawSeries({"__name__": "h_bucket", "le": "+Inf"}, [1.0], [2.0]),
        RawSeries({"__name__": "h_count"}, [1.0], [2.0]),
        RawSeries({"__name__": "a_total", "path": 'x"\\\n'}, [1.0, 1.5, 2.25], [1e300, float("inf"), STALE]),
        RawSeries({"__name__": "g"}, [1.0, 2.0], [float("nan"), -0.5]),
    ]
    out = io.StringIO()
    assert write_openmetrics(MemorySource(made), out, start=0.0, end=10.0, interval=1.0) == 6
    assert out.getvalue() == (
        "# TYPE a counter\n"
        'a_total{path="x\\"\\\\\\n"} 1e+300 1\n'
        'a_total{path="x\\"\\\\\\n"} +Inf 1.5002\n'
        "# TYPE g gauge\n"
        "g{} NaN 1\n"
        "g{} -0.5 2\n"
        "# TYPE h histogram\n"
        'h_bucket{le="+Inf"} 2.0 1\n'
        "h_count{} 2.0 1\n"
        "# EOF\n"
    )
