"""Which kinds a world serves, under which versions, and how they are shown: discovery, Tables, conversions, formats."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from evals.servers.kube.jsonread import as_text, json_path, objects_at
from evals.servers.kube.kinds import version_rank
from evals.servers.kube.tables import human
from tests.servers.kube.client import TABLE, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import pod, small_world, thing
from tools.types import JsonObject

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
WIDGET: JsonObject = {
    "group": "ex.dev",
    "kind": "Widget",
    "plural": "widgets",
    "singular": "widget",
    "namespaced": True,
    "shortNames": ["wd"],
    "columns": [
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ],
}


def _cells(reply: Reply) -> list[object]:
    return [row["cells"] for row in objects_at(reply.body, "rows")]


def _columns(reply: Reply) -> list[str]:
    return [as_text(column["name"]) for column in objects_at(reply.body, "columnDefinitions")]


async def test_a_defined_kind_is_discovered_read_and_printed(serve: Serve) -> None:
    versions: list[JsonObject] = [{**WIDGET, "version": version} for version in ("v1beta1", "v1")]
    ready: JsonObject = {"type": "Ready", "status": "True"}
    objects = [
        thing("ex.dev/v1", "Widget", "a", "ns", spec={"size": 3}, status={"conditions": [ready]}),
        thing("ex.dev/v1beta1", "Widget", "b", "ns"),
    ]
    client = await serve(small_world(objects, definitions=versions))
    group = await client.get("/apis/ex.dev")
    assert group.at("preferredVersion", "version") == "v1"
    assert [one["version"] for one in objects_at(group.body, "versions")] == ["v1", "v1beta1"]
    for version in ("v1", "v1beta1"):
        items = objects_at((await client.get(f"/apis/ex.dev/{version}/widgets")).body, "items")
        assert {as_text(one["apiVersion"]) for one in items} == {f"ex.dev/{version}"}
        assert len(items) == 2
    table = await client.get("/apis/ex.dev/v1/widgets", Accept=TABLE)
    assert _columns(table) == ["Name", "Ready", "Size", "Age"]
    assert _cells(table) == [["a", "True", 3, "24h"], ["b", None, None, "24h"]]


async def test_a_definition_object_serves_its_versions_and_scale(serve: Serve) -> None:
    scale: JsonObject = {"specReplicasPath": ".spec.nodes", "statusReplicasPath": ".status.nodes"}
    old: JsonObject = {"name": "v1alpha1", "served": False, "storage": False}
    new: JsonObject = {"name": "v1", "served": True, "storage": True, "subresources": {"scale": scale}}
    names: JsonObject = {"plural": "gangs", "kind": "Gang"}
    crd = thing(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "gangs.ex.dev",
        spec={"group": "ex.dev", "scope": "Namespaced", "names": names, "versions": [old, new]},
    )
    gang = thing("ex.dev/v1", "Gang", "g", "ns", spec={"nodes": 8}, status={"nodes": 6})
    client = await serve(small_world([gang, crd]))
    assert (await client.get("/apis/ex.dev/v1alpha1/gangs")).status == 404
    reply = await client.get("/apis/ex.dev/v1/namespaces/ns/gangs/g/scale")
    assert (reply.at("spec", "replicas"), reply.at("status", "replicas")) == (8, 6)
    assert (await client.get("/apis/ex.dev/v1/namespaces/ns/gangs/g/status")).status == 404


async def test_the_aggregated_form_names_the_group_of_custom_kinds(serve: Serve) -> None:
    client = await serve(small_world(definitions=[WIDGET]))
    groups = objects_at((await client.get("/apis", Accept=DISCOVERY)).body, "items")
    shown = objects_at(objects_at(groups[-1], "versions")[0], "resources")
    assert [one["responseKind"] for one in shown] == [{"group": "ex.dev", "version": "v1", "kind": "Widget"}]


@pytest.mark.parametrize(("kubernetes", "served", "text"), [("1.33", 404, "v1.33.0"), ("v1.36.2", 200, "v1.36.2")])
async def test_an_older_cluster_lacks_newer_groups(serve: Serve, kubernetes: str, served: int, text: str) -> None:
    client = await serve(small_world(kubernetes=kubernetes))
    assert (await client.get("/apis/resource.k8s.io/v1/resourceclaims")).status == served
    assert (await client.get("/version")).at("gitVersion") == text
    assert (await client.get("/apis/metrics.k8s.io/v1beta1/pods")).status == 404


def test_versions_are_preferred_by_stability_then_number() -> None:
    versions = ["v1alpha1", "v2beta1", "v1", "v10", "v1beta2", "nightly", "v2"]
    assert sorted(versions, key=version_rank, reverse=True) == [
        *("v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "nightly")
    ]


async def test_autoscalers_and_events_have_two_forms(serve: Serve) -> None:
    old = thing(
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        "h",
        "ns",
        spec={"maxReplicas": 3, "targetCPUUtilizationPercentage": 60},
    )
    event = thing("events.k8s.io/v1", "Event", "e", "ns", regarding={"kind": "Pod", "name": "p"})
    client = await serve(small_world([old, {**event, "note": "said"}]))
    one = await client.get("/apis/autoscaling/v1/namespaces/ns/horizontalpodautoscalers/h")
    two = await client.get("/apis/autoscaling/v2/namespaces/ns/horizontalpodautoscalers/h")
    assert one.at("spec", "targetCPUUtilizationPercentage") == 60
    assert objects_at(two.body, "spec", "metrics")[0]["type"] == "Resource"
    core = await client.get("/api/v1/namespaces/ns/events/e")
    assert (core.at("message"), core.at("involvedObject", "name"), core.at("kind")) == ("said", "p", "Event")
    assert (await client.get("/apis/events.k8s.io/v1/namespaces/ns/events/e")).at("note") == "said"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 300, "3h5m"),
        (47 * 3600, "47h"),
        (50 * 3600, "2d2h"),
        (48 * 3600, "2d"),
        (30 * 86400, "30d"),
        (800 * 86400, "2y70d"),
        (3650 * 86400, "10y"),
    ],
)
def test_ages_read_as_kubectl_writes_them(seconds: float, text: str) -> None:
    assert human(seconds) == text


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b", [1]),
        ("{.a.b}", [1]),
        (".l[0].n", ["x"]),
        (".l[-1].n", ["y"]),
        (".l[*].n", ["x", "y"]),
        ('.l[?(@.n=="y")].v', [2]),
        ("['k.l']", [5]),
        (".k\\.l", [5]),
        (".missing.b", []),
        (".l[9]", []),
        ("", []),
        (".a..b(", []),
    ],
)
def test_printer_columns_read_paths(path: str, found: list[object]) -> None:
    value: JsonObject = {"a": {"b": 1}, "l": [{"n": "x"}, {"n": "y", "v": 2}], "k.l": 5}
    assert json_path(value, path) == found


def _waiting(reason: str, restarts: int = 0) -> JsonObject:
    return {"name": "main", "restartCount": restarts, "state": {"waiting": {"reason": reason}}}


@pytest.mark.parametrize(
    ("status", "cells"),
    [
        (
            {"phase": "Running", "containerStatuses": [_waiting("CrashLoopBackOff", 5)]},
            ["0/1", "CrashLoopBackOff", "5"],
        ),
        ({"phase": "Pending", "initContainerStatuses": [_waiting("ErrImagePull")]}, ["0/1", "Init:ErrImagePull", "0"]),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    {
                        "name": "main",
                        "ready": True,
                        "restartCount": 2,
                        "state": {"running": {}},
                        "lastState": {"terminated": {"finishedAt": "2027-01-15T07:55:00Z"}},
                    }
                ],
            },
            ["1/1", "Running", "2 (5m ago)"],
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled"}}}],
            },
            ["0/1", "OOMKilled", "0"],
        ),
        (
            {
                "phase": "Running",
                "initContainerStatuses": [{"restartCount": 4, "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [{"ready": True, "restartCount": 1, "state": {"running": {}}}],
            },
            ["1/1", "Running", "1"],
        ),
        ({"phase": "Failed", "reason": "Evicted"}, ["0/1", "Evicted", "0"]),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}],
            },
            ["0/1", "SchedulingGated", "0"],
        ),
    ],
)
async def test_a_pods_row_says_what_is_wrong(serve: Serve, status: JsonObject, cells: list[str]) -> None:
    client = await serve(small_world([{**pod("p"), "status": status}]))
    [row] = _cells(await client.get("/api/v1/pods", Accept=TABLE))
    assert isinstance(row, list)
    assert row[1:4] == cells


async def test_rows_can_come_with_their_objects_or_without(serve: Serve) -> None:
    client = await serve(small_world([pod("p")]))
    path = "/api/v1/pods?includeObject="
    [none], [whole] = [
        objects_at((await client.get(path + include, Accept=TABLE)).body, "rows") for include in ("None", "Object")
    ]
    assert "object" not in none
    assert objects_at(whole, "object", "spec", "containers")[0]["name"] == "main"


async def test_the_date_is_the_worlds_and_moves_with_it(serve: Serve) -> None:
    world = small_world()
    client = await serve(world)
    for _ in range(2):
        date = parsedate_to_datetime((await client.get("/version")).headers["Date"])
        assert date.timestamp() == world.clock.now
        world.clock.advance(3600)


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/vnd.kubernetes.protobuf,application/json;q=0.5", 200, "application/json"),
        ("application/json;q=0.1, application/yaml", 200, "application/yaml"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io, application/yaml", 200, "application/yaml"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io", 406, "application/json"),
        ("image/png", 406, "application/json"),
    ],
)
async def test_the_representation_is_negotiated(serve: Serve, accept: str, status: int, content_type: str) -> None:
    reply = await (await serve(small_world([pod("p")]))).get("/api/v1/pods", Accept=accept)
    assert (reply.status, reply.headers["Content-Type"]) == (status, content_type)


async def test_unknown_paths_are_not_found(serve: Serve) -> None:
    client = await serve(small_world())
    for path in ("/", "/nope", "/apis/nope", "/apis/apps/v9", "/apis/apps/v9/deployments", "/api/v2"):
        assert (await client.get(path)).status == 404, path
    for path in ("/api/v1/namespaces/ns/pods/p/nonsense", "/api/v1/namespaces/ns/nodes", "/api/v1/pods/p"):
        wrong = await client.get(path)
        assert (wrong.status, wrong.message) == (404, "the server could not find the requested resource")
