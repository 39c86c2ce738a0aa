"""Every text of one piece of evidence, searched for words that stand inside one.

Rule: what an answer may search through is bounded; beyond it nothing is found, so a statement loses and never gains.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Generic, TypeVar

MAX_SCANNED = 256_000_000
"""Characters that may be searched through, all searches of one answer together: half a second or so."""
MAX_HITS = 64
_RUN = re.compile(r"[a-z0-9]+")
_DIGITS = re.compile(r"\d+")
P = TypeVar("P")


class Texts(Generic[P]):
    """Lower-case texts, each with its place. Add first, then search."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._places: list[P] = []
        self._found: dict[tuple[str, str, str], P | None] = {}
        self._left = MAX_SCANNED

    def add(self, text: str, place: P) -> None:
        """Add one."""
        self._texts.append(text)
        self._places.append(place)

    @cached_property
    def _blob(self) -> tuple[str, list[int]]:
        starts, at = [], 0
        for text in self._texts:
            starts.append(at)
            at += len(text) + 1
        return "\n".join(self._texts), starts

    @cached_property
    def _runs(self) -> frozenset[str]:
        """Every run of letters and digits, and of digits alone: a text that is not made of them stands nowhere."""
        blob, _ = self._blob
        return frozenset(_RUN.findall(blob)) | frozenset(_DIGITS.findall(blob))

    def within(self, text: str, before: str, after: str) -> P | None:
        """Where a text stands inside another, not preceded or followed by what the two patterns match.

        Both patterns have to match a digit at least, so that a run of digits is found whole or not at all.
        """
        wanted = (text, before, after)
        if wanted not in self._found:
            self._found[wanted] = self._search(text, before, after)
        return self._found[wanted]

    def _search(self, text: str, before: str, after: str) -> P | None:
        blob, starts = self._blob
        if not text or not self._runs.issuperset(_RUN.findall(text)):
            return None
        end = 0
        for _ in range(MAX_HITS):
            at = blob.find(text, end) if self._left > 0 else -1
            self._left -= (at if at >= 0 else len(blob)) - end
            if at < 0:
                return None
            end = at + len(text)
            free = at == 0 or re.match(before, blob[at - 1]) is None
            if free and (end == len(blob) or re.match(after, blob[end : end + 2]) is None):
                return self._places[bisect_right(starts, at) - 1]
        return None
