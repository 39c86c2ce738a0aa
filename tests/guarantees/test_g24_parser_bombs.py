"""G24: YAML aliases, depth above 64, size above the cap and duplicate keys are refused at every entry."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from tools.documents import MAX_BYTES, MAX_DEPTH, load_json, load_yaml, load_yaml_documents, load_yaml_located
from tools.errors import DocumentError
from tools.policy import load_policy
from tools.projection.metadata import last_applied

LAUGHS = "a: &a [x, x]\n" + "\n".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]" for i in range(20)
)
BOMBS = {
    "billion laughs": LAUGHS,
    "alias alone": "a: 1\nb: *a",
    "anchor alone": "a: &x 1",
    "merge key": "a: {b: 1}\nc:\n  <<: {d: 1}",
    "python tag": "a: !!python/object/apply:os.system [id]",
    "own tag": "a: !secret x",
    "binary tag": "a: !!binary aGk=",
    "flow depth": "[" * 200 + "]" * 200,
    "block depth": "\n".join("  " * i + "a:" for i in range(MAX_DEPTH + 8)),
    "duplicate key": "a: 1\nb: 2\na: 3",
    "duplicate nested key": "x:\n  - {a: 1, a: 2}",
    "complex key": "? [a, b]\n: 1",
    "number out of range": "a: 1.0e999",
    "control character": "a: \x07",
    "unclosed": "a: [1, 2",
    "size": "a: " + "x" * MAX_BYTES,
    "wide characters over size": "é" * (MAX_BYTES // 2 + 1),
}
JSON_BOMBS = {
    "depth": "[" * 100_000,
    "object depth": '{"a":' * 5000,
    "duplicate key": '{"a": 1, "a": 2}',
    "nested duplicate": '[{"a": {"b": 1, "b": 2}}]',
    "nan": '{"a": NaN}',
    "infinity": "[-Infinity]",
    "float out of range": "[1e999]",
    "huge integer": "9" * 5000,
    "size": '"' + "x" * MAX_BYTES + '"',
    "not json": "{a: 1}",
    "two values": "1 2",
    "unclosed string": '{"a": "',
}


@pytest.mark.parametrize("load", [load_yaml, load_yaml_located, load_yaml_documents])
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_yaml_bombs_are_refused_by_name_and_line(load: Callable[..., object], bomb: str) -> None:
    with pytest.raises(DocumentError) as refused:
        load(bomb, name="world.yaml")
    message = str(refused.value)
    assert message.startswith("world.yaml")
    assert len(message) < 500
    assert "\n" not in message


@pytest.mark.parametrize("bomb", JSON_BOMBS.values(), ids=JSON_BOMBS.keys())
def test_json_bombs_are_refused(bomb: str) -> None:
    with pytest.raises(DocumentError):
        load_json(bomb, name="answer.json")


def test_the_line_of_a_refusal() -> None:
    with pytest.raises(DocumentError) as refused:
        load_yaml("a: 1\nb:\n  c: 1\n  c: 2\n", name="w.yaml")
    assert (refused.value.line, refused.value.field) == (4, "b.c")


def test_the_deepest_allowed_document_is_read() -> None:
    assert load_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, name="w.yaml")
    assert load_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, name="w.json")


@pytest.mark.parametrize("bomb", JSON_BOMBS.values(), ids=JSON_BOMBS.keys())
def test_last_applied_of_an_object_is_an_entry_too(bomb: str) -> None:
    assert last_applied({"spec": {}}, bomb) == "unreadable"


@pytest.mark.parametrize(
    "text", ["rule = " + "[" * 5000, "[[rule]]\n" * 3, "x = 1", "rule = 1", "[[rule]]\nid=1\nid=2"]
)
def test_a_policy_file_is_an_entry_too(text: str) -> None:
    with pytest.raises(DocumentError):
        load_policy(text, name="policy.toml")


def test_bombs_take_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DocumentError):
        load_yaml(LAUGHS, name="w.yaml")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


PLAIN: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


def roundtrip(value: JsonValue) -> None:
    """JSON text comes back as it was, read as JSON and, as JSON is YAML, read as YAML."""
    text = json.dumps(value)
    assert load_json(text, name="x") == value


def never_crashes(text: str) -> None:
    """Any text gives a value or a DocumentError."""
    for load in (load_yaml, load_json):
        try:
            load(text, name="x")
        except DocumentError:
            continue


SLICE = settings(max_examples=150, deadline=None, derandomize=True)
FULL = settings(max_examples=5_000, deadline=None)
NOISE = st.text(alphabet=st.sampled_from("ab:-[]{}&*!'\"|>?#,\n \t0.e<%@`~"), max_size=60) | st.text(max_size=40)

test_json_roundtrip = SLICE(given(PLAIN)(roundtrip))
test_any_text = SLICE(given(NOISE)(never_crashes))
test_json_roundtrip_in_full = pytest.mark.prove(FULL(given(PLAIN)(roundtrip)))
test_any_text_in_full = pytest.mark.prove(FULL(given(NOISE)(never_crashes)))
