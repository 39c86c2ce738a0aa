"""Server-side apply: who owns what, conflicts and force, what is let go, and objects that apply makes."""

from __future__ import annotations

import pytest

from evals.servers.kube.apply import declared, printed_path
from evals.servers.kube.jsonread import as_object, as_text, objects_at
from evals.world.model import Access
from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import small_world, thing
from tools.types import JsonObject

WEB = "/apis/apps/v1/namespaces/default/deployments/web"
HEAD: JsonObject = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}


async def _client(serve: Serve) -> Client:
    client = await serve(small_world(access=Access()))
    container: JsonObject = {"name": "app", "image": "i:1", "args": ["a"], "env": [{"name": "X", "value": "1"}]}
    template: JsonObject = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    spec: JsonObject = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    body: JsonObject = {**HEAD, "spec": spec}
    reply = await client.send("POST", WEB.removesuffix("/web") + "?fieldManager=helm", body=body)
    assert reply.status == 201, reply.text
    return client


async def _apply(
    client: Client, spec: JsonObject, manager: str = "plumbline", query: str = "", head: JsonObject | None = None
) -> Reply:
    body = {**HEAD, **({"spec": spec} if spec else {}), **(head or {})}
    path = f"{WEB}?fieldManager={manager}{query}"
    return await client.send("PATCH", path, body=body, headers={"Content-Type": "application/apply-patch+yaml"})


def _owners(reply: Reply) -> dict[tuple[str, str], JsonObject]:
    entries = objects_at(reply.body, "metadata", "managedFields")
    return {(as_text(one["manager"]), as_text(one["operation"])): as_object(one["fieldsV1"]) for one in entries}


async def test_a_value_that_agrees_is_owned_together(serve: Serve) -> None:
    client = await _client(serve)
    reply = await _apply(client, {"replicas": 2})
    assert (reply.status, reply.at("metadata", "generation")) == (200, 1)
    assert _owners(reply)[("plumbline", "Apply")] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" in as_object(_owners(reply)[("helm", "Update")]["f:spec"])
    again = await _apply(client, {"replicas": 2})
    assert again.at("metadata", "resourceVersion") == reply.at("metadata", "resourceVersion")


async def test_other_values_conflict_and_force_takes_them(serve: Serve) -> None:
    client = await _client(serve)
    container: JsonObject = {"name": "app", "image": "i:2", "env": [{"name": "Y", "value": "2"}]}
    spec: JsonObject = {"replicas": 5, "template": {"spec": {"containers": [container]}}}
    refused = await _apply(client, spec)
    assert (refused.status, refused.at("reason")) == (409, "Conflict")
    assert refused.message == (
        'Apply failed with 2 conflicts: conflicts with "helm" using apps/v1:\n- .spec.replicas\n'
        '- .spec.template.spec.containers[name="app"].image'
    )
    assert [one["field"] for one in objects_at(refused.body, "details", "causes")] == [
        ".spec.replicas",
        '.spec.template.spec.containers[name="app"].image',
    ]
    assert client.server.effective_writes == client.server.writes[:1]
    forced = await _apply(client, spec, query="&force=true")
    (after,) = objects_at(forced.body, "spec", "template", "spec", "containers")
    assert (forced.at("spec", "replicas"), after["image"], after["args"]) == (5, "i:2", ["a"])
    assert after["env"] == [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]
    assert "f:replicas" not in as_object(_owners(forced)[("helm", "Update")]["f:spec"])
    other = await _apply(client, {"replicas": 6}, manager="argocd")
    assert 'conflict with "plumbline": .spec.replicas' in other.message


async def test_what_is_no_longer_declared_goes_unless_another_owns_it(serve: Serve) -> None:
    client = await _client(serve)
    labels: JsonObject = {"name": "web", "labels": {"mine": "1", "ours": "2"}}
    await _apply(client, {"replicas": 2}, head={"metadata": labels})
    await _apply(client, {}, manager="argocd", head={"metadata": {"name": "web", "labels": {"ours": "2"}}})
    reply = await _apply(client, {"replicas": 2})
    assert reply.at("metadata", "labels") == {"ours": "2"}
    gone = await _apply(client, {}, head={"metadata": {"name": "web", "labels": {"x": "y"}}})
    assert gone.at("spec", "replicas") == 2
    assert gone.at("metadata", "labels") == {"ours": "2", "x": "y"}


async def test_a_dry_run_stores_nothing_and_yaml_is_read(serve: Serve) -> None:
    client = await _client(serve)
    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 9}\n"
    path = f"{WEB}?fieldManager=me&force=true&dryRun=All"
    reply = await client.send("PATCH", path, body=text, headers={"Content-Type": "application/apply-patch+yaml"})
    assert (reply.status, reply.at("spec", "replicas")) == (200, 9)
    assert (await client.get(WEB)).at("spec", "replicas") == 2
    assert [(one.verb, one.dry_run, one.changed) for one in client.server.requests[1:3]] == [
        ("patch", True, False),
        ("get", False, False),
    ]


@pytest.mark.parametrize(
    ("head", "status", "said"),
    [
        ({"kind": "Pod"}, 400, "does not match the expected kind (Deployment)"),
        ({"apiVersion": None}, 400, "apiVersion in the data (none)"),
        ({"metadata": {"name": "other"}}, 400, "does not match the name on the URL (web)"),
        ({"metadata": {"name": "web", "managedFields": [{}]}}, 400, "must be nil"),
        ({"metadata": {"name": "web", "resourceVersion": "1"}}, 409, "the object has been modified"),
        ({"metadata": {"name": "web", "uid": "x"}}, 422, "metadata.uid: Invalid value"),
        ({"spec": {"replicas": -1}}, 409, "conflict"),
    ],
)
async def test_configurations_that_are_refused(serve: Serve, head: JsonObject, status: int, said: str) -> None:
    client = await _client(serve)
    reply = await _apply(client, {"replicas": 2}, head=head)
    assert (reply.status, said in reply.message) == (status, True), reply.message


async def test_making_an_object_by_apply_needs_the_right_to_create(serve: Serve) -> None:
    rules: dict[str, list[JsonObject]] = {"applier": [{"verbs": ["patch"], "resources": ["configmaps"]}]}
    access = Access(tokens={"t": ("applier", ())}, rules=rules)
    client = await serve(small_world([thing("v1", "ConfigMap", "c", "default")], access=access))
    headers = {"Content-Type": "application/apply-patch+yaml", "Authorization": "Bearer t"}
    for name, status in (("c", 200), ("new", 403)):
        body: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}}
        path = f"/api/v1/namespaces/default/configmaps/{name}?fieldManager=a"
        reply = await client.send("PATCH", path, body=body, headers=headers)
        assert reply.status == status, reply.message
    assert 'User "applier" cannot create resource "configmaps"' in reply.message


def test_paths_and_fields_are_written_as_the_real_server_writes_them() -> None:
    port: JsonObject = {"containerPort": 80, "protocol": "UDP"}
    config: JsonObject = {
        "spec": {"ports": [port], "selector": {"a": "b"}, "args": ["x"]},
        "metadata": {"finalizers": ["f"]},
    }
    key = 'k:{"containerPort":80,"protocol":"UDP"}'
    assert declared(config) == {
        "f:metadata": {"f:finalizers": {'v:"f"': {}}},
        "f:spec": {
            "f:ports": {key: {".": {}, "f:containerPort": {}, "f:protocol": {}}},
            "f:selector": {},
            "f:args": {},
        },
    }
    assert printed_path(("f:spec", "f:ports", key)) == '.spec.ports[containerPort=80,protocol="UDP"]'
