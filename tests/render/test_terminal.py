"""Widths, colours and, above all, that no text of others reaches the terminal as anything but text."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.render import terminal
from agent.render.answer import answer
from agent.render.document import Document, Span, clean
from agent.render.evidence import cited_value
from agent.render.evidence import evidence as evidence_document
from tests.render.build import FINDING, claim, diagnosis, evidence

OURS = re.compile("\x1b\\[[0-9;]*m")
HOSTILE = "\x1b]52;c;cHduZWQ=\x07\x1b[2Jx\x9b31m\u202e\u200b\U000e0041\x00\r\n\x7fy"


def visible(text: str) -> str:
    return OURS.sub("", text)


def test_colours_are_ours_and_can_be_turned_off() -> None:
    document = answer(diagnosis())
    colored, plain = (terminal.draw(document, width=100, color=c) for c in (True, False))
    assert "\x1b[1;35mU13\x1b[0m" in colored
    assert "\x1b" not in plain
    assert visible(colored) == plain


def test_hostile_names_everywhere_leave_no_control_character() -> None:
    finding = FINDING.model_copy(update={"title": HOSTILE, "seen": (claim(HOSTILE, "E1"),)})
    whole = diagnosis(findings=(finding,), narrative=HOSTILE, asked=(HOSTILE,), checked=(claim(HOSTILE, "E1"),))
    drawn = terminal.draw(answer(whole), width=80, color=True)
    assert_harmless(drawn)
    shown = evidence_document(evidence(query=HOSTILE, detail=HOSTILE, warnings=(HOSTILE,)))
    assert_harmless(terminal.draw(shown, width=80, color=True))


def assert_harmless(drawn: str) -> None:
    for character in visible(drawn).replace("\n", ""):
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), hex(ord(character))


@settings(max_examples=300)
@given(st.text(max_size=200), st.integers(min_value=20, max_value=120))
def test_any_text_at_any_width_is_harmless_and_fits(text: str, width: int) -> None:
    document = Document()
    document.head(Span(text, "strong"), lead="● ", tail=(Span("root", "severity"),))
    document.add(Span(text), lead="seen       ", indent=2)
    document.table(("a", "b"), [(Span("x"), Span(text))])
    drawn = terminal.draw(document, width=width, color=True)
    assert_harmless(drawn)
    for row in visible(drawn).splitlines():
        assert terminal.width_of(row) <= max(width, terminal.NARROWEST)


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(categories=("L", "N", "P")), max_size=300))
def test_wrapping_loses_no_letter(text: str) -> None:
    document = Document()
    document.add(Span(text), lead="seen ", indent=2)
    drawn = terminal.draw(document, width=40, color=False)
    assert re.sub(r"\s", "", drawn) == re.sub(r"\s", "", "seen" + clean(text))


def test_wide_characters_count_twice() -> None:
    assert terminal.width_of("漢字") == 4
    assert terminal.width_of("e\u0301") == 1


def test_a_table_cuts_only_its_last_column_and_says_so() -> None:
    document = Document()
    document.table(("key", "data"), [(Span("search/chat-70b"), Span("x" * 200))])
    head, row = terminal.draw(document, width=60, color=False).splitlines()
    assert head == "key              data"
    assert row.startswith("search/chat-70b  xxx")
    assert row.endswith("…")
    assert len(row) == 60


def test_evidence_says_what_it_is_and_what_is_left_out() -> None:
    rows = tuple(evidence().rows[0].model_copy(update={"key": f"ns/pod-{n}"}) for n in range(5))
    drawn = terminal.draw(evidence_document(evidence(rows=rows, redactions=2), rows=3), width=100, color=False)
    assert drawn.splitlines() == [
        "E4  kubectl get hpa -A",
        "  ok · kubernetes · structured · 5 rows · 2026-03-02T14:05:00Z",
        "  redacted   2 values",
        "key       data",
        'ns/pod-0  {"spec": {"value": 80}}',
        'ns/pod-1  {"spec": {"value": 80}}',
        'ns/pod-2  {"spec": {"value": 80}}',
        "and 2 more rows (-o json shows all)",
    ]


def test_a_query_is_never_wrapped_or_cut() -> None:
    query = "max by (pod) (" + "label_replace(" * 20 + "up" + ', "a", "$1", "b", "(.+)")' * 20 + ")"
    drawn = terminal.draw(evidence_document(evidence().model_copy(update={"query": query})), width=60, color=False)
    assert f"E4  {query}" in drawn.splitlines()


def test_a_cited_value_is_shown_whole() -> None:
    item = evidence()
    key = item.rows[0].key
    document = cited_value(item, f"{key}/spec/value")
    assert document is not None
    assert terminal.draw(document, width=60, color=False).splitlines() == [f"E4/{key}/spec/value", "80"]
    assert cited_value(item, f"{key}/spec/nothing") is None
    assert cited_value(item, "no such row") is None
