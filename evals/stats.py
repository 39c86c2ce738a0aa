"""The few statistics that results of an evaluation need: intervals, several runs of one sample, paired comparison.

Sources: Wilson (1927) for the interval of a share; Chen et al. (2021), "Evaluating Large Language Models Trained on
Code", for pass@k; Yao et al. (2024), "tau-bench", for pass^k; McNemar (1947), in its exact form, for pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from statistics import mean

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


def wilson(passed: int, runs: int, z: float = Z95) -> tuple[float, float]:
    """The interval (low, high) in which a share lies. Raises ValueError for counts that are none."""
    if not 0 <= passed <= runs or runs == 0:
        raise ValueError(f"{passed} of {runs} is no share")
    share, square = passed / runs, z * z
    middle = share + square / (2 * runs)
    reach = z * sqrt(share * (1 - share) / runs + square / (4 * runs * runs))
    scale = 1 + square / runs
    low = (middle - reach) / scale if passed else 0.0  # exact there, where rounding would leave the share outside
    return low, (middle + reach) / scale if passed < runs else 1.0


def pass_at_k(runs: int, passed: int, k: int) -> float:
    """The chance that of k runs at least one passes, without bias. Raises ValueError where there were fewer than k."""
    _check(runs, passed, k)
    return 1.0 - comb(runs - passed, k) / comb(runs, k)


def pass_hat_k(runs: int, passed: int, k: int) -> float:
    """The chance that k runs all pass, without bias. Raises ValueError where there were fewer than k."""
    _check(runs, passed, k)
    return comb(passed, k) / comb(runs, k)


def _check(runs: int, passed: int, k: int) -> None:
    if not 0 <= passed <= runs or not 1 <= k <= runs:
        raise ValueError(f"{k} of {runs} runs, {passed} of them passed")


def over_all(counts: Sequence[tuple[int, int]], k: int) -> tuple[float, float] | None:
    """(pass@k, pass^k), each the mean over samples of (runs, passed); None where none was run k times."""
    enough = [(runs, passed) for runs, passed in counts if runs >= k]
    if not enough:
        return None
    return mean(pass_at_k(n, c, k) for n, c in enough), mean(pass_hat_k(n, c, k) for n, c in enough)


def mcnemar(better: int, worse: int) -> float:
    """The chance of pairs that differ at least so unevenly where neither side is better (exact, two-sided)."""
    if better < 0 or worse < 0:
        raise ValueError("counts are not negative")
    flips = better + worse
    tail = sum(comb(flips, n) for n in range(min(better, worse) + 1))
    return min(1.0, 2.0 * tail / float(2**flips))
