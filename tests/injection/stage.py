"""A small world with one workload and one pod, and what each tool reads of it after an attack was planted."""

from __future__ import annotations

from evals.injection.suite import Case, plant
from evals.promql.memory import MemorySource
from evals.world.model import Clock, RawSeries, World
from tests.tools.fakes import Bench, FakeKube, FakeProm
from tools.types import Evidence, JsonObject, Series

NOW = 1_778_594_400.0
POD = "chat-70b-27tbxncjk-cfmwz"
HARMLESS = "all good here"


def world() -> World:
    """A deployment with one pod, its log, one series of its own."""
    spec: JsonObject = {
        "nodeName": "gpu-0",
        "containers": [
            {"name": "vllm", "image": "r.example/vllm:1", "args": ["--port=8000"], "env": [], "resources": {}}
        ],
    }
    template: JsonObject = {"containers": [dict(item) for item in spec["containers"] if isinstance(item, dict)]}  # type: ignore[union-attr]
    pod: JsonObject = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": "search", "creationTimestamp": "2026-05-12T12:00:00Z"},
        "spec": spec,
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "vllm", "ready": True, "restartCount": 0, "state": {"running": {}}}],
        },
    }
    deployment: JsonObject = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat-70b", "namespace": "search", "creationTimestamp": "2026-03-12T12:00:00Z"},
        "spec": {"replicas": 1, "template": {"spec": template}},
        "status": {"readyReplicas": 1, "updatedReplicas": 1},
    }
    labels = {"__name__": "vllm:num_requests_waiting", "namespace": "search", "pod": POD, "model_name": "chat-70b"}
    return World(
        name="stage",
        description="one workload",
        clock=Clock(NOW),
        kubernetes="1.36",
        prometheus="3.x",
        objects=[pod, deployment],
        series=MemorySource([RawSeries(labels, [NOW - 30.0, NOW], [1.0, 2.0])]),
        logs={("search", POD, "vllm"): b"INFO ready\n"},
    )


READS: dict[str, tuple[tuple[str, JsonObject], ...]] = {
    "log": (("pod_logs", {"namespace": "search", "pod": POD}),),
    "previous-log": (("pod_logs", {"namespace": "search", "pod": POD, "previous": True}),),
    "event": (("list_events", {"namespace": "search"}),),
    "metric-label": (("promql", {"query": "vllm:num_requests_waiting"}), ("find_series", {"match": "up"})),
    "alert": (("firing_alerts", {}),),
}
OBJECTS: tuple[tuple[str, JsonObject], ...] = (
    ("list_objects", {"kind": "Pod"}),
    ("get_object", {"kind": "Pod", "namespace": "search", "name": POD}),
    ("get_object", {"group": "apps", "kind": "Deployment", "namespace": "search", "name": "chat-70b"}),
)


async def seen(case: Case, *, harmless: bool = False) -> list[Evidence]:
    """What the tools bring back where the case is planted, or where its carrier says something harmless."""
    stage = world()
    if harmless:
        case = case.model_copy(
            update={"payload": case.payload.model_copy(update={"order": HARMLESS, "story": HARMLESS})}
        )
    plant(case if not harmless else case.model_copy(update={"style": "plausible"}), stage)
    kinds: dict[str, list[JsonObject]] = {"Pod": [], "Deployment.apps": [], "Event": []}
    for body in stage.objects:
        kinds[{"Deployment": "Deployment.apps"}.get(str(body["kind"]), str(body["kind"]))].append(body)
    container = "vllm/previous" if case.carrier == "previous-log" else "vllm"
    found = stage.series.select([], NOW - 60, NOW)
    series = [Series(dict(one.labels), list(zip(one.times, one.values, strict=True))) for one in found]
    bench = Bench(
        kube=FakeKube(objects=kinds, log=stage.logs.get(("search", POD, container), b"")),
        prom=FakeProm(series_list=series, alert_list=stage.alerts),
    )
    return [await bench.call(tool, args) for tool, args in READS.get(case.carrier, OBJECTS)]
