"""cAdvisor through the kubelet: CPU, memory, file system, network and pressure of each container and pod.

Source: google/cadvisor metrics/prometheus.go as the kubelet serves it (/metrics/cadvisor); PSI series are GA in
Kubernetes 1.36 (KubeletPSI). CFS series exist only where a CPU limit is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from evals.world import generators as g
from evals.world.exporters.context import Context, PodRecord
from evals.world.manifests import mapping, text
from evals.world.profiles import Signals
from evals.world.series import Entry, Families
from tools.types import JsonObject

PERIODS = 10.0
"""CFS periods a second: 100 ms each."""

Value = Callable[[Signals], g.Generator]


def _gauge(name: str, scale: float = 1.0) -> Value:
    return lambda signals: g.Clamp(g.Linear(signals.get(name), scale), low=0.0, whole=True)


def _count(name: str, scale: float = 1.0) -> Value:
    return lambda signals: g.Counter(g.Linear(signals.get(name), scale), whole=True)


def _seconds(name: str, scale: float = 1.0) -> Value:
    return lambda signals: g.Counter(g.Linear(signals.get(name), scale))


CONTAINER: dict[str, Value] = {
    "container_cpu_usage_seconds_total": _seconds("cpu"),
    "container_memory_working_set_bytes": _gauge("memory"),
    "container_memory_rss": _gauge("memory", 0.9),
    "container_fs_reads_bytes_total": _count("fs_reads"),
    "container_fs_writes_bytes_total": _count("fs_writes"),
    "container_pressure_cpu_waiting_seconds_total": _seconds("cpu_wait"),
    "container_pressure_cpu_stalled_seconds_total": _seconds("cpu_wait", 0.2),
    "container_pressure_io_waiting_seconds_total": _seconds("io_wait"),
    "container_pressure_io_stalled_seconds_total": _seconds("io_wait", 0.5),
    "container_pressure_memory_waiting_seconds_total": _seconds("memory_wait"),
    "container_pressure_memory_stalled_seconds_total": _seconds("memory_wait", 0.5),
}
LIMITED: dict[str, Value] = {
    "container_cpu_cfs_periods_total": lambda signals: g.Counter(g.Constant(PERIODS), whole=True),
    "container_cpu_cfs_throttled_periods_total": _count("throttled", PERIODS),
    "container_cpu_cfs_throttled_seconds_total": _seconds("throttled", 0.5),
}
NETWORK: dict[str, Value] = {
    "container_network_receive_bytes_total": _count("net_rx"),
    "container_network_transmit_bytes_total": _count("net_tx"),
}


def families(context: Context) -> Families:
    """The families of all running pods, by metric name."""
    options = context.option("cadvisor")
    if options.at("off").flag(default=False):
        return {}
    gaps = options.at("gaps").windows()
    pressure = options.at("pressure").flag(default=True)

    def each(value: Value, *, limited: bool) -> Callable[[], Iterator[Entry]]:
        def made() -> Iterator[Entry]:
            for pod, template, signals in _pods(context, gaps):
                for number, container in enumerate(pod.containers):
                    if limited and "cpu" not in mapping(container, "resources", "limits"):
                        continue
                    labels = {
                        **template.labels,
                        "container": text(container, "name"),
                        "image": text(container, "image"),
                    }
                    yield replace(template, labels=labels, value=_main(value(signals), number))

        return made

    def whole_pod(value: Value) -> Callable[[], Iterator[Entry]]:
        def made() -> Iterator[Entry]:
            for _, template, signals in _pods(context, gaps):
                yield replace(template, labels={**template.labels, "interface": "eth0"}, value=value(signals))

        return made

    out: Families = {
        name: each(value, limited=False) for name, value in CONTAINER.items() if pressure or "_pressure_" not in name
    }
    out |= {name: each(value, limited=True) for name, value in LIMITED.items()}
    out |= {name: whole_pod(value) for name, value in NETWORK.items()}
    return out


def _main(value: g.Generator, number: int) -> g.Generator:
    """Signals belong to the first container; a sidecar shows next to nothing."""
    return value if number == 0 else g.Linear(value, 0.01)


def _pods(context: Context, gaps: tuple[tuple[float, float], ...]) -> Iterator[tuple[PodRecord, Entry, Signals]]:
    for pod in context.pods:
        if not pod.node or pod.started is None:
            continue
        signals = context.signals(pod)
        labels = {
            "namespace": pod.namespace,
            "pod": pod.name,
            "node": pod.node,
            "instance": f"{_address(context.nodes.get(pod.node))}:10250",
            "job": "kubelet",
            "metrics_path": "/metrics/cadvisor",
            "id": f"/kubepods.slice/pod{pod.uid}",
        }
        yield (
            pod,
            Entry(labels, g.Constant(0.0), pod.seed, pod.started, pod.finished, gaps, 0.0, signals.values),
            signals,
        )


def _address(node: JsonObject | None) -> str:
    if node is None:
        return "192.0.2.1"
    addresses = mapping(node, "status").get("addresses")
    first = addresses[0] if isinstance(addresses, list) and addresses else {}
    return text(first, "address") or "192.0.2.1"
