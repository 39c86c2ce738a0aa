"""One piece of evidence, indexed once, so that a statement about ten thousand rows is checked in milliseconds.

Rules: nothing raises on data, however deep or odd; every answer comes with the place where it stands, so that a
reference can name it. Text is compared without case. What is counted is bounded by MAX_LEAVES.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Set
from functools import cached_property
from typing import NamedTuple, TypeAlias

from pydantic import JsonValue

from agent.analysis import queries
from agent.analysis.records import quote
from agent.grounding.texts import Texts
from agent.links import strip
from tools import fields
from tools.types import Evidence, EvidenceRef, JsonObject, pointer

MAX_LEAVES = 400_000
"""Values of one piece of evidence that are indexed; what lies beyond supports nothing."""
MAX_TERM = 80
"""Characters of a value that counts as a term rows can be counted by."""
MAX_TIMED = 200
"""Rows between whose moments durations are looked for."""
MAX_DEPTH = 60
MAX_FEW = 64
"""Rows up to which numbers are looked for row by row."""
Path: TypeAlias = tuple[str | int, ...]
Shape: TypeAlias = tuple[str, ...]
"""A path without list positions."""
Span: TypeAlias = tuple[float, float]
Summary: TypeAlias = tuple[float, ...]
"""Least, greatest, sum and mean; only the first two where the sum is not finite."""
WHOLE = -1
"""The row of a place that is the evidence itself."""
_LISTED = re.compile(r"kubectl get ([a-z]+)")
_LINK = re.compile(r"(?i)://|www\.|mailto:")
_DURATION = re.compile(r"\[(\d{1,6})(ms|[smhdw])[\]:]")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Place(NamedTuple):
    """Where a value stands: number of the row (WHOLE for the evidence itself) and path within it."""

    row: int
    path: Path = ()


class Column(NamedTuple):
    """The numbers of one field over the rows, list positions aside."""

    values: list[float]
    rows: list[int]


class Shelf:
    """The index of one piece of evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.rows = evidence.rows
        self.by_key = {row.key: number for number, row in enumerate(self.rows)}
        self.whole: dict[str, Place] = {}
        self.names: dict[str, Place] = {}
        """Names of fields, alone and as dotted paths."""
        self.holders: dict[str, list[int]] = {}
        """Rows that hold a short value."""
        self.columns: dict[Shape, Column] = {}
        self.lengths: dict[int, list[Place]] = {}
        self.times: list[tuple[float, Place]] = []
        self.tags: set[str] = set()
        """`key=value` of maps whose keys have dots or slashes: labels, resources."""
        self._numbers: list[tuple[float, Place]] = []
        self.texts = Texts[Place]()
        self._shapes: dict[Path, Shape] = {}
        self._sets: dict[str, frozenset[int]] = {}
        self._different: dict[Path, int] = {}
        self._row_sets: dict[str, frozenset[int]] = {}
        self._by_row: dict[int, list[tuple[float, Place]]] = {}
        self._left = MAX_LEAVES
        for text in (evidence.query, evidence.detail, *evidence.warnings):
            self._text(text, Place(WHOLE))
        for number, row in enumerate(self.rows):
            self._key(row.key, number)
            self._walk(row.data, number)
        self._numbers.sort(key=lambda entry: entry[0])
        self._keys_sorted = sorted(self.holders)

    # --- building ------------------------------------------------------------------------------------------

    def _key(self, key: str, number: int) -> None:
        self._text(key, Place(number))
        for part in {key, *key.split("/")}:
            self._hold(part.lower(), number)
            self.whole.setdefault(part.lower(), Place(number))

    def _walk(self, data: JsonValue, number: int) -> None:
        stack: list[tuple[JsonValue, Path]] = [(data, ())]
        while stack and self._left > 0:
            value, path = stack.pop()
            if isinstance(value, dict):
                if "effect" in value:
                    self._taint(value)
                if len(path) < MAX_DEPTH:
                    stack += [(inner, (*path, key)) for key, inner in reversed(value.items())]
            elif isinstance(value, list):
                self.lengths.setdefault(len(value), []).append(Place(number, path))
                if path == ("points",):
                    value = [point[1] if isinstance(point, list) and len(point) == 2 else None for point in value]
                    stack += [(inner, (*path, at, 1)) for at, inner in enumerate(value)]
                elif len(path) < MAX_DEPTH:
                    stack += [(inner, (*path, at)) for at, inner in reversed(list(enumerate(value)))]
            else:
                self._left -= 1
                self._leaf(value, Place(number, path))

    def _taint(self, taint: JsonObject) -> None:
        key, value, effect = (fields.text(taint, name) for name in ("key", "value", "effect"))
        self.tags |= {f"{key}={value}:{effect}", f"{key}:{effect}", f"{key}={value}"}

    def _leaf(self, value: JsonValue, place: Place) -> None:
        shape = self._shape(place)
        if isinstance(value, str):
            self._string(value, place)
        elif isinstance(value, bool):
            self._hold(str(value).lower(), place.row)
        elif isinstance(value, int | float):
            number = fields.number({"": value}, "")
            if number is not None:
                self._number(number, place)
                if "points" not in shape:
                    self._hold(f"{number:g}", place.row)

    def _string(self, value: str, place: Place) -> None:
        low = value.lower()
        self._text(value, place)
        self.whole.setdefault(low, place)
        if len(low) <= MAX_TERM:
            self._hold(low, place.row)
        if value[:1].isdigit() or value[:1] in "+-.":
            number = fields.quantity(value) if len(value) <= 64 else None
            moment = fields.timestamp(value) if number is None else None
            if number is not None:
                self._number(number, place)
            elif moment is not None:
                self.times.append((moment, place))
        last = place.path[-1] if place.path else ""
        if isinstance(last, str) and len(low) <= MAX_TERM and ("." in last or "/" in last):
            self.tags.add(f"{last}={value}")

    def _shape(self, place: Place) -> Shape:
        """The path without list positions; notes the names of fields the first time it is met."""
        known = self._shapes.get(place.path)
        if known is None:
            known = tuple(token for token in place.path if isinstance(token, str))
            self._shapes[place.path] = known
            for start in range(len(known)):
                self.names.setdefault(".".join(known[start:]).lower(), place)
                self.names.setdefault(known[start].lower(), place)
            self.names.setdefault(".".join(known[:-1]).lower(), place)
        return known

    def _hold(self, term: str, row: int) -> None:
        rows = self.holders.setdefault(term, [])
        if not rows or rows[-1] != row:
            rows.append(row)

    def _number(self, number: float, place: Place) -> None:
        if not math.isfinite(number) or "managedFields" in place.path:
            return
        self._numbers.append((number, place))
        values, rows = self.columns.setdefault(self._shape(place), Column([], []))
        values.append(number)
        rows.append(place.row)

    def _text(self, text: str, place: Place) -> None:
        if text and text.lower() not in self.whole:
            self.texts.add(text.lower(), place)

    # --- looking up ----------------------------------------------------------------------------------------

    def numbers_in(self, spans: Iterable[Span], rows: Set[int] | None = None) -> Iterator[Place]:
        """Places of numbers within any of the spans, in these rows only where they are given."""
        spans = list(spans)
        if rows is not None and len(rows) <= MAX_FEW:
            self._by_row = self._by_row or self._numbers_by_row()
            for number, place in (entry for row in sorted(rows) for entry in self._by_row.get(row, ())):
                if any(low <= number <= high for low, high in spans):
                    yield place
            return
        for low, high in spans:
            first = bisect_left(self._numbers, low, key=lambda entry: entry[0])
            last = bisect_right(self._numbers, high, key=lambda entry: entry[0])
            for _, place in self._numbers[first:last]:
                if rows is None or place.row in rows:
                    yield place

    def _numbers_by_row(self) -> dict[int, list[tuple[float, Place]]]:
        out: dict[int, list[tuple[float, Place]]] = {}
        for number, place in self._numbers:
            out.setdefault(place.row, []).append((number, place))
        return out

    def name(self, name: str) -> Place | None:
        """Where a name stands: as a value, a key, a field, the beginning of a generated name, or within a text."""
        low = name.lower()
        found = self.whole.get(low) or self.names.get(low)
        if found is not None:
            return found
        at = bisect_left(self._keys_sorted, f"{low}-")
        if at < len(self._keys_sorted) and self._keys_sorted[at].startswith(f"{low}-"):
            return Place(self.holders[self._keys_sorted[at]][0])
        return self.texts.within(low, r"[a-z0-9]", r"[a-z0-9]")

    def times_of(self, rows: Set[int]) -> list[tuple[float, Place]]:
        """The moments in some rows, row by row."""
        out: list[tuple[float, Place]] = []
        for row in sorted(rows)[:MAX_TIMED]:
            first = bisect_left(self.times, row, key=lambda entry: entry[1].row)
            last = bisect_right(self.times, row, key=lambda entry: entry[1].row)
            out += self.times[first:last]
        return out

    def aged(self, low: float, high: float, rows: Set[int] | None) -> Place | None:
        """A moment of which the evidence was so many seconds old."""
        first = bisect_left(self._ages, low, key=lambda entry: entry[0])
        last = bisect_right(self._ages, high, key=lambda entry: entry[0])
        return next((place for _, place in self._ages[first:last] if rows is None or place.row in rows), None)

    @cached_property
    def _ages(self) -> list[tuple[float, Place]]:
        ages = [(self.evidence.observed_at - moment, place) for moment, place in self.times]
        return sorted(ages, key=lambda entry: entry[0])

    def holding(self, term: str) -> frozenset[int]:
        """Rows that hold exactly this value."""
        if term not in self._sets:
            self._sets[term] = frozenset(self.holders.get(term, ()))
        return self._sets[term]

    def different(self, path: Path) -> int:
        """How many different values stand at a path, over all rows."""
        if path not in self._different:
            self._different[path] = self.different_in(range(len(self.rows)), path)
        return self._different[path]

    def different_in(self, rows: Iterable[int], path: Path) -> int:
        """How many different values stand at a path, over some rows."""
        return len({repr(value) for row in rows if (value := fields.dig(self.rows[row].data, *path)) is not None})

    def rows_with(self, term: str) -> frozenset[int]:
        """Rows that hold a value, or one that a generated name begins with; `a/b` means both."""
        low = term.lower()
        if low not in self._row_sets:
            self._row_sets[low] = frozenset(self._find_rows(low))
        return self._row_sets[low]

    def _find_rows(self, low: str) -> set[int]:
        out = set(self.holders.get(low, ()))
        at = bisect_left(self._keys_sorted, f"{low}-")
        while at < len(self._keys_sorted) and self._keys_sorted[at].startswith(f"{low}-"):
            out.update(self.holders[self._keys_sorted[at]])
            at += 1
        if not out and "/" in low:
            parts = [self.rows_with(part) for part in low.split("/")[:4] if part]
            parts = [rows for rows in parts if rows]
            out = set(frozenset.intersection(*parts)) if len(parts) > 1 else set()
        return out

    def summaries(self, rows: Set[int] | None) -> dict[Shape, Summary]:
        """Least, greatest, and where they are finite sum and mean of each numeric field, over all rows or these."""
        if rows is None:
            return self._summaries
        picked = ((shape, list(_picked(column, rows))) for shape, column in self.columns.items())
        return {shape: _summary(values) for shape, values in picked if values}

    @cached_property
    def _summaries(self) -> dict[Shape, Summary]:
        return {shape: _summary(column.values) for shape, column in self.columns.items()}

    @cached_property
    def durations(self) -> list[float]:
        """Seconds: the windows the query names, and the one it covers."""
        found = [int(m[1]) * _SECONDS[m[2]] for m in _DURATION.finditer(self.evidence.query[:4000])]
        window = self.evidence.window
        return [*found, *([window[1] - window[0]] if window else [])]

    @cached_property
    def kind(self) -> str:
        """The kind its rows are of, in the singular and lower case; "" where they are no objects."""
        match = _LISTED.match(self.evidence.query)
        return match[1] if match else ""

    @cached_property
    def moments(self) -> frozenset[str]:
        """Moments that stand in no row as text: of the answer, its window and its points; RFC 3339, lower case."""
        evidence = self.evidence
        found = {evidence.observed_at, *(evidence.window or ())}
        for row in self.rows[:50]:
            points = row.data.get("points")
            for point in points[:2000] if isinstance(points, list) else ():
                moment = fields.number(point, 0)
                found |= set() if moment is None else {moment}
        return frozenset(fields.rfc3339(moment).lower() for moment in found if 0 <= moment < 1e11)

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Dotted names that stand in structured rows as values, keys or tags; annotations are no identifiers."""
        if self.evidence.trust != "structured":
            return frozenset()
        out = {tag for tag in self.tags if "annotations" not in tag}
        for place in self.whole.values():
            text = self.value(place) if place.path and "annotations" not in place.path else None
            out |= {text} if isinstance(text, str) and "." in text and len(text) < 300 else set()
        for shape in set(self._shapes.values()):
            out |= {token for token in shape if "." in token}
            out |= {".".join(shape[:end]) for end in range(2, len(shape) + 1)}
        return frozenset(out)

    def counts(self, place: Place, words: Iterable[str]) -> bool:
        """True where the field a number stands in, or for a measured value its query, speaks of one of the words."""
        measured = self.evidence.source == "prometheus" or self.evidence.trust == "derived"
        told = [token for token in place.path if isinstance(token, str)]
        if measured and set(told) <= {"value", "points"}:
            told = [self._measured]
        spoken = " ".join(told).lower()
        return any(word in spoken for word in words)

    @cached_property
    def _measured(self) -> str:
        """What its numbers measure: the unit of a named query, else the query as it stands."""
        known = next((query.unit for query in queries.CATALOGUE if query.promql == self.evidence.query), "")
        return known or self.evidence.query

    def value(self, place: Place) -> JsonValue:
        """What stands at a place; the number of rows for the evidence itself."""
        if place.row == WHOLE:
            return len(self.rows)
        return fields.dig(self.rows[place.row].data, *place.path)

    def ref(self, place: Place) -> EvidenceRef:
        """The reference to a place."""
        if place.row == WHOLE or _leads_away(self.rows[place.row].key):
            return EvidenceRef(evidence=self.evidence.id, path="", value=len(self.rows))
        value = self.value(place)
        if isinstance(value, str) and _leads_away(value):  # quoted by its row: a value that links is not carried on
            return self.ref(Place(place.row))
        try:
            path = pointer(self.rows[place.row].key, *place.path)
            return EvidenceRef(evidence=self.evidence.id, path=path, value=quote(value))
        except ValueError:  # not to be written as JSON
            return EvidenceRef(evidence=self.evidence.id, path="", value=len(self.rows))


def _leads_away(text: str) -> bool:
    """True for a text that a reader's screen could turn into a link; a name or an image alone is none."""
    return _LINK.search(text) is not None or (any(c.isspace() for c in text) and strip(text)[1] > 0)


def _picked(column: Column, rows: Set[int]) -> Iterator[float]:
    """The numbers of some rows; the rows of a column are in ascending order."""
    if len(rows) * 8 > len(column.rows):
        yield from (value for value, row in zip(column.values, column.rows, strict=True) if row in rows)
        return
    for row in rows:
        at = bisect_left(column.rows, row)
        while at < len(column.rows) and column.rows[at] == row:
            yield column.values[at]
            at += 1


def _summary(values: list[float]) -> Summary:
    try:
        total = math.fsum(values)
    except OverflowError:
        return min(values), max(values)
    return min(values), max(values), total, total / len(values)
