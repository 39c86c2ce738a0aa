"""Staleness markers, gaps and lookback: our answers stand as expectations in a unit test file that promtool runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from evals.promql.engine import Engine
from evals.promql.memory import MemorySource
from evals.promql.model import STALE, Semantics, show
from evals.world.model import RawSeries
from tests.promql.promtool import Bench, Case, Input

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool on the path")

SERIES = {
    'x{a="1"}': "1 2 3 stale _ _ 4 5 stale stale 6 _x8 7 8",
    'x{a="2"}': "10+10x4 stale _x3 3+1x12",
    'x{a="3"}': "stale 5x3 _x7 9 stale",
    'y{a="1"}': "0+7x6 stale 0+5x14",
    'y{a="2"}': "_x4 1x3 stale _x12 2",
}
QUERIES = [
    "x", "x offset 2m", "sum(x)", "count(x)", "x[6m]", "count_over_time(x[6m])", "sum_over_time(x[10m])",
    "rate(y[5m])", "increase(y[7m])", "delta(x[5m])", "irate(y[4m])", "last_over_time(x[3m])", "changes(x[10m])",
    "resets(y[20m])", "absent(x)", 'absent(x{a="3"})', "absent_over_time(x[3m])", "present_over_time(x[2m])",
    "x + on (a) y", "x and on (a) y", "x unless on (a) y", "x or y", "timestamp(x)", "max_over_time(x[5m])",
    "(x + 1)[8m:1m]", "count_over_time((sum(x))[10m:30s])", "quantile_over_time(0.5, x[10m])", "topk(1, x) by (a)",
    "avg_over_time((x > 3)[10m:1m])", "deriv(y[10m])", "min(x) by (a)", "scalar(sum(y))", "x @ 300", "y[5m] @ 600",
]  # fmt: skip
TIMES = [0, 30, 60, 120, 150, 180, 240, 299, 301, 420, 480, 540, 600, 720, 900, 1140, 1200, 1380, 1500]


def source() -> MemorySource:
    bench = Bench()
    bench.load(Case(input_series=[Input(series=name, values=values) for name, values in SERIES.items()]))
    return bench.source


def unit_tests(shift: float) -> dict[str, object]:
    """A promtool file that expects what our engine answers, plus `shift`."""
    engine = Engine(source(), semantics="2.x")
    wanted = []
    for query in QUERIES:
        for at in TIMES:
            result = engine.instant(query, float(at))
            if result.type == "matrix" or any(p[0][1] != p[0][1] for _, p in result.series):
                continue
            samples = [{"labels": show(labels), "value": p[0][1] + shift} for labels, p in result.series]
            wanted.append({"expr": query, "eval_time": f"{at}s", "exp_samples": samples})
    assert len(wanted) > 500
    series = [{"series": name, "values": values} for name, values in SERIES.items()]
    case = {"interval": "1m", "input_series": series, "promql_expr_test": wanted}
    return {"rule_files": [], "evaluation_interval": "1m", "tests": [case]}


def promtool(folder: Path, shift: float) -> subprocess.CompletedProcess[str]:
    file = folder / "tests.yml"
    file.write_text(json.dumps(unit_tests(shift)), encoding="utf-8")
    command = ["promtool", "test", "rules", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@needs_promtool
def test_promtool_expects_what_we_answer(tmp_path: Path) -> None:
    done = promtool(tmp_path, 0.0)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_would_object(tmp_path: Path) -> None:
    assert promtool(tmp_path, 0.5).returncode != 0


@pytest.mark.parametrize(("semantics", "seen"), [("2.x", 1), ("3.x", 0)])
def test_the_edge_of_the_lookback(semantics: Semantics, seen: int) -> None:
    engine = Engine(MemorySource([RawSeries({"__name__": "x"}, [100.0], [1.0])]), semantics=semantics)
    assert len(engine.instant("x", 399.999).series) == 1
    assert len(engine.instant("x", 400.0).series) == seen
    assert not engine.instant("x", 400.001).series


@pytest.mark.parametrize(("semantics", "seen"), [("2.x", 6.0), ("3.x", 5.0)])
def test_the_edge_of_a_subquery(semantics: Semantics, seen: float) -> None:
    times = [float(t) for t in range(0, 601, 60)]
    engine = Engine(MemorySource([RawSeries({"__name__": "x"}, times, [1.0] * len(times))]), semantics=semantics)
    (answer,) = engine.instant("count_over_time(x[5m:1m])", 600.0).series
    assert answer[1] == [(600.0, seen)]


def test_a_marker_ends_a_series_at_once_and_nan_does_not() -> None:
    marked = MemorySource([RawSeries({"__name__": "x"}, [0.0, 60.0], [1.0, STALE])])
    plain = MemorySource([RawSeries({"__name__": "x"}, [0.0, 60.0], [1.0, float("nan")])])
    assert not Engine(marked).instant("x", 60.0).series
    assert len(Engine(plain).instant("x", 60.0).series) == 1
    (kept,) = Engine(marked).instant("count_over_time(x[2m])", 60.0).series
    assert kept[1] == [(60.0, 1.0)]
