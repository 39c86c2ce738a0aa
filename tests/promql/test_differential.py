"""Our engine and a real Prometheus 2.x give the same answers to random queries over random series, to 1e-9."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from evals.promql.engine import Engine
from evals.servers.prom.real import RealPrometheus, available
from evals.world.model import Matcher
from tests.promql.oracle import Answer, Oracle, difference, ours
from tests.promql.queries import Queries
from tests.promql.series import END, LENGTH, START, generate, world

pytestmark = pytest.mark.skipif(not available(), reason="needs prometheus and promtool on the path")

SLICE = 50
"""Queries a test of `make test`; three of them run."""
FULL = 2_500
"""Queries a test of `make prove`; four of them run, each on series of its own."""


@dataclass
class Pair:
    """The same series behind a real Prometheus and behind our engine."""

    oracle: Oracle
    engine: Engine

    def compare(self, seed: int, count: int) -> Counter[str]:
        """Compare `count` queries; returns how many answers of each kind there were."""
        queries, rng = Queries(seed), random.Random(seed + 1)
        kinds: Counter[str] = Counter()
        for _ in range(count):
            query, at = queries.query(), _moment(rng)
            real = self._ask(query, at)
            own = ours(self.engine, query, at)
            ordered = query.startswith("sort") and not isinstance(at, tuple)
            assert not (found := difference(real, own, ordered=ordered)), f"{query}\nat {at}: {found}"
            kinds[real.kind if real.points or real.error else "empty"] += 1
        return kinds

    def _ask(self, query: str, at: float | tuple[float, float, float]) -> Answer:
        return self.oracle.range(query, *at) if isinstance(at, tuple) else self.oracle.instant(query, at)


def _moment(rng: random.Random) -> float | tuple[float, float, float]:
    """A moment around the data, or a range of up to 40 steps."""
    if rng.random() < 0.5:
        return START + rng.randrange(-60, int(LENGTH) + 300) + rng.choice([0, 0, 0, 0.5])
    start, step = START + rng.randrange(-300, int(LENGTH)), rng.choice([15.0, 30.0, 60.0, 77.0, 300.0])
    return (start, start + step * rng.randrange(0, 40), step)


def _pair(seed: int) -> Iterator[Pair]:
    source = generate(seed)
    with RealPrometheus(world(source), history=LENGTH + 600) as real:
        oracle = Oracle(real.url)
        yield Pair(oracle, Engine(source, semantics="2.x"))
        oracle.close()


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """One Prometheus for the session."""
    yield from _pair(7)


@pytest.fixture
def own_pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A Prometheus with the series of one seed."""
    yield from _pair(request.param)


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_a_slice_of_random_queries(pair: Pair, seed: int) -> None:
    kinds = pair.compare(seed, SLICE)
    assert kinds["vector"] + kinds["matrix"] >= SLICE // 3, f"the queries find too little: {kinds}"


@pytest.mark.prove
@pytest.mark.parametrize("own_pair", [31, 32, 33, 34], indirect=True, ids=str)
def test_many_random_queries(own_pair: Pair, request: pytest.FixtureRequest) -> None:
    kinds = own_pair.compare(request.node.callspec.params["own_pair"], FULL)
    assert kinds["vector"] + kinds["matrix"] >= FULL // 3


def test_a_difference_would_be_noticed(pair: Pair) -> None:
    at = START + 3600.0
    real = pair.oracle.instant("sum(g)", at)
    assert difference(real, ours(pair.engine, "sum(g) * 1.00000001", at))
    assert difference(real, ours(pair.engine, "sum by (node) (g)", at))
    assert difference(real, ours(pair.engine, "sum(", at))


def test_the_semantics_are_a_switch(pair: Pair) -> None:
    """A sample at the very start of a window belongs to it in 2.x and does not in 3.x."""
    (series,) = pair.engine.source.select((Matcher("__name__", "=", "h_sum"), Matcher("job", "=", "j0")), START, END)
    at = next(t for before, t in pairwise(series.times) if t - before == 30.0)
    query = 'count_over_time(h_sum{job="j0"}[30s])'
    (older,) = pair.oracle.instant(query, at).points.values()
    assert ours(Engine(pair.engine.source, semantics="2.x"), query, at).points == pair.oracle.instant(query, at).points
    (newer,) = ours(Engine(pair.engine.source, semantics="3.x"), query, at).points.values()
    assert (older[0][1], newer[0][1]) == (2.0, 1.0)


@pytest.mark.parametrize("factors", ["0.1, 0.1", "0.5, 0.3", "0.99, 0.01", "0, 0.5", "0.5, 1"])
@pytest.mark.parametrize("window", ["g[5m]", "lone[1h]", "(rate(c_total[2m]))[20m:37s]"])
def test_smoothing_has_another_name_in_2x(pair: Pair, window: str, factors: str) -> None:
    at = (START + 600.0, START + 6600.0, 300.0)
    real = pair.oracle.range(f"holt_winters({window}, {factors})", *at)
    assert not difference(real, ours(pair.engine, f"double_exponential_smoothing({window}, {factors})", at))
