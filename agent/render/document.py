"""The document tree: lines of spans, and tables of them. Surfaces draw it; nothing in it is markup.

Rule: a span's text is cleaned when it is made, so that no renderer can be handed a control character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["plain", "cause", "severity", "cite", "label", "muted", "strong", "ok", "warn"]

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Control characters, bidirectional marks, zero-width, filler and tag characters, lone surrogates: none may reach a
screen. Evidence was cleaned at the gate; this is the second fence, for whatever did not come through it."""


def clean(text: str) -> str:
    """Text in which white space is a plain space and every other unsafe character is gone."""
    return UNSAFE.sub(lambda m: " " if m.group() in "\t\n\r\v\f\x85\u2028\u2029" else "", text)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text with one meaning."""

    text: str
    role: Role = "plain"

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text))


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line: a lead (bullet or label), spans that may wrap under it, and a tail at the right edge."""

    spans: tuple[Span, ...]
    lead: str = ""
    indent: int = 0
    hang: int = 0
    """Columns by which its wrapped rows are indented; 0 means as wide as indent and lead."""
    tail: tuple[Span, ...] = ()
    heading: bool = False
    """Opens a part of the answer (a finding)."""
    whole: bool = False
    """Never wrapped or cut, so that it can be copied: a query, a value."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; every row has as many cells as there are names."""

    head: tuple[str, ...]
    rows: tuple[tuple[Span, ...], ...]


@dataclass(slots=True)
class Document:
    """Lines and tables in order."""

    blocks: list[Line | Table] = field(default_factory=list)

    def add(self, *spans: Span, lead: str = "", indent: int = 0, hang: int = 0) -> None:
        """Append a line."""
        self.blocks.append(Line(spans, lead, indent, hang))

    def whole(self, *spans: Span) -> None:
        """Append a line that is copied rather than read."""
        self.blocks.append(Line(spans, whole=True))

    def head(self, *spans: Span, lead: str, tail: Iterable[Span] = ()) -> None:
        """Append the line that opens a part."""
        self.blocks.append(Line(spans, lead, tail=tuple(tail), heading=True))

    def table(self, head: Iterable[str], rows: Iterable[Iterable[Span]]) -> None:
        """Append a table. Raises ValueError when a row does not fit its head."""
        names, cells = tuple(head), tuple(tuple(row) for row in rows)
        if any(len(row) != len(names) for row in cells):
            raise ValueError("a row has more or fewer cells than the table has columns")
        self.blocks.append(Table(names, cells))
