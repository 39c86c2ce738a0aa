"""Generators: the shapes of shapes.py, and what is made of them: signals, sums, steps, counters.

This is the module to import; a series is a function of time, evaluated for the window asked and never expanded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evals.world.shapes import (
    DAY,
    DISTANT,
    NO_SIGNALS,
    Bursts,
    Constant,
    Daily,
    Generator,
    Grid,
    Moment,
    Noise,
    Pulse,
    Ramp,
    Saw,
)

__all__ = [
    "DAY",
    "DISTANT",
    "NO_SIGNALS",
    "Bound",
    "Bursts",
    "Clamp",
    "Constant",
    "Counter",
    "Daily",
    "Generator",
    "Grid",
    "Linear",
    "Moment",
    "Noise",
    "Product",
    "Pulse",
    "Ramp",
    "Saw",
    "Signal",
    "Steps",
    "Sum",
]


@dataclass(frozen=True, slots=True)
class Signal(Generator):
    """Another signal of the same pod or GPU, by name: two series that move together."""

    name: str

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        return grid.signals[self.name].values(seed, grid)

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        return grid.signals[self.name].integral(seed, grid)


@dataclass(frozen=True, slots=True)
class Bound(Generator):
    """A generator as it looks for one pod, whoever asks: its seed and signals are fixed."""

    of: Generator
    seed: int
    signals: Mapping[str, Generator]

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        return self.of.values(self.seed, replace(grid, signals=self.signals))

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        return self.of.integral(self.seed, replace(grid, signals=self.signals))


@dataclass(frozen=True, slots=True)
class Linear(Generator):
    """`offset + scale × of`, `lag` seconds later."""

    of: Generator
    scale: float = 1.0
    offset: float = 0.0
    lag: float = 0.0

    def _whole(self, seed: int, grid: Grid) -> Sequence[float]:
        """The integral of what is scaled, worked out once for all that scale it in this window (buckets do)."""
        key = (id(self.of), seed, id(grid.signals), grid.first, grid.count)
        totals = grid.memo.get(key)
        if totals is None:
            totals = grid.memo[key] = self.of.integral(seed, grid)
        return totals

    def _late(self, grid: Grid) -> Grid:
        return replace(grid, first=grid.first - round(self.lag / grid.step)) if self.lag else grid

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        scale, offset = self.scale, self.offset
        return [offset + scale * value for value in self.of.values(seed, self._late(grid))]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        totals = self._whole(seed, self._late(grid))
        if not self.offset:
            return [self.scale * total for total in totals]
        return [self.offset * x + self.scale * t for x, t in zip(grid.times, totals, strict=True)]


@dataclass(frozen=True, slots=True)
class Sum(Generator):
    """Several generators added up."""

    parts: tuple[Generator, ...]

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
        return [sum(row) for row in zip(*(part.values(seed, grid) for part in self.parts), strict=True)]

    def integral(self, seed: int, grid: Grid) -> Sequence[float]:
        """Running totals before each sample."""
        return [sum(row) for row in zip(*(part.integral(seed, grid) for part in self.parts), strict=True)]


@dataclass(frozen=True, slots=True)
class Product(Generator):
    """Several generators multiplied."""

    parts: tuple[Generator, ...]

    def values(self, seed: int, grid: Grid) -> Sequence[float]:
        """The samples of the grid."""
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
        """The samples of the grid."""
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
        """The samples of the grid."""
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
        """Running totals before each sample."""
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
        """The samples of the grid."""
        born = grid.born if grid.born is not None else round(DISTANT / grid.step)
        starts = [born, *(s for s in sorted(round(r / grid.step) for r in self.resets) if s > born)]
        end = grid.first + grid.count
        out: list[float] = [0.0] * max(0, min(end, born) - grid.first)
        floor = math.floor
        for number, start in enumerate(starts):
            begin = max(grid.first, start)
            stop = min(end, starts[number + 1]) if number + 1 < len(starts) else end
            if begin < stop:
                base = self.rate.integral(seed, grid.at(start))[0]
                totals = self.rate.integral(seed, replace(grid, first=begin, count=stop - begin))
                if self.whole:
                    out.extend([float(floor(total - base + 0.5)) for total in totals])
                else:
                    out.extend([round(total - base, 6) for total in totals])
        return out
