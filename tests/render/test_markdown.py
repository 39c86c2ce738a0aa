"""Markdown in which no text of others is markup, a link, a mention or HTML."""

from __future__ import annotations

import re

import pytest

from agent.render import markdown
from agent.render.answer import answer
from agent.render.evidence import evidence as evidence_document
from tests.render.build import FINDING, diagnosis, evidence, explained

RAW = (
    "[click](http://x.example)",
    "![](http://x.example/pixel)",
    "<img src=x onerror=alert(1)>",
    "**bold** _it_ `code` ~~s~~",
    "https://x.example/a?b=c",
    "www.x.example",
    "@channel",
    "mailto:a@x.example",
    "| a | b |",
    "# head",
    "- item",
    "1. item",
    "$\\phi$",
    "a&amp;b",
)


@pytest.mark.parametrize("raw", RAW)
def test_text_stays_text(raw: str) -> None:
    escaped = markdown.escape(raw)
    active = re.sub(r"\\[\\`*_\[\]<>|~&$#+\-=]|&(?:lt|gt|amp|#\d+);", "", escaped)
    assert not re.search(r"[`*_\[\]<>|~&$@]", active)
    assert "://" not in active
    assert not re.search(r"(?i)www\.|^\d+[.)]|^\s*[#+\-=]|mailto:", active)


def test_an_answer() -> None:
    text = markdown.draw(answer(diagnosis()))
    assert text.startswith("### **U13**  Deployment search/chat-70b scales on CPU")
    assert "(root · high)\n\n- **seen** HPA search/chat-70b targets cpu 80 % \\[E4\\]" in text
    assert text.endswith("31 calls · 34 requests · 1.1 s · playbook\n")


def test_what_a_model_adds() -> None:
    text = markdown.draw(answer(explained()))
    assert text.startswith("- **the model says** CPU stays at its target while tokens pile up \\[E4\\]\\[E11\\]\n")
    assert "- **disputed** U13, by the model: the HPA has been still for 7 d \\[E11\\]\n" in text
    assert "\nproposal P7, a draft: nothing is changed (proposals show P7)\n" in text


def test_evidence_is_a_table_that_its_cells_cannot_break() -> None:
    hostile = evidence().rows[0].model_copy(update={"key": "a|b\n| c"})
    text = markdown.draw(evidence_document(evidence(rows=(hostile,))))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)


def test_a_title_cannot_open_a_second_heading() -> None:
    finding = FINDING.model_copy(update={"title": "x\n# y\n<b>"})
    text = markdown.draw(answer(diagnosis(findings=(finding,))))
    assert len(re.findall(r"(?m)^#", text)) == 1
    assert "<b>" not in text
