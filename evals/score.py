"""How right a run was, over all its samples, and what answers given without looking would have scored.

Rules: what the machine broke, and what no model answered, counts nowhere; a wrong root counts against precision once a
cause; a baseline is right where status and cause are, whatever the subject, so it is scored kindly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from evals.items import Item
from evals.stats import over_all
from tools.types import Frozen

STATUSES = ("healthy", "inconclusive", "")
"""What `Item.expected` is where no cause is expected."""


class Several(Frozen):
    """Samples that were run k times and more."""

    k: int
    some: float
    """pass@k: of k runs one passes."""
    all: float
    """pass^k: of k runs all pass."""


class Ranking(Frozen):
    """How high the right cause stands, over the samples in which there is one."""

    first: float
    """Share in which it is the first finding."""
    near: float
    """Share in which it is one of the first three."""
    precision: float
    """Of the findings down to the right cause, the share that are right; 0 where it is not found."""


class Score(Frozen):
    """Counts of samples, and shares of them."""

    caused: int
    """Samples in which there is a cause to find."""
    right: int
    """Of those, in which it was found as a root."""
    wrong: int
    """Causes claimed that are not allowed."""
    healthy: int
    alarms: int
    """Healthy samples in which anything was found; but for what a perturbation did to them itself."""
    recall: float | None
    precision: float | None
    ranking: Ranking | None
    several: Several | None
    families: dict[str, tuple[int, int]]
    """Expected cause, or status → (passed, of so many)."""
    confusion: dict[str, dict[str, int]]
    """Expected cause, or status → root that was found, or status → so often."""
    baselines: tuple[tuple[str, float], ...]
    """(answer given without looking, share of samples for which it is right)."""


def scored(done: Sequence[Item]) -> Score:
    """The score of a run."""
    counted = [item for item in done if item.verdict in ("pass", "FAIL")]
    caused = [item for item in counted if item.expected not in STATUSES]
    healthy = [item for item in counted if item.expected == "healthy"]
    right = sum(item.expected in item.roots for item in caused)
    wrong = sum(len(item.wrong) for item in counted)
    return Score(
        caused=len(caused),
        right=right,
        wrong=wrong,
        healthy=len(healthy),
        alarms=sum(item.status == "found" and item.verdict == "FAIL" for item in healthy),
        recall=right / len(caused) if caused else None,
        precision=right / (right + wrong) if right + wrong else None,
        ranking=_ranking(caused),
        several=_several(counted),
        families=_families(counted),
        confusion=_confusion(counted),
        baselines=_baselines(counted),
    )


NEAR = 3
"""Findings that are read before anybody stops reading."""


def _ranking(items: Sequence[Item]) -> Ranking | None:
    places = [(item.ranked.index(item.expected), item) for item in items if item.expected in item.ranked]
    if not items:
        return None
    exact = [sum(cause not in item.wrong for cause in item.ranked[: at + 1]) / (at + 1) for at, item in places]
    return Ranking(
        first=sum(at == 0 for at, _ in places) / len(items),
        near=sum(at < NEAR for at, _ in places) / len(items),
        precision=sum(exact) / len(items),
    )


def _several(items: Sequence[Item]) -> Several | None:
    runs: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for item in items:
        runs[item.scenario, item.engine].append(item.verdict == "pass")
    k = min((len(passed) for passed in runs.values()), default=0)
    both = over_all([(len(passed), sum(passed)) for passed in runs.values()], k) if k > 1 else None
    return Several(k=k, some=both[0], all=both[1]) if both is not None else None


def _families(items: Sequence[Item]) -> dict[str, tuple[int, int]]:
    every = Counter(item.expected for item in items)
    passed = Counter(item.expected for item in items if item.verdict == "pass")
    return {family: (passed[family], count) for family, count in sorted(every.items())}


def _confusion(items: Sequence[Item]) -> dict[str, dict[str, int]]:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for item in items:
        found = item.roots or (item.status or "no answer",)
        table[item.expected].update([item.expected] if item.expected in found else found)
    return {expected: dict(sorted(found.items())) for expected, found in sorted(table.items())}


def _baselines(items: Sequence[Item]) -> tuple[tuple[str, float], ...]:
    if not items:
        return ()
    causes = Counter(item.expected for item in items if item.expected not in STATUSES)
    common = max(sorted(causes), key=lambda cause: causes[cause]) if causes else ""
    told = [("always healthy", "healthy"), *([(f"always {common}", common)] if common else [])]
    return tuple((name, sum(item.expected == answer for item in items) / len(items)) for name, answer in told)
