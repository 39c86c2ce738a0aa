"""Charts as inline SVG: bars with intervals, shares side by side, the calls of a sample over time.

Rules: every chart has a title that says in words what it shows and a description with its numbers, as nobody hears a
drawing; colours come from the page's style, so that both colour schemes work.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import NamedTuple

from agent.render.html import element

WIDTH = 720
"""Units across; a page scales it."""
LABEL, NUMBER = 170, 120
"""Room for a row's name, and for its numbers."""
ROW = 24


class Bar(NamedTuple):
    """A row: how much of the whole, where the true share may lie, and what stands beside it."""

    label: str
    share: float
    """0 to 1."""
    interval: tuple[float, float] | None
    told: str
    kind: str = "bar"
    """Class of the bar."""


class Call(NamedTuple):
    """A tool call on the time line, in seconds from the start of the sample."""

    label: str
    begun: float
    ended: float
    status: str


def bars(title: str, rows: Sequence[Bar]) -> ET.Element:
    """Horizontal bars from 0 to 1, each with its interval as a whisker."""
    room = WIDTH - LABEL - NUMBER
    parts = [element("title", title), element("desc", "; ".join(f"{row.label}: {row.told}" for row in rows))]
    for number, row in enumerate(rows):
        top = number * ROW
        middle = top + ROW / 2
        parts.append(element("text", row.label, x=LABEL - 8, y=middle + 4, class_="end"))
        parts.append(element("rect", x=LABEL, y=top + 4, width=room, height=ROW - 8, class_="back"))
        parts.append(element("rect", x=LABEL, y=top + 4, width=_px(room * row.share), height=ROW - 8, class_=row.kind))
        if row.interval is not None:
            low, high = (LABEL + room * min(1.0, max(0.0, share)) for share in row.interval)
            parts.append(element("line", x1=_px(low), x2=_px(high), y1=middle, y2=middle, class_="whisker"))
        parts.append(element("text", row.told, x=LABEL + room + 8, y=middle + 4))
    return _svg(title, WIDTH, ROW * len(rows), parts)


def timeline(title: str, calls: Sequence[Call], length: float) -> ET.Element:
    """The calls of a sample, each from when it was let through to when it came back."""
    room, row = WIDTH - LABEL - NUMBER, 14
    scale = room / length if length > 0 else 0.0
    told = [f"{call.label}: {_took(call)}, from {call.begun:.2f} s" for call in calls]
    parts = [element("title", title), element("desc", "; ".join(told))]
    for number, call in enumerate(calls):
        top = number * row
        left, wide = LABEL + call.begun * scale, max(1.5, (call.ended - call.begun) * scale)
        parts.append(element("text", call.label, x=LABEL - 8, y=top + 11, class_="end small"))
        bar = element("rect", x=_px(left), y=top + 2, width=_px(wide), height=row - 4, class_=f"call {call.status}")
        parts.append(bar)
        parts.append(element("text", _took(call), x=LABEL + room + 8, y=top + 11, class_="small"))
    bottom = row * len(calls)
    parts.append(element("line", x1=LABEL, x2=LABEL + room, y1=bottom + 2, y2=bottom + 2, class_="axis"))
    parts.append(element("text", "0 s", x=LABEL, y=bottom + 16, class_="small"))
    parts.append(element("text", f"{length:.2f} s", x=LABEL + room, y=bottom + 16, class_="end small"))
    return _svg(title, WIDTH, bottom + 22, parts)


def _took(call: Call) -> str:
    return f"{(call.ended - call.begun) * 1000:,.0f} ms" + ("" if call.status == "ok" else f" {call.status}")


def _svg(title: str, width: float, height: float, parts: Sequence[ET.Element]) -> ET.Element:
    return element("svg", *parts, viewBox=f"0 0 {width} {max(1, height)}", role="img", aria_label=title, class_="chart")


def _px(value: float) -> str:
    return f"{value:.1f}"
