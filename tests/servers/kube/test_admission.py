"""Policies, quotas and budgets: what keeps a well-formed, permitted write out, and the failures a world plays."""

from __future__ import annotations

import aiohttp
import pytest
from pydantic import JsonValue

from evals.servers.kube.celsubset import CelFailure, CelSyntaxError, evaluate
from evals.servers.kube.jsonread import as_object, objects_at
from evals.world.model import Access
from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import pod, small_world, thing
from tools.types import JsonObject

WEB = "/apis/apps/v1/namespaces/default/deployments/web"
MERGE = {"Content-Type": "application/merge-patch+json"}
RBAC = "admissionregistration.k8s.io/v1"


def _web() -> JsonObject:
    container: JsonObject = {"name": "app", "image": "i", "args": ["a"]}
    template: JsonObject = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    spec: JsonObject = {"replicas": 4, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return thing("apps/v1", "Deployment", "web", "default", spec=spec)


def _policy(expression: str, **more: JsonValue) -> list[JsonObject]:
    rule: JsonObject = {
        "apiGroups": ["apps"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": ["deployments", "deployments/scale"],
    }
    spec: JsonObject = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, "message": "not by you"}],
        **more,
    }
    bound: JsonObject = {"policyName": "p", "validationActions": ["Deny"]}
    return [
        thing(RBAC, "ValidatingAdmissionPolicy", "p", spec=spec),
        thing(RBAC, "ValidatingAdmissionPolicyBinding", "b", spec=bound),
    ]


async def _patch(client: Client, patch: JsonObject, path: str = WEB, token: str = "") -> Reply:
    headers = {**MERGE, **({"Authorization": f"Bearer {token}"} if token else {})}
    return await client.send("PATCH", path, body=patch, headers=headers)


APPLIER = "request.userInfo.username != 'applier' || (object.spec.template == oldObject.spec.template && {})"


@pytest.mark.parametrize(
    ("token", "patch", "status"),
    [
        ("applier", {"spec": {"replicas": 5}}, 200),
        ("applier", {"spec": {"replicas": 1}}, 422),
        ("applier", {"spec": {"template": {"spec": {"nodeName": "n"}}}}, 422),
        ("admin", {"spec": {"replicas": 1}}, 200),
    ],
)
async def test_a_policy_bounds_what_one_identity_may_change(
    serve: Serve, token: str, patch: JsonObject, status: int
) -> None:
    everything: JsonObject = {"verbs": ["*"], "resources": ["*"]}
    access = Access(
        tokens={"admin": ("admin", ()), "applier": ("applier", ())},
        rules={"admin": [everything], "applier": [everything]},
    )
    policy = _policy(APPLIER.format("object.spec.replicas >= oldObject.spec.replicas / 2"))
    client = await serve(small_world([_web(), *policy], access=access))
    reply = await _patch(client, patch, token=token)
    assert reply.status == status, reply.message
    if status == 422:
        said = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not by you"
        assert reply.message == f'deployments.apps "web" is forbidden: {said}'
        assert client.server.effective_writes == []


@pytest.mark.parametrize(
    ("expression", "more", "status"),
    [
        ("object.spec.nothing == 1", {}, 422),
        ("object.spec.nothing == 1", {"failurePolicy": "Ignore"}, 200),
        ("a b c", {}, 422),
        ("false", {"matchConditions": [{"name": "m", "expression": "request.dryRun"}]}, 200),
        ("variables.n < 5", {"variables": [{"name": "n", "expression": "object.spec.replicas"}]}, 422),
        ("false", {"matchConstraints": {"namespaceSelector": {"matchLabels": {"team": "other"}}}}, 200),
    ],
)
async def test_when_a_policy_applies(serve: Serve, expression: str, more: JsonObject, status: int) -> None:
    client = await serve(small_world([_web(), *_policy(expression, **more)]))
    assert (await _patch(client, {"spec": {"replicas": 5}})).status == status


async def test_scale_is_asked_about_as_scale(serve: Serve) -> None:
    client = await serve(small_world([_web(), *_policy("object.spec.replicas <= 10")]))
    assert (await _patch(client, {"spec": {"replicas": 11}}, f"{WEB}/scale")).status == 422
    reply = await _patch(client, {"spec": {"replicas": 10}}, f"{WEB}/scale")
    assert (reply.status, reply.at("kind"), reply.at("spec", "replicas")) == (200, "Scale", 10)
    entry = objects_at((await client.get(WEB)).body, "metadata", "managedFields")[-1]
    assert (entry["subresource"], entry["fieldsV1"]) == ("scale", {"f:spec": {"f:replicas": {}}})


CEL: JsonObject = {"o": {"a": [1, 2], "s": "plumb", "m": {"k/x": 1}}, "n": 3}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1 + 2 * 3 == 7 && !(1 > 2)", True),
        ("o.a.all(x, x > 0) && o.a.exists(x, x == 2)", True),
        ("o.a.map(x, x * 2)", [2, 4]),
        ("o.a.filter(x, x != n - 2)", [2]),
        ("has(o.missing) ? 1 : size(o.a)", 2),
        ("o.missing == 1 || true", True),
        ("'lu' in ['lu'] && o.s.contains('lu') && o.s.matches('^p.*b$')", True),
        ('o.m["k/x"] == 1', True),
        ("o.?missing.orValue(5)", 5),
        ("'k/x' in o.m", True),
        ("{'a': 1}.a + 7 / 2 - 7 % 4", 1),
        ("-n < 0 && 1.5 > 1", True),
        ("1 == true", False),
    ],
)
def test_expressions(text: str, wanted: JsonValue) -> None:
    assert evaluate(text, CEL) == wanted


@pytest.mark.parametrize(
    "text", ["o.missing", "o.a[7]", "o.s > 1", "1 / 0 == 1", "o && true", "unknown", "o.missing == 1 && true"]
)
def test_expressions_that_fail(text: str) -> None:
    with pytest.raises(CelFailure):
        evaluate(text, CEL)


@pytest.mark.parametrize("text", ["", "1 +", "o.a.fold(x, 1)", "url('x')", "a ? b", "(1", "#"])
def test_what_is_outside_the_subset_does_not_compile(text: str) -> None:
    with pytest.raises(CelSyntaxError):
        evaluate(text, CEL)


# --- quota and budgets -------------------------------------------------------------------------------------


def _pod(name: str, gpus: int) -> JsonObject:
    limits: JsonObject = {"nvidia.com/gpu": gpus}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "x", "resources": {"limits": limits}}]},
    }


async def test_quota_is_used_up_by_pods_that_get_in(serve: Serve) -> None:
    quota = thing("v1", "ResourceQuota", "q", "default", spec={"hard": {"requests.nvidia.com/gpu": "8", "pods": "2"}})
    client = await serve(small_world([quota]))
    path = "/api/v1/namespaces/default/pods"
    dry = await client.send("POST", f"{path}?dryRun=All", body=_pod("a", 8))
    statuses = [(await client.send("POST", path, body=_pod(name, gpus))).status for name, gpus in (("a", 6), ("b", 2))]
    over = await client.send("POST", path, body=_pod("c", 4))
    assert (dry.status, statuses, over.status) == (201, [201, 201], 403)
    assert over.message == (
        'pods "c" is forbidden: exceeded quota: q, requested: pods=1,requests.nvidia.com/gpu=4, '
        "used: pods=2,requests.nvidia.com/gpu=8, limited: pods=2,requests.nvidia.com/gpu=8"
    )


def _budget(name: str, allowed: int) -> JsonObject:
    status: JsonObject = {"disruptionsAllowed": allowed, "currentHealthy": 3, "desiredHealthy": 3 - allowed}
    spec: JsonObject = {"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}}
    return thing("policy/v1", "PodDisruptionBudget", name, "default", spec=spec, status=status)


async def _evict(client: Client, name: str, query: str = "") -> Reply:
    body: JsonObject = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return await client.send("POST", f"/api/v1/namespaces/default/pods/{name}/eviction{query}", body=body)


async def test_evictions_use_up_a_budget(serve: Serve) -> None:
    pods = [pod(name, labels={"app": "x"}) for name in ("a", "b", "c")]
    client = await serve(
        small_world([*pods, _budget("one", 1), pod("free"), pod("waits", labels={"app": "x"}, phase="Pending")])
    )
    dry = await _evict(client, "a", "?dryRun=All")
    first, second = await _evict(client, "a"), await _evict(client, "b")
    assert (dry.status, first.status, second.status) == (201, 201, 429)
    assert objects_at(second.body, "details", "causes")[0]["message"] == (
        "The disruption budget one needs 2 healthy pods and has 2 currently"
    )
    assert [(await _evict(client, name)).status for name in ("free", "waits", "gone")] == [201, 201, 404]
    assert (await client.get("/api/v1/pods")).names == ["default/b", "default/c"]


async def test_two_budgets_over_one_pod_are_an_error(serve: Serve) -> None:
    client = await serve(small_world([pod("a", labels={"app": "x"}), _budget("one", 1), _budget("two", 1)]))
    assert (await _evict(client, "a")).status == 500


async def test_deleting_needs_the_right_object_and_waits_for_finalizers(serve: Serve) -> None:
    held = thing("v1", "ConfigMap", "held", "default")
    held["metadata"] = {**as_object(held["metadata"]), "finalizers": ["example.com/hold"]}
    client = await serve(small_world([thing("v1", "ConfigMap", "c", "default"), held]))
    path = "/api/v1/namespaces/default/configmaps"
    stale = await client.send("DELETE", f"{path}/c", body={"preconditions": {"resourceVersion": "1"}})
    assert (stale.status, "The object might have been modified" in stale.message) == (409, True)
    marked = await client.send("DELETE", f"{path}/held")
    assert marked.at("metadata", "deletionTimestamp") == "2027-01-15T08:00:00Z"
    assert (await client.get(path)).names == ["default/c", "default/held"]
    await _patch(client, {"metadata": {"finalizers": None}}, f"{path}/held")
    assert (await client.get(path)).names == ["default/c"]


async def test_a_replacement_names_the_object_it_replaces(serve: Serve) -> None:
    client = await serve(small_world([_web()]))
    body = (await client.get(WEB)).body
    metadata = as_object(body["metadata"])
    for wrong, status in (({"uid": "x"}, 409), ({"resourceVersion": "1"}, 409), ({"name": "v"}, 400)):
        reply = await client.send("PUT", WEB, body={**body, "metadata": {**metadata, **wrong}})
        assert reply.status == status, reply.message
    assert (await client.send("PUT", f"{WEB}x", body=body)).status == 404
    spec: JsonObject = {**as_object(body["spec"]), "replicas": 7}
    reply = await client.send("PUT", WEB, body={**body, "spec": spec, "status": {"replicas": 9}})
    assert (reply.status, reply.at("spec", "replicas"), reply.at("metadata", "generation")) == (200, 7, 2)
    assert "status" not in reply.body


# --- failures a world plays --------------------------------------------------------------------------------


async def test_a_webhook_denies_real_writes_and_lets_dry_runs_pass(serve: Serve) -> None:
    fault: JsonObject = {
        "server": "kube",
        "match": "/web",
        "verb": "patch",
        "dry_run": False,
        "webhook": "v.example.com",
        "message": "frozen",
    }
    client = await serve(small_world([_web()], faults=[fault]))
    dry = await _patch(client, {"spec": {"replicas": 5}}, f"{WEB}?dryRun=All")
    real = await _patch(client, {"spec": {"replicas": 5}})
    assert (dry.status, real.status, (await client.get(WEB)).status) == (200, 403, 200)
    assert real.message == 'admission webhook "v.example.com" denied the request: frozen'


async def test_an_answer_is_lost_after_the_write_took_effect(serve: Serve) -> None:
    fault: JsonObject = {"server": "kube", "match": "/web", "verb": "patch", "lost": True, "after": 1, "count": 1}
    client = await serve(small_world([_web()], faults=[fault]))
    assert (await _patch(client, {"spec": {"replicas": 5}})).status == 200
    with pytest.raises(aiohttp.ClientError):
        await _patch(client, {"spec": {"replicas": 6}})
    assert (await client.get(WEB)).at("spec", "replicas") == 6
    assert (await _patch(client, {"spec": {"replicas": 7}})).status == 200
    assert [one.status for one in client.server.effective_writes] == [200, 200, 200]


async def test_the_date_header_may_run_ahead_of_the_world(serve: Serve) -> None:
    client = await serve(small_world())
    before = (await client.get("/version")).headers["Date"]
    client.server.skew = 3600.0
    assert (before, (await client.get("/version")).headers["Date"]) == (
        "Fri, 15 Jan 2027 08:00:00 GMT",
        "Fri, 15 Jan 2027 09:00:00 GMT",
    )
