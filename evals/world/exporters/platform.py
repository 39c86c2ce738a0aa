"""The platform's own exporters: Kueue, KEDA, endpoint pickers, node exporter, GPU operator, Argo CD, scheduler.

Sources: prometheus/node_exporter collectors infiniband and uname; gpu-operator cmd/nvidia-validator/metrics.go and
controllers/operator_metrics.go; argo-cd controller/metrics; kube-scheduler metrics. Queues and pools: own files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from evals.world import generators as g
from evals.world.exporters.context import GPU, Context
from evals.world.exporters.pools import EPP, gauges
from evals.world.exporters.queues import KEDA, KUEUE, waits
from evals.world.exporters.rows import ONE, Row, Rows, name_of
from evals.world.manifests import entries, mapping, text
from evals.world.noise import seed_of
from evals.world.profiles import Subject
from evals.world.quantity import amount
from evals.world.series import Entry, Families
from tools.types import JsonObject


def families(context: Context) -> Families:
    """All platform families, by metric name, but for exporters that are switched off."""
    out: Families = {}
    for exporter, by_name in _EXPORTERS.items():
        options = context.option(exporter)
        if options.at("off").flag(default=False):
            continue
        gaps = options.at("gaps").windows()
        for name, rows in by_name.items():
            out[name] = _family(context, exporter, rows, gaps)
    if not context.option("kueue").at("off").flag(default=False):
        out |= waits(context)
    if not context.option("epp").at("off").flag(default=False):
        out |= gauges(context)
    return out


def _family(
    context: Context, exporter: str, rows: Rows, gaps: tuple[tuple[float, float], ...]
) -> Callable[[], Iterator[Entry]]:
    follower = exporter == "kueue" and context.option(exporter).at("follower").flag(default=False)

    def made() -> Iterator[Entry]:
        for labels, value in rows(context):
            full = {**labels, "job": _JOBS.get(exporter, exporter)}
            made = Entry(full, value, seed_of(*full.values()), None, None, gaps)
            yield made
            if follower:
                yield replace(made, labels={**full, "replica_role": "follower"})

    return made


_JOBS = {"kueue": "kueue-metrics", "keda": "keda-operator", "node": "node-exporter", "operator": "gpu-operator"}


# --- nodes, operator, Argo CD, scheduler -------------------------------------------------------------------


def _node_rows(signal: str, *, counter: bool, scale: float = 1.0) -> Rows:
    def rows(context: Context) -> Iterator[Row]:
        for name, node in context.nodes.items():
            signals = context.metrics.profiles.signals(Subject(node=name), "node")
            value: g.Generator = g.Linear(signals.get(signal), scale)
            yield _instance(name, node), g.Counter(value, whole=True) if counter else value

    return rows


def _infiniband(signal: str, scale: float = 1.0) -> Rows:
    def rows(context: Context) -> Iterator[Row]:
        if not context.option("node").at("infiniband").flag(default=True):
            return
        for name, node in context.nodes.items():
            if amount(mapping(node, "status", "capacity").get(GPU)) is None:
                continue
            signals = context.metrics.profiles.signals(Subject(node=name), "node")
            for port in range(8):
                labels = {**_instance(name, node), "device": f"mlx5_{port}", "port": "1"}
                yield labels, g.Counter(g.Linear(signals.get(signal), scale / 8), whole=True)

    return rows


def _instance(name: str, node: JsonObject) -> dict[str, str]:
    address = next((text(a, "address") for a in entries(node, "status", "addresses")), name)
    return {"instance": f"{address}:9100", "node": name}


def _uname(context: Context) -> Iterator[Row]:
    for name, node in context.nodes.items():
        release = text(node, "status", "nodeInfo", "kernelVersion")
        yield {**_instance(name, node), "nodename": name, "sysname": "Linux", "release": release}, ONE


def _per_gpu_node(value: float | None) -> Rows:
    """A constant for each GPU node; None stands for its number of GPUs."""

    def rows(context: Context) -> Iterator[Row]:
        for name, node in context.nodes.items():
            count = amount(mapping(node, "status", "capacity").get(GPU))
            if count is not None:
                yield {"node": name}, g.Constant(count if value is None else value)

    return rows


def _gpu_nodes(context: Context) -> Iterator[Row]:
    yield {}, g.Constant(float(len(list(_per_gpu_node(1.0)(context)))))


def _once(value: float) -> Rows:
    return lambda context: [({}, g.Constant(value))]


def _applications(context: Context) -> Iterator[Row]:
    for app in context.kind("Application", "argoproj.io"):
        automated = mapping(app, "spec", "syncPolicy").get("automated")
        labels = {
            "name": name_of(app),
            "namespace": text(app, "metadata", "namespace"),
            "project": text(app, "spec", "project"),
            "sync_status": text(app, "status", "sync", "status"),
            "health_status": text(app, "status", "health", "status"),
            "autosync_enabled": "true" if isinstance(automated, dict) else "false",
            "dest_namespace": text(app, "spec", "destination", "namespace"),
        }
        yield labels, ONE


def _syncs(context: Context) -> Iterator[Row]:
    for app in context.kind("Application", "argoproj.io"):
        labels = {"name": name_of(app), "namespace": text(app, "metadata", "namespace"), "phase": "Succeeded"}
        yield labels, g.Constant(12.0)


def _queue_lengths(context: Context) -> Iterator[Row]:
    unschedulable = [p for p in context.pods if p.phase == "Pending" and not p.node]
    for queue in ("active", "backoff", "unschedulable", "gated"):
        yield {"queue": queue}, g.Constant(float(len(unschedulable) if queue == "unschedulable" else 0))


_EXPORTERS: dict[str, dict[str, Rows]] = {
    "kueue": KUEUE,
    "keda": KEDA,
    "epp": EPP,
    "node": {
        "node_uname_info": _uname,
        "node_load1": _node_rows("node_cpu", counter=False, scale=100.0),
        "node_infiniband_port_data_transmitted_bytes_total": _infiniband("ib_tx"),
        "node_infiniband_port_data_received_bytes_total": _infiniband("ib_rx"),
        "node_infiniband_port_errors_received_total": _infiniband("ib_errors", 8.0),
        "node_infiniband_link_downed_total": _infiniband("ib_link_downed", 8.0),
    },
    "operator": {
        "gpu_operator_gpu_nodes_total": _gpu_nodes,
        "gpu_operator_reconciliation_status": _once(1.0),
        "gpu_operator_nodes_upgrades_in_progress": _once(0.0),
        "gpu_operator_nodes_upgrades_failed": _once(0.0),
        "gpu_operator_node_driver_ready": _per_gpu_node(1.0),
        "gpu_operator_node_toolkit_ready": _per_gpu_node(1.0),
        "gpu_operator_node_plugin_ready": _per_gpu_node(1.0),
        "gpu_operator_node_cuda_ready": _per_gpu_node(1.0),
        "gpu_operator_node_device_plugin_devices_total": _per_gpu_node(None),
        "gpu_operator_nvidia_pci_devices_total": _per_gpu_node(None),
    },
    "argocd": {"argocd_app_info": _applications, "argocd_app_sync_total": _syncs},
    "scheduler": {"scheduler_pending_pods": _queue_lengths},
}
