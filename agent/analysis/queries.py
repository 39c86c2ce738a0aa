"""Named queries shared by causes: values only, aggregated, valid with or without recording rules.

Rules: thresholds never stand here; label and unit variants of the exporters are normalised once, by the
functions below; range functions are pushed down to the raw selectors, which costs a Prometheus far fewer
samples than a subquery over a label_replace. Metric names: NVIDIA dcgm-exporter default-counters.csv and the
DCGM 4.7 aliases, ROCm device-metrics-exporter, vLLM v1 metrics, kube-state-metrics, cAdvisor.
"""

from __future__ import annotations

from tools.types import NamedQuery

EXPORTER_PODS = ".*dcgm-exporter.*"
"""Pods that own unattributed DCGM series when the scrape has honorLabels: false."""

DCGM_ENABLE = "dcgm-exporter field DCGM_FI_PROF_GR_ENGINE_ACTIVE (or DCGM_FI_DEV_GPU_UTIL) and its scrape target"
VLLM_ENABLE = "scraping of the model servers' /metrics (vLLM exports vllm:* by default)"
KSM_ENABLE = "kube-state-metrics"
CADVISOR_ENABLE = "the kubelet's cAdvisor scrape (/metrics/cadvisor)"

BUSY = (
    ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", ""),
    ("DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO", ""),
    ("DCGM_FI_DEV_GPU_UTIL_RATIO", ""),
    ("DCGM_FI_DEV_GPU_UTIL", " / 100"),
    ("gpu_gfx_activity", " / 100"),
)
TENSOR = (("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", ""), ("DCGM_FI_PROF_TENSOR_UTIL_RATIO", ""))
FB_USED = (("DCGM_FI_DEV_FB_USED", ""), ("DCGM_FI_DEV_FB_USED_BYTES", " / 1048576"))
POWER = (("DCGM_FI_DEV_POWER_USAGE", ""), ("DCGM_FI_DEV_BOARD_POWER_WATTS", ""))


def normalised(expression: str) -> str:
    """`namespace`, `pod` and `node` from exported_namespace, exported_pod and Hostname or hostname (traps T4, T5)."""
    for target, source in (
        ("namespace", "exported_namespace"),
        ("pod", "exported_pod"),
        ("node", "Hostname"),
        ("node", "hostname"),
    ):
        expression = f'label_replace({expression}, "{target}", "$1", "{source}", "(.+)")'
    return expression


def gpu_over(function: str, variants: tuple[tuple[str, str], ...], window: str) -> str:
    """A range function over whichever variant of a GPU series exists, normalised; a count of samples has no unit."""
    counts = function == "count_over_time"
    return normalised(" or ".join(f"{function}({name}[{window}]){'' if counts else scale}" for name, scale in variants))


def names(variants: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """The metric names of a variant table."""
    return tuple(name for name, _ in variants)


def gpu_query(name: str, promql: str, *, unit: str, tenant: str | None, reach: float) -> NamedQuery:
    """A named query over the GPU engine's busy share."""
    return NamedQuery(
        name=name,
        promql=promql,
        family="dcgm",
        unit=unit,
        metrics=names(BUSY),
        enable=DCGM_ENABLE,
        tenant_label=tenant,
        window=reach,
    )


GPU_SAMPLES_BY_NODE = gpu_query(
    "gpu_samples_by_node",
    f"count by (node) ({gpu_over('count_over_time', BUSY, '30m')})",
    unit="GPUs",
    tenant=None,
    reach=1800,
)
"""GPUs of each node with at least one utilization sample in 30 minutes."""

GPU_COVERAGE_BY_POD = gpu_query(
    "gpu_coverage_by_pod",
    f"min by (namespace, pod) ({gpu_over('count_over_time', BUSY, '30m')})",
    unit="samples in 30 min",
    tenant="namespace",
    reach=1800,
)
"""Fewest samples of any GPU attributed to the pod, in 30 minutes."""

GPU_BUSY_MAX = gpu_query(
    "gpu_busy_max_30m",
    f"max by (namespace, pod) ({gpu_over('max_over_time', BUSY, '30m')})",
    unit="share of time busy",
    tenant="namespace",
    reach=1800,
)
GPU_BUSY_MEAN = gpu_query(
    "gpu_busy_mean_30m",
    f"avg by (namespace, pod) ({gpu_over('avg_over_time', BUSY, '30m')})",
    unit="share of time busy",
    tenant="namespace",
    reach=1800,
)
GPU_BUSY_DEVIATION = gpu_query(
    "gpu_busy_deviation_30m",
    f"avg by (namespace, pod) ({gpu_over('stddev_over_time', BUSY, '30m')})",
    unit="standard deviation of the busy share",
    tenant="namespace",
    reach=1800,
)
GPU_BUSY_FLEET = gpu_query(
    "gpu_busy_mean_by_node",
    f"avg by (node) ({gpu_over('avg_over_time', BUSY, '30m')})",
    unit="share of time busy",
    tenant=None,
    reach=1800,
)

GPU_MEMORY_USED = NamedQuery(
    name="gpu_memory_used_max_30m",
    promql=f"max by (namespace, pod) ({gpu_over('max_over_time', FB_USED, '30m')})",
    family="dcgm",
    unit="MiB",
    metrics=names(FB_USED),
    enable="dcgm-exporter field DCGM_FI_DEV_FB_USED",
    window=1800,
)
GPU_POWER = NamedQuery(
    name="gpu_power_mean_30m",
    promql=f"avg by (namespace, pod) ({gpu_over('avg_over_time', POWER, '30m')})",
    family="power",
    unit="W per GPU",
    metrics=names(POWER),
    enable="dcgm-exporter field DCGM_FI_DEV_POWER_USAGE",
    window=1800,
)
POD_CPU_CORES = NamedQuery(
    name="pod_cpu_cores_15m",
    promql='sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{container!=""}[15m]))',
    family="cadvisor",
    unit="cores",
    metrics=("container_cpu_usage_seconds_total",),
    enable=CADVISOR_ENABLE,
    window=900,
)


def vllm_query(name: str, promql: str, metric: str, *, unit: str, reach: float) -> NamedQuery:
    """A named query over vLLM series, by namespace and pod."""
    return NamedQuery(
        name=name,
        promql=promql,
        family="vllm",
        unit=unit,
        metrics=(metric,),
        enable=VLLM_ENABLE,
        window=reach,
    )


VLLM_FINISHED_30M = vllm_query(
    "vllm_finished_30m",
    "sum by (namespace, pod) (increase(vllm:request_success_total[30m]))",
    "vllm:request_success_total",
    unit="requests in 30 min",
    reach=1800,
)
VLLM_RUNNING = vllm_query(
    "vllm_running_mean_30m",
    "avg by (namespace, pod) (avg_over_time(vllm:num_requests_running[30m]))",
    "vllm:num_requests_running",
    unit="requests",
    reach=1800,
)
VLLM_WAITING_MAX = vllm_query(
    "vllm_waiting_max_30m",
    "max by (namespace, pod) (max_over_time(vllm:num_requests_waiting[30m]))",
    "vllm:num_requests_waiting",
    unit="requests",
    reach=1800,
)
VLLM_KV_MAX = vllm_query(
    "vllm_kv_cache_max_10m",
    "max by (namespace, pod) (max_over_time(vllm:kv_cache_usage_perc[10m]))",
    "vllm:kv_cache_usage_perc",
    unit="share of KV cache",
    reach=600,
)
VLLM_PREEMPTIONS = vllm_query(
    "vllm_preemptions_10m",
    "sum by (namespace, pod) (rate(vllm:num_preemptions_total[10m]))",
    "vllm:num_preemptions_total",
    unit="preemptions a second",
    reach=600,
)
VLLM_FINISHED_RATE = vllm_query(
    "vllm_finished_rate_10m",
    "sum by (namespace, pod) (rate(vllm:request_success_total[10m]))",
    "vllm:request_success_total",
    unit="requests a second",
    reach=600,
)

HPA_AT_FLOOR_SHARE = NamedQuery(
    name="hpa_at_floor_share_7d",
    promql=(
        "avg_over_time((kube_horizontalpodautoscaler_status_desired_replicas <= bool"
        " on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_min_replicas)[7d:10m])"
    ),
    family="ksm",
    unit="share of 7 days at or below the minimum",
    metrics=("kube_horizontalpodautoscaler_status_desired_replicas",),
    enable=KSM_ENABLE,
    window=604_800,
)

GPU_REQUESTED_BY_NODE = NamedQuery(
    name="gpu_requested_by_node",
    promql=(
        'sum by (node, resource) (kube_pod_container_resource_requests{node!="",'
        'resource=~"nvidia_com_(gpu|gpu_shared|mig_.+)|amd_com_gpu|gpu_intel_com_(i915|xe)"}'
        ' and on (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Running"} == 1))'
    ),
    family="ksm",
    unit="GPUs requested",
    metrics=("kube_pod_container_resource_requests",),
    enable=KSM_ENABLE,
    tenant_label=None,
)
"""GPUs that pods of every namespace hold on each node: what objects cannot say when only some namespaces are read."""

REQUESTED_BY_NODE = NamedQuery(
    name="requested_by_node",
    promql=(
        'sum by (node, resource) (kube_pod_container_resource_requests{node!="",resource=~"cpu|memory"}'
        ' and on (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Running"} == 1))'
    ),
    family="ksm",
    unit="cores, bytes",
    metrics=("kube_pod_container_resource_requests",),
    enable=KSM_ENABLE,
    tenant_label=None,
)
"""CPU and memory that pods of every namespace ask of each node, by their containers."""

CATALOGUE: tuple[NamedQuery, ...] = tuple(v for v in list(globals().values()) if isinstance(v, NamedQuery))
"""Every query of this module; causes may bring their own as constants of their files."""
