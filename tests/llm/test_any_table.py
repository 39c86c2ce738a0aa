"""Any rows of any family make a table: nothing raises, nothing is too large, nothing breaks out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.citing import find
from agent.llm import tables
from tests.llm.test_tables import evidence, lines
from tools.types import JsonObject, Row, Trust

TEXTS = st.text(max_size=30) | st.sampled_from(
    ("search/chat-70b", "<|x|>", "[E1]", "a\nb", "x|y", "http://a.example/b", "")
)
FIELDS = st.sampled_from(
    ["spec", "status", "metadata", "labels", "value", "points", "kind", "message", "conditions", "containers", "name",
     "text", "changed", "inputs", "annotations", "template", "type"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | TEXTS, inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(
    st.tuples(TEXTS, st.dictionaries(FIELDS | TEXTS, JSON, max_size=4)), max_size=4, unique_by=lambda row: row[0]
)
FAMILIES = st.sampled_from(("objects", "events", "logs", "alerts", "promql", "discovery", "history", "derived"))


@settings(max_examples=60)
@given(ROWS, FAMILIES, TEXTS)
def test_any_rows(rows: list[tuple[str, JsonObject]], family: str, match: str) -> None:
    _renders(rows, family, match)


@pytest.mark.prove
@settings(max_examples=3_000)
@given(ROWS, FAMILIES, TEXTS)
def test_any_rows_in_full(rows: list[tuple[str, JsonObject]], family: str, match: str) -> None:
    _renders(rows, family, match)


def _renders(rows: list[tuple[str, JsonObject]], family: str, match: str) -> None:
    trust: Trust = "derived" if family == "derived" else "structured"
    found = evidence([Row(key=key, namespace=key, data=data) for key, data in rows], family=family, trust=trust)
    for text in (tables.render(found), tables.render(found, match=match, after=match)):
        assert len(text.encode()) <= 8192
        assert not re.search(r"[<>`\\]|\[E\d|://", text), text
        assert all(line.isprintable() for line in lines(text))
    for number in range(1, len(rows) + 1):
        assert tables.render(found, match=f"#{number}").startswith("E12 ")
        assert find(found, f"#{number}") is found.rows[number - 1]
