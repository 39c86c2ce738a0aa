"""A document on a terminal: wrapped to its width, coloured with sequences of our own and no others."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from agent.render.document import Document, Line, Role, Span, Table

STYLES: Mapping[Role, str] = {
    "cause": "1;35",
    "severity": "33",
    "cite": "36",
    "label": "2",
    "muted": "2",
    "strong": "1",
    "ok": "32",
    "warn": "33",
}
NARROWEST = 40
GAP = 2
"""Columns between table cells, and before a tail."""


def width_of(text: str) -> int:
    """Terminal columns of cleaned text."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def draw(document: Document, *, width: int, color: bool) -> str:
    """The document as text ending in a newline."""
    columns = max(NARROWEST, width)
    rows: list[str] = []
    for block in document.blocks:
        rows += _table(block, columns, color=color) if isinstance(block, Table) else _line(block, columns, color=color)
    return "".join(f"{row}\n" for row in rows)


def _paint(text: str, role: Role, *, color: bool) -> str:
    style = STYLES.get(role)
    return f"\x1b[{style}m{text}\x1b[0m" if color and style and text.strip() else text


def _pieces(word: str, room: int) -> list[str]:
    """A word, or, where it is wider than a whole row, the pieces it has to be cut into."""
    if width_of(word) <= room:
        return [word]
    out, current, used = [], "", 0
    for character in word:
        size = width_of(character)
        if used + size > room:
            out.append(current)
            current, used = "", 0
        current, used = current + character, used + size
    return [*out, current]


def _words(spans: Sequence[Span], room: int) -> list[tuple[str, Role]]:
    """The spans cut into words, each keeping its trailing space."""
    out: list[tuple[str, Role]] = []
    for span in spans:
        pieces = span.text.split(" ")
        for piece in pieces[:-1]:
            out += [(p, span.role) for p in _pieces(piece, room)[:-1]]
            out.append((_pieces(piece, room)[-1] + " ", span.role))
        if pieces[-1]:
            out += [(p, span.role) for p in _pieces(pieces[-1], room)]
    return out


def _line(line: Line, columns: int, *, color: bool) -> list[str]:
    if line.whole:
        return ["".join(_paint(span.text, span.role, color=color) for span in line.spans)]
    lead = " " * line.indent + line.lead
    hang = min(line.hang or width_of(lead), columns // 2)
    rows: list[str] = []
    current, used, fresh = _paint(lead, "label" if line.indent else "plain", color=color), width_of(lead), True
    for word, role in _words(line.spans, columns - hang):
        size = width_of(word.rstrip(" "))
        if not fresh and used + size > columns:
            rows.append(current.rstrip(" "))
            current, used = " " * hang, hang
        current += _paint(word, role, color=color)
        used += width_of(word)
        fresh = False
    if line.tail:
        tail = sum(width_of(span.text) for span in line.tail)
        if used + GAP + tail > columns:
            rows.append(current.rstrip(" "))
            current, used = "", 0
        current += " " * (columns - used - tail) + "".join(_paint(s.text, s.role, color=color) for s in line.tail)
    rows.append(current.rstrip(" "))
    return rows


def _table(table: Table, columns: int, *, color: bool) -> list[str]:
    """Columns as wide as their widest cell, at most half the terminal; the last one ends at its edge."""
    texts = [tuple(cell.text for cell in row) for row in table.rows]
    longest = [max(width_of(cell) for cell in column) for column in zip(table.head, *texts, strict=True)]
    widths = [min(width, columns // 2) for width in longest]
    rows = [_cells([Span(name, "label") for name in table.head], widths, columns, color=color)]
    return rows + [_cells(row, widths, columns, color=color) for row in table.rows]


def _cells(row: Sequence[Span], widths: Sequence[int], columns: int, *, color: bool) -> str:
    out, used = "", 0
    for index, (span, width) in enumerate(zip(row, widths, strict=True)):
        last = index == len(row) - 1
        text = _cut(span.text, columns - used if last else width)
        out += _paint(text, span.role, color=color)
        if not last:
            out += " " * (width - width_of(text) + GAP)
        used += width + GAP
    return out.rstrip(" ")


def _cut(text: str, room: int) -> str:
    """At most `room` columns (never fewer than 10), an ellipsis telling that something is missing."""
    room = max(room, 10)
    if width_of(text) <= room:
        return text
    return _pieces(text, room - 1)[0] + "…"
