"""A document as Markdown in which no untrusted text can become markup or a link."""

from __future__ import annotations

import re

from agent.render.document import Document, Span

SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:@/])")


def escape(text: str) -> str:
    """Text with every character that Markdown, HTML or an autolinker could act on made harmless."""
    return SPECIAL.sub(lambda m: {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(m.group(1), "\\" + m.group(1)), text)


def draw(document: Document) -> str:
    """The document as Markdown text."""
    rows: list[str] = []
    for line in document.lines:
        text = "".join(_span(span) for span in line.spans).strip()
        lead = escape(line.lead.strip())
        if line.lead.startswith("●"):
            rows.append(f"\n### {text}\n")
        elif lead:
            rows.append(f"- **{lead}** {text}")
        else:
            rows.append(f"\n{text}")
    return "\n".join(rows).strip() + "\n"


def _span(span: Span) -> str:
    text = escape(span.text)
    return f"**{text.strip()}** " if span.role == "cause" else text
