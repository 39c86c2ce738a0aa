"""A document on a terminal: wrapped to its width, coloured with sequences of our own and no others."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from agent.render.document import Document, Line, Role, Span

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
HANG = 13
"""Columns by which wrapped lines are indented."""
NARROWEST = 40


def width_of(text: str) -> int:
    """Terminal columns of cleaned text."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def draw(document: Document, *, width: int, color: bool) -> str:
    """The document as text ending in a newline."""
    columns = max(NARROWEST, width)
    return "".join(f"{row}\n" for line in document.lines for row in _wrap(line, columns, color=color))


def _paint(span: Span, *, color: bool) -> str:
    style = STYLES.get(span.role)
    return f"\x1b[{style}m{span.text}\x1b[0m" if color and style and span.text.strip() else span.text


def _words(line: Line) -> list[Span]:
    """The spans cut into words, each keeping its trailing space."""
    out: list[Span] = []
    for span in line.spans:
        pieces = span.text.split(" ")
        words = [f"{piece} " for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])
        out += [Span(word, span.role) for word in words]
    return out


def _wrap(line: Line, columns: int, *, color: bool) -> list[str]:
    lead = " " * line.indent + line.lead
    rows: list[str] = []
    current, used = lead, width_of(lead)
    fresh = True
    for word in _words(line):
        size = width_of(word.text.rstrip(" "))
        if not fresh and used + size > columns:
            rows.append(current.rstrip(" "))
            current, used = " " * HANG, HANG
        current += _paint(word, color=color)
        used += width_of(word.text)
        fresh = False
    rows.append(current.rstrip(" "))
    return rows
