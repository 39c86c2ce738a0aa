"""Exporters: real names and labels, agreement with the objects, and the traps of real clusters."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from evals.world.load import load
from evals.world.model import World
from tests.world.writing import NODE, kinds, last, one, series, world, write

BUSY = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"


def dcgm(root: Path, options: str, extra: str = "") -> World:
    return world(root, {"metrics/m.yaml": f"exporters: {{dcgm: {options}}}\n{extra}"})


def model_pods(of: World) -> list[str]:
    return [name for name in kinds(of, "Pod") if name.startswith("model")]


# --- dcgm-exporter -----------------------------------------------------------------------------------------


def test_every_gpu_has_its_series_and_used_ones_name_their_pod(tmp_path: Path) -> None:
    of = world(tmp_path, {})
    found = series(of, BUSY, seconds=0.0)
    assert [s.labels["gpu"] for s in found if "exported_pod" in s.labels] == ["0", "1", "2", "3"]
    assert len({s.labels["UUID"] for s in found}) == 8
    used = found[0].labels
    assert used["exported_namespace"] == "team"
    assert used["exported_pod"] in model_pods(of)
    assert used["exported_container"] == "vllm"
    assert used["modelName"] == "NVIDIA H100 80GB HBM3"
    assert used["Hostname"] == "gpu-0"
    assert used["DCGM_FI_DRIVER_VERSION"] == "580.95.05"
    idle = [s for s in found if "exported_pod" not in s.labels]
    assert [s.values[-1] for s in idle] == [0.0] * 4


def test_t4_the_exporters_own_pod_stands_in_pod_unless_labels_are_honoured(tmp_path: Path) -> None:
    plain = series(dcgm(tmp_path / "a", "{}"), BUSY, seconds=0.0)[0].labels
    assert plain["pod"].startswith("dcgm-exporter-")
    honoured = dcgm(tmp_path / "b", "{honor_labels: true}")
    labels = series(honoured, BUSY, seconds=0.0)[0].labels
    assert labels["pod"] in model_pods(honoured)
    assert "exported_pod" not in labels


def test_t2_without_profiling_access_the_profiling_fields_are_absent_not_zero(tmp_path: Path) -> None:
    of = dcgm(tmp_path, "{profiling: false}")
    assert series(of, BUSY) == []
    assert len(series(of, "DCGM_FI_DEV_GPU_UTIL")) == 8


def test_t3_optional_fields_are_off_until_they_are_asked_for(tmp_path: Path) -> None:
    assert series(dcgm(tmp_path / "a", "{}"), "DCGM_FI_PROF_SM_ACTIVE") == []
    assert len(series(dcgm(tmp_path / "b", "{sm_active: true}"), "DCGM_FI_PROF_SM_ACTIVE")) == 8
    assert len(series(dcgm(tmp_path / "c", "{violations: true}"), "DCGM_FI_DEV_THERMAL_VIOLATION")) == 8
    extra = dcgm(tmp_path / "d", "{extra: [DCGM_FI_DEV_ROW_REMAP_PENDING]}")
    assert len(series(extra, "DCGM_FI_DEV_ROW_REMAP_PENDING")) == 8


def test_t5_and_t6_a_newer_exporter_renames_labels_and_fields_and_changes_units(tmp_path: Path) -> None:
    old, new = dcgm(tmp_path / "a", "{}"), dcgm(tmp_path / "b", "{version: '4.9'}")
    assert series(new, "DCGM_FI_DEV_GPU_UTIL") == []
    percent = series(old, "DCGM_FI_DEV_GPU_UTIL", seconds=0.0)[0]
    ratio = series(new, "DCGM_FI_DEV_GPU_UTIL_RATIO", seconds=0.0)[0]
    assert ratio.labels["hostname"] == "gpu-0"
    assert "Hostname" not in ratio.labels
    assert ratio.values[0] == pytest.approx(percent.values[0] / 100)
    megahertz = last(old, "DCGM_FI_DEV_SM_CLOCK", gpu="0")
    assert last(new, "DCGM_FI_DEV_SM_CLOCK_HZ", gpu="0") == megahertz * 1e6
    assert series(dcgm(tmp_path / "c", "{hostname_label: hostname}"), BUSY)[0].labels["hostname"] == "gpu-0"


def test_t7_a_shared_gpu_is_attributed_to_one_pod_unless_virtual_gpus_are_on(tmp_path: Path) -> None:
    shared = (
        "{apiVersion: v1, kind: Node, metadata: {name: gpu-0,"
        " labels: {nvidia.com/gpu.replicas: '4', nvidia.com/gpu.count: '8'}},"
        " status: {capacity: {nvidia.com/gpu: '32'}, allocatable: {nvidia.com/gpu: '32'}}}"
    )
    world(tmp_path, {})
    over = load(str(write(tmp_path, "over", {"objects/n.yaml": shared}, extends="base")))
    first = [s.labels.get("exported_pod") for s in series(over, BUSY, seconds=0.0, gpu="0")]
    assert len(first) == 1
    virtual = {"objects/n.yaml": shared, "metrics/m.yaml": "exporters: {dcgm: {virtual_gpus: true}}\n"}
    both = load(str(write(tmp_path, "both", virtual, extends="base")))
    assert len(series(both, BUSY, seconds=0.0, gpu="0")) > 1


def test_t8_a_claimed_gpu_shows_its_claim_only_when_the_exporter_knows_dra(tmp_path: Path) -> None:
    claim = """
apiVersion: v1
kind: Pod
metadata: {name: user, namespace: team}
spec: {nodeName: gpu-0, containers: [{name: c, image: i}], resourceClaims: [{name: g, resourceClaimName: held}]}
status: {phase: Running, startTime: "@-1d"}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: held, namespace: team}
status:
  allocation: {devices: {results: [{request: g, driver: gpu.nvidia.com, pool: gpu-0, device: gpu-6}]}}
  reservedFor: [{resource: pods, name: user, uid: %s}]
"""
    uid = str(kinds(world(tmp_path / "u", {"objects/c.yaml": claim % "x"}), "Pod")["user"]["metadata"]["uid"])  # type: ignore[index]
    known = {"objects/c.yaml": claim % uid}
    blind = world(tmp_path / "a", known)
    assert "exported_pod" not in one(blind, BUSY, seconds=0.0, gpu="6").labels
    seeing = world(tmp_path / "b", {**known, "metrics/m.yaml": "exporters: {dcgm: {dra: true}}\n"})
    labels = one(seeing, BUSY, seconds=0.0, gpu="6").labels
    assert (labels["exported_pod"], labels["dra_claim_name"], labels["dra_device_name"]) == ("user", "held", "gpu-6")
    assert series(seeing, "kube_pod_container_resource_requests", pod="user") == []
    assert last(seeing, "kube_pod_resourceclaim_info", pod="user") == 1.0


def test_t9_a_new_xid_is_a_new_series_and_the_old_one_ends(tmp_path: Path) -> None:
    profile = "profiles: [{match: {node: gpu-0, gpu: 2}, xid: {steps: {before: 0, then: [{at: -10m, value: 79}]}}}]\n"
    of = world(tmp_path, {"metrics/m.yaml": profile})
    now = [s for s in series(of, "DCGM_FI_DEV_XID_ERRORS", seconds=0.0, gpu="2")]
    assert [(s.labels["err_code"], s.values[-1]) for s in now] == [("79", 79.0)]
    assert now[0].labels["err_msg"] == "GPU has fallen off the bus"
    past = series(of, "DCGM_FI_DEV_XID_ERRORS", seconds=1200.0, gpu="2")
    assert [s.labels["err_code"] for s in past] == ["0", "79"]
    assert math.isnan(past[0].values[-1])


def test_t10_a_server_that_pre_allocates_shows_full_memory_whatever_it_does(tmp_path: Path) -> None:
    of = world(tmp_path, {"metrics/m.yaml": "profiles: [{match: {workload: model}, busy: 0}]\n"})
    used, free, reserved = (last(of, f"DCGM_FI_DEV_FB_{part}", gpu="0") for part in ("USED", "FREE", "RESERVED"))
    assert used / (used + free + reserved) == pytest.approx(0.9, abs=0.02)
    assert last(of, BUSY, gpu="0") == 0.0


def test_t11_kedas_own_namespace_arrives_as_exported_namespace(tmp_path: Path) -> None:
    scaled = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: model, namespace: team}
spec: {scaleTargetRef: {name: model}, triggers: [{type: prometheus}]}
"""
    of = world(tmp_path / "a", {"objects/s.yaml": scaled})
    assert one(of, "keda_scaler_active").labels["exported_namespace"] == "team"
    honoured = {"objects/s.yaml": scaled, "metrics/m.yaml": "exporters: {keda: {honor_labels: true}}\n"}
    assert one(world(tmp_path / "b", honoured), "keda_scaler_active").labels["namespace"] == "team"


def test_t12_kueue_shows_each_series_once_per_replica_of_its_manager(tmp_path: Path) -> None:
    queue = """
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: q}
spec: {resourceGroups: [{flavors: [{name: f, resources: [{name: nvidia.com/gpu, nominalQuota: "8"}]}]}]}
"""
    files = {"objects/q.yaml": queue, "metrics/m.yaml": "exporters: {kueue: {follower: true}}\n"}
    found = series(world(tmp_path, files), "kueue_cluster_queue_nominal_quota", seconds=0.0)
    assert [(s.labels["replica_role"], s.values[-1]) for s in found] == [("leader", 8.0), ("follower", 8.0)]


def test_t13_rdma_traffic_shows_in_infiniband_series_only(tmp_path: Path) -> None:
    of = world(tmp_path, {"metrics/m.yaml": "profiles: [{match: {node: gpu-0}, ib_tx: 8.0e+9}]\n"})
    sent = series(of, "node_infiniband_port_data_transmitted_bytes_total", seconds=60.0)
    assert sum(s.values[-1] - s.values[0] for s in sent) == 8e9 * 60
    assert series(of, "node_network_transmit_bytes_total") == []


def test_t14_an_exporter_that_was_away_leaves_a_gap_and_no_zeros(tmp_path: Path) -> None:
    of = dcgm(tmp_path, "{gaps: [[-5m, -2m]]}")
    values = one(of, BUSY, seconds=600.0, gpu="7").values
    assert len(values) == 16
    assert sum(math.isnan(value) for value in values) == 1


def test_missing_nodes_and_a_missing_exporter_have_no_series(tmp_path: Path) -> None:
    assert series(dcgm(tmp_path / "a", "{missing_nodes: [gpu-0]}"), BUSY) == []
    assert series(dcgm(tmp_path / "b", "{off: true}"), "DCGM_FI_DEV_GPU_TEMP") == []
    folder = write(tmp_path, "none", {"objects/n.yaml": NODE.split("---")[0]})
    assert series(load(str(folder)), BUSY) == []


def test_a_gpu_is_idle_before_its_pod_began(tmp_path: Path) -> None:
    of = world(tmp_path, {})
    before, after = (
        [s for s in series(of, BUSY, seconds=3 * 86_400.0, gpu="0") if ("exported_pod" in s.labels) is used]
        for used in (False, True)
    )
    assert max(value for value in before[0].values if not math.isnan(value)) == 0.0
    assert before[0].times[-1] == after[0].times[0]


def test_assignment_can_be_fixed(tmp_path: Path) -> None:
    name = model_pods(world(tmp_path / "a", {}))[0]
    of = dcgm(tmp_path / "b", f"{{assign: {{team/{name}: [6, 7]}}}}")
    mine = [s.labels["gpu"] for s in series(of, BUSY, seconds=0.0) if s.labels.get("exported_pod") == name]
    assert mine == ["6", "7"]


def test_mig_instances_carry_their_profile_and_have_no_duty_cycle(tmp_path: Path) -> None:
    node = (
        "{apiVersion: v1, kind: Node, metadata: {name: gpu-0}, status: {capacity: {nvidia.com/gpu: null,"
        " nvidia.com/mig-1g.10gb: '14'}, allocatable: {nvidia.com/gpu: null, nvidia.com/mig-1g.10gb: '14'}}}"
    )
    label = "{apiVersion: v1, kind: Node, metadata: {name: gpu-0, labels: {nvidia.com/gpu.count: '2'}}}"
    world(tmp_path, {})
    write(tmp_path, "mid", {"objects/n.yaml": node}, extends="base")
    of = load(str(write(tmp_path, "over", {"objects/n.yaml": label}, extends="mid")))
    found = series(of, BUSY, seconds=0.0)
    assert len(found) == 14
    assert {s.labels["GPU_I_PROFILE"] for s in found} == {"1g.10gb"}
    assert series(of, "DCGM_FI_DEV_GPU_UTIL") == []
    assert last(of, "DCGM_FI_DEV_FB_FREE", gpu="0", GPU_I_ID="7") == pytest.approx(81_559 / 8, abs=600)


# --- kube-state-metrics ------------------------------------------------------------------------------------


def test_requests_and_allocatable_are_spelt_as_kube_state_metrics_spells_them(tmp_path: Path) -> None:
    of = world(tmp_path, {})
    found = one(of, "kube_node_status_allocatable", resource="nvidia_com_gpu")
    assert (found.labels["unit"], found.values[-1]) == ("integer", 8.0)
    asked = series(of, "kube_pod_container_resource_requests", resource="nvidia_com_gpu")
    assert sum(s.values[-1] for s in asked) == 4.0
    assert {s.labels["node"] for s in asked} == {"gpu-0"}


def test_phases_follow_the_life_of_a_pod(tmp_path: Path) -> None:
    job = """
apiVersion: batch/v1
kind: Job
metadata: {name: done, namespace: team}
spec: {template: {spec: {containers: [{name: c, image: i}]}}}
$pods: {nodes: [gpu-0], created: -20m, finished: -10m}
"""
    of = world(tmp_path, {"objects/j.yaml": job})
    name = next(pod for pod in kinds(of, "Pod") if pod.startswith("done"))
    running = one(of, "kube_pod_status_phase", seconds=1200.0, pod=name, phase="Running").values
    succeeded = one(of, "kube_pod_status_phase", seconds=1200.0, pod=name, phase="Succeeded").values
    assert list(running) == [1.0] * 20 + [0.0] * 21
    assert list(succeeded) == [0.0] * 20 + [1.0] * 21
    assert last(of, "kube_job_complete", job_name="done", condition="true") == 1.0
    assert last(of, "kube_pod_completion_time", pod=name) == of.clock.now - 600


def test_series_of_an_object_begin_when_it_was_created(tmp_path: Path) -> None:
    of = world(tmp_path, {})
    name = model_pods(of)[0]
    assert one(of, "kube_pod_info", seconds=86_400 * 7.0, pod=name).times[0] == of.clock.now - 2 * 86_400


def test_an_autoscalers_replicas_come_from_its_profile(tmp_path: Path) -> None:
    hpa = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: model, namespace: team}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: model}
  minReplicas: 1
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
status: {currentReplicas: 2, desiredReplicas: 2}
"""
    profile = "profiles: [{match: {hpa: model}, desired: {steps: {before: 1, then: [{at: -1h, value: 3}]}}}]\n"
    of = world(tmp_path, {"objects/h.yaml": hpa, "metrics/m.yaml": profile})
    values = one(of, "kube_horizontalpodautoscaler_status_desired_replicas", seconds=7200.0).values
    assert (values[0], values[-1]) == (1.0, 3.0)
    assert last(of, "kube_horizontalpodautoscaler_status_current_replicas") == 2.0
    target = one(of, "kube_horizontalpodautoscaler_spec_target_metric")
    assert (target.labels["metric_name"], target.labels["metric_target_type"]) == ("cpu", "utilization")
    assert target.values[-1] == 80.0
    assert one(of, "kube_horizontalpodautoscaler_info").labels["scaletargetref_name"] == "model"


# --- vLLM, cAdvisor ----------------------------------------------------------------------------------------


def test_a_histogram_agrees_with_its_count_and_its_request_counter(tmp_path: Path) -> None:
    profile = "profiles: [{match: {workload: model}, vllm: {rps: 3, ttft: {p50: 0.2, p95: 0.8}}}]\n"
    of = world(tmp_path, {"metrics/m.yaml": profile})
    pod = model_pods(of)[0]
    name = "vllm:time_to_first_token_seconds"
    buckets = {float(s.labels["le"]): s.values for s in series(of, f"{name}_bucket", seconds=3600.0, pod=pod)}
    edges = sorted(buckets)
    for low, high in pairwise(edges):
        assert all(a <= b for a, b in zip(buckets[low], buckets[high], strict=True))
    count = one(of, f"{name}_count", seconds=3600.0, pod=pod).values
    assert list(buckets[math.inf]) == list(count)
    assert count[-1] - count[0] == 3 * 3600
    grown = {edge: values[-1] - values[0] for edge, values in buckets.items()}
    assert grown[0.1] < 0.5 * grown[math.inf] < grown[0.25]
    finished = sum(
        s.values[-1] - s.values[0] for s in series(of, "vllm:request_success_total", seconds=3600.0, pod=pod)
    )
    assert finished == pytest.approx(count[-1] - count[0], abs=3)
    total = one(of, f"{name}_sum", seconds=3600.0, pod=pod).values
    assert (total[-1] - total[0]) / (count[-1] - count[0]) == pytest.approx(0.2857, abs=0.01)


def test_a_latency_that_changes_moves_the_buckets_from_then_on(tmp_path: Path) -> None:
    latency = "{before: {p50: 0.1, p95: 0.2}, then: [{at: -30m, p50: 1, p95: 2}]}"
    profile = f"profiles: [{{match: {{workload: model}}, vllm: {{rps: 2, ttft: {latency}}}}}]\n"
    of = world(tmp_path, {"metrics/m.yaml": profile})
    name = "vllm:time_to_first_token_seconds_bucket"
    fast = one(of, name, seconds=3600.0, pod=model_pods(of)[0], le="0.25").values
    assert fast[60] - fast[0] == pytest.approx(2 * 1800, rel=0.02)
    assert fast[-1] - fast[60] < 0.02 * 2 * 1800
    assert all(a <= b for a, b in pairwise(fast))


def test_a_model_is_called_what_its_arguments_say(tmp_path: Path) -> None:
    of = world(tmp_path, {})
    found = series(of, "vllm:num_requests_running")
    assert {s.labels["model_name"] for s in found} == {"chat"}
    assert {s.labels["engine"] for s in found} == {"0"}
    assert found[0].values[-1] == int(found[0].values[-1])


def test_cfs_series_exist_only_where_a_limit_is_set(tmp_path: Path) -> None:
    profile = "profiles: [{match: {workload: model}, throttled: 0.4, cpu: 2}]\n"
    of = world(tmp_path, {"metrics/m.yaml": profile})
    name = model_pods(of)[0]
    periods = one(of, "container_cpu_cfs_periods_total", seconds=600.0, pod=name).values
    throttled = one(of, "container_cpu_cfs_throttled_periods_total", seconds=600.0, pod=name).values
    assert (throttled[-1] - throttled[0]) / (periods[-1] - periods[0]) == pytest.approx(0.4)
    assert {s.labels["pod"] for s in series(of, "container_cpu_cfs_periods_total")} == set(model_pods(of))
    cpu = one(of, "container_cpu_usage_seconds_total", seconds=600.0, pod=name).values
    assert cpu[-1] - cpu[0] == pytest.approx(1200.0)


def test_a_later_profile_replaces_only_the_signals_it_names(tmp_path: Path) -> None:
    text = (
        "profiles: [{match: {workload: model}, busy: 0.2, fb: 0.5}, {match: {workload: model, index: 1}, busy: 0.9}]\n"
    )
    of = world(tmp_path, {"metrics/m.yaml": text})
    busy = [s.values[-1] for s in series(of, BUSY, seconds=0.0) if "exported_pod" in s.labels]
    assert busy == [0.2, 0.2, 0.9, 0.9]
    assert len({last(of, "DCGM_FI_DEV_FB_USED", gpu=str(gpu)) for gpu in range(4)}) == 1


def test_one_gpu_of_a_pod_can_differ(tmp_path: Path) -> None:
    of = world(tmp_path, {"metrics/m.yaml": "profiles: [{match: {node: gpu-0, gpu: 1}, sm_clock: 900}]\n"})
    clocks = [s.values[-1] for s in series(of, "DCGM_FI_DEV_SM_CLOCK", seconds=0.0)]
    assert clocks == [1980.0, 900.0, 1980.0, 1980.0, 345.0, 345.0, 345.0, 345.0]
