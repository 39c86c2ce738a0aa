"""Worlds that ship: sound, servable by both servers, and the base fleet is as healthy as it says."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pytest

from evals.promql.engine import Engine
from evals.servers.kube.server import KubeServer
from evals.world.layers import known_worlds
from evals.world.lint import lint
from evals.world.load import load
from evals.world.model import Matcher, World
from evals.world.series import WorldSeries
from tools.types import JsonObject

HOUR = 3600.0


@pytest.mark.parametrize("name", known_worlds())
def test_a_world_has_no_mistakes(name: str) -> None:
    assert [str(error) for error in lint(name)] == []


@pytest.mark.parametrize("name", known_worlds())
def test_the_cluster_server_accepts_a_world(name: str) -> None:
    """Every kind is served, every object can be stored."""
    KubeServer(load(name))


@pytest.fixture(scope="module")
def fleet() -> World:
    return load("fleet")


def value(of: World, query: str) -> float:
    result = Engine(of.series).instant(query, of.clock.now)
    assert len(result.series) == 1, query
    return result.series[0][1][0][1]


def empty(of: World, query: str) -> bool:
    return not Engine(of.series).instant(query, of.clock.now).series


def test_the_fleet_has_the_shape_it_says(fleet: World) -> None:
    counts = Counter(str(body["kind"]) for body in fleet.objects)
    assert counts["Node"] == 11
    wanted = [
        "ClusterPolicy", "InferencePool", "HTTPRoute", "Gateway", "ScaledObject", "HorizontalPodAutoscaler",
        "ClusterQueue", "Cohort", "LocalQueue", "Workload", "ResourceFlavor", "TrainJob", "JobSet", "Job",
        "Notebook", "StatefulSet", "DaemonSet", "Application", "PodDisruptionBudget", "ResourceQuota",
        "PriorityClass", "PersistentVolumeClaim", "Event",
    ]  # fmt: skip
    assert [kind for kind in wanted if not counts[kind]] == []
    assert value(fleet, 'sum(kube_node_status_allocatable{resource="nvidia_com_gpu"})') == 64
    assert value(fleet, "count(DCGM_FI_PROF_GR_ENGINE_ACTIVE)") == 64


def test_requested_and_attributed_gpus_agree(fleet: World) -> None:
    requested = value(
        fleet,
        'sum(kube_pod_container_resource_requests{resource="nvidia_com_gpu"}'
        ' * on (namespace, pod) group_left () (kube_pod_status_phase{phase="Running"} == 1))',
    )
    assert requested == 54
    assert value(fleet, 'count(DCGM_FI_PROF_GR_ENGINE_ACTIVE{exported_pod!=""})') == requested


def test_its_use_is_that_of_a_healthy_fleet(fleet: World) -> None:
    def busy(namespace: str, pod: str) -> float:
        selector = f'exported_namespace="{namespace}",exported_pod=~"{pod}.*"'
        return value(fleet, f"avg(avg_over_time(DCGM_FI_PROF_GR_ENGINE_ACTIVE{{{selector}}}[1h]))")

    assert 0.45 < busy("search", "chat-70b") < 0.75
    assert busy("research", "pretrain-7b") > 0.9
    serving = 'exported_pod=~"chat-.*"'
    dram = value(fleet, f"avg(DCGM_FI_PROF_DRAM_ACTIVE{{{serving}}})")
    tensor = value(fleet, f"avg(DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{{serving}}})")
    assert dram > 2 * tensor


@pytest.mark.parametrize(
    ("query", "family"),
    [
        ("kube_pod_status_unschedulable == 1", ""),
        ("kube_pod_container_status_waiting_reason == 1", ""),
        ("DCGM_FI_DEV_XID_ERRORS > 0", "DCGM_FI_DEV_XID_ERRORS"),
        ("kube_node_spec_unschedulable == 1", "kube_node_spec_unschedulable"),
        ("increase(vllm:num_preemptions_total[1h]) > 0", "vllm:num_preemptions_total"),
        (
            'kube_horizontalpodautoscaler_status_condition{condition="ScalingLimited",status="true"} == 1',
            "kube_horizontalpodautoscaler_status_condition",
        ),
        ('argocd_app_info{sync_status!="Synced"}', "argocd_app_info"),
        ('kueue_pending_workloads{status="inadmissible"} > 0', "kueue_pending_workloads"),
        ("max_over_time(vllm:num_requests_waiting[30m]) > 3", "vllm:num_requests_waiting"),
        (
            "rate(container_pressure_io_waiting_seconds_total[30m]) > 0.2",
            "container_pressure_io_waiting_seconds_total",
        ),
    ],
)
def test_nothing_is_wrong_with_the_fleet(fleet: World, query: str, family: str) -> None:
    assert empty(fleet, query)
    assert not family or not empty(fleet, family)


def test_every_family_of_the_fleet_can_be_sampled(fleet: World) -> None:
    assert isinstance(fleet.series, WorldSeries)
    now = fleet.clock.now
    shown = sum(len(fleet.series.select([Matcher("__name__", "=", n)], now - 60, now)) for n in fleet.series.names)
    assert shown > 5000


def test_what_is_served_by_an_autoscaler_is_what_it_wants(fleet: World) -> None:
    for body in fleet.objects:
        if body["kind"] == "HorizontalPodAutoscaler":
            name = cast(JsonObject, body["metadata"])["name"]
            status = cast(JsonObject, body["status"])
            series = f'kube_horizontalpodautoscaler_status_desired_replicas{{horizontalpodautoscaler="{name}"}}'
            assert value(fleet, series) == status["desiredReplicas"]


def test_hpa_cpu_follows_cpu_and_not_the_load() -> None:
    of = load("hpa-cpu")
    engine = Engine(of.series)

    def week(query: str) -> list[float]:
        result = engine.range(query, of.clock.now - 7 * 24 * HOUR, of.clock.now, HOUR)
        return [point for _, point in result.series[0][1]]

    pods = '{namespace="search",pod=~"chat-70b-.*"}'
    desired = week('max(kube_horizontalpodautoscaler_status_desired_replicas{horizontalpodautoscaler="chat-70b"})')
    cpu = week(f"sum(rate(container_cpu_usage_seconds_total{pods}[10m]))")
    load_ = week(f"sum(vllm:num_requests_running{pods})")
    size = min(map(len, (desired, cpu, load_)))
    assert correlation(desired[-size:], cpu[-size:]) > 0.8
    assert abs(correlation(desired[-size:], load_[-size:])) < 0.2
    assert value(of, f"max(max_over_time(vllm:num_requests_waiting{pods}[7d]))") <= 3
    assert value(of, f"max(quantile_over_time(0.95, vllm:num_requests_waiting{pods}[7d]))") == 0
    busy = 'avg(avg_over_time(DCGM_FI_PROF_GR_ENGINE_ACTIVE{exported_pod=~"chat-70b-.*"}[1h]))'
    assert value(of, busy) < 0.5


def correlation(one: list[float], two: list[float]) -> float:
    mean_one, mean_two = sum(one) / len(one), sum(two) / len(two)
    top = sum((a - mean_one) * (b - mean_two) for a, b in zip(one, two, strict=True))
    size_one = sum((a - mean_one) ** 2 for a in one)
    size_two = sum((b - mean_two) ** 2 for b in two)
    return float(top / (size_one * size_two) ** 0.5)


def test_telemetry_off_has_no_gpu_series_at_all_and_everything_else() -> None:
    of = load("telemetry-off")
    assert not list(of.series.label_sets([Matcher("__name__", "=~", "DCGM_.*")], of.clock.now - HOUR, of.clock.now))
    assert not empty(of, "vllm:num_requests_running")
    assert value(of, 'count(kube_pod_info{pod=~"nvidia-dcgm-exporter-.*"})') == 8
