"""Objects as careless authors write them: served as they are, printed without failing; unknown kinds refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.servers.kube.jsonread import as_list, as_object, objects_at
from evals.servers.kube.server import KubeServer
from evals.servers.kube.sheets import SHEETS
from tests.servers.kube.client import TABLE
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import NOW, pod, small_world, thing
from tools.errors import DocumentError
from tools.types import JsonObject

FIELDS = [
    *("metadata", "labels", "annotations", "spec", "status", "containers", "initContainers", "conditions", "name"),
    *("containerStatuses", "state", "waiting", "reason", "phase", "replicas", "selector", "matchLabels", "template"),
    *("metrics", "resource", "target", "ports", "addresses", "type", "lastTimestamp", "involvedObject", "nodeInfo"),
    *("creationTimestamp", "deletionTimestamp", "readinessGates", "podIPs", "ingress", "source", "series", "active"),
    *("matchExpressions", "values", "key", "operator", "terminated", "restartCount", "lastState", "startTime"),
]
SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**6) | st.sampled_from(["", "x", "2027-01-15T07:00:00Z", "True"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=30,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(body=st.dictionaries(st.sampled_from(FIELDS), SCRAPS))
def test_every_printer_prints_anything(body: JsonObject) -> None:
    for name, one in SHEETS.items():
        assert len(one.cells(body, NOW)) == len(one.columns), name


async def test_null_lists_missing_fields_and_numbers_are_served_as_they_are(serve: Serve) -> None:
    odd: JsonObject = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "odd", "namespace": "default", "labels": {"n": 7}, "annotations": {"count": 3}},
        "spec": {"containers": None, "nodeName": "n1"},
    }
    bare: JsonObject = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "labels": None}}
    event = thing("v1", "Event", "e", "default")
    client = await serve(small_world([odd, bare, event, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {
        "name": "d"}}]))  # fmt: skip
    shown = await client.get("/api/v1/namespaces/default/pods/odd")
    assert shown.at("metadata", "annotations") == {"count": 3}
    assert as_object(shown.body["spec"])["containers"] is None
    assert (await client.get("/api/v1/pods?labelSelector=n%3D7")).names == ["default/odd"]
    assert (await client.get("/api/v1/pods?labelSelector=%21n")).names == ["default/bare"]
    for path in ("/api/v1/pods", "/api/v1/events", "/apis/events.k8s.io/v1/events", "/apis/apps/v1/deployments"):
        for accept in (TABLE, "application/json", "application/yaml"):
            assert (await client.get(path, Accept=accept)).status == 200
    table = await client.get("/api/v1/pods", Accept=TABLE)
    assert as_list(objects_at(table.body, "rows")[0]["cells"])[:4] == ["bare", "0/0", "", "0"]
    assert (await client.get("/api/v1/namespaces/default/pods/bare/log")).status == 400
    assert (await client.get("/apis/apps/v1/namespaces/default/deployments/d/scale")).at("spec") == {}


@pytest.mark.parametrize(
    ("raw", "place", "problem"),
    [
        (thing("ex.dev/v1", "Wombat", "w", "ns"), "ns/Wombat/w", "unknown kind Wombat in ex.dev/v1"),
        (thing("apps/v1beta1", "Deployment", "d"), "Deployment/d", "unknown kind Deployment in apps/v1beta1"),
        ({"kind": "Pod", "metadata": {"name": "p"}}, "Pod/p", "unknown kind Pod in no apiVersion"),
        ({}, "an object", "unknown kind (none)"),
        ({"apiVersion": "v1", "kind": "Pod"}, "Pod", "has no metadata.name"),
        (pod("twin"), "default/Pod/twin", "appears twice"),
    ],
)
def test_an_object_that_cannot_be_served_is_one_clear_error(raw: JsonObject, place: str, problem: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        KubeServer(small_world([pod("twin"), raw]))
    assert refusal.value.file == "small"
    assert refusal.value.field == place
    assert refusal.value.problem.startswith(problem)
    assert "\n" not in str(refusal.value)


def test_the_world_itself_is_never_changed() -> None:
    raw = pod("a")
    before = repr(raw)
    server = KubeServer(small_world([raw]))
    item = server.store.select(server.kinds.by_path[("", "v1", "pods")])[0]
    assert item.json
    server.store.put(item.resource, {**raw, "spec": {}})
    assert repr(raw) == before
