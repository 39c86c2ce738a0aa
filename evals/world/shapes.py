"""The shapes a series can have, each a pure function of (seed, sample), with its integral in closed form.

Rules: sample i lies at `i * step` seconds from the world's now; any window, asked in any order, agrees with any
other. `integral` gives running totals, so a counter is monotone and consistent without walking its history.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from evals.world import noise

DAY = 86_400.0
DISTANT = -30 * DAY
"""A counter without a beginning started to count here, seconds from now."""
_CHUNK, _MEMO_LIMIT = 512, 4096


@dataclass(frozen=True, slots=True)
class Grid:
    """Samples first … first + count − 1, `step` seconds apart, of a series whose first sample is `born`."""

    first: int
    count: int
    step: float
    born: int | None = None
    signals: Mapping[str, Generator] = field(default_factory=lambda: NO_SIGNALS)
    """What `of: NAME` refers to: the other signals of the same pod or GPU."""
    anchor: float = 0.0
    """Unix time of the world's now, for the few series whose value is a time."""
    memo: dict[object, Sequence[float]] = field(default_factory=dict, compare=False, repr=False)
    """Integrals over this window that several series scale: the buckets of one histogram share theirs."""

    def at(self, index: int) -> Grid:
        """The single sample `index`."""
        return replace(self, first=index, count=1)

    @property
    def times(self) -> list[float]:
        """Seconds from now of each sample."""
        return [index * self.step for index in range(self.first, self.first + self.count)]


class Generator:
    """Base of all generators. Subclasses give `values`; `integral` falls back on memoised sums of it."""

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        raise NotImplementedError

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running total (value × seconds) before each sample, up to a constant per series."""
        origin = (grid.born if grid.born is not None else round(DISTANT / grid.step)) // _CHUNK
        last = (grid.first + grid.count - 1) // _CHUNK
        sums = _chunk_sums(self, seed, grid, origin, last)
        first_chunk = grid.first // _CHUNK
        base, start = sums[max(0, first_chunk - origin)], first_chunk * _CHUNK
        values = self.values(seed, replace(grid, first=start, count=grid.first + grid.count - start))
        totals = list(accumulate((value * grid.step for value in values[:-1]), initial=base))
        return totals[grid.first - start :]


NO_SIGNALS: Mapping[str, Generator] = {}
_memo: dict[tuple[int, int, float, int, int], tuple[Generator, Mapping[str, Generator], list[float]]] = {}
"""Keyed by identity; the values keep what they are keyed by alive."""


def _chunk_sums(generator: Generator, seed: int, grid: Grid, origin: int, last: int) -> list[float]:
    """Totals before each chunk from `origin` to `last`, extended as far as needed and remembered."""
    key = (id(generator), seed, grid.step, origin, id(grid.signals))
    if len(_memo) > _MEMO_LIMIT:
        _memo.clear()
    _, _, sums = _memo.setdefault(key, (generator, grid.signals, [0.0]))
    for chunk in range(origin + len(sums) - 1, last):
        values = generator.values(seed, replace(grid, first=chunk * _CHUNK, count=_CHUNK))
        sums.append(sums[-1] + sum(values) * grid.step)
    return sums


# --- shapes with a closed form -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant(Generator):
    """Always the same."""

    value: float

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        return [self.value] * grid.count

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        return [self.value * x for x in grid.times]


@dataclass(frozen=True, slots=True)
class Moment(Generator):
    """A Unix time, given as an offset from the world's now."""

    offset: float

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        return [grid.anchor + self.offset] * grid.count


@dataclass(frozen=True, slots=True)
class Noise(Generator):
    """Normal noise around a mean; `spread` is the standard deviation, clipped at 2.5 of them."""

    mean: float
    spread: float
    salt: int = 0

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        mean, spread = self.mean, self.spread
        return [mean + spread * z for z in noise.deviates(seed ^ self.salt, grid.first, grid.count)]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        sums = noise.running(seed ^ self.salt, grid.first, grid.count)
        scale = self.spread * grid.step
        return [self.mean * x + scale * total for x, total in zip(grid.times, sums, strict=True)]


@dataclass(frozen=True, slots=True)
class Ramp(Generator):
    """`before` until `start`, then in a straight line to `after` at `end`, and `after` from there on."""

    before: float
    after: float
    start: float
    end: float

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        slope = (self.after - self.before) / (self.end - self.start)
        return [self.before + slope * (min(max(x, self.start), self.end) - self.start) for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        half = (self.after - self.before) / (self.end - self.start) / 2
        out = []
        for x in grid.times:
            inside = min(max(x, self.start), self.end) - self.start
            beyond = max(0.0, x - self.end) * (self.after - self.before)
            out.append(self.before * x + half * inside * inside + beyond)
        return out


@dataclass(frozen=True, slots=True)
class Saw(Generator):
    """Rises from `low` to `high` over each period, then falls back at once."""

    low: float
    high: float
    period: float
    phase: float = 0.0

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        slope = (self.high - self.low) / self.period
        return [self.low + slope * ((x - self.phase) % self.period) for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        whole = self.period * (self.low + self.high) / 2
        half = (self.high - self.low) / self.period / 2
        out = []
        for x in grid.times:
            turns, rest = divmod(x - self.phase, self.period)
            out.append(turns * whole + self.low * rest + half * rest * rest)
        return out


@dataclass(frozen=True, slots=True)
class Pulse(Generator):
    """`high` for `width` seconds at the start of each period, `low` for the rest of it."""

    low: float
    high: float
    period: float
    width: float
    phase: float = 0.0

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        return [self.high if (x - self.phase) % self.period < self.width else self.low for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        extra = self.high - self.low
        out = []
        for x in grid.times:
            turns, rest = divmod(x - self.phase, self.period)
            out.append(self.low * (x - self.phase) + extra * (turns * self.width + min(rest, self.width)))
        return out


@dataclass(frozen=True, slots=True)
class Daily(Generator):
    """A cosine over 24 hours between `low` and `high`; `peak` is the time of one maximum, seconds from now."""

    low: float
    high: float
    peak: float

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        middle, half, turn = (self.low + self.high) / 2, (self.high - self.low) / 2, 2 * math.pi / DAY
        return [middle + half * math.cos((x - self.peak) * turn) for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        middle, half, turn = (self.low + self.high) / 2, (self.high - self.low) / 2, 2 * math.pi / DAY
        return [middle * x + half / turn * math.sin((x - self.peak) * turn) for x in grid.times]


@dataclass(frozen=True, slots=True)
class Bursts(Generator):
    """`base`, and once in every `every` seconds, at a moment chosen by the seed, `height` for `length` seconds."""

    base: float
    height: float
    every: float
    length: float
    salt: int = 0

    def _rest(self, seed: int, x: float) -> tuple[float, float]:
        turns, rest = divmod(x, self.every)
        start = noise.uniform(seed ^ self.salt, int(turns)) * (self.every - self.length)
        return turns, rest - start

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        return [self.height if 0 <= self._rest(seed, x)[1] < self.length else self.base for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        extra = self.height - self.base
        out = []
        for x in grid.times:
            turns, rest = self._rest(seed, x)
            out.append(self.base * x + extra * (turns * self.length + min(max(rest, 0.0), self.length)))
        return out
