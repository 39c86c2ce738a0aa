"""Series that go on after a write: each change of objects or signals begins a new epoch of the world.

Rules: samples before a change never change; from the first sample at or after it, the exporters see the objects and
signals as they are then; a series that is gone gets Prometheus's staleness marker. Noise and counters run on, since
they depend on the pod and the time only. Epochs are built when a query first needs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from evals.world.model import Clock, Matcher, RawSeries
from evals.world.series import STALE, Families, Rules, WorldSeries

MAX_EPOCHS = 200
"""Changes a world remembers; beyond that the oldest is forgotten, and its time shows what was before it."""


@dataclass(frozen=True, slots=True)
class _Epoch:
    first: int
    """Number of its first sample on the grid."""
    series: WorldSeries


class LivingSeries(WorldSeries):
    """The series of a world whose objects change. Implements SeriesSource."""

    def __init__(self, families: Families, *, rules: Rules, clock: Clock, anchor: float, step: float) -> None:
        super().__init__(families, rules=rules, clock=clock, anchor=anchor, step=step)
        self._later: list[_Epoch] = []
        self._pending: list[tuple[int, Callable[[], Families]]] = []

    @property
    def names(self) -> list[str]:
        """Every metric name that may have series."""
        self._build()
        return sorted({*super().names, *(name for epoch in self._later for name in epoch.series.names)})

    def begin(self, moment: float, families: Callable[[], Families]) -> None:
        """From `moment` (Unix seconds) on the series are those of `families`."""
        first = math.ceil((moment - self._anchor) / self._step - 1e-9)
        if self._pending and self._pending[-1][0] == first:
            self._pending.pop()
        self._pending.append((first, families))
        if len(self._later) + len(self._pending) > MAX_EPOCHS:
            (self._later or self._pending).pop(0)

    def _build(self) -> None:
        while self._pending:
            first, families = self._pending.pop(0)
            if self._later and self._later[-1].first >= first:
                self._later.pop()
            made = WorldSeries(families(), rules=self._rules, clock=self._clock, anchor=self._anchor, step=self._step)
            self._later.append(_Epoch(first, made))

    def _epochs(self) -> list[tuple[float, float, int, WorldSeries | None]]:
        """(start, end, first sample, series) of each epoch; None is the world as it began."""
        self._build()
        bounds = [-math.inf, *(epoch.first for epoch in self._later), math.inf]
        sources: list[WorldSeries | None] = [None, *(epoch.series for epoch in self._later)]
        half = self._step / 2
        return [
            (
                self._anchor + first * self._step - half,
                self._anchor + after * self._step - half,
                0 if math.isinf(first) else int(first),
                source,
            )
            for first, after, source in zip(bounds[:-1], bounds[1:], sources, strict=True)
        ]

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """Matching series with their samples in [start, end]; those without any are left out."""
        if not self._later and not self._pending:
            return super().select(matchers, start, end)
        end = min(end, self._clock.now)
        merged: dict[frozenset[tuple[str, str]], RawSeries] = {}
        for begins, ends, first, source in self._epochs():
            if begins > end or ends < start:
                continue
            found = self._of(source, matchers, max(start, begins), min(end, ends))
            at = self._anchor + first * self._step
            if source is not None and start <= at <= end:
                self._mark_gone(merged, found, matchers, at)
            _join(merged, found)
        return list(merged.values())

    def _of(self, source: WorldSeries | None, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        return super().select(matchers, start, end) if source is None else source.select(matchers, start, end)

    def _mark_gone(
        self,
        merged: dict[frozenset[tuple[str, str]], RawSeries],
        found: Sequence[RawSeries],
        matchers: Sequence[Matcher],
        at: float,
    ) -> None:
        """End the series that had a sample just before an epoch and have none at its beginning."""
        before = self.select(matchers, at - self._step, at - self._step / 2)
        still = {_key(one.labels) for one in found if one.times and one.times[0] <= at}
        for one in before:
            key = _key(one.labels)
            if key not in still and not math.isnan(one.values[-1]):
                have = merged.get(key) or RawSeries(one.labels, (), ())
                merged[key] = RawSeries(one.labels, [*have.times, at], [*have.values, STALE])

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> Iterable[Mapping[str, str]]:
        """Label sets of matching series with a sample in [start, end]."""
        if not self._later and not self._pending:
            return super().label_sets(matchers, start, end)
        found: dict[frozenset[tuple[str, str]], Mapping[str, str]] = {}
        for begins, ends, _, source in self._epochs():
            low, high = max(start, begins), min(end, ends, self._clock.now)
            if low <= high:
                sets = super().label_sets if source is None else source.label_sets
                found |= {_key(labels): labels for labels in sets(matchers, low, high)}
        return list(found.values())


def _key(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def _join(merged: dict[frozenset[tuple[str, str]], RawSeries], found: Sequence[RawSeries]) -> None:
    for one in found:
        key = _key(one.labels)
        have = merged.get(key)
        merged[key] = (
            one if have is None else RawSeries(one.labels, [*have.times, *one.times], [*have.values, *one.values])
        )
