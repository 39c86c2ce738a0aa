"""Why a GPU pod waits: U03, U08, U10 and U11 told apart on one small cluster, each turned by one fact."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from agent import diagnosers
from agent.analysis import queries
from agent.analysis.view import View
from agent.types import Advice, Finding, LiveChange, Missing
from tests.agent.build import NOW, ago, node, pod, view
from tools import fields
from tools.types import JsonObject, Scope

WAITING_CAUSES = ("U03", "U08", "U10", "U11")
OURS = Scope(asked="namespace ml", namespaces=("ml",))


def found(seen: View) -> dict[str, Finding]:
    known = diagnosers.load()
    return {cause: finding for cause in WAITING_CAUSES for finding in known[cause].judge(seen)}


def lacking(cause: str, seen: View) -> tuple[Missing, ...]:
    return diagnosers.load()[cause].survey(seen).missing


def waits(gpus: int = 4, *, cpu: str = "8", memory: str = "64Gi", **spec: JsonValue) -> JsonObject:
    """A pod that the scheduler refused 15 minutes ago."""
    asked: JsonObject = {"cpu": cpu, "memory": memory, "nvidia.com/gpu": str(gpus)}
    condition: JsonObject = {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available.",
    }  # fmt: skip
    whole: JsonObject = {"containers": [{"name": "main", "resources": {"requests": asked}}], **spec}
    return pod("eager", on=None, age=900, spec=whole, status={"conditions": [condition]})


def holds(name: str, on: str, gpus: int, cpu: str = "1") -> JsonObject:
    asked: JsonObject = {"cpu": cpu, **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return pod(name, on=on, gpus=0, spec={"containers": [{"name": "main", "resources": {"requests": asked}}]})


def cordoned(name: str, since: float | None = 3_600, state: str = "") -> JsonObject:
    taint: JsonObject = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    taint |= {"timeAdded": ago(since)} if since is not None else {}
    made = node(name, taints=[taint], unschedulable=True)
    fields.mapping(made, "metadata", "labels").update({"nvidia.com/gpu-driver-upgrade-state": state} if state else {})
    return made


# --- U03 ---------------------------------------------------------------------------------------------------


def test_enough_is_free_but_on_no_node_alone() -> None:
    pieces = [holds("a", "gpu-0", 5), holds("b", "gpu-1", 6)]
    one = found(view([node("gpu-0"), node("gpu-1"), *pieces, waits(4)]))
    assert list(one) == ["U03"]
    assert "5 nvidia.com/gpu are free, 3 on gpu-0, 2 on gpu-1" in one["U03"].seen[0].text


@pytest.mark.parametrize(
    "objects",
    [
        [node("gpu-0"), node("gpu-1"), holds("a", "gpu-0", 7), holds("b", "gpu-1", 6), waits(4)],
        [node("gpu-0"), node("gpu-1"), waits(12)],
        [node("gpu-0"), node("gpu-1", unschedulable=True), holds("a", "gpu-0", 5), holds("b", "gpu-1", 6), waits(4)],
        [
            node("gpu-0"),
            node("gpu-1"),
            holds("a", "gpu-0", 5),
            holds("b", "gpu-1", 6),
            waits(4, nodeSelector={"x": "y"}),
        ],
    ],
    ids=["shortage", "more than any node has", "a piece is cordoned", "no node may take it"],
)
def test_no_fragmentation(objects: list[JsonObject]) -> None:
    assert found(view(objects)) == {}


# --- U10 ---------------------------------------------------------------------------------------------------


def test_only_a_cordoned_node_has_room() -> None:
    one = found(view([node("gpu-0"), cordoned("gpu-1"), holds("a", "gpu-0", 6), waits(4)]))
    assert list(one) == ["U10"]
    assert one["U10"].since == NOW - 3_600
    assert "gpu-1" in [ref.name for ref in one["U10"].affects]


@pytest.mark.parametrize(
    "objects",
    [
        [node("gpu-0"), cordoned("gpu-1"), holds("a", "gpu-0", 6), holds("b", "gpu-1", 6), waits(4)],
        [node("gpu-0"), cordoned("gpu-1"), holds("a", "gpu-0", 6), waits(4, nodeSelector={"x": "y"})],
        [node("gpu-0"), cordoned("gpu-1"), holds("a", "gpu-0", 6)],
    ],
    ids=["no room there either", "it would refuse it too", "nothing waits"],
)
def test_a_cordon_that_keeps_nothing_waiting(objects: list[JsonObject]) -> None:
    assert found(view(objects)) == {}


def test_only_a_forgotten_cordon_is_lifted() -> None:
    u10 = diagnosers.load()["U10"]

    def remedy(one: JsonObject) -> object:
        seen = view([node("gpu-0"), one, holds("a", "gpu-0", 6), waits(4)])
        return u10.remedy(found(seen)["U10"], seen)

    old = remedy(cordoned("gpu-1", 3 * 86_400))
    assert isinstance(old, LiveChange)
    assert (old.name, old.args) == ("uncordon", {"name": "gpu-1"})
    assert isinstance(remedy(cordoned("gpu-1", 3_600)), Advice)
    assert isinstance(remedy(cordoned("gpu-1", None)), Advice)
    upgrading = cordoned("gpu-1", 3 * 86_400, state="drain-required")
    assert isinstance(remedy(upgrading), Advice)


def test_an_upgrade_is_named() -> None:
    upgrading = cordoned("gpu-1", state="drain-required")
    one = found(view([node("gpu-0"), upgrading, holds("a", "gpu-0", 6), waits(4)]))["U10"]
    assert [claim.text for claim in one.seen[1:]] == ["gpu-1 is in an upgrade: drain-required"]


# --- U11 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "others", "advice"),
    [
        ({"cpu": "200"}, [], "gpu-0 has less even when it is empty"),
        ({"cpu": "64"}, [holds("a", "gpu-0", 4, "100"), holds("b", "gpu-1", 4, "100")], "GPU pods on gpu-0"),
        ({"cpu": "64"}, [holds("a", "gpu-0", 0, "100"), holds("b", "gpu-1", 0, "100")], "keep pods without a GPU off"),
        ({"memory": "2Ti"}, [], "lower the request for memory"),
    ],
    ids=["more than a node has", "GPU pods", "pods without a GPU", "memory"],
)
def test_the_gpus_are_free_where_the_rest_is_not(own: dict[str, str], others: list[JsonObject], advice: str) -> None:
    seen = view([node("gpu-0"), node("gpu-1"), *others, waits(4, **own)])
    one = found(seen)
    assert list(one) == ["U11"]
    remedy = diagnosers.load()["U11"].remedy(one["U11"], seen)
    assert isinstance(remedy, Advice)
    assert advice in remedy.text


def test_one_node_with_room_for_all_is_enough() -> None:
    assert found(view([node("gpu-0"), node("gpu-1"), holds("a", "gpu-0", 0, "100"), waits(4, cpu="64")])) == {}


def test_where_others_pods_are_not_seen_their_requests_are_missing() -> None:
    seen = view(
        [node("gpu-0"), waits(4, cpu="64")], {queries.GPU_REQUESTED_BY_NODE.name: [({"node": "x"}, 1.0)]}, scope=OURS
    )
    assert found(seen) == {}
    assert any("kube_pod_container_resource_requests" in one.need for one in lacking("U11", seen))


@pytest.mark.parametrize("cause", ["U03", "U10", "U11"])
def test_without_nodes_it_cannot_be_told(cause: str) -> None:
    seen = view([waits(4)], denied=[("", "Node")])
    assert found(seen) == {}
    assert any("nodes" in one.need for one in lacking(cause, seen))
