"""Merge patches, their inverses, and differences: RFC 7396 to the letter."""

from __future__ import annotations

import copy

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.changes.patches import differences, inverse, merged, same, touched, value_at
from tools.types import JsonObject

RFC_7396: list[tuple[JsonValue, JsonValue, JsonValue]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""The examples of RFC 7396, appendix A."""
KEYS = st.sampled_from(["spec", "replicas", "a", "b", "metadata"])
LEAVES: st.SearchStrategy[JsonValue] = st.one_of(st.integers(-3, 3), st.booleans(), st.text(max_size=3))
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS: st.SearchStrategy[JsonObject] = st.dictionaries(KEYS, VALUES, max_size=4)
PATCHES: st.SearchStrategy[JsonObject] = st.dictionaries(
    KEYS,
    st.recursive(st.one_of(st.none(), VALUES), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8),
    max_size=4,
)


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_the_examples_of_the_rfc(target: JsonValue, patch: JsonValue, result: JsonValue) -> None:
    assert merged(target, patch) == result


def undoes(before: JsonObject, patch: JsonObject) -> None:
    kept = copy.deepcopy(before), copy.deepcopy(patch)
    after = merged(before, patch)
    assert same(merged(after, inverse(before, patch)), before)
    assert (before, patch) == kept


test_an_inverse_restores_everything = settings(max_examples=300)(given(OBJECTS, PATCHES)(undoes))
test_an_inverse_restores_everything_in_full = pytest.mark.prove(
    settings(max_examples=50_000)(given(OBJECTS, PATCHES)(undoes))
)


def test_a_null_that_no_patch_can_restore_is_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        inverse({"spec": {"a": None}}, {"spec": {"a": 1}})


@given(OBJECTS, OBJECTS)
def test_there_are_differences_exactly_where_objects_differ(one: JsonObject, other: JsonObject) -> None:
    assume(not any(isinstance(v, dict) and not v for v in (*one.values(), *other.values())))
    found = differences(one, other, ignore=())
    assert bool(found) == (not same(one, other))
    for change in found:
        assert value_at(one, change.path).present or change.added or not change.removed
        assert same(value_at(other, change.path).value, change.after) or change.removed


def test_what_a_server_writes_by_itself_is_no_difference() -> None:
    before: JsonObject = {"metadata": {"resourceVersion": "1", "generation": 1, "labels": {"a": "b"}}, "status": {}}
    after: JsonObject = {
        "metadata": {
            "resourceVersion": "2",
            "generation": 2,
            "managedFields": [{"manager": "x"}],
            "labels": {"a": "c"},
            "annotations": {"plumbline.dev/plan": "abc"},
        },
        "status": {"readyReplicas": 1},
    }
    (change,) = differences(before, after)
    assert (change.path, change.before, change.after) == (("metadata", "labels", "a"), "b", "c")


def test_true_is_not_one() -> None:
    assert not same(True, 1)
    assert same(1, 1.0)
    assert differences({"a": True}, {"a": 1})


def test_touched_fields_are_the_leaves() -> None:
    patch: JsonObject = {"spec": {"replicas": 2, "template": {"spec": {"nodeName": None}}, "empty": {}}}
    assert touched(patch) == (("spec", "replicas"), ("spec", "template", "spec", "nodeName"), ("spec", "empty"))
