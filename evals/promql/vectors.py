"""Steps of a query and the few operations on "series by steps" that everything else is made of.

Rules: rows are never changed once shared; two series with equal labels may not both have a value at one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from evals.promql.model import NAME, ExecutionError, Labels, Row, Vector

Identity = frozenset[tuple[str, str]]


class Grid:
    """Equally spaced moments at which an expression is evaluated, in milliseconds."""

    def __init__(self, start: int, step: int, count: int) -> None:
        self.start, self.step, self.count = start, step, count

    @property
    def end(self) -> int:
        """The last moment."""
        return self.start + self.step * (self.count - 1)

    @property
    def key(self) -> tuple[int, int, int]:
        """What makes two grids the same."""
        return (self.start, self.step, self.count)

    @cached_property
    def moments(self) -> list[int]:
        """All moments, in milliseconds."""
        return [self.start + self.step * i for i in range(self.count)]

    @cached_property
    def seconds(self) -> list[float]:
        """All moments, in seconds."""
        return [moment / 1000 for moment in self.moments]

    def shifted(self, by: int) -> Grid:
        """The same steps `by` milliseconds later."""
        return Grid(self.start + by, self.step, self.count)

    def pinned(self, moment: int) -> Grid:
        """As many steps, all at one moment (the @ modifier)."""
        return Grid(moment, 0, self.count)


def identity(labels: Labels) -> Identity:
    """A label set as a hashable value."""
    return frozenset(labels.items())


def unnamed(labels: Labels) -> Labels:
    """The labels without the metric name."""
    if NAME not in labels:
        return labels
    rest = labels.copy()
    del rest[NAME]
    return rest


def mapped(vector: Vector, function: Callable[[float], float]) -> Vector:
    """`function` of every value; metric names are dropped."""
    return merged(
        (unnamed(labels), [None if value is None else function(value) for value in row]) for labels, row in vector
    )


def merged(series: Iterable[tuple[Labels, Row]]) -> Vector:
    """Series with equal labels joined into one. Raises ExecutionError where two have a value at the same step."""
    out: dict[Identity, tuple[Labels, Row]] = {}
    for labels, row in series:
        key = identity(labels)
        known = out.get(key)
        out[key] = (labels, row) if known is None else (labels, joined(known[1], row))
    return list(out.values())


def joined(first: Row, second: Row) -> Row:
    """Two rows that never overlap as one."""
    if any(a is not None and b is not None for a, b in zip(first, second)):
        raise ExecutionError("vector cannot contain metrics with the same labelset")
    return [b if a is None else a for a, b in zip(first, second)]


def distinct(series: Iterable[tuple[Labels, Row]]) -> Vector:
    """Series that are not all empty. Raises ExecutionError when two have equal labels, at whatever steps."""
    out = [(labels, row) for labels, row in series if row.count(None) < len(row)]
    if len({identity(labels) for labels, _ in out}) < len(out):
        raise ExecutionError("vector cannot contain metrics with the same labelset")
    return out


def presence(rows: Sequence[Row], count: int) -> list[bool]:
    """For each step, whether any of the rows has a value."""
    if len(rows) == 1:
        return [value is not None for value in rows[0]]
    if not rows:
        return [False] * count
    return [any(value is not None for value in column) for column in zip(*rows)]


def signer(labels: Sequence[str], *, on: bool) -> Callable[[Labels], object]:
    """A function from label sets to what they are matched or grouped by: only these labels, or all others."""
    if on:
        wanted = tuple(labels)
        if len(wanted) == 1:
            only = wanted[0]
            return lambda given: given.get(only, "")
        return lambda given: tuple([given.get(label, "") for label in wanted])
    left_out = {NAME, *labels}
    return lambda given: frozenset([pair for pair in given.items() if pair[0] not in left_out])
