"""Series as functions of time, evaluated for the window asked and never expanded.

Rules: sample i lies at `i * step` seconds from the world's now; a value is a pure function of (seed, i), so any
window, asked in any order, agrees with any other. `integral` gives running totals, in closed form wherever there
is one, so a counter is monotone and consistent without walking its history.
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
_CHUNK = 512
_MEMO_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Grid:
    """Samples first … first + count − 1, `step` seconds apart, of a series whose first sample is `born`."""

    first: int
    count: int
    step: float
    born: int | None = None
    signals: Mapping[str, Generator] = field(default_factory=dict)
    """What `of: NAME` refers to: the other signals of the same pod or GPU."""
    anchor: float = 0.0
    """Unix time of the world's now, for the few series whose value is a time."""

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
        base = sums[max(0, first_chunk - origin)]
        start = first_chunk * _CHUNK
        values = self.values(seed, replace(grid, first=start, count=grid.first + grid.count - start))
        totals = list(accumulate((value * grid.step for value in values[:-1]), initial=base))
        return totals[grid.first - start :]


_memo: dict[tuple[int, int, float, int, int], tuple[Generator, list[float]]] = {}


def _chunk_sums(generator: Generator, seed: int, grid: Grid, origin: int, last: int) -> list[float]:
    """Totals before each chunk from `origin` to `last`, extended as far as needed and remembered."""
    key = (id(generator), seed, grid.step, origin, id(grid.signals))
    if len(_memo) > _MEMO_LIMIT:
        _memo.clear()
    _, sums = _memo.setdefault(key, (generator, [0.0]))
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
        return [self.value] * grid.count

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        return [self.value * x for x in grid.times]


@dataclass(frozen=True, slots=True)
class Moment(Generator):
    """A Unix time, given as an offset from the world's now."""

    offset: float

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        return [grid.anchor + self.offset] * grid.count


@dataclass(frozen=True, slots=True)
class Noise(Generator):
    """Normal noise around a mean; `spread` is the standard deviation, clipped at 2.5 of them."""

    mean: float
    spread: float
    salt: int = 0

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        mean, spread = self.mean, self.spread
        return [mean + spread * z for z in noise.deviates(seed ^ self.salt, grid.first, grid.count)]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
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
        slope = (self.after - self.before) / (self.end - self.start)
        return [self.before + slope * (min(max(x, self.start), self.end) - self.start) for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
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
        slope = (self.high - self.low) / self.period
        return [self.low + slope * ((x - self.phase) % self.period) for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
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
        return [self.high if (x - self.phase) % self.period < self.width else self.low for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
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
        middle, half, turn = (self.low + self.high) / 2, (self.high - self.low) / 2, 2 * math.pi / DAY
        return [middle + half * math.cos((x - self.peak) * turn) for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
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
        return [self.height if 0 <= self._rest(seed, x)[1] < self.length else self.base for x in grid.times]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        extra = self.height - self.base
        out = []
        for x in grid.times:
            turns, rest = self._rest(seed, x)
            out.append(self.base * x + extra * (turns * self.length + min(max(rest, 0.0), self.length)))
        return out


# --- combinations ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signal(Generator):
    """Another signal of the same pod or GPU, by name: two series that move together."""

    name: str

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        return grid.signals[self.name].values(seed, grid)

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        return grid.signals[self.name].integral(seed, grid)


@dataclass(frozen=True, slots=True)
class Bound(Generator):
    """A generator as it looks for one pod, whoever asks: its seed and signals are fixed."""

    of: Generator
    seed: int
    signals: Mapping[str, Generator]

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        return self.of.values(self.seed, replace(grid, signals=self.signals))

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        return self.of.integral(self.seed, replace(grid, signals=self.signals))


@dataclass(frozen=True, slots=True)
class Linear(Generator):
    """`offset + scale × of`, `lag` seconds later."""

    of: Generator
    scale: float = 1.0
    offset: float = 0.0
    lag: float = 0.0

    def _late(self, grid: Grid) -> Grid:
        return replace(grid, first=grid.first - round(self.lag / grid.step)) if self.lag else grid

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        scale, offset = self.scale, self.offset
        return [offset + scale * value for value in self.of.values(seed, self._late(grid))]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        totals = self.of.integral(seed, self._late(grid))
        if not self.offset:
            return [self.scale * total for total in totals]
        return [self.offset * x + self.scale * t for x, t in zip(grid.times, totals, strict=True)]


@dataclass(frozen=True, slots=True)
class Sum(Generator):
    """Several generators added up."""

    parts: tuple[Generator, ...]

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        return [sum(row) for row in zip(*(part.values(seed, grid) for part in self.parts), strict=True)]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        return [sum(row) for row in zip(*(part.integral(seed, grid) for part in self.parts), strict=True)]


@dataclass(frozen=True, slots=True)
class Product(Generator):
    """Several generators multiplied."""

    parts: tuple[Generator, ...]

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        rows = zip(*(part.values(seed, grid) for part in self.parts), strict=True)
        return [math.prod(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Clamp(Generator):
    """Never below `low` nor above `high`; `whole` rounds to whole numbers."""

    of: Generator
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        low, high = self.low, self.high
        values = self.of.values(seed, grid)
        if low > -math.inf or high < math.inf:
            values = [low if value < low else high if value > high else value for value in values]
        return [float(round(value)) for value in values] if self.whole else values


@dataclass(frozen=True, slots=True)
class Steps(Generator):
    """`before`, then each of `changes` (seconds from now, generator) from its moment on, in order."""

    before: Generator
    changes: tuple[tuple[float, Generator], ...]

    def _pieces(self, grid: Grid) -> list[tuple[int | None, Generator]]:
        """(first sample, generator), the first piece without a beginning."""
        later = [(math.ceil(at / grid.step - 1e-9), piece) for at, piece in self.changes]
        return [(None, self.before), *later]

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        pieces = self._pieces(grid)
        end = grid.first + grid.count
        out: list[float] = []
        for number, (start, piece) in enumerate(pieces):
            begin = max(grid.first, grid.first if start is None else start)
            until = pieces[number + 1][0] if number + 1 < len(pieces) else None
            stop = end if until is None else min(end, until)
            if begin < stop:
                out.extend(piece.values(seed, replace(grid, first=begin, count=stop - begin)))
        return out

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        pieces = self._pieces(grid)
        end = grid.first + grid.count
        out: list[float] = []
        base = 0.0
        for number, (start, piece) in enumerate(pieces):
            offset = base - (piece.integral(seed, grid.at(start))[0] if start is not None else 0.0)
            until = pieces[number + 1][0] if number + 1 < len(pieces) else None
            begin = grid.first if start is None else max(grid.first, start)
            stop = end if until is None else min(end, until)
            if begin < stop:
                totals = piece.integral(seed, replace(grid, first=begin, count=stop - begin))
                out.extend(offset + total for total in totals)
            if until is not None:
                base = offset + piece.integral(seed, grid.at(until))[0]
        return out


@dataclass(frozen=True, slots=True)
class Counter(Generator):
    """The integral of a rate (per second, never negative) since the series began or was last reset.

    Rounded (to whole numbers, or 6 decimals), so that the last bit of a sum never looks like a reset.
    """

    rate: Generator
    resets: tuple[float, ...] = ()
    whole: bool = False

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        born = grid.born if grid.born is not None else round(DISTANT / grid.step)
        starts = [born, *(s for s in sorted(round(r / grid.step) for r in self.resets) if s > born)]
        end = grid.first + grid.count
        out: list[float] = [0.0] * max(0, min(end, born) - grid.first)
        for number, start in enumerate(starts):
            begin = max(grid.first, start)
            stop = min(end, starts[number + 1]) if number + 1 < len(starts) else end
            if begin < stop:
                base = self.rate.integral(seed, grid.at(start))[0]
                totals = self.rate.integral(seed, replace(grid, first=begin, count=stop - begin))
                out.extend(total - base for total in totals)
        if self.whole:
            return [float(math.floor(value + 0.5)) for value in out]
        return [round(value, 6) for value in out]
