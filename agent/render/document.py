"""The document tree: blocks of lines, lines of spans. Surfaces draw it; nothing in it is markup.

Rule: a span's text is cleaned when it is made, so that no renderer can be handed a control character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["plain", "cause", "severity", "cite", "label", "muted", "strong", "ok", "warn"]

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufe00-\ufe0f\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Control characters, bidirectional marks, zero-width and tag characters, lone surrogates: none may reach a screen."""


def clean(text: str) -> str:
    """Text with every unsafe character made visible as a space or dropped."""
    return UNSAFE.sub(lambda m: " " if m.group() in "\t\n\r\v\f" else "", text)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text with one meaning."""

    text: str
    role: Role = "plain"

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text))


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line: a lead (bullet or label) and spans that may wrap under it."""

    spans: tuple[Span, ...]
    lead: str = ""
    indent: int = 0


@dataclass(slots=True)
class Document:
    """Lines in order."""

    lines: list[Line] = field(default_factory=list)

    def add(self, *spans: Span, lead: str = "", indent: int = 0) -> None:
        """Append a line."""
        self.lines.append(Line(tuple(spans), lead, indent))
