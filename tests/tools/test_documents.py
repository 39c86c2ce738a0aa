"""Documents: what YAML means here, and where things stand in a file. Bombs are in tests/guarantees/test_g24."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from tools.documents import field_name, load_json, load_yaml, load_yaml_documents, load_yaml_located, locate, nearest
from tools.errors import DocumentError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("# only a comment", None),
        ("yes", "yes"),
        ("on", "on"),
        ("0644", "0644"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("2026-11-21T04:04:03Z", "2026-11-21T04:04:03Z"),
        ("2026-11-21", "2026-11-21"),
        ("12:30:45", "12:30:45"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
        ("a:", {"a": None}),
        ("a: ''", {"a": ""}),
        ("{a: [1, {b: c}]}", {"a": [1, {"b": "c"}]}),
        ("- a\n- - b\n", ["a", ["b"]]),
        ("1: a", {"1": "a"}),
        ("true: a", {"true": "a"}),
        ("null: a", {"null": "a"}),
    ],
)
def test_what_yaml_means(text: str, value: JsonValue) -> None:
    assert load_yaml(text, name="x") == value
    assert type(load_yaml(text, name="x")) is type(value)


TEXT = """\
name: a
steps:
  - ask: why
    expect:
      cause: U13
  - advance: 5m
"""


def test_where_values_stand() -> None:
    _, lines = load_yaml_located(TEXT, name="x")
    assert lines[("steps", 0, "expect", "cause")] == 5
    assert lines[("steps", 1, "advance")] == 6
    assert locate(TEXT, ("steps", 0, "expect", "cause")) == 5
    assert locate(TEXT, ("steps", 0, "missing")) == 3
    assert locate("a: [", ("a",)) is None
    assert nearest(lines, ("nowhere",)) == 1
    assert field_name(("steps", 0, "expect", "cause")) == "steps[0].expect.cause"


def test_many_documents() -> None:
    assert load_yaml_documents("a: 1\n---\n---\nb: 2\n", name="x") == [{"a": 1}, {"b": 2}]
    with pytest.raises(DocumentError) as refused:
        load_yaml("a: 1\n---\nb: 2\n", name="x")
    assert refused.value.line == 3


def test_json_problems_have_a_line() -> None:
    with pytest.raises(DocumentError) as refused:
        load_json('{"a": 1,\n "b": }', name="x.json")
    assert str(refused.value) == "x.json:2: not JSON: Expecting value"
