"""Series held in memory: what tests, recorded answers and rule evaluation query."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence

from evals.promql.model import NAME
from evals.world.model import Matcher, RawSeries


class MemorySource:
    """A SeriesSource over a list of series, indexed by metric name."""

    def __init__(self, series: Iterable[RawSeries] = ()) -> None:
        self._by_name: dict[str, list[RawSeries]] = {}
        for one in series:
            self.add(one)

    def add(self, series: RawSeries) -> None:
        """One more series; its times must ascend."""
        self._by_name.setdefault(series.labels.get(NAME, ""), []).append(series)

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """Series that match, each cut to the closed window; those without samples there are left out."""
        out = []
        for series in self._matching(matchers):
            low, high = bisect_left(series.times, start), bisect_right(series.times, end)
            if high > low:
                out.append(RawSeries(series.labels, series.times[low:high], series.values[low:high]))
        return out

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> list[Mapping[str, str]]:
        """Label sets of the series that `select` would return."""
        return [series.labels for series in self.select(matchers, start, end)]

    def _matching(self, matchers: Sequence[Matcher]) -> list[RawSeries]:
        names = [matcher.value for matcher in matchers if matcher.label == NAME and matcher.op == "="]
        groups = [self._by_name.get(names[0], [])] if names else list(self._by_name.values())
        tests = [(matcher.label, matcher_test(matcher)) for matcher in matchers]
        return [
            series
            for members in groups
            for series in members
            if all(test(series.labels.get(label, "")) for label, test in tests)
        ]


def matcher_test(matcher: Matcher) -> Callable[[str], bool]:
    """A predicate on the value of the matcher's label; an absent label has the value ""."""
    wanted = matcher.value
    if matcher.op == "=":
        return lambda value: value == wanted
    if matcher.op == "!=":
        return lambda value: value != wanted
    regex = re.compile(wanted, re.ASCII | re.DOTALL)
    if matcher.op == "=~":
        return lambda value: regex.fullmatch(value) is not None
    return lambda value: regex.fullmatch(value) is None
