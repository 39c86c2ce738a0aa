"""What a pod asks of a node in all: containers, init containers, sidecars, the pod as a whole, overhead."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from agent.analysis import kinds, queries, requests
from tests.agent.build import node, pod, view
from tools.types import JsonObject, Scope


def container(cpu: str, *, gpus: int = 0, always: bool = False) -> JsonObject:
    asked: JsonObject = {"cpu": cpu, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return {"name": "c", "resources": {"requests": asked}, **({"restartPolicy": "Always"} if always else {})}


@pytest.mark.parametrize(
    ("spec", "cores"),
    [
        ({"containers": [container("2"), container("500m")]}, 2.5),
        ({"containers": [container("2")], "initContainers": [container("5")]}, 5.0),
        ({"containers": [container("2")], "initContainers": [container("1", always=True), container("5")]}, 6.0),
        ({"containers": [container("2")], "initContainers": [container("5"), container("1", always=True)]}, 5.0),
        ({"containers": [container("8")], "initContainers": [container("1", always=True), container("5")]}, 9.0),
        ({"containers": [container("2")], "overhead": {"cpu": "250m"}}, 2.25),
        ({"containers": [container("2")], "resources": {"requests": {"cpu": "7"}}}, 7.0),
        ({"containers": [{"name": "c", "resources": {"limits": {"cpu": "3"}}}]}, 3.0),
        ({"containers": [{"name": "c", "resources": {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}}}]}, 1.0),
        ({"containers": [{"name": "c", "resources": {"requests": {"cpu": "lots"}}}]}, None),
    ],
    ids=[
        "containers", "init is larger", "sidecar before init", "sidecar after init", "sidecar runs on", "overhead",
        "of the pod", "limit alone", "request before limit", "no quantity",
    ],
)  # fmt: skip
def test_what_the_scheduler_reserves(spec: dict[str, JsonValue], cores: float | None) -> None:
    (record,) = view([pod("a", spec=dict(spec))]).objects(kinds.POD)
    assert requests.requested(record).get("cpu") == cores


def test_what_live_pods_leave_of_a_node() -> None:
    big: JsonObject = {"containers": [container("100", gpus=4)]}
    seen = view([node("gpu-0"), pod("a", spec=big), pod("done", spec=big, status={"phase": "Succeeded"})])
    left = requests.left(seen)
    assert left is not None
    assert (left["gpu-0"]["cpu"], left["gpu-0"]["nvidia.com/gpu"]) == (28.0, 4.0)


def test_what_others_ask_is_told_by_the_metrics_where_they_are_not_seen() -> None:
    ours = Scope(asked="namespace ml", namespaces=("ml",))
    assert requests.left(view([node("gpu-0")], scope=ours)) is None
    rows = [({"node": "gpu-0", "resource": "cpu"}, 120.0), ({"node": "gone", "resource": "cpu"}, 1.0)]
    left = requests.left(view([node("gpu-0")], {queries.REQUESTED_BY_NODE.name: rows}, scope=ours))
    assert left is not None
    assert (left["gpu-0"]["cpu"], left["gpu-0"]["memory"]) == (8.0, 2.0**40)
