"""JSON patch (RFC 6902) and strategic merge patch: the algebra, and what the server makes of them."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from evals.servers.kube.jsonpatch import MalformedPatch, PatchError, apply_operations, same
from evals.servers.kube.jsonread import as_object, objects_at
from evals.servers.kube.patch import merge
from evals.servers.kube.strategic import StrategicError, merge_strategic
from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import small_world, thing
from tools.types import JsonObject

LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b/c", "d~e", ""])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b/c", "d~e", "0"]), inner, max_size=3)
    ),
    max_leaves=10,
)
WITHOUT_NULL = st.recursive(
    st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=10,
)
SLICE = settings(derandomize=True, deadline=None, max_examples=150)
WHOLE = settings(deadline=None, max_examples=5_000)


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")


def _pointers(value: JsonValue, at: str = "") -> list[str]:
    """Every pointer into a document."""
    found = [at]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _pointers(inner, f"{at}/{_escaped(key)}")
    if isinstance(value, list):
        for number, inner in enumerate(value):
            found += _pointers(inner, f"{at}/{number}")
    return found


def _differences(old: JsonValue, new: JsonValue, at: str = "") -> list[JsonObject]:
    """A JSON patch that turns one document into another, written independently of the code under test."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone: list[JsonObject] = [{"op": "remove", "path": f"{at}/{_escaped(key)}"} for key in old if key not in new]
        for key, value in new.items():
            where = f"{at}/{_escaped(key)}"
            gone += (
                _differences(old[key], value, where) if key in old else [{"op": "add", "path": where, "value": value}]
            )
        return gone
    return [] if same(old, new) else [{"op": "replace", "path": at, "value": new}]


def _round_trip(old: JsonValue, new: JsonValue) -> None:
    before = copy.deepcopy(old)
    assert same(apply_operations(old, _differences(old, new)), new)
    assert same(old, before)
    for path in _pointers(old):
        value = apply_operations(old, [{"op": "test", "path": "", "value": before}])
        moved = apply_operations(value, [{"op": "copy", "from": path, "path": ""}])
        assert same(apply_operations(old, [{"op": "test", "path": path, "value": moved}]), old)


@SLICE
@given(VALUES, VALUES)
def test_a_patch_of_all_differences_makes_the_other_document(old: JsonValue, new: JsonValue) -> None:
    _round_trip(old, new)


@pytest.mark.prove
@WHOLE
@given(VALUES, VALUES)
def test_a_patch_of_all_differences_makes_the_other_document_at_length(old: JsonValue, new: JsonValue) -> None:
    _round_trip(old, new)


@SLICE
@given(st.dictionaries(st.sampled_from(["a", "b/c", "d~e"]), VALUES, min_size=1), st.data())
def test_what_is_removed_can_be_added_again(old: JsonObject, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(_pointers(old)[1:]))
    value = apply_operations(old, [{"op": "copy", "from": path, "path": ""}])
    without = apply_operations(old, [{"op": "remove", "path": path}])
    assert same(apply_operations(without, [{"op": "add", "path": path, "value": value}]), old)


@pytest.mark.parametrize(
    ("old", "operations", "new"),
    [
        ({"a": [1, 2]}, [{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3]}),
        ({"a": [1, 2]}, [{"op": "add", "path": "/a/1", "value": 3}], {"a": [1, 3, 2]}),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
        ({"a": [1, 2]}, [{"op": "move", "from": "/a/0", "path": "/a/1"}], {"a": [2, 1]}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {}}], {}),
        ({"a": 1}, [{"op": "add", "path": "/a", "value": None}], {"a": None}),
        ({"": 1}, [{"op": "remove", "path": "/"}], {}),
    ],
)
def test_operations_of_the_standard(old: JsonValue, operations: list[JsonObject], new: JsonValue) -> None:
    assert same(apply_operations(old, operations), new)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "remove", "path": "/b"},
        {"op": "remove", "path": ""},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/a/3", "value": 1},
        {"op": "replace", "path": "/a/-", "value": 1},
        {"op": "remove", "path": "/a/01"},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/b"},
        {"op": "move", "from": "/a", "path": "/a/0"},
        {"op": "test", "path": "/a/0", "value": True},
        {"op": "test", "path": "/n", "value": "1"},
        {"op": "jump", "path": "/a"},
    ],
)
def test_an_operation_that_cannot_be_done_undoes_all(operation: JsonObject) -> None:
    document: JsonObject = {"a": [1, 2], "n": 1}
    with pytest.raises(PatchError):
        apply_operations(document, [{"op": "add", "path": "/c", "value": 1}, operation])
    assert document == {"a": [1, 2], "n": 1}


@pytest.mark.parametrize("body", [{}, "x", None, [1], [[]]])
def test_what_is_no_list_of_operations_is_malformed(body: object) -> None:
    with pytest.raises(MalformedPatch):
        apply_operations({}, body)


@SLICE
@given(WITHOUT_NULL, WITHOUT_NULL)
def test_a_strategic_patch_without_keyed_lists_is_a_merge_patch(old: JsonValue, patch: JsonValue) -> None:
    target: JsonObject = {"x": old, "y": 1}
    assert merge_strategic(target, {"x": patch}) == merge(target, {"x": patch})


@SLICE
@given(WITHOUT_NULL, WITHOUT_NULL)
def test_the_same_patch_twice_changes_nothing_more(old: JsonValue, patch: JsonValue) -> None:
    once = merge({"x": old}, {"x": patch})
    assert merge(once, {"x": patch}) == once


CONTAINERS: JsonObject = {
    "containers": [
        {"name": "a", "image": "i", "args": ["1", "2"], "env": [{"name": "X", "value": "1"}]},
        {"name": "b", "image": "j", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]},
    ],
    "tolerations": [{"key": "k"}],
    "finalizers": ["f"],
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
}


@pytest.mark.parametrize(
    ("patch", "where", "wanted"),
    [
        ({"containers": [{"name": "a", "args": ["3"]}]}, ("containers", 0, "args"), ["3"]),
        ({"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}]}, ("containers", 0, "env"),
         [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]),
        ({"containers": [{"name": "a", "env": [{"name": "X", "$patch": "delete"}]}]}, ("containers", 0, "env"), []),
        ({"containers": [{"name": "b", "$patch": "delete"}, {"name": "zz", "$patch": "delete"}]}, ("containers",),
         [CONTAINERS["containers"][0]]),  # type: ignore[index]
        ({"containers": [{"$patch": "replace"}, {"name": "c"}]}, ("containers",), [{"name": "c"}]),
        ({"containers": [{"name": "b", "ports": [{"containerPort": 80, "protocol": "UDP", "name": "u"}]}]},
         ("containers", 1, "ports"),
         [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP", "name": "u"}]),
        ({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": "k"}]},
         ("containers", 0, "image"), "k"),
        ({"tolerations": [{"key": "l"}]}, ("tolerations",), [{"key": "l"}]),
        ({"finalizers": ["g", "f"]}, ("finalizers",), ["f", "g"]),
        ({"$deleteFromPrimitiveList/finalizers": ["f"]}, ("finalizers",), []),
        ({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}, ("strategy",), {"type": "Recreate"}),
        ({"strategy": {"$patch": "replace", "type": "Recreate"}}, ("strategy",), {"type": "Recreate"}),
        ({"strategy": {"$patch": "delete"}}, ("strategy",), {}),
        ({"strategy": None}, ("strategy",), None),
    ],
)  # fmt: skip
def test_lists_of_known_keys_are_merged(patch: JsonObject, where: tuple[str | int, ...], wanted: JsonValue) -> None:
    before = copy.deepcopy(CONTAINERS)
    value: JsonValue = merge_strategic(CONTAINERS, patch)
    for token in where:
        value = value[token] if isinstance(value, list) and isinstance(token, int) else as_object(value).get(str(token))
    assert value == wanted
    assert before == CONTAINERS


@pytest.mark.parametrize("patch", [{"$patch": "explode"}, {"containers": [{"image": "x"}]}])
def test_what_is_no_strategic_patch(patch: JsonObject) -> None:
    with pytest.raises(StrategicError):
        merge_strategic(CONTAINERS, patch)


# --- through the server ------------------------------------------------------------------------------------

NODE = "/api/v1/nodes/n"


async def _client(serve: Serve) -> Client:
    node = thing("v1", "Node", "n", spec={"taints": [{"key": "a", "effect": "NoSchedule"}]})
    return await serve(small_world([node]))


async def _send(client: Client, kind: str, body: object) -> Reply:
    return await client.send("PATCH", NODE, body=body, headers={"Content-Type": f"application/{kind}+json"})


async def test_each_kind_of_patch_cordons_a_node(serve: Serve) -> None:
    client = await _client(serve)
    bodies: dict[str, object] = {
        "json-patch": [{"op": "add", "path": "/spec/unschedulable", "value": True}],
        "merge-patch": {"spec": {"unschedulable": None}},
        "strategic-merge-patch": {"spec": {"unschedulable": True}},
    }
    seen = [(await _send(client, kind, body)).at("spec", "unschedulable") for kind, body in bodies.items()]
    assert seen == [True, None, True]
    assert [one.changed for one in client.server.writes] == [True, True, True]
    assert objects_at((await client.get(NODE)).body, "spec", "taints") == [{"key": "a", "effect": "NoSchedule"}]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("json-patch", {"op": "add"}, 400),
        ("json-patch", "no json", 400),
        ("json-patch", [{"op": "replace", "path": "/metadata/uid", "value": "x"}], 422),
        ("json-patch", [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}], 409),
        ("json-patch", [{"op": "replace", "path": "/metadata/name", "value": "m"}], 400),
        ("strategic-merge-patch", {"spec": {"$patch": "explode"}}, 400),
        ("strategic-merge-patch", {"metadata": {"resourceVersion": "1"}}, 409),
    ],
)
async def test_preconditions_hold_for_every_kind_of_patch(serve: Serve, kind: str, body: object, status: int) -> None:
    client = await _client(serve)
    assert (await _send(client, kind, body)).status == status
    assert client.server.effective_writes == []
