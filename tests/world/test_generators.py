"""Generators: any window agrees with any other, and integrals are the sums of their values."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.world import generators as g

SLICE = settings(max_examples=40)
FULL = settings(max_examples=5000)

SHAPES = (
    g.Constant(3.0),
    g.Noise(5.0, 1.0, salt=7),
    g.Ramp(1.0, 4.0, -3000.0, -300.0),
    g.Saw(0.5, 2.0, 700.0, 30.0),
    g.Pulse(0.0, 3.0, 600.0, 90.0, 10.0),
    g.Daily(1.0, 9.0, -3600.0),
    g.Bursts(0.1, 5.0, 1200.0, 150.0, salt=3),
)
COMBINED = (
    *SHAPES,
    g.Linear(g.Noise(2.0, 0.3), 2.0, 1.0, lag=90.0),
    g.Sum((g.Daily(1.0, 2.0, 0.0), g.Noise(1.0, 0.1))),
    g.Product((g.Saw(1.0, 2.0, 300.0), g.Constant(0.5))),
    g.Clamp(g.Noise(1.0, 1.0), low=0.0, high=1.5),
    g.Steps(g.Constant(1.0), ((-1800.0, g.Noise(4.0, 0.2)), (-600.0, g.Ramp(4.0, 1.0, -600.0, -60.0)))),
)
shapes = st.sampled_from(COMBINED)
windows = st.tuples(st.integers(-20_000, 100), st.integers(1, 1_500))


def grid(first: int, count: int, step: float = 30.0, born: int | None = None) -> g.Grid:
    return g.Grid(first, count, step, born)


def agree(shape: g.Generator, window: tuple[int, int], inner: tuple[float, float], seed: int) -> None:
    first, count = window
    begin = first + int(inner[0] * count)
    size = max(1, int(inner[1] * (first + count - begin)))
    whole = list(shape.values(seed, grid(first, count)))
    assert whole[begin - first : begin - first + size] == list(shape.values(seed, grid(begin, size)))


fractions = st.tuples(st.floats(0, 0.99), st.floats(0, 1))


@SLICE
@given(shapes, windows, fractions, st.integers(0, 2**32 - 1))
def test_a_window_inside_another_holds_the_same_samples(
    shape: g.Generator, window: tuple[int, int], inner: tuple[float, float], seed: int
) -> None:
    agree(shape, window, inner, seed)


@pytest.mark.prove
@FULL
@given(shapes, windows, fractions, st.integers(0, 2**32 - 1))
def test_a_window_inside_another_holds_the_same_samples_in_full(
    shape: g.Generator, window: tuple[int, int], inner: tuple[float, float], seed: int
) -> None:
    agree(shape, window, inner, seed)


@pytest.mark.parametrize("shape", COMBINED, ids=lambda shape: type(shape).__name__)
def test_the_integral_is_the_sum_of_the_values(shape: g.Generator) -> None:
    step = 1.0
    first, count = -4000, 3900
    values = list(shape.values(9, grid(first, count, step)))
    totals = list(shape.integral(9, grid(first, count + 1, step)))
    area = sum(values) * step
    slack = max(abs(value) for value in values) * 3 + 0.01 * abs(area)
    assert totals[-1] - totals[0] == pytest.approx(area, abs=slack)


@SLICE
@given(st.builds(g.Counter, shapes, whole=st.booleans()), windows, st.integers(0, 2**32 - 1))
def test_counters_never_fall_and_do_not_depend_on_the_window(
    counter: g.Counter, window: tuple[int, int], seed: int
) -> None:
    values = list(counter.values(seed, grid(*window, born=-21_000)))
    assert all(before <= after for before, after in pairwise(values))
    middle = window[0] + window[1] // 2
    assert list(counter.values(seed, grid(middle, 1, born=-21_000))) == [values[middle - window[0]]]


def test_a_counter_starts_at_zero_when_its_series_begins_and_at_each_reset() -> None:
    counter = g.Counter(g.Constant(2.0), resets=(-300.0,))
    values = list(counter.values(0, grid(-20, 21, born=-20)))
    assert values[0] == 0.0
    assert values[9] == 2.0 * 30 * 9
    assert values[10] == 0.0
    assert values[20] == 2.0 * 300


def test_a_counter_of_nothing_never_moves() -> None:
    quiet = g.Counter(g.Pulse(0.0, 7.7, 330.0, 33.3))
    values = list(quiet.values(0, grid(-100_000, 4000)))
    falls = [after - before for before, after in pairwise(values) if after < before]
    assert falls == []


def test_noise_has_the_mean_and_spread_it_says_and_differs_between_series() -> None:
    shape = g.Noise(10.0, 2.0, salt=5)
    one, two = (list(shape.values(seed, grid(-5000, 5000))) for seed in (1, 2_000_003))
    mean = sum(one) / len(one)
    spread = math.sqrt(sum((value - mean) ** 2 for value in one) / len(one))
    assert mean == pytest.approx(10.0, abs=0.15)
    assert spread == pytest.approx(2.0, abs=0.15)
    covariance = sum((a - 10) * (b - 10) for a, b in zip(one, two, strict=True)) / len(one)
    assert abs(covariance) < 0.3


def test_signals_move_together() -> None:
    signals = {"busy": g.Noise(0.5, 0.1, salt=1)}
    follower = g.Linear(g.Signal("busy"), 300.0, 100.0)
    window = g.Grid(-50, 50, 30.0, None, signals)
    busy = list(signals["busy"].values(4, window))
    assert list(follower.values(4, window)) == [100.0 + 300.0 * value for value in busy]


def test_bursts_come_once_in_every_interval() -> None:
    shape = g.Bursts(0.0, 1.0, 600.0, 60.0, salt=2)
    values = list(shape.values(8, grid(-6000, 6000, 1.0)))
    for start in range(0, 6000, 600):
        assert sum(values[start : start + 600]) == pytest.approx(60, abs=1)


def test_steps_begin_at_the_first_sample_at_or_after_their_moment() -> None:
    shape = g.Steps(g.Constant(0.0), ((-75.0, g.Constant(1.0)),))
    assert list(shape.values(0, grid(-4, 4))) == [0.0, 0.0, 1.0, 1.0]
