"""What stands behind a statement: its citations resolved, and for each amount, time and name the value that bears it.

Rules: where a statement names objects, its amounts have to stand in their rows, or be computed over all of them.
Computed are what a reader can redo: counts, sums, means, extremes, differences and ratios.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, islice, pairwise

from agent.grounding.shelf import WHOLE, Place, Shape, Shelf, Span, Summary
from agent.grounding.vocabulary import AFFIXES, english, named
from agent.grounding.words import Amount, tokens
from agent.phrases import KINDS, STOP
from tools import fields
from tools.types import EvidenceRef

MAX_TERMS = 5
"""Words of a statement by which rows are counted."""
MAX_WORK = 200_000
"""Numbers summed up for a part of the rows; above, only sums over all rows are looked at."""
ABOUT = 0.05
"""What "about" allows on either side."""
MAX_TRIED = 2_000
"""Equal numbers that are looked at for one that counts what the statement counts."""
COUNTED: dict[str, tuple[str, ...]] = {
    "pod": (
        "pod",
        "replica",
        "number",
        "active",
        "ready",
        "running",
        "succeeded",
        "failed",
        "completions",
        "scheduled",
    ),
    "node": ("node", "number", "scheduled"),
    "gpu": ("gpu", "mig", "device"),
    "replica": ("replica", "size", "number"),
    "job": ("job", "replicated", "succeeded", "failed"),
    "request": ("request", "num_requests", "waiting", "running"),
    "restart": ("restart",),
    "deployment": ("deployment",),
    "namespace": ("namespace",),
    "notebook": ("notebook",),
    "team": ("team",),
    "queue": ("queue",),
    "tenant": ("tenant",),
    "user": ("user",),
}
"""What is counted → what a field or a query that counts it has in its name."""
_TIMES = (1.0, 1e-3, 1e-6, 60.0, 3600.0, 86_400.0)
_SIZES = (1.0, 2.0**10, 2.0**20, 2.0**30, 1e3, 1e6, 1e9)
_TWINS = {1e3: 2.0**10, 1e6: 2.0**20, 1e9: 2.0**30, 1e12: 2.0**40}
"""Decimal units that are often meant as binary ones."""
_PLURAL = re.compile(r"[A-Za-z]{1,3}\d{2,4}s")
_MEASURES = frozenset(("value", "points"))


@dataclass
class Cited:
    """One shelf that a statement cites, and what of it."""

    shelf: Shelf
    rows: set[int] = field(default_factory=set)
    places: list[Place] = field(default_factory=list)
    """Values cited by their paths."""
    chosen: set[int] | None = None
    """Rows the statement is about; None: all."""
    terms: list[Set[int]] = field(default_factory=list)
    """Rows that hold a word of the statement, one set a word."""

    @cached_property
    def sizes(self) -> frozenset[int]:
        """What can be counted: the rows, those that hold a word, or two, or all words; those at zero and those not."""
        total, chosen = len(self.shelf.rows), self.chosen
        sets = [*self.terms, *([chosen] if chosen else [])]
        sizes = {total, *(len(rows) for rows in sets)}
        sizes |= {len(a & b) for a, b in combinations(sets, 2)}
        sizes |= {len(set(sets[0]).intersection(*sets[1:]))} if sets else set()
        measured = self.shelf.columns.get(("value",))
        if measured is not None and measured.values:
            zeros = measured.values.count(0.0)
            sizes |= {zeros, len(measured.values) - zeros}
        return frozenset(sizes)

    @cached_property
    def summaries(self) -> dict[Shape, Summary]:
        """Of the rows the statement is about."""
        shelf = self.shelf
        if self.chosen is not None and sum(len(c.values) for c in shelf.columns.values()) > MAX_WORK:
            return {}
        return shelf.summaries(self.chosen)

    @cached_property
    def moments(self) -> list[tuple[float, Place]]:
        """Of the rows the statement is about."""
        return self.shelf.times_of(self.chosen or set())


class Support:
    """The evidence behind one statement."""

    def __init__(self, cited: Sequence[Cited], text: str, names: Sequence[str]) -> None:
        self._cited = cited
        self._excludes = EXCLUDES.search(text) is not None
        self._overall = OVERALL.search(text) is not None
        self._compares = COMPARES.search(text) is not None
        self.values: list[float] = []
        """Numbers found so far, for differences and ratios."""
        spoken = {token.lower() for token, _ in islice(tokens(text), 120)}
        for entry in cited:
            shelf = entry.shelf
            named_rows = [rows for name in names if (rows := shelf.rows_with(name))]
            entry.chosen = set(entry.rows).union(*named_rows) or None
            held = [shelf.holding(word) for word in spoken if word in shelf.holders and word not in STOP]
            entry.terms = [*named_rows[:MAX_TERMS], *sorted(held, key=len)[:MAX_TERMS]]
            for place in entry.places:
                number = fields.number({"": shelf.value(place)}, "")
                self.values += [number] if number is not None else []

    # --- names and times -----------------------------------------------------------------------------------

    def name(self, name: str) -> EvidenceRef | None:
        """A reference to where a name stands."""
        for entry in self._cited:
            place = entry.shelf.name(name)
            if place is not None:
                return entry.shelf.ref(place)
        parts = [part for part in re.split(r"[/:]", name) if part]
        if 1 < len(parts) <= 4:
            found = [self.name(part) for part in parts if part.lower() not in KINDS and named_or_plain(part)]
            return found[-1] if found and None not in found else None
        if _PLURAL.fullmatch(name):
            return self.name(name[:-1])
        if "_" in name:
            return self.name(name.replace("_", "-"))
        stem, _, last = name.rpartition("-")
        if stem and (last.lower() in AFFIXES or last.endswith(("ed", "ing"))):
            return self.name(stem)
        return None

    def time(self, text: str) -> EvidenceRef | None:
        """A reference to where a moment stands, whole or in part."""
        low = text.lower().removesuffix("z")
        for entry in self._cited:
            shelf = entry.shelf
            place = shelf.texts.within(low, r"[\d:]" if low[:1].isdigit() else r":", r"\d")
            if place is None and any(low in moment for moment in shelf.moments):
                place = Place(WHOLE)
            if place is not None:
                return shelf.ref(place)
        return None

    # --- numbers -------------------------------------------------------------------------------------------

    def number(self, amount: Amount, token: str) -> EvidenceRef | None:
        """A reference to what bears an amount: a value, else what it can be computed from."""
        for find in (self._stands, self._written, self._counted, self._aggregated, self._lasted, self._bounded):
            for entry in self._cited:
                place = find(entry, amount, token)
                if place is not None:
                    self._note(entry.shelf, place, amount)
                    return entry.shelf.ref(place)
        return None

    def follows(self, amount: Amount) -> bool:
        """True for a sum, difference or ratio of two numbers found before."""
        spans = list(spans_of(amount))
        parts = [1 - share for share in self.values if 0 <= share <= 1] if amount.unit == "percent" else []
        if any(low <= part <= high for part in parts for low, high in spans):
            return True
        for a, b in combinations(self.values[:24], 2):
            made = [a + b, a - b, b - a, *([a / b] if b else []), *([b / a] if a else [])]
            made += [1 - x for x in made[3:]] if amount.unit == "percent" else []
            if any(low <= number <= high for number in made for low, high in spans):
                return True
        return False

    def _note(self, shelf: Shelf, place: Place, amount: Amount) -> None:
        number = fields.number({"": shelf.value(place)}, "") if place.row != WHOLE else None
        spans = spans_of(amount)
        exact = number is not None and any(low <= number <= high for low, high in spans)
        self.values.append(number if exact and number is not None else amount.value * amount.factor)

    def _stands(self, entry: Cited, amount: Amount, token: str) -> Place | None:
        spans = list(spans_of(amount))
        for place in entry.places:
            number = fields.number({"": entry.shelf.value(place)}, "")
            if number is not None and any(low <= number <= high for low, high in spans):
                return place
        noun = amount.noun.removesuffix("s")
        if noun and noun == entry.shelf.kind:  # a count, not a value that happens to be equal
            return None
        found = entry.shelf.numbers_in(spans, None if self._compares else entry.chosen)
        return next((place for place in islice(found, MAX_TRIED) if self._counts(entry.shelf, amount, place)), None)

    def _counts(self, shelf: Shelf, amount: Amount, place: Place) -> bool:
        """False where a statement counts things and the number that equals its own counts something else."""
        noun = amount.noun.removesuffix("s")
        return amount.unit != "" or amount.step < 1 or noun not in COUNTED or shelf.counts(place, COUNTED[noun])

    def _written(self, entry: Cited, amount: Amount, token: str) -> Place | None:
        """Where the number stands inside a text: an argument, a message, a name with digits."""
        low = token.lower()
        if any(c.isalpha() for c in low):
            return entry.shelf.name(low)
        if amount.written and (found := entry.shelf.name(low + amount.written)):
            return found
        digits = f"{amount.value:g}" if amount.step >= 1 else low
        place = entry.shelf.texts.within(digits, r"[\w.\-]", r"[\w]|\.\d|-\w")
        if place is None or (entry.chosen and place.row not in entry.chosen and place.row != WHOLE):
            return None
        return place

    def _counted(self, entry: Cited, amount: Amount, token: str) -> Place | None:
        if amount.unit or amount.step < 1 or entry.shelf.evidence.status == "truncated":
            return None
        chosen, sizes = entry.chosen, entry.sizes
        left = len(entry.shelf.rows) - amount.value if self._excludes else amount.value
        if amount.value in sizes or left in sizes or self._distinct(entry, amount):
            return Place(WHOLE)
        noun = amount.noun.removesuffix("s")
        for place in entry.shelf.lengths.get(int(amount.value), ()) if noun else ():
            last = place.path[-1] if place.path else ""
            if isinstance(last, str) and last.lower().startswith(noun) and (not chosen or place.row in chosen):
                return place
        return None

    def _distinct(self, entry: Cited, amount: Amount) -> bool:
        """True where that many different values stand in a field that the noun names."""
        noun = amount.noun.removesuffix("s")
        shelf = entry.shelf
        if len(noun) < 3 or amount.value > len(shelf.rows):
            return False
        paths = [p.path for name, p in shelf.names.items() if "." not in name and name.startswith(noun)][:MAX_TERMS]
        if entry.chosen is None:
            return any(shelf.different(path) == amount.value for path in paths)
        return any(shelf.different_in(entry.chosen, path) == amount.value for path in paths)

    def _aggregated(self, entry: Cited, amount: Amount, token: str) -> Place | None:
        shelf, spans = entry.shelf, list(spans_of(amount))
        if shelf.evidence.status == "truncated":
            return None
        noun = amount.noun.removesuffix("s") if shelf.kind else ""
        if noun and noun == shelf.kind:
            return None
        sources = [entry.summaries, *([shelf.summaries(None)] if entry.chosen is not None and self._overall else [])]
        for shape, made in (item for source in sources for item in source.items()):
            fits = any(low <= number <= high for number in made for low, high in spans)
            if fits and noun in "".join(shape[-1:]).lower() and self._counts(shelf, amount, Place(0, shape)):
                return Place(WHOLE)
        return None

    def _lasted(self, entry: Cited, amount: Amount, token: str) -> Place | None:
        """An age, the time between two moments of an object, or a window of the query."""
        if amount.unit != "seconds":
            return None
        shelf, tolerance = entry.shelf, amount.step * amount.factor
        wanted = amount.value * amount.factor
        if any(abs(seconds - wanted) < 1e-6 * max(1.0, wanted) for seconds in shelf.durations):
            return Place(WHOLE)
        aged = shelf.aged(wanted - tolerance, wanted + tolerance, entry.chosen)
        if aged is not None:
            return aged
        for (first, place), (second, other) in pairwise(entry.moments):
            if place.row == other.row and abs(abs(second - first) - wanted) < tolerance:
                return place
        return None

    def _bounded(self, entry: Cited, amount: Amount, token: str) -> Place | None:
        """A bound that every measured value keeps: `all below 5 %`."""
        if amount.hedge not in ("below", "above"):
            return None
        bound = amount.value * (amount.factor if amount.unit != "percent" else 1.0)
        for shape, (least, greatest, *_) in entry.summaries.items():
            if _MEASURES.isdisjoint(shape[:1]):
                continue
            limit = bound / 100 if amount.unit == "percent" and greatest <= 1.0 else bound
            if (greatest <= limit) if amount.hedge == "below" else (least >= limit):
                return Place(WHOLE)
        return None


def named_or_plain(part: str) -> bool:
    """True for a part of a path that has to stand in evidence itself."""
    return named(part) or not english(part)


def spans_of(amount: Amount) -> Iterator[Span]:
    """What values an amount may stand for, in the units evidence may have: rounded or cut to the digits shown."""
    low, high = amount.value - amount.step / 2, amount.value + amount.step * (1 - 1e-9)
    if amount.hedge == "about":
        slack = max(amount.step, abs(amount.value) * ABOUT)
        low, high = amount.value - slack, amount.value + slack
    low -= abs(low) * 1e-9
    for factor in _factors(amount):
        if math.isfinite(low * factor) and math.isfinite(high * factor):
            yield low * factor, high * factor


def _factors(amount: Amount) -> list[float]:
    """Factors from the amount as written to what evidence may hold."""
    if amount.unit == "percent":
        return [0.01, 1.0]
    if amount.unit == "seconds":
        return [amount.factor / unit for unit in _TIMES] + ([1e-3] if amount.factor == 60.0 else [])
    if amount.unit in ("bytes", "scale"):
        bases = [amount.factor, *([_TWINS[amount.factor]] if amount.factor in _TWINS else [])]
        sizes = _SIZES if amount.unit == "bytes" else (1.0,)
        return [base / size for base in bases for size in sizes]
    return [1.0]


COMPARES = re.compile(r"(?i)\b(?:other|others|rest|compared|average|whereas|elsewhere|remaining|versus|vs|than|else)\b")
"""Words by which a statement speaks of more than it names."""
OVERALL = re.compile(
    r"(?i)\b(?:average|averages|mean|total|sum|altogether|overall|all|every|across|cluster|fleet|highest|lowest|most|least"
    r"|max\w*|min\w*|peak\w*|other\w*|rest|remaining|compared|than)\b"
)
"""Words by which a statement speaks of all rows beside those it names."""
EXCLUDES = re.compile(r"(?i)\b(?:other|others|rest|remaining|remainder|not|no|none|never|without|except|but|\w+n't)\b")
"""Words by which a statement may count what it does not name."""
SAYS_SO = re.compile(
    r"""(?ix)\b(?:
      den(?:ied|ies) | forbid\w* | unavailable | unreachable | unknown | unable | unclear | inconclusive | without
    | fail\w* | missing | permissions? | time(?:d\s|-)?out | lack\w* | refus\w* | errors?
    | not\s(?:be\s)?(?:allowed|permitted|available|read|seen|known|checked|measured|reach\w+|answer\w*|visible|told)
    | no\s(?:access|answer|permission|data|metrics|series|telemetry|evidence) | can(?:not|'t|\snot) | could(?:\snot|n't)
    )\b"""
)
"""Words by which a statement says that something could not be looked at."""
