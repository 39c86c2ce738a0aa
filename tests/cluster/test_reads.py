"""What is true of any cluster: discovery, paging, Tables, refusals, access reviews. Read-only.

`pytest -m cluster` with PLUMBLINE_TEST_KUBECONFIG set runs these against a real control plane.
"""

from __future__ import annotations

import pytest

from evals.servers.kube.jsonread import as_int, as_list, as_object, as_text, dig, objects_at
from tests.cluster.conftest import Cluster
from tools.types import JsonObject

pytestmark = pytest.mark.cluster
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
NAMESPACES = "/api/v1/namespaces"


async def test_discovery_names_the_core_kinds(cluster: Cluster) -> None:
    version = (await cluster.send("GET", "/version")).body
    assert as_text(version["gitVersion"]).startswith(f"v{version['major']}.")
    core = (await cluster.send("GET", "/api/v1")).body
    found = {as_text(one["name"]): one for one in objects_at(core, "resources")}
    assert found["pods"]["namespaced"] is True
    assert found["nodes"]["namespaced"] is False
    assert {"get", "list", "watch"} <= set(as_list(found["pods"]["verbs"]))
    groups = (await cluster.send("GET", "/apis")).body
    assert {"apps", "batch", "autoscaling"} <= {as_text(one["name"]) for one in objects_at(groups, "groups")}


async def test_pages_add_up_to_the_whole_list(cluster: Cluster) -> None:
    whole = [dig(one, "metadata", "name") for one in objects_at((await cluster.send("GET", NAMESPACES)).body, "items")]
    first = (await cluster.send("GET", f"{NAMESPACES}?limit=1")).body
    metadata = as_object(first["metadata"])
    assert as_int(metadata["remainingItemCount"]) == len(whole) - 1
    rest = (await cluster.send("GET", f"{NAMESPACES}?limit=500&continue={metadata['continue']}")).body
    paged = [dig(one, "metadata", "name") for one in (*objects_at(first, "items"), *objects_at(rest, "items"))]
    assert paged == whole == sorted(as_text(name) for name in whole)


async def test_a_missing_object_is_a_status(cluster: Cluster) -> None:
    answer = await cluster.send("GET", f"{NAMESPACES}/default/pods/no-such-pod")
    assert answer.status == 404
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods "no-such-pod" not found',
        "reason": "NotFound",
        "details": {"name": "no-such-pod", "kind": "pods"},
        "code": 404,
    }


async def test_a_missing_namespace_is_an_empty_list(cluster: Cluster) -> None:
    answer = await cluster.send("GET", f"{NAMESPACES}/no-such-namespace/pods")
    assert (answer.status, answer.body["items"]) == (200, [])


async def test_namespaces_can_be_had_as_a_table(cluster: Cluster) -> None:
    table = (await cluster.send("GET", NAMESPACES, accept=TABLE)).body
    assert table["kind"] == "Table"
    assert [one["name"] for one in objects_at(table, "columnDefinitions")] == ["Name", "Status", "Age"]
    assert "default" in {as_text(as_list(row["cells"])[0]) for row in objects_at(table, "rows")}


@pytest.mark.parametrize(
    ("path", "accept", "status", "reason"),
    [
        (f"{NAMESPACES}/default/pods", "text/csv", 406, "NotAcceptable"),
        (f"{NAMESPACES}?labelSelector=a%20in%20%28", "application/json", 400, "BadRequest"),
        (f"{NAMESPACES}/default/pods?fieldSelector=spec.x%3D1", "application/json", 400, "BadRequest"),
        (f"{NAMESPACES}?limit=1&continue=garbage", "application/json", 400, "BadRequest"),
        ("/api/v1/wombats", "application/json", 404, "NotFound"),
    ],
)
async def test_wrong_requests_are_refused(cluster: Cluster, path: str, accept: str, status: int, reason: str) -> None:
    answer = await cluster.send("GET", path, accept=accept)
    assert (answer.status, answer.body["reason"], answer.body["code"]) == (status, reason, status)


async def test_an_access_review_answers_for_whoever_asks(cluster: Cluster) -> None:
    spec: JsonObject = {"resourceAttributes": {"verb": "list", "resource": "namespaces"}}
    body: JsonObject = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": spec,
    }
    answer = await cluster.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body)
    assert (answer.status, dig(answer.body, "status", "allowed")) == (201, True)
