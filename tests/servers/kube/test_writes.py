"""Merge patch: RFC 7396, preconditions, what a patch may touch, and who owns the fields afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from evals.servers.kube.jsonread import as_object, as_text, objects_at
from evals.servers.kube.managed import after_update
from evals.servers.kube.patch import merge
from evals.world.model import Access
from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import small_world, thing
from tools.types import JsonObject

WEB = "/apis/apps/v1/namespaces/default/deployments/web"
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("abc", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=3),
    max_leaves=8,
)


def _web() -> JsonObject:
    container: JsonObject = {"name": "app", "image": "example/app:1", "args": ["--fast"]}
    template: JsonObject = {"spec": {"containers": [container]}}
    web = thing("apps/v1", "Deployment", "web", "default", status={"readyReplicas": 2})
    owned: JsonObject = {
        "manager": "argocd-controller",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2027-01-10T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {}}}}},
    }
    metadata: JsonObject = {**as_object(web["metadata"]), "labels": {"app": "web"}, "managedFields": [owned]}
    return {**web, "metadata": metadata, "spec": {"replicas": 2, "template": template}}


async def _client(serve: Serve) -> Client:
    hpa = thing(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "web",
        "default",
        spec={"maxReplicas": 4, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {
            "type": "Utilization", "averageUtilization": 70}}}]},
    )  # fmt: skip
    return await serve(small_world([_web(), hpa, thing("v1", "ConfigMap", "c", "default", data={"k": "v"})]))


async def _patch(client: Client, patch: JsonValue, path: str = WEB, query: str = "") -> Reply:
    return await client.send("PATCH", f"{path}?{query}", body=patch, headers={**MERGE, "User-Agent": "tester/1"})


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        (["a"], {"a": None}, {}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_does_what_the_rfc_shows(target: JsonValue, patch: JsonValue, result: JsonValue) -> None:
    assert merge(target, patch) == result


@settings(derandomize=True, deadline=None, max_examples=150)
@given(target=JSON_VALUES, patch=JSON_VALUES)
def test_merging_twice_is_merging_once(target: JsonValue, patch: JsonValue) -> None:
    before = repr(target)
    once = merge(target, patch)
    assert merge(once, patch) == once
    assert repr(target) == before


@settings(derandomize=True, deadline=None, max_examples=150)
@given(old=st.dictionaries(st.text("abc", max_size=1), JSON_VALUES), patch=st.dictionaries(st.just("a"), JSON_VALUES))
def test_every_changed_field_has_exactly_one_owner(old: JsonObject, patch: JsonObject) -> None:
    before: JsonObject = {"metadata": {}, "spec": old}
    after: JsonObject = {"metadata": {}, "spec": merge(old, patch)}
    entries = after_update({}, before, manager="one", api_version="v1", time="t1")
    before["metadata"] = {"managedFields": list(entries)}
    entries = after_update(before, after, manager="two", api_version="v1", time="t2")
    owned = [leaf for entry in entries for leaf in _leaves(as_object(entry["fieldsV1"]))]
    assert len(owned) == len(set(owned))
    if before["spec"] != after["spec"] and patch.get("a") is not None and patch["a"] != {}:
        assert "two" in {entry["manager"] for entry in entries}


def _leaves(tree: JsonObject, path: str = "") -> list[str]:
    found: list[str] = []
    for key, child in tree.items():
        if key != ".":
            found += _leaves(as_object(child), f"{path}/{key}") if child else [f"{path}/{key}"]
    return found


async def test_a_patch_moves_the_field_to_its_manager(serve: Serve) -> None:
    client = await _client(serve)
    reply = await _patch(client, {"spec": {"replicas": 3}}, query="fieldManager=plumbline")
    assert (reply.status, reply.at("spec", "replicas"), reply.at("metadata", "generation")) == (200, 3, 2)
    first, second = objects_at(reply.body, "metadata", "managedFields")
    assert first["fieldsV1"] == {"f:spec": {"f:template": {"f:spec": {"f:containers": {}}}}}
    assert second == {
        "manager": "plumbline",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2027-01-15T08:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    again = await _patch(client, {"spec": {"replicas": 4}}, query="fieldManager=plumbline")
    assert len(objects_at(again.body, "metadata", "managedFields")) == 2


def test_a_field_claimed_before_it_existed_goes_to_whoever_sets_it() -> None:
    claim: JsonObject = {"manager": "old", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}, "f:a": {}}}}
    before: JsonObject = {"metadata": {"managedFields": [claim]}, "spec": {"a": 1}}
    after: JsonObject = {**before, "spec": {"a": 1, "paused": True}}
    old, new = after_update(before, after, manager="new", api_version="v1", time="t")
    assert (old["fieldsV1"], new["fieldsV1"]) == ({"f:spec": {"f:a": {}}}, {"f:spec": {"f:paused": {}}})


async def test_without_a_named_manager_the_client_program_is_it(serve: Serve) -> None:
    reply = await _patch(await _client(serve), {"metadata": {"labels": {"new": "x"}}})
    assert reply.at("metadata", "generation") == 1
    entry = objects_at(reply.body, "metadata", "managedFields")[-1]
    assert (entry["manager"], entry["fieldsV1"]) == ("tester", {"f:metadata": {"f:labels": {"f:new": {}}}})


async def test_a_patch_that_changes_nothing_is_no_write(serve: Serve) -> None:
    client = await _client(serve)
    before = (await client.get(WEB)).body
    assert (await _patch(client, {"spec": {"replicas": 2}})).body == before
    assert (await client.get(WEB)).body == before
    assert client.server.store.changes == []


async def test_a_dry_run_shows_the_result_and_keeps_nothing(serve: Serve) -> None:
    client = await _client(serve)
    before = (await client.get(WEB)).body
    shown = await _patch(client, {"spec": {"replicas": 9}}, query="dryRun=All")
    assert (shown.at("spec", "replicas"), shown.at("metadata", "generation")) == (9, 2)
    assert shown.at("metadata", "resourceVersion") == as_object(before["metadata"])["resourceVersion"]
    assert (await client.get(WEB)).body == before
    assert [(one.dry_run, one.status, one.body) for one in client.server.writes] == [
        (True, 200, b'{"spec": {"replicas": 9}}')
    ]


async def test_a_write_raises_the_version_of_the_whole_world(serve: Serve) -> None:
    client = await _client(serve)
    before = client.server.store.revision
    reply = await _patch(client, {"data": {"k": None, "n": "1"}}, "/api/v1/namespaces/default/configmaps/c")
    assert reply.body["data"] == {"n": "1"}
    assert reply.at("metadata", "resourceVersion") == str(before + 1)
    assert "generation" not in as_object(reply.body["metadata"])
    assert (await client.get("/api/v1/pods")).at("metadata", "resourceVersion") == str(before + 1)


async def test_status_and_object_are_patched_apart(serve: Serve) -> None:
    client = await _client(serve)
    patch: JsonObject = {"spec": {"replicas": 5}, "status": {"readyReplicas": 5}}
    on_object = await _patch(client, patch)
    assert (on_object.at("spec", "replicas"), on_object.at("status", "readyReplicas")) == (5, 2)
    on_status = await _patch(client, {"spec": {"replicas": 1}, "status": {"readyReplicas": 4}}, f"{WEB}/status")
    assert (on_status.at("spec", "replicas"), on_status.at("status", "readyReplicas")) == (5, 4)
    assert objects_at(on_status.body, "metadata", "managedFields")[-1]["subresource"] == "status"


async def test_the_servers_own_metadata_stays(serve: Serve) -> None:
    client = await _client(serve)
    before = as_object((await client.get(WEB)).body["metadata"])
    mine: JsonObject = {"generation": 99, "creationTimestamp": None, "managedFields": []}
    after = as_object((await _patch(client, {"metadata": mine})).body["metadata"])
    assert after == before


async def test_an_older_form_is_patched_in_its_own_words(serve: Serve) -> None:
    client = await _client(serve)
    path = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers/web"
    old = await _patch(client, {"spec": {"targetCPUUtilizationPercentage": 50}}, path.format("v1"))
    assert old.at("spec", "targetCPUUtilizationPercentage") == 50
    new = await client.get(path.format("v2"))
    assert objects_at(new.body, "spec", "metrics")[0] == {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }


@pytest.mark.parametrize(
    ("patch", "query", "status", "message"),
    [
        ({"metadata": {"name": "x"}}, "", 400, "the name of the object (x) does not match the name on the URL (web)"),
        ({"metadata": {"namespace": "x"}}, "", 400, "the namespace of the object (x) does not match"),
        ({"kind": "Pod"}, "", 400, "does not match the expected kind (Deployment)"),
        ({"spec": {"replicas": -1}}, "", 422, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"spec": {}}, "dryRun=Some", 422, 'dryRun: Unsupported value: "Some": supported values: "All"'),
        ({"metadata": {"resourceVersion": "1"}}, "dryRun=All", 409, "the object has been modified"),
        (["no", "object"], "", 400, "cannot unmarshal"),
    ],
)
async def test_a_wrong_patch_is_refused(serve: Serve, patch: JsonValue, query: str, status: int, message: str) -> None:
    client = await _client(serve)
    reply = await _patch(client, patch, query=query)
    assert (reply.status, message in reply.message) == (status, True), reply.message
    assert client.server.store.changes == []


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status"),
    [
        ("DELETE", "/api/v1/namespaces/default/pods", "application/json", 405),
        ("POST", "/api/v1/namespaces/default/pods/p/exec", "application/json", 405),
        ("POST", "/api/v1/namespaces/default/serviceaccounts/p/token", "application/json", 405),
        ("PATCH", "/api/v1/nodes/n/proxy", "application/merge-patch+json", 405),
        ("PATCH", f"{WEB}/scale", "application/apply-patch+yaml", 415),
        ("PATCH", WEB, "application/nonsense", 415),
        ("POST", "/api/v1/componentstatuses", "application/json", 405),
        ("OPTIONS", WEB, "application/json", 405),
        ("POST", "/version", "application/json", 404),
    ],
)
async def test_writes_not_served_are_refused_and_recorded(
    serve: Serve, method: str, path: str, content_type: str, status: int
) -> None:
    client = await _client(serve)
    before = client.server.store.revision
    reply = await client.send(method, path, body={}, headers={"Content-Type": content_type})
    assert reply.status == status
    if status == 405:
        assert reply.at("reason") == "MethodNotAllowed"
    assert client.server.store.revision == before
    assert [(one.method, one.path, one.status) for one in client.server.writes] == [(method, path, status)]


async def test_refused_and_failing_attempts_are_recorded_as_well(serve: Serve) -> None:
    fault: JsonObject = {"server": "kube", "match": "web", "status": 503, "count": 1}
    access = Access(tokens={"t": ("someone", ())}, rules={"nobody": []})
    client = await serve(small_world([_web()], access=access, faults=[fault]))
    for token in ("t", "t", "unknown"):
        headers = {**MERGE, "Authorization": f"Bearer {token}"}
        await client.send("PATCH", WEB, body={"spec": {}}, headers=headers)
    assert [(one.status, one.user, one.body) for one in client.server.writes] == [
        (503, "", b'{"spec": {}}'),
        (403, "someone", b'{"spec": {}}'),
        (401, "", b'{"spec": {}}'),
    ]


async def test_a_large_body_is_read_whole_up_to_the_limit(serve: Serve) -> None:
    client = await _client(serve)
    path = "/api/v1/namespaces/default/configmaps/c"
    reply = await _patch(client, {"data": {"big": "x" * 2_000_000}}, path)
    assert reply.status == 200
    assert len(as_text(reply.at("data", "big"))) == 2_000_000
    refused = await _patch(client, {"data": {"big": "x" * 4_000_000}}, path)
    assert (refused.status, refused.at("reason")) == (413, "RequestEntityTooLarge")
