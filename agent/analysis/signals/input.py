"""Is a training job waiting for its input? Pressure stall, throttling and write bursts of the pods themselves.

Sources: kernel PSI through cAdvisor (beta in Kubernetes 1.34); "An Empirical Study on Low GPU Utilization of Deep
Learning Jobs" (ICSE'24): 46 % of low-utilization issues are data operations. Bars are practice values.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.analysis import queries
from agent.analysis.gpus import gpu_count
from agent.analysis.queries import CADVISOR_ENABLE
from agent.analysis.readings import absent, amount, percent, reading
from agent.analysis.records import Record, Sample
from agent.analysis.signals.lifecycle import batch
from agent.analysis.view import View
from agent.types import Reading
from tools import fields
from tools.types import NamedQuery, ResourceRef

LOW_BUSY = 0.5
SAW_BUSY = 0.6
SAW_DEVIATION = 0.3
IO_PRESSURE = 0.2
"""Share of time some task of the container waited for I/O."""
THROTTLED = 0.25
"""Share of CFS periods throttled (kubernetes-mixin, CPUThrottlingHigh)."""
MOST_RANKS = 0.75
"""Share of a workload's pods that must look alike before it is the input and not one straggler."""
WRITE_BURST = 1e8
"""Bytes a second of write peak from which a dip may be a checkpoint."""


def _pods(name: str, promql: str, metric: str, unit: str, reach: float) -> NamedQuery:
    return NamedQuery(
        name=name,
        promql=promql,
        family="cadvisor",
        unit=unit,
        metrics=(metric,),
        enable=CADVISOR_ENABLE,
        window=reach,
    )


IO_WAITING = NamedQuery(
    name="pod_io_pressure_30m",
    promql='max by (namespace, pod) (rate(container_pressure_io_waiting_seconds_total{container!=""}[30m]))',
    family="cadvisor",
    unit="share of time waiting for I/O",
    metrics=("container_pressure_io_waiting_seconds_total",),
    enable="pressure stall metrics of the kubelet (feature gate KubeletPSI, on from Kubernetes 1.34, cgroup v2)",
    window=1800,
)
CPU_THROTTLED = _pods(
    "pod_cpu_throttled_15m",
    'sum by (namespace, pod) (rate(container_cpu_cfs_throttled_periods_total{container!=""}[15m]))'
    ' / sum by (namespace, pod) (rate(container_cpu_cfs_periods_total{container!=""}[15m]))',
    "container_cpu_cfs_periods_total",
    "share of CFS periods throttled",
    900,
)
WRITE_PEAK = _pods(
    "pod_write_peak_30m",
    "max_over_time((sum by (namespace, pod) (rate(container_fs_writes_bytes_total[2m])"
    " or rate(container_network_transmit_bytes_total[2m])))[30m:1m])",
    "container_fs_writes_bytes_total",
    "bytes a second",
    1800,
)
READ_PEAK = _pods(
    "pod_read_peak_30m",
    "max_over_time((sum by (namespace, pod) (rate(container_fs_reads_bytes_total[2m])"
    " or rate(container_network_receive_bytes_total[2m])))[30m:1m])",
    "container_fs_reads_bytes_total",
    "bytes a second",
    1800,
)


def _by_pod(view: View, query: NamedQuery, pods: list[Record]) -> dict[str, Sample]:
    return {s.label("pod"): s for s in view.rows_for(query, pods) if s.value is not None}


def _stalled(pod: str, mean: Sample, pressure: Sample | None, deviation: Sample | None) -> tuple[str, list[Sample]]:
    """Why one pod counts as starved, or "" when it does not."""
    busy = mean.value or 0.0
    if pressure and busy < LOW_BUSY and (pressure.value or 0.0) > IO_PRESSURE:
        text = f"{pod} is {percent(busy)} busy and waits for I/O {percent(pressure.value or 0.0)} of the time"
        return text, [mean, pressure]
    if deviation and busy < SAW_BUSY and (deviation.value or 0.0) > SAW_DEVIATION:
        text = f"{pod} is {percent(busy)} busy in a saw-tooth (deviation {amount(deviation.value or 0.0)})"
        return text, [mean, deviation]
    return "", [mean]


def _gpu_pods(view: View, ref: ResourceRef) -> list[Record]:
    return [pod for pod in view.pods_of(ref) if gpu_count(pod) > 0]


def _verdicts(view: View, pods: list[Record]) -> list[tuple[str, list[Sample]]]:
    """For each measured pod, why it counts as starved ("" when it does not) and the samples that say so."""
    mean = _by_pod(view, queries.GPU_BUSY_MEAN, pods)
    pressure, deviation = _by_pod(view, IO_WAITING, pods), _by_pod(view, queries.GPU_BUSY_DEVIATION, pods)
    saws = deviation if all(batch(view, pod) for pod in pods) else {}
    return [_stalled(pod, sample, pressure.get(pod), saws.get(pod)) for pod, sample in sorted(mean.items())]


def starved_pods(view: View, ref: ResourceRef) -> int:
    """How many pods of a workload look starved."""
    return sum(bool(text) for text, _ in _verdicts(view, _gpu_pods(view, ref)))


def input_stall(view: View, ref: ResourceRef) -> Reading:
    """Holds when most pods of a training workload are under-used and wait for I/O, or run in a saw-tooth."""
    name = "input_stall"
    pods = _gpu_pods(view, ref)
    if pods and not any(batch(view, pod) for pod in pods):
        return reading(name, "not a training or batch workload", [pods[0].cite("metadata", "name")], holds=False)
    mean, pressure = _by_pod(view, queries.GPU_BUSY_MEAN, pods), _by_pod(view, IO_WAITING, pods)
    if not mean:
        return absent(name, view, queries.GPU_BUSY_MEAN)
    verdicts = _verdicts(view, pods)
    starved = [(text, samples) for text, samples in verdicts if text]
    if starved and len(starved) >= MOST_RANKS * len(mean):
        if not pressure and not _by_pod(view, WRITE_PEAK, pods):
            return absent(name, view, IO_WAITING, WRITE_PEAK)  # a saw-tooth alone may as well be saving
        more = f", as are {len(starved) - 1} more of {len(mean)} pods" if len(starved) > 1 else ""
        refs = [s.cite() for _, samples in starved for s in samples]
        return reading(name, starved[0][0] + more, refs, holds=True)
    if any((sample.value or 0.0) < LOW_BUSY and pod not in pressure for pod, sample in mean.items()):
        return absent(name, view, IO_WAITING)
    text = f"{len(starved)} of {len(mean)} pods are starved of input"
    refs = [s.cite() for _, samples in verdicts for s in samples] + [s.cite() for s in pressure.values()]
    return reading(name, text, refs, holds=False)


def cpu_throttled(view: View, ref: ResourceRef) -> Reading:
    """Holds when the pods hit their CPU limit in more than a quarter of periods."""
    name = "cpu_throttled"
    pods = view.pods_of(ref)
    rows = [s for s in view.rows_for(CPU_THROTTLED, pods) if s.value is not None]
    if not rows:
        return _unlimited(name, pods) or absent(name, view, CPU_THROTTLED)
    worst = max(rows, key=lambda s: s.value or 0.0)
    text = f"throttled in {percent(worst.value or 0.0)} of CPU periods"
    return reading(name, text, [worst.cite()], holds=(worst.value or 0.0) > THROTTLED)


def _unlimited(name: str, pods: Sequence[Record]) -> Reading | None:
    """CFS throttles only where a CPU limit is set; without one the kernel exports no such series."""
    containers = [(pod, i, c) for pod in pods for i, c in enumerate(pod.items("spec", "containers"))]
    if not containers or any("cpu" in fields.strings(c, "resources", "limits") for _, _, c in containers):
        return None
    refs = [pod.cite("spec", "containers", index, "resources") for pod, index, _ in containers]
    return reading(name, "no container has a CPU limit", refs, holds=False)


def checkpoint_bursts(view: View, ref: ResourceRef) -> Reading:
    """Holds when write bursts of checkpoint size outweigh reading: the dips save work, they do not wait for input."""
    name = "checkpoint_bursts"
    pods = list(view.pods_of(ref))
    writes, reads = _by_pod(view, WRITE_PEAK, pods), _by_pod(view, READ_PEAK, pods)
    if not writes:
        return absent(name, view, WRITE_PEAK)
    most = max(writes.values(), key=lambda s: s.value or 0.0)
    read = max((s.value or 0.0 for s in reads.values()), default=0.0)
    peak = most.value or 0.0
    text = f"writes peak at {amount(peak / 1e6)} MB/s, reads at {amount(read / 1e6)} MB/s"
    refs = [most.cite()] + [s.cite() for s in list(reads.values())[:1]]
    return reading(name, text, refs, holds=peak > WRITE_BURST and peak > read)


SIGNALS = {"input_stall": input_stall, "cpu_throttled": cpu_throttled, "checkpoint_bursts": checkpoint_bursts}
