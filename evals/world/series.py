"""The SeriesSource of a world: families of series, made on first touch, sampled for the window asked.

Rules: a family is one metric name; its entries are built once, when a query first names it. Nothing lies after
the world's clock. Where a series ends or a scrape is missing, the next sample is Prometheus's staleness marker.
"""

from __future__ import annotations

import math
import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evals.world.generators import NO_SIGNALS, Generator, Grid
from evals.world.model import Clock, Matcher, RawSeries
from evals.world.noise import uniform

STALE = struct.unpack(">d", bytes.fromhex("7ff0000000000002"))[0]
"""Prometheus's staleness marker (prometheus/model/value)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One series: its labels without __name__, and what it shows while it lives. Offsets are seconds from now."""

    labels: Mapping[str, str]
    value: Generator
    seed: int = 0
    born: float | None = None
    dies: float | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    dropout: float = 0.0
    """Share of samples that are missing at random."""
    signals: Mapping[str, Generator] = field(default_factory=lambda: NO_SIGNALS)
    points: tuple[Sequence[float], Sequence[float]] | None = None
    """Recorded samples (offsets, values) instead of a generator."""


Family = Callable[[], Iterable[Entry]]
Families = dict[str, Family]
"""Metric name → its entries, built when first touched."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which series a rule of a world touches: label → regular expression, anchored; the metric is `name`."""

    name: re.Pattern[str]
    labels: tuple[tuple[str, re.Pattern[str]], ...] = ()

    def covers(self, labels: Mapping[str, str]) -> bool:
        """True when all the labels match."""
        return all(pattern.fullmatch(labels.get(label, "")) for label, pattern in self.labels)


@dataclass(frozen=True, slots=True)
class Drop:
    """Series that are missing, for ever or in [begin, end)."""

    pattern: Pattern
    begin: float = -math.inf
    end: float = math.inf
    share: float = 1.0
    """Below 1, only this share of the samples is missing, at random."""

    def apply(self, entry: Entry) -> Entry | None:
        """The entry as the drop leaves it; None when nothing is left."""
        if not self.pattern.covers(entry.labels):
            return entry
        if self.share < 1.0:
            return replace(entry, dropout=max(entry.dropout, self.share))
        if self.begin == -math.inf and self.end == math.inf:
            return None
        return replace(entry, gaps=(*entry.gaps, (self.begin, self.end)))


@dataclass(frozen=True, slots=True)
class Override:
    """Another value for series that an exporter derives."""

    pattern: Pattern
    value: Generator


@dataclass(frozen=True, slots=True)
class Extra:
    """A series written out in full; it replaces a derived one with the same labels."""

    name: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Rules:
    """What a world changes about the derived series, in the order base to overlay."""

    drops: tuple[Drop, ...] = ()
    overrides: tuple[Override, ...] = ()
    extras: tuple[Extra, ...] = ()


class _Table:
    """The entries of one metric name, with an index per label that is built when a matcher first needs it."""

    __slots__ = ("_by_label", "entries", "full")

    def __init__(self, name: str, entries: list[Entry]) -> None:
        self.entries = entries
        self.full = [{"__name__": name, **entry.labels} for entry in entries]
        self._by_label: dict[str, dict[str, list[int]]] = {}

    def by_label(self, label: str) -> dict[str, list[int]]:
        """Value of the label → positions of the entries that have it."""
        found = self._by_label.get(label)
        if found is None:
            found = {}
            for number, entry in enumerate(self.entries):
                found.setdefault(entry.labels.get(label, ""), []).append(number)
            self._by_label[label] = found
        return found

    def matching(self, matchers: Sequence[Matcher]) -> Sequence[int]:
        """Positions of the entries that all matchers accept."""
        chosen: set[int] | None = None
        for matcher in matchers:
            index = self.by_label(matcher.label)
            if matcher.op == "=":
                hits: Iterable[int] = index.get(matcher.value, ())
            else:
                accepts = acceptor(matcher)
                hits = (n for value, numbers in index.items() if accepts(value) for n in numbers)
            chosen = set(hits) if chosen is None else chosen.intersection(hits)
            if not chosen:
                return ()
        return range(len(self.entries)) if chosen is None else sorted(chosen)


def acceptor(matcher: Matcher) -> Callable[[str], bool]:
    """The predicate of one matcher. Raises ValueError for an unknown operator or a broken expression."""
    wanted = matcher.value
    if matcher.op == "=":
        return lambda value: value == wanted
    if matcher.op == "!=":
        return lambda value: value != wanted
    try:
        pattern = re.compile(wanted, re.DOTALL)
    except re.error as error:
        raise ValueError(f"regular expression {wanted!r}: {error}") from None
    if matcher.op == "=~":
        return lambda value: pattern.fullmatch(value) is not None
    if matcher.op == "!~":
        return lambda value: pattern.fullmatch(value) is None
    raise ValueError(f"unknown matcher {matcher.op!r}")


_SELECTED = 64
"""Selections remembered: the queries of one question ask for the same windows again and again."""


class WorldSeries:
    """All series of one world. Implements SeriesSource."""

    def __init__(
        self, families: Families, *, rules: Rules | None = None, clock: Clock, anchor: float, step: float
    ) -> None:
        self._families = families
        self._rules = rules or Rules()
        self._clock, self._anchor, self._step = clock, anchor, step
        self._extras: dict[str, list[Entry]] = {}
        for extra in self._rules.extras:
            self._extras.setdefault(extra.name, []).append(extra.entry)
        self._tables: dict[str, _Table] = {}
        self._selected: dict[tuple[tuple[Matcher, ...], float, float], list[RawSeries]] = {}

    @property
    def names(self) -> list[str]:
        """Every metric name that may have series."""
        return sorted({*self._families, *self._extras})

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """Matching series with their samples in [start, end]; those without any are left out."""
        end = min(end, self._clock.now)
        key = (tuple(matchers), start, end)
        found = self._selected.get(key)
        if found is None:
            if len(self._selected) >= _SELECTED:
                self._selected.clear()
            window = _Window(self._anchor, self._step, start, end)
            sampled = [(labels, *window.samples(entry)) for labels, entry in self._matching(matchers)]
            found = self._selected[key] = [
                RawSeries(labels, times, values) for labels, times, values in sampled if times
            ]
        return list(found)

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> Iterable[Mapping[str, str]]:
        """Label sets of matching series with a sample in [start, end]."""
        window = _Window(self._anchor, self._step, start, min(end, self._clock.now))
        return [labels for labels, entry in self._matching(matchers) if window.touches(entry)]

    def _matching(self, matchers: Sequence[Matcher]) -> Iterator[tuple[Mapping[str, str], Entry]]:
        named = [m for m in matchers if m.label == "__name__"]
        others = [m for m in matchers if m.label != "__name__"]
        for name in self._candidates(named):
            table = self._table(name)
            for number in table.matching(others):
                yield table.full[number], table.entries[number]

    def _candidates(self, named: Sequence[Matcher]) -> Iterable[str]:
        exact = [m.value for m in named if m.op == "="]
        if exact:
            names: Iterable[str] = exact[:1] if exact[0] in self._families or exact[0] in self._extras else ()
        else:
            names = self.names
        tests = [acceptor(m) for m in named]
        return [name for name in names if all(test(name) for test in tests)]

    def _table(self, name: str) -> _Table:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = _Table(name, self._entries(name))
        return table

    def _entries(self, name: str) -> list[Entry]:
        family = self._families.get(name)
        derived = list(family()) if family is not None else []
        for override in self._rules.overrides:
            if override.pattern.name.fullmatch(name):
                derived = [
                    replace(e, value=override.value, points=None) if override.pattern.covers(e.labels) else e
                    for e in derived
                ]
        unique = {frozenset(e.labels.items()): e for e in [*derived, *self._extras.get(name, ())]}
        entries = derived if len(unique) == len(derived) and name not in self._extras else list(unique.values())
        for drop in self._rules.drops:
            if drop.pattern.name.fullmatch(name):
                entries = [kept for e in entries if (kept := drop.apply(e)) is not None]
        return entries


class _Window:
    """One closed window on the sample grid; the list of times is shared by all series that fill it."""

    def __init__(self, anchor: float, step: float, start: float, end: float) -> None:
        self.anchor, self.step = anchor, step
        self.first = math.ceil((start - anchor) / step - 1e-9)
        self.stop = math.floor((end - anchor) / step + 1e-9) + 1
        self.start, self.end = start, end
        self._times: dict[tuple[int, int], list[float]] = {}
        self._memo: dict[object, Sequence[float]] = {}

    def _between(self, first: int, stop: int) -> list[float]:
        times = self._times.get((first, stop))
        if times is None:
            times = [self.anchor + index * self.step for index in range(first, stop)]
            self._times[(first, stop)] = times
        return times

    def _index(self, offset: float) -> int:
        return math.ceil(offset / self.step - 1e-9)

    def _life(self, entry: Entry) -> tuple[int, int]:
        """The samples of the window that lie in the life of the series, gaps not considered."""
        first = self.first if entry.born is None else max(self.first, self._index(entry.born))
        stop = self.stop if entry.dies is None else min(self.stop, self._index(entry.dies))
        return first, stop

    def touches(self, entry: Entry) -> bool:
        """True when the series has a sample in the window."""
        if entry.gaps or entry.dropout or entry.points is not None:
            return any(not math.isnan(value) for value in self.samples(entry)[1])
        first, stop = self._life(entry)
        return first < stop

    def samples(self, entry: Entry) -> tuple[Sequence[float], Sequence[float]]:
        """Times and values in the window, staleness markers included."""
        if entry.points is not None:
            return self._recorded(entry.points)
        first, stop = self._life(entry)
        ended = entry.dies is not None and self.first <= self._index(entry.dies) < self.stop
        if first >= stop:
            return ([self.anchor + self._index(entry.dies or 0.0) * self.step], [STALE]) if ended else ((), ())
        born = None if entry.born is None else self._index(entry.born)
        grid = Grid(first, stop - first, self.step, born, entry.signals, self.anchor, self._memo)
        values = entry.value.values(entry.seed, grid)
        times: Sequence[float] = self._between(first, stop)
        if entry.gaps or entry.dropout:
            times, values = self._with_holes(entry, first, times, values)
        if ended:
            times, values = [*times, self.anchor + stop * self.step], [*values, STALE]
        return times, values

    def _recorded(self, points: tuple[Sequence[float], Sequence[float]]) -> tuple[Sequence[float], Sequence[float]]:
        offsets, values = points
        begin = bisect_left(offsets, self.start - self.anchor)
        end = bisect_right(offsets, self.end - self.anchor)
        return [self.anchor + offset for offset in offsets[begin:end]], values[begin:end]

    def _with_holes(
        self, entry: Entry, first: int, times: Sequence[float], values: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        kept: tuple[list[float], list[float]] = ([], [])
        before = self._missing(entry, first - 1)
        for number, (moment, value) in enumerate(zip(times, values, strict=True)):
            missing = self._missing(entry, first + number)
            if not missing or not before:
                kept[0].append(moment)
                kept[1].append(STALE if missing else value)
            before = missing
        return kept

    def _missing(self, entry: Entry, index: int) -> bool:
        offset = index * self.step
        if any(begin <= offset < end for begin, end in entry.gaps):
            return True
        return entry.dropout > 0 and uniform(entry.seed ^ 0x5BD1E995, index) < entry.dropout
