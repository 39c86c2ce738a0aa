"""What 3.x does that no 2.42 on the machine can confirm; the figures follow Prometheus's own source."""

from __future__ import annotations

import math

import pytest

from evals.promql.engine import Engine
from evals.promql.memory import MemorySource
from evals.promql.model import Semantics
from evals.world.model import RawSeries
from tests.promql.promtool import close


def ask(query: str, at: float, semantics: Semantics, *series: RawSeries) -> list[tuple[dict[str, str], float]]:
    """The instant vector of a query as (labels, value)."""
    answer = Engine(MemorySource(series), semantics=semantics).instant(query, at)
    return [(labels, points[0][1]) for labels, points in answer.series]


def gauge(values: list[float], *, step: float = 60.0, **labels: str) -> RawSeries:
    return RawSeries({"__name__": "x", **labels}, [i * step for i in range(len(values))], values)


@pytest.mark.parametrize(("semantics", "samples"), [("2.x", 241.0), ("3.x", 240.0)])
def test_an_hour_of_samples(semantics: Semantics, samples: float) -> None:
    series = gauge([1.0] * 241, step=15.0)
    assert ask("count_over_time(x[1h])", 3600.0, semantics, series) == [({}, samples)]


def test_a_counter_is_not_stretched_past_its_zero_point_nor_past_half_a_gap() -> None:
    """First sample 80 s into the window at value 60, slope 1/s, samples 60 s apart: zero lies 60 s before it."""
    series = RawSeries({"__name__": "x"}, [80.0, 140.0, 200.0], [60.0, 120.0, 180.0])
    ((_, older),) = ask("increase(x[200s])", 200.0, "2.x", series)
    ((_, newer),) = ask("increase(x[200s])", 200.0, "3.x", series)
    assert close(older, 120.0 * (120 + 60) / 120)  # the zero point is nearer than 1.1 gaps, so it is taken
    assert close(newer, 120.0 * (120 + 30) / 120)  # the start is farther than 1.1 gaps, so half a gap is taken


def test_a_lone_infinity_has_no_deviation() -> None:
    ((_, older),) = ask("stddev(x)", 0.0, "2.x", gauge([math.inf]))
    ((_, newer),) = ask("stddev(x)", 0.0, "3.x", gauge([math.inf]))
    assert older == 0.0
    assert math.isnan(newer)


def test_atan2_drops_the_name_like_all_arithmetic() -> None:
    assert ask("x atan2 x", 0.0, "3.x", gauge([1.0], a="b"))[0][0] == {"a": "b"}
    assert ask("x atan2 x", 0.0, "2.x", gauge([1.0], a="b"))[0][0] == {"__name__": "x", "a": "b"}


def test_sums_are_compensated() -> None:
    many = [gauge([value], i=str(i)) for i, value in enumerate([1e16, 1.0, 1.0, -1e16])]
    assert ask("sum(x)", 0.0, "3.x", *many) == [({}, 2.0)]


def test_buckets_that_differ_by_rounding_only_are_equal() -> None:
    counts = {"1": 100.0, "2": 100.0 * (1 + 1e-14), "+Inf": 200.0}
    buckets = [gauge([count], le=bound) for bound, count in counts.items()]
    assert ask("histogram_quantile(0.5, x)", 0.0, "3.x", *buckets) == [({}, 1.0)]


def test_functions_that_2_42_does_not_have() -> None:
    series = gauge([4.0, 6.0, 2.0, 1.0, 99999.0])
    assert ask("mad_over_time(x[10m])", 240.0, "3.x", series) == [({}, 2.0)]
    assert ask("first_over_time(x[3m])", 240.0, "3.x", series) == [({"__name__": "x"}, 2.0)]
    three = [gauge([1.0], host=f"n{i}", a="b") for i in (10, 2, 1)]
    hosts = [labels["host"] for labels, _ in ask('sort_by_label(x, "host")', 0.0, "3.x", *three)]
    assert hosts == ["n1", "n2", "n10"]
    hosts = [labels["host"] for labels, _ in ask('sort_by_label_desc(x, "host")', 0.0, "3.x", *three)]
    assert hosts == ["n10", "n2", "n1"]
