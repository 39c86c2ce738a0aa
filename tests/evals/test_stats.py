"""Statistics of runs, against values worked out elsewhere and against counting every case."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stats import mcnemar, over_all, pass_at_k, pass_hat_k, wilson


def test_wilson_against_published_values() -> None:
    """Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3."""
    for passed, runs, low, high in (
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
    ):  # fmt: skip
        assert wilson(passed, runs) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 400).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))))
def test_wilson_holds_the_share_and_is_symmetric(counts: tuple[int, int]) -> None:
    passed, runs = counts
    low, high = wilson(passed, runs)
    assert 0.0 <= low <= passed / runs <= high <= 1.0
    assert (low == 0.0) == (passed == 0)
    mirrored = wilson(runs - passed, runs)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high))


@pytest.mark.parametrize(("passed", "runs"), [(1, 0), (0, 0), (3, 2), (-1, 4)])
def test_what_is_no_share_is_refused(passed: int, runs: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(passed, runs)


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_and_pass_hat_are_shares_of_all_choices(case: tuple[int, int, int]) -> None:
    runs, passed, k = case
    chosen = list(combinations([True] * passed + [False] * (runs - passed), k))
    assert pass_at_k(runs, passed, k) == pytest.approx(sum(any(one) for one in chosen) / len(chosen))
    assert pass_hat_k(runs, passed, k) == pytest.approx(sum(all(one) for one in chosen) / len(chosen))


def test_too_few_runs_are_refused_and_left_out_of_a_mean() -> None:
    with pytest.raises(ValueError, match="2 of 1 runs"):
        pass_at_k(1, 1, 2)
    assert over_all([(1, 1)], 2) is None
    assert over_all([(1, 1), (2, 1), (2, 2)], 2) == (1.0, 0.5)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_counts_the_uneven_halves(better: int, worse: int) -> None:
    flips = better + worse
    least = abs(better - worse)
    uneven = sum(comb(flips, n) for n in range(flips + 1) if abs(2 * n - flips) >= least)
    assert mcnemar(better, worse) == pytest.approx(min(1.0, uneven / 2**flips))
    assert mcnemar(better, worse) == mcnemar(worse, better)


def test_mcnemar_of_no_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        mcnemar(-1, 2)
