"""A document as Markdown in which no untrusted text can become markup or a link."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.render.document import Document, Line, Span, Table

SPECIAL = re.compile(r"(^\s*[#+\-=]|[\\`*_\[\]<>|~&$])")
LINKS = re.compile(r"(?i)(?<=[a-z])(:)(?=//)|(?<=www)(\.)|(@)|(?<=mailto)(:)|(?<=xmpp)(:)|^(\d+)(?=[.)])")
"""What GitHub-flavoured Markdown links by itself (its spec, section 6.9), and what would open a numbered list."""
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def escape(text: str) -> str:
    """Text with every character that Markdown, HTML or an autolinker could act on made harmless."""
    safe = SPECIAL.sub(lambda m: _ENTITIES.get(m.group(1), "\\" + m.group(1).lstrip()), text)
    return LINKS.sub(lambda m: "".join(f"&#{ord(c)};" for c in m.group()), safe)


def draw(document: Document) -> str:
    """The document as Markdown text."""
    rows: list[str] = []
    for block in document.blocks:
        rows += _table(block) if isinstance(block, Table) else [_line(block)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(rows)).strip() + "\n"


def _line(line: Line) -> str:
    text = _spans(line.spans)
    lead = escape(line.lead.strip("●○✎→? "))
    if line.heading:
        tail = f" ({_spans(line.tail)})" if line.tail else ""
        return f"\n### {text}{tail}\n"
    return f"- **{lead}** {text}" if lead else f"\n{text}"


def _spans(spans: Iterable[Span]) -> str:
    return "".join(f"**{escape(s.text.strip())}**" if s.role == "cause" else escape(s.text) for s in spans).strip()


def _table(table: Table) -> list[str]:
    rows = [[escape(name) for name in table.head], ["---"] * len(table.head)]
    rows += [[escape(cell.text) for cell in row] for row in table.rows]
    return ["", *(f"| {' | '.join(row)} |" for row in rows), ""]
