"""A document as HTML, and self-contained pages: no script, no request, and no text that could become markup.

Rules: pages are trees of elements, never joined strings, so that every text and attribute is escaped on the way out;
text is cleaned when it goes in; the policy of a page forbids whatever could still load or run.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import TypeAlias

from agent.render.document import Document, Line, Span, Table, clean

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Content-Security-Policy: inline style, and nothing else."""


Part: TypeAlias = ET.Element | str


def element(tag: str, *inside: Part, **attributes: str | float) -> ET.Element:
    """An element with its text and children in order; `class_` is class, `aria_label` is aria-label."""
    names = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
    made = ET.Element(tag, {name: clean(value) for name, value in names.items()})
    last: ET.Element | None = None
    for part in inside:
        if isinstance(part, ET.Element):
            made.append(part)
            last = part
        elif last is None:
            made.text = (made.text or "") + clean(part)
        else:
            last.tail = (last.tail or "") + clean(part)
    return made


def draw(document: Document) -> ET.Element:
    """The document as one division; roles of spans are classes."""
    return element("div", *(_table(b) if isinstance(b, Table) else _line(b) for b in document.blocks), class_="doc")


def _line(line: Line) -> ET.Element:
    lead: list[Part] = [element("b", line.lead.strip(), class_="lead"), " "] if line.lead.strip() else []
    tail: list[Part] = [" ", element("span", *map(_span, line.tail), class_="tail")] if line.tail else []
    inside = [*lead, *map(_span, line.spans), *tail]
    if line.whole:
        return element("pre", *inside)
    return element("h4" if line.heading else "p", *inside, class_="in" if line.indent else "")


def _span(span: Span) -> Part:
    return element("span", span.text, class_=span.role) if span.role != "plain" else span.text


def _table(table: Table) -> ET.Element:
    return grid(table.head, ([_span(cell) for cell in row] for row in table.rows))


def grid(head: Iterable[str], rows: Iterable[Iterable[Part]]) -> ET.Element:
    """A table with a named column for each cell."""
    names = element("tr", *(element("th", name, scope="col") for name in head))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    return element("div", element("table", element("thead", names), element("tbody", *body)), class_="wide")


def pairs(rows: Iterable[tuple[str, Part]]) -> ET.Element:
    """A table of two columns, the first naming its row."""
    body = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in rows]
    return element("div", element("table", element("tbody", *body)), class_="wide")


def page(title: str, style: str, *body: ET.Element) -> str:
    """A whole page as text."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", **{"http-equiv": "Content-Security-Policy"}, content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", style),
    )
    root = element("html", head, element("body", *body), lang="en")
    return "<!DOCTYPE html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"
