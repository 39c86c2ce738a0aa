"""YAML changed in place: what was asked for changes, and not one byte beside it."""

from __future__ import annotations

import copy
import difflib
import random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from tools.documents import load_yaml, load_yaml_documents
from tools.errors import DocumentError
from tools.yamledit import Edit, applied, edited

MANIFEST = """\
# owned by team search
apiVersion: apps/v1
kind: Deployment
metadata:
  name: chat    # the model
  namespace: search
spec:
  replicas: 6   # sized in May
  template:
    spec:
      containers:
        # the engine
        - name: vllm
          image: "vllm:v0.19"
          args:
            - --model=/models/chat   # on the shared disk
            # keep in step with the HPA
            - "--max-num-seqs=256"
          resources: {limits: {nvidia.com/gpu: 4}}
          env: []
        - name: proxy
          image: proxy
---
# the next one
kind: Service
metadata: {name: chat}
spec:
"""
POD = ("spec", "template", "spec", "containers", 0)


def changed(*edits: Edit, document: int = 0, text: str = MANIFEST) -> list[str]:
    """The lines that go and come, without context."""
    after = edited(text, edits, document=document, name="chat.yaml")
    lines = difflib.unified_diff(text.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


@pytest.mark.parametrize(
    ("path", "value", "lines"),
    [
        (("spec", "replicas"), 5, ["-  replicas: 6   # sized in May", "+  replicas: 5   # sized in May"]),
        ((*POD, "image"), "vllm:v0.20",
         ['-          image: "vllm:v0.19"', '+          image: "vllm:v0.20"']),
        ((*POD, "args"), ["--model=/models/chat", "--max-num-seqs=128"],
         ['-            - "--max-num-seqs=256"', "+            - --max-num-seqs=128"]),
        ((*POD, "args"), ["--model=/models/chat", "--max-num-seqs=256", "--kv-cache-dtype=fp8"],
         ["+            - --kv-cache-dtype=fp8"]),
        ((*POD, "args"), ["--model=/models/chat"], ['-            - "--max-num-seqs=256"']),
        ((*POD, "resources", "limits", "nvidia.com/gpu"), 2,
         ["-          resources: {limits: {nvidia.com/gpu: 4}}",
          "+          resources: {limits: {nvidia.com/gpu: 2}}"]),
        ((*POD, "resources", "limits", "memory"), "200Gi",
         ["-          resources: {limits: {nvidia.com/gpu: 4}}",
          "+          resources: {limits: {nvidia.com/gpu: 4, memory: 200Gi}}"]),
        (("metadata", "annotations", "a/b"), "true", ["+  annotations:", "+    a/b: 'true'"]),
        ((*POD, "env"), [{"name": "A", "value": "1"}],
         ["-          env: []", "+          env:", "+            - name: A", "+              value: '1'"]),
        (("spec", "paused"), True, ["+  paused: true"]),
    ],
)  # fmt: skip
def test_only_what_was_asked_for_changes(path: tuple[str | int, ...], value: JsonValue, lines: list[str]) -> None:
    assert changed(Edit(path, value)) == lines


def test_a_key_goes_with_its_lines() -> None:
    assert changed(Edit(("spec", "replicas"), remove=True)) == ["-  replicas: 6   # sized in May"]
    assert changed(Edit((*POD, "nothing"), remove=True)) == []


def test_another_document_and_an_empty_value() -> None:
    assert changed(Edit(("spec", "type"), "ClusterIP"), document=1) == ["+  type: ClusterIP"]


def test_a_text_without_a_last_line_end() -> None:
    assert edited("a:\n  b: 1", [Edit(("a", "c"), 2)], name="x") == "a:\n  b: 1\n  c: 2\n"


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("a: &x 1\nb: *x\n", Edit(("a",), 2)),
        ("a: !!python/object:os.system 1\n", Edit(("a",), 2)),
        ("- a\n- b\n", Edit((5,), 2)),
        ("a: 1\n", Edit(("a", "b"), 2)),
        ("a: [\n", Edit(("a",), 2)),
        ("", Edit(("a",), 2)),
    ],
)
def test_what_cannot_be_done_in_place_is_refused(text: str, edit: Edit) -> None:
    with pytest.raises((DocumentError, ValueError)):
        edited(text, [edit], name="x.yaml")


PLAIN = st.one_of(
    st.integers(-5, 500),
    st.booleans(),
    st.sampled_from(["a", "yes", "1", "- x", "a: b", "#", "", "é", "{", "it's", "0x1"]),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map(tuple)


STYLES = st.sampled_from(("block", "flow"))
DATA = st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1, max_size=4)


def _holds(data: dict[str, JsonValue], path: tuple[str, ...], value: JsonValue, style: str) -> bool:
    """Assert what must hold of one edit; returns whether it was made."""
    text = f"# head\n{yaml.safe_dump(data, default_flow_style=style == 'flow', sort_keys=False)}# foot\n"
    edit = Edit(path, value)
    try:
        wanted = applied(load_yaml(text, name=""), edit)
        after = edited(text, [edit], name="x")
    except (DocumentError, ValueError):
        return False
    assert load_yaml_documents(after, name="x") == [wanted]
    assert after.startswith("# head\n")
    assert after.endswith("# foot\n")
    return True


@settings(max_examples=150, deadline=None, derandomize=True)
@given(DATA, PATHS, VALUES, STYLES)
def test_any_value_in_any_place(
    data: dict[str, JsonValue], path: tuple[str, ...], value: JsonValue, style: str
) -> None:
    _holds(data, path, value, style)


@pytest.mark.prove
@settings(max_examples=10_000, deadline=None, derandomize=True)
@given(DATA, PATHS, VALUES, STYLES)
def test_any_value_in_any_place_in_full(
    data: dict[str, JsonValue], path: tuple[str, ...], value: JsonValue, style: str
) -> None:
    _holds(data, path, value, style)


def test_nearly_every_edit_that_makes_sense_can_be_made() -> None:
    """Where the way to the place exists as objects, an edit in block style is refused in few cases only."""
    source = random.Random(7)
    starts: list[JsonValue] = [1, "x", {"a": 1}, ["p", "q"], [{"a": "n", "b": 2}], {"b": {"c": [1]}}]
    ends: list[JsonValue] = [2, "y", ["p", "r", "q"], {"a": 3}, [{"a": "n", "b": 3}]]
    made = tried = 0
    for _ in range(300):
        data = {key: copy.deepcopy(source.choice(starts)) for key in source.sample("abcd", 3)}
        path = tuple(source.choices("abcd", k=source.choice((1, 2))))
        if len(path) == 2 and not isinstance(data.get(path[0], {}), dict):
            continue
        tried += 1
        made += _holds(data, path, source.choice(ends), "block")
    assert (made, tried > 200) == (tried, True)
