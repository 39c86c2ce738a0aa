"""The cluster and the teams at a glance: right sums, cited, and nothing from listings that are not whole."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from agent.analysis import overview as module
from agent.analysis import queries
from agent.analysis.kinds import POD
from agent.analysis.overview import gpu_refs, overview
from agent.analysis.readings import MANY
from agent.analysis.records import Record, reference_of
from agent.analysis.teams import usage_by_team
from agent.analysis.view import View
from agent.citations import Checker
from agent.types import Claim
from tests.agent.build import NOW, Samples, by_pod, deployment, evidence, node, owner, pod, view, workload
from tools import fields
from tools.types import Evidence, JsonObject, ResourceRef, Row, Scope, ToolCall


def ready_node(name: str, gpus: int = 8, status: str = "True", **spec: bool) -> JsonObject:
    obj = node(name, gpus, **spec)
    conditions: JsonObject = {"conditions": [{"type": "Ready", "status": status}]}
    return {**obj, "status": {**fields.mapping(obj, "status"), **conditions}}


def supported(seen: View, claims: Sequence[Claim]) -> bool:
    """True when every reference resolves, every Fact recomputes, and every number of the text stands in one."""
    bodies: dict[str, Evidence] = {e.id: e for e in [*seen.every(), *seen.derived()]}
    checker = Checker(lambda name: bodies[name])
    if checker.supported(claims) != tuple(claims) or any(len(c.refs) > MANY for c in claims):
        return False
    return all(_numbers_stand(claim) for claim in claims)


def _numbers_stand(claim: Claim) -> bool:
    values = [float(ref.value) for ref in claim.refs if isinstance(ref.value, int | float)]
    shown = [
        (float(n.replace(",", "")), unit)
        for n, unit in re.findall(r"(?<![\w./-])(\d[\d,]*)(?!\w)( %)?(?! min)", claim.text)
    ]
    near = [any(abs(n - (v * 100 if unit else v)) <= 0.51 for v in values) for n, unit in shown]
    return all(near)


BUSY: dict[str, Samples] = {
    queries.GPU_BUSY_FLEET.name: [({"node": "gpu-0"}, 0.6), ({"node": "gpu-1"}, 0.2)],
    **by_pod(queries.GPU_BUSY_MEAN, {"a-0": 0.9, "a-1": 0.3}),
}


def fleet() -> list[JsonObject]:
    return [
        ready_node("gpu-0"),
        ready_node("gpu-1", status="False"),
        ready_node("gpu-2", gpus=0, unschedulable=True),
        *deployment("a", {"a-0": "gpu-0", "a-1": "gpu-1"}, gpus=4),
        pod("waits", on=None, gpus=8),
        pod("loops", gpus=0, status={"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
    ]


def test_the_whole_cluster() -> None:
    seen = view(fleet(), BUSY)
    claims = overview(seen)
    assert [claim.text for claim in claims] == [
        "16 GPUs allocatable on 2 nodes: 8 requested by placed pods, 8 free",
        "GPUs are 40 % busy on average over nodes in 30 min; GPU pods are 60 % busy on average in 30 min",
        "2 of 3 nodes Ready; not Ready: gpu-1",
        "cordoned: gpu-2",
        "pods: 3 Running, 1 Pending (ml/Pod/waits wait)",
        "1 pod with a container that cannot start: ml/Pod/loops (CrashLoopBackOff)",
        "workloads: 1 Deployment",
    ]
    assert supported(seen, claims)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (
            Scope(asked="namespace other", namespaces=("other",)),
            ["2 GPUs requested by placed pods in namespace other", "pods: 1 Running"],
        ),
        (
            Scope(asked="node gpu-1", node="gpu-1"),
            [
                "8 GPUs allocatable on 1 node: 4 requested by placed pods, 4 free",
                "GPUs are 20 % busy on average over nodes in 30 min; GPU pods are 30 % busy on average in 30 min",
                "none of 1 node Ready; not Ready: gpu-1",
                "pods: 1 Running",
            ],
        ),
        (
            Scope(
                asked="ml/Deployment/a",
                subject=ResourceRef(group="apps", kind="Deployment", namespace="ml", name="a"),
                namespaces=("ml",),
            ),
            [
                "8 GPUs requested by placed pods in ml/Deployment/a",
                "GPU pods are 60 % busy on average in 30 min",
                "pods: 2 Running",
            ],
        ),
    ],
)
def test_a_narrower_scope_is_all_that_is_counted(scope: Scope, expected: list[str]) -> None:
    seen = view([*fleet(), pod("b", namespace="other", gpus=2)], BUSY, scope=scope)
    claims = overview(seen)
    assert [claim.text for claim in claims] == expected
    assert supported(seen, claims)


def test_nothing_is_said_of_an_empty_view() -> None:
    assert overview(view()) == []
    assert usage_by_team(view(), {}) == []


def test_a_truncated_listing_is_not_counted() -> None:
    rows = [Row(key="gpu-0", data=ready_node("gpu-0"))]
    pods = [Row(key="ml/a", namespace="ml", data=pod("a"))]
    pairs = [
        (
            ToolCall(tool="list_objects", args={"group": "", "kind": "Node"}),
            evidence("E1", "list_objects", rows, "objects"),
        ),
        (
            ToolCall(tool="list_objects", args={"group": "", "kind": "Pod"}),
            evidence("E2", "list_objects", pods, "objects", "truncated", "more exist"),
        ),
    ]
    texts = [claim.text for claim in overview(View(pairs, now=NOW, scope=Scope(asked="cluster")))]
    assert texts == ["8 GPUs allocatable on 1 node", "1 of 1 node Ready"]


def test_a_total_over_too_many_values_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FACT_INPUTS", 1)
    texts = [claim.text for claim in overview(view(fleet(), BUSY))]
    assert not any("requested" in text or "3 Running" in text for text in texts)


def test_gpu_amounts_are_cited_where_they_stand() -> None:
    data = pod(
        "p",
        spec={
            "containers": [
                {"resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}},
                {"resources": {"limits": {"nvidia.com/mig-1g.10gb": 2, "cpu": "4"}}},
                {"resources": None},
            ],
            "initContainers": [{"resources": {"limits": {"nvidia.com/gpu": "4"}}}],
        },
    )
    record = Record("E1", "ml/p", data, reference_of(data, POD))
    assert [(ref.path, ref.value) for ref in gpu_refs(record)] == [
        ("/ml~1p/spec/initContainers/0/resources/limits/nvidia.com~1gpu", "4"),
        ("/ml~1p/spec/containers/1/resources/limits/nvidia.com~1mig-1g.10gb", 2),
    ]


def test_teams_by_what_they_leave_unused() -> None:
    objects = [
        pod("busy", namespace="search", gpus=8),
        pod("half", namespace="search-dev", gpus=2),
        pod("rests", namespace="research", gpus=4),
        pod("blind", namespace="research", gpus=1),
        pod("alone", namespace="lab", gpus=1),
        pod("dark", namespace="night", gpus=3),
    ]
    busy: Samples = [
        ({"namespace": "search", "pod": "busy"}, 0.9),
        ({"namespace": "search-dev", "pod": "half"}, 0.5),
        ({"namespace": "research", "pod": "rests"}, 0.0),
        ({"namespace": "lab", "pod": "alone"}, 0.25),
    ]
    seen = view(objects, {queries.GPU_BUSY_MEAN.name: busy})
    claims = usage_by_team(seen, {"search": "search", "search-dev": "search", "research": "science"})
    assert [claim.text for claim in claims] == [
        "team science holds 5 GPUs, its GPU pods 0 % busy on average in 30 min; "
        "4 GPUs on pods without any use; 1 of its pods not measured",
        "team search holds 10 GPUs, its GPU pods 70 % busy on average in 30 min",
        "namespace lab holds 1 GPU, its GPU pods 25 % busy on average in 30 min",
        "namespace night holds 3 GPUs; their use is not measured",
    ]
    assert supported(seen, claims)


def test_teams_within_a_scope() -> None:
    objects = [pod("a", namespace="search"), pod("b", namespace="lab")]
    seen = view(objects, scope=Scope(asked="namespace lab", namespaces=("lab",)))
    assert [claim.text for claim in usage_by_team(seen, {})] == ["namespace lab holds 1 GPU; their use is not measured"]


def test_odd_objects_break_nothing() -> None:
    odd: list[JsonObject] = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": None},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "x"}, "spec": None, "status": 3},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "q", "namespace": "x"},
            "status": {"containerStatuses": 1},
        },
        workload("Deployment", "d", "apps/v1", owned_by=owner("Application", "a", "argoproj.io/v1alpha1")),
    ]
    texts = [claim.text for claim in overview(view(odd))]
    assert texts == ["none of 1 node Ready; not Ready: n", "pods: 2 Unknown"]
