"""What cannot be evaluated is refused by name: `bad_data` before data is touched, `execution` when data is at fault."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.promql.engine import Engine, check_query
from evals.promql.memory import MemorySource
from evals.promql.model import MAX_SAMPLES, BadData, ExecutionError
from evals.world.model import Matcher, RawSeries
from tests.promql.queries import Queries


def engine(*series: tuple[dict[str, str], float], max_samples: int = MAX_SAMPLES) -> Engine:
    """An engine over gauges named x that hold one value for an hour."""
    times = [float(t) for t in range(0, 3601, 60)]
    made = [RawSeries({"__name__": "x", **labels}, times, [value] * len(times)) for labels, value in series]
    return Engine(MemorySource(made), max_samples=max_samples)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sum(", "parse error"),
        ("", "no expression found"),
        ("info(x)", "info()"),
        ("histogram_avg(x)", "histogram_avg()"),
        ("histogram_fraction(0, 1, x)", "histogram_fraction()"),
        ("holt_winters(x[5m], 0.5, 0.5)", "holt_winters"),
        ("limitk(2, x)", "limitk()"),
        ("limit_ratio(0.5, x)", "limit_ratio()"),
        ('x{a="1" or b="2"}', '"or" between label matchers'),
        ("x + on (a) fill(0) x", "fill"),
        ("x @ -5", "1970"),
        ("x @ 1e20", "1970"),
        ("x offset NaN", "offset"),
        ("x offset 9999999y", "too long"),
        ('x{a=~"["}', "regex"),
        ('x{a=~"a**"}', "a**"),
        ('label_replace(x, "a", "$1", "b", "(")', "regular expression"),
        ('label_replace(x, "a", "$1", "b", "[[:alpha:]]+")', "POSIX"),
        ("-" * 400 + "x", "nested"),
        ("(" * 400 + "x" + ")" * 400, "nested"),
        ("x" + " + x" * 400, "nested"),
    ],
)
def test_bad_data_names_what_is_wrong(query: str, named: str) -> None:
    with pytest.raises(BadData) as caught:
        engine(({}, 1.0)).instant(query, 600.0)
    assert caught.value.kind == "bad_data"
    assert named in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "x + on (a) x",
            'found duplicate series for the match group {a="1"} on the right hand-side of the operation: '
            '[{__name__="x", a="1", b="2"}, {__name__="x", a="1", b="1"}];many-to-many matching not allowed: '
            "matching labels must be unique on one side",
        ),
        ("x * on (a) group_right x", "on the left hand-side"),
        (
            "x + on (a) sum by (a) (x)",
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
        ),
        (
            'x * on (a) group_left (b) label_replace(sum by (a) (x), "b", "y", "", "")',
            "multiple matches for labels: grouping labels must ensure unique matches",
        ),
        ('label_replace(x, "b", "", "b", ".*")', "vector cannot contain metrics with the same labelset"),
        ('sum_over_time(label_replace(x, "b", "z", "a", ".*")[5m:])', "the same labelset"),
        ('label_replace(x, "1bad", "", "b", ".*")', "1bad"),
        ('label_join(x, "b", "", "a-b")', "a-b"),
        ('count_values("a-b", x)', "a-b"),
        ("topk(1e30, x)", "overflows int64"),
        ("double_exponential_smoothing(x[5m], 2, 0.5)", "smoothing factor"),
        ("hour(x * 1e15)", "not a time"),
    ],
)
def test_execution_errors_are_those_of_prometheus(query: str, message: str) -> None:
    with pytest.raises(ExecutionError) as caught:
        engine(({"a": "1", "b": "1"}, 1.0), ({"a": "1", "b": "2"}, 2.0)).instant(query, 600.0)
    assert caught.value.kind == "execution"
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("start", "end", "step", "named"),
    [
        (0.0, 11_001.0, 1.0, "exceeded maximum resolution of 11,000 points per timeseries"),
        (0.0, 10.0, 0.0, "zero or negative query resolution step"),
        (0.0, 10.0, -1.0, "zero or negative query resolution step"),
        (10.0, 0.0, 1.0, "end timestamp must not be before start time"),
        (math.nan, 0.0, 1.0, "not a time"),
        (0.0, math.inf, 1.0, "not a time"),
    ],
)
def test_ranges_that_are_none(start: float, end: float, step: float, named: str) -> None:
    with pytest.raises(BadData, match=named):
        engine(({}, 1.0)).range("x", start, end, step)


def test_the_largest_range_is_answered() -> None:
    (series,) = engine(({}, 1.0)).range("vector(1)", 0.0, 11_000.0, 1.0).series
    assert len(series[1]) == 11_001


@pytest.mark.parametrize("query", ["x[5m]", "x[5m:1m]", '"text"'])
def test_a_range_query_wants_a_vector(query: str) -> None:
    with pytest.raises(BadData, match="must be Scalar or instant Vector"):
        engine(({}, 1.0)).range(query, 0.0, 60.0, 60.0)


@pytest.mark.parametrize("query", ["sum_over_time(x[1h])", "x[1h]", "count(x)", "max_over_time(vector(1)[1y:1ms])"])
def test_too_many_samples(query: str) -> None:
    series = [({"a": str(i)}, 1.0) for i in range(60)]
    with pytest.raises(ExecutionError, match="too many samples into memory in query execution"):
        engine(*series, max_samples=50).instant(query, 3600.0)


class Counting(MemorySource):
    """Counts how often samples are asked for."""

    fetched = 0

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """As MemorySource."""
        self.fetched += 1
        return super().select(matchers, start, end)


def test_equal_selections_are_fetched_once() -> None:
    source = Counting([RawSeries({"__name__": "x"}, [0.0], [1.0])])
    Engine(source).instant('(x > 0) + (x * 2) + avg_over_time(x[10m]) + max_over_time(x[10m]) + x{a=""}', 10.0)
    assert source.fetched == 3


def test_a_query_has_a_type_before_it_has_an_answer() -> None:
    kinds = {"1 + 1": "scalar", '("a")': "string", "(x)[5m:]": "matrix", "-sum(x)": "vector", "-(time())": "scalar"}
    assert {query: check_query(query) for query in kinds} == kinds


_TOKENS = [
    *'()[]{}-@"\\:%^\0é',
    " offset ",
    "[5m]",
    "[5m:1m]",
    " @ ",
    "1e400",
    " by ",
    " bool ",
    "NaN",
    " on()",
    " group_left ",
    "=~",
]


@given(st.lists(st.sampled_from(_TOKENS), max_size=8), st.integers(0, 10_000))
def test_whatever_is_asked_only_bad_data_is_raised(extra: list[str], seed: int) -> None:
    rng = random.Random(seed)
    text = list(Queries(seed).query())
    for token in extra:
        text.insert(rng.randrange(len(text) + 1), token)
    small = engine(({"a": "1"}, 1.0))
    try:
        small.range("".join(text), 0.0, 600.0, 300.0)
    except BadData:
        return
