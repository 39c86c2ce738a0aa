"""Who may do what: tokens, impersonation, access rules, RBAC objects, and the reviews that ask about them."""

from __future__ import annotations

import pytest

from evals.servers.kube.jsonread import objects_at
from evals.world.model import Access
from tests.servers.kube.client import Client
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import pod, small_world, thing
from tools.errors import UnknownName
from tools.types import JsonObject

RBAC = "rbac.authorization.k8s.io"
ACCESS = Access(
    tokens={
        "root": ("root", ("system:masters",)),
        "dev": ("dev", ("team-a",)),
        "sa": ("system:serviceaccount:team-a:runner", ()),
    },
    rules={
        "team-a": [{"verbs": ["get", "list"], "resources": ["pods", "pods/log"], "namespaces": ["team-a"]}],
        "dev": [{"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"], "resourceNames": ["n1"]}],
    },
)
REVIEWS = "/apis/authorization.k8s.io/v1"


def _role(kind: str, name: str, namespace: str, verbs: list[str], resources: list[str]) -> JsonObject:
    rule: JsonObject = {"apiGroups": [""], "verbs": list(verbs), "resources": list(resources)}
    return {**thing(f"{RBAC}/v1", kind, name, namespace), "rules": [rule]}


def _binding(kind: str, namespace: str, role: tuple[str, str], subject: JsonObject) -> JsonObject:
    ref: JsonObject = {"apiGroup": RBAC, "kind": role[0], "name": role[1]}
    return {**thing(f"{RBAC}/v1", kind, "bound", namespace), "roleRef": ref, "subjects": [subject]}


async def _client(serve: Serve) -> Client:
    runner: JsonObject = {"kind": "ServiceAccount", "name": "runner", "namespace": "team-a"}
    objects = [
        *(pod("p", namespace) for namespace in ("team-a", "team-b")),
        thing("v1", "Node", "n1"),
        thing("v1", "Node", "n2"),
        _role("ClusterRole", "nodes", "", ["list"], ["nodes"]),
        _binding("ClusterRoleBinding", "", ("ClusterRole", "nodes"), {"kind": "Group", "name": "watchers"}),
        _role("Role", "secrets", "team-b", ["*"], ["secrets", "*/status"]),
        _binding("RoleBinding", "team-b", ("Role", "secrets"), runner),
        {**thing(f"{RBAC}/v1", "RoleBinding", "dangling", "team-b"), "subjects": None, "roleRef": None},
    ]
    return await serve(small_world(objects, access=ACCESS))


def _as(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **more}


@pytest.mark.parametrize(
    ("token", "path", "status"),
    [
        ("root", "/api/v1/pods", 200),
        ("dev", "/api/v1/namespaces/team-a/pods", 200),
        ("dev", "/api/v1/namespaces/team-a/pods/p/log", 200),
        ("dev", "/api/v1/namespaces/team-b/pods", 403),
        ("dev", "/api/v1/pods", 403),
        ("dev", "/api/v1/nodes/n1", 200),
        ("dev", "/api/v1/nodes/n2", 403),
        ("dev", "/api/v1/nodes", 403),
        ("sa", "/api/v1/namespaces/team-b/secrets", 200),
        ("sa", "/api/v1/namespaces/team-b/pods/p/status", 200),
        ("sa", "/api/v1/namespaces/team-b/pods/p", 403),
        ("dev", "/apis", 200),
        ("dev", "/version", 200),
        ("dev", "/metrics", 403),
        ("wrong", "/version", 401),
    ],
)
async def test_a_user_reaches_what_rules_and_roles_grant(serve: Serve, token: str, path: str, status: int) -> None:
    reply = await (await _client(serve)).send("GET", path, headers=_as(token))
    assert reply.status == status


async def test_an_unknown_token_is_unauthorized(serve: Serve) -> None:
    reply = await (await _client(serve)).send("GET", "/api/v1/pods", headers=_as("wrong"))
    assert reply.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "/api/v1/namespaces/team-b/pods/p/log",
            'pods "p" is forbidden: User "dev" cannot get resource "pods/log" in API group "" '
            'in the namespace "team-b"',
        ),
        (
            "/apis/apps/v1/deployments",
            'deployments.apps is forbidden: User "dev" cannot list resource "deployments" in API group "apps" '
            "at the cluster scope",
        ),
        (
            "/api/v1/namespaces/team-b",
            'namespaces "team-b" is forbidden: User "dev" cannot get resource "namespaces" in API group "" '
            'in the namespace "team-b"',
        ),
        ("/metrics", 'forbidden: User "dev" cannot get path "/metrics"'),
    ],
)
async def test_a_refusal_names_user_verb_and_place(serve: Serve, path: str, message: str) -> None:
    reply = await (await _client(serve)).send("GET", path, headers=_as("dev"))
    assert (reply.status, reply.message, reply.at("reason")) == (403, message, "Forbidden")


async def test_impersonation_needs_permission_and_adds_the_authenticated_group(serve: Serve) -> None:
    client = await _client(serve)
    refused = await client.send("GET", "/api/v1/nodes", headers=_as("dev", **{"Impersonate-User": "root"}))
    assert refused.message == (
        'users "root" is forbidden: User "dev" cannot impersonate resource "users" in API group "" at the cluster scope'
    )
    headers = _as("root", **{"Impersonate-User": "eve", "Impersonate-Group": "watchers"})
    assert (await client.send("GET", "/api/v1/nodes", headers=headers)).status == 200
    who = await client.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body={}, headers=headers)
    assert who.at("status", "userInfo") == {"username": "eve", "groups": ["watchers", "system:authenticated"]}
    alone = await client.send("GET", "/api/v1/nodes", headers=_as("root", **{"Impersonate-Group": "watchers"}))
    assert (alone.status, alone.message) == (400, "requested groups without impersonating a user")


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"verb": "list", "resource": "pods", "namespace": "team-a"}, True),
        ({"verb": "list", "resource": "pods"}, False),
        ({"verb": "get", "resource": "nodes", "name": "n1"}, True),
        ({"verb": "delete", "resource": "pods", "namespace": "team-a"}, False),
    ],
)
async def test_a_review_says_what_a_request_would_meet(
    serve: Serve,
    attributes: JsonObject,
    allowed: bool,  # noqa: FBT001  # a parametrised answer
) -> None:
    client = await _client(serve)
    spec: JsonObject = {"resourceAttributes": attributes}
    mine = await client.send("POST", f"{REVIEWS}/selfsubjectaccessreviews", body={"spec": spec}, headers=_as("dev"))
    theirs = await client.send(
        "POST",
        f"{REVIEWS}/subjectaccessreviews",
        body={"spec": {**spec, "user": "dev", "groups": ["team-a"]}},
        headers=_as("root"),
    )
    assert mine.at("status", "allowed") is theirs.at("status", "allowed") is allowed


async def test_reviews_of_paths_and_wrong_reviews(serve: Serve) -> None:
    client = await _client(serve)
    path = f"{REVIEWS}/selfsubjectaccessreviews"
    url: JsonObject = {"spec": {"nonResourceAttributes": {"path": "/apis/apps", "verb": "get"}}}
    assert (await client.send("POST", path, body=url, headers=_as("dev"))).at("status", "allowed") is True
    for body, status in (({"spec": {}}, 422), ("{", 400), ("[]", 400)):
        assert (await client.send("POST", path, body=body, headers=_as("dev"))).status == status
    empty = await client.send("POST", f"{REVIEWS}/selfsubjectrulesreviews", body={"spec": {}}, headers=_as("dev"))
    assert empty.status == 422


async def test_a_world_without_rules_is_open(serve: Serve) -> None:
    client = await serve(small_world([pod("p")]))
    assert (await client.send("GET", "/api/v1/pods", headers={"Authorization": "Bearer anything"})).status == 200
    rules = await client.send("POST", f"{REVIEWS}/selfsubjectrulesreviews", body={"spec": {"namespace": "x"}})
    assert objects_at(rules.body, "status", "resourceRules") == [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    ]


async def test_reviews_are_no_writes(serve: Serve) -> None:
    client = await _client(serve)
    await client.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body={}, headers=_as("dev"))
    assert client.server.writes == []
    assert [(one.method, one.user, one.status) for one in client.server.requests] == [("POST", "dev", 201)]


async def test_an_applier_beside_a_reader(serve: Serve) -> None:
    """A world declares who may patch what; the log tells writes, dry runs and refusals apart."""
    read: JsonObject = {"verbs": ["get", "list", "watch"], "resources": ["*"]}
    write: JsonObject = {"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"], "namespaces": ["a"]}
    access = Access(
        tokens={"r": ("reader", ()), "w": ("applier", ("plumbline-appliers",))},
        rules={"reader": [read], "applier": [read], "plumbline-appliers": [write]},
    )
    maps = [thing("v1", "ConfigMap", "c", namespace) for namespace in ("a", "b")]
    client = await serve(small_world(maps, access=access))
    path = "/api/v1/namespaces/{}/configmaps/c"
    seen: list[int] = []
    for token, namespace, query in (
        ("r", "a", ""),
        ("r", "a", "?dryRun=All"),
        ("w", "b", ""),
        ("w", "a", "?dryRun=All"),
        ("w", "a", ""),
    ):
        headers = _as(token, **{"Content-Type": "application/merge-patch+json"})
        reply = await client.send("PATCH", path.format(namespace) + query, body={"data": {"k": "v"}}, headers=headers)
        seen.append(reply.status)
    assert seen == [403, 403, 403, 200, 200]
    deleted = await client.send("DELETE", path.format("a"), headers=_as("w"))
    assert (deleted.status, 'User "applier" cannot delete resource' in deleted.message) == (403, True)
    assert [(one.user, one.verb, one.dry_run, one.changed) for one in client.server.requests] == [
        ("reader", "patch", False, False),
        ("reader", "patch", True, False),
        ("applier", "patch", False, False),
        ("applier", "patch", True, False),
        ("applier", "patch", False, True),
        ("applier", "delete", False, False),
    ]
    assert [(one.user, one.body) for one in client.server.effective_writes] == [("applier", b'{"data": {"k": "v"}}')]


async def test_a_kubeconfig_for_each_identity(serve: Serve) -> None:
    access = Access(tokens={"r": ("reader", ()), "w": ("applier", ())}, rules={"reader": []})
    server = (await serve(small_world(access=access))).server
    tokens = [server.kubeconfig(user)["users"][0]["user"]["token"] for user in ("", "reader", "applier")]  # type: ignore[index, call-overload]
    assert tokens == ["r", "r", "w"]
    with pytest.raises(UnknownName, match="nobody"):
        server.kubeconfig("nobody")
