"""The platform's own exporters: Kueue, KEDA, EPP, node exporter, GPU operator, Argo CD, scheduler and scrape health.

Sources: Kueue site docs/reference/metrics (v0.19); KEDA pkg/metricscollector/prommetrics.go (2.20); Gateway API
Inference Extension pkg/epp/metrics (1.5); prometheus/node_exporter collectors infiniband, uname, cpu, memory;
gpu-operator cmd/nvidia-validator/metrics.go; argo-cd controller/metrics. Series that carry a namespace of their own
come as exported_namespace unless `honor_labels` is set (KEDA, Kueue LocalQueues).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from evals.world import generators as g
from evals.world.exporters.context import GPU, Context, PodRecord
from evals.world.latency import Histogram, Latency, LogNormal
from evals.world.manifests import entries, mapping, text
from evals.world.noise import seed_of
from evals.world.profiles import Signals, Subject
from evals.world.quantity import amount
from evals.world.series import Entry, Families
from tools.types import JsonObject

KUEUE = "kueue.x-k8s.io"
WAIT_EDGES = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, 5120.0, 10240.0)
ONE, ZERO = g.Constant(1.0), g.Constant(0.0)
Row = tuple[Mapping[str, str], g.Generator]
Rows = Callable[[Context], Iterable[Row]]


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
    if "kueue_admission_wait_time_seconds_bucket" not in out and not context.option("kueue").at("off").value:
        out |= _waits(context)
    out |= _pool_gauges(context)
    return out


def _family(
    context: Context, exporter: str, rows: Rows, gaps: tuple[tuple[float, float], ...]
) -> Callable[[], Iterator[Entry]]:
    def made() -> Iterator[Entry]:
        for labels, value in rows(context):
            full = {**labels, "job": _JOBS.get(exporter, exporter)}
            yield Entry(full, value, seed_of(*full.values()), None, None, gaps)

    return made


_JOBS = {"kueue": "kueue-metrics", "keda": "keda-operator", "node": "node-exporter", "operator": "gpu-operator"}


# --- Kueue -------------------------------------------------------------------------------------------------


def _queues(context: Context) -> list[JsonObject]:
    return context.kind("ClusterQueue", KUEUE)


def _name(body: JsonObject) -> str:
    return text(body, "metadata", "name")


def _queue(body: JsonObject, **labels: str) -> dict[str, str]:
    return {"cluster_queue": _name(body), "replica_role": "leader", **labels}


def _pending(context: Context) -> Iterator[Row]:
    """Workloads without quota, by the reason Kueue gives: those it will not retry are inadmissible."""
    for queue in _queues(context):
        waiting = [w for w in _workloads(context, _name(queue)) if not _is(w, "QuotaReserved")]
        inadmissible = [w for w in waiting if any(text(c, "type") == "QuotaReserved" for c in _conditions(w))]
        yield _queue(queue, status="active"), g.Constant(float(len(waiting) - len(inadmissible)))
        yield _queue(queue, status="inadmissible"), g.Constant(float(len(inadmissible)))


def _workloads(context: Context, queue: str) -> list[JsonObject]:
    """Workloads that go to a ClusterQueue, admitted or through their LocalQueue; finished ones left out."""
    locals_ = {
        (text(body, "metadata", "namespace"), _name(body)): text(body, "spec", "clusterQueue")
        for body in context.kind("LocalQueue", KUEUE)
    }
    return [
        body
        for body in context.kind("Workload", KUEUE)
        if locals_.get((text(body, "metadata", "namespace"), text(body, "spec", "queueName"))) == queue
        and not _is(body, "Finished")
    ]


def _conditions(body: JsonObject) -> list[JsonObject]:
    return entries(body, "status", "conditions")


def _is(body: JsonObject, kind: str) -> bool:
    return any(text(c, "type") == kind and text(c, "status") == "True" for c in _conditions(body))


def _admitted(kind: str) -> Rows:
    def rows(context: Context) -> Iterator[Row]:
        for queue in _queues(context):
            count = sum(_is(body, kind) for body in _workloads(context, _name(queue)))
            yield _queue(queue), g.Constant(float(count))

    return rows


def _status(context: Context) -> Iterator[Row]:
    for queue in _queues(context):
        active = "active" if _is(queue, "Active") else "pending"
        for status in ("active", "pending", "terminating"):
            yield _queue(queue, status=status), g.Constant(float(status == active))


def _info(context: Context) -> Iterator[Row]:
    for queue in _queues(context):
        cohort = text(queue, "spec", "cohortName")
        yield _queue(queue, parent_cohort=cohort, root_cohort=cohort), ONE


def _evicted(context: Context) -> Iterator[Row]:
    for queue in _queues(context):
        for reason in ("Preempted", "PodsReadyTimeout", "AdmissionCheck", "Deactivated"):
            yield _queue(queue, reason=reason, underlying_cause=""), ZERO


def _quota(field: str) -> Rows:
    """nominalQuota, borrowingLimit or lendingLimit of each flavor; needs enableClusterQueueResources."""

    def rows(context: Context) -> Iterator[Row]:
        if not context.option("kueue").at("resources").flag(default=True):
            return
        for queue in _queues(context):
            for group in entries(queue, "spec", "resourceGroups"):
                for flavor in entries(group, "flavors"):
                    for resource in entries(flavor, "resources"):
                        number = amount(resource.get(field))
                        if number is not None:
                            yield _flavor(queue, text(flavor, "name"), text(resource, "name")), g.Constant(number)

    return rows


def _flavor(queue: JsonObject, flavor: str, resource: str) -> dict[str, str]:
    return _queue(queue, cohort=text(queue, "spec", "cohortName"), flavor=flavor, resource=resource)


def _used(field: str) -> Rows:
    def rows(context: Context) -> Iterator[Row]:
        if not context.option("kueue").at("resources").flag(default=True):
            return
        for queue in _queues(context):
            for flavor in entries(queue, "status", field):
                for resource in entries(flavor, "resources"):
                    labels = _flavor(queue, text(flavor, "name"), text(resource, "name"))
                    yield labels, g.Constant(amount(resource.get("total")) or 0.0)

    return rows


def _waits(context: Context) -> Families:
    """How long workloads waited for admission: one histogram a queue, medians from its profile or 40 s."""
    histogram = Histogram("kueue_admission_wait_time_seconds", WAIT_EDGES)

    def suffix(part: str) -> Callable[[], Iterator[Entry]]:
        def made() -> Iterator[Entry]:
            for queue in _queues(context):
                labels = {**_queue(queue), "priority_class": "", "job": "kueue-metrics"}
                template = Entry(labels, ZERO, seed_of(*labels.values()))
                latency = Latency(LogNormal(38.0, 140.0))
                yield from histogram.entries(part, g.Constant(1 / 1200.0), latency, template)

        return made

    return {f"{histogram.name}{part}": suffix(part) for part in ("_bucket", "_sum", "_count")}


# --- KEDA --------------------------------------------------------------------------------------------------


def _scaled(context: Context) -> Iterator[tuple[JsonObject, dict[str, str]]]:
    own = "namespace" if context.option("keda").at("honor_labels").flag(default=False) else "exported_namespace"
    for body in context.kind("ScaledObject", "keda.sh"):
        yield body, {own: text(body, "metadata", "namespace"), "scaledObject": _name(body)}


def _scalers(context: Context) -> Iterator[tuple[JsonObject, dict[str, str]]]:
    for body, labels in _scaled(context):
        for number, trigger in enumerate(entries(body, "spec", "triggers")):
            kind = text(trigger, "type")
            yield (
                body,
                {
                    **labels,
                    "metric": f"s{number}-{kind}",
                    "scaler": f"{kind}Scaler",
                    "triggerIndex": str(number),
                    "type": "scaledobject",
                },
            )


def _paused(context: Context) -> Iterator[Row]:
    for body, labels in _scaled(context):
        annotations = mapping(body, "metadata", "annotations")
        paused = any(key.startswith("autoscaling.keda.sh/paused") for key in annotations)
        yield labels, g.Constant(float(paused))


def _active(context: Context) -> Iterator[Row]:
    for body, labels in _scalers(context):
        yield labels, g.Constant(float(_is(body, "Active")))


def _scaler_value(context: Context) -> Iterator[Row]:
    for body, labels in _scalers(context):
        subject = Subject(
            namespace=text(body, "metadata", "namespace"),
            workloads=(text(body, "spec", "scaleTargetRef", "name"),),
            hpa=text(body, "status", "hpaName"),
        )
        yield labels, g.Linear(_hpa(context, subject).get("desired"), 13.5)


def _hpa(context: Context, subject: Subject) -> Signals:
    return context.metrics.profiles.signals(subject, "hpa")


def _constant_per_scaler(value: float) -> Rows:
    return lambda context: ((labels, g.Constant(value)) for _, labels in _scalers(context))


# --- endpoint picker ---------------------------------------------------------------------------------------


def _pools(context: Context) -> Iterator[tuple[JsonObject, list[PodRecord]]]:
    for pool in context.kind("InferencePool", "inference.networking.k8s.io"):
        wanted = mapping(pool, "spec", "selector", "matchLabels")
        namespace = text(pool, "metadata", "namespace")
        yield (
            pool,
            [
                pod
                for pod in context.pods
                if pod.namespace == namespace and wanted.items() <= pod.labels.items() and pod.phase == "Running"
            ],
        )


def _pool_gauges(context: Context) -> Families:
    """Averages over the pool's own pods, so that the picker and the engines tell one story."""
    if context.option("epp").at("off").flag(default=False):
        return {}
    gaps = context.option("epp").at("gaps").windows()

    def average(signal: str) -> Callable[[], Iterator[Entry]]:
        def made() -> Iterator[Entry]:
            for pool, pods in _pools(context):
                if pods:
                    parts = tuple(_of_pod(context, pod, signal) for pod in pods)
                    value = g.Linear(g.Sum(parts), 1 / len(parts))
                    yield Entry(_pool(pool), value, 0, None, None, gaps)

        return made

    def per_pod() -> Iterator[Entry]:
        for pool, pods in _pools(context):
            for pod in pods:
                labels = {**_pool(pool), "model_server_pod": pod.name}
                yield Entry(labels, _of_pod(context, pod, "vllm.waiting"), 0, pod.started, pod.finished, gaps)

    return {
        "inference_pool_average_kv_cache_utilization": average("vllm.kv"),
        "inference_pool_average_queue_size": average("vllm.waiting"),
        "inference_pool_per_pod_queue_size": per_pod,
    }


def _of_pod(context: Context, pod: PodRecord, signal: str) -> g.Generator:
    signals = context.signals(pod)
    return g.Bound(signals.get(signal), pod.seed, signals.values)


def _pool(pool: JsonObject) -> dict[str, str]:
    namespace, name = text(pool, "metadata", "namespace"), _name(pool)
    return {"name": name, "namespace": namespace, "job": f"{name}-epp"}


def _ready_pods(context: Context) -> Iterator[Row]:
    for pool, pods in _pools(context):
        yield _pool(pool), g.Constant(float(len(pods)))


def _attempts(context: Context) -> Iterator[Row]:
    for pool, pods in _pools(context):
        for pod in pods:
            rate = _of_pod(context, pod, "vllm.rps")
            yield {**_pool(pool), "status": "success", "pod_name": pod.name}, g.Counter(rate, whole=True)


def _requests(context: Context) -> Iterator[Row]:
    for pool, pods in _pools(context):
        if pods:
            labels = {**_pool(pool), "model_name": _name(pool), "target_model_name": _name(pool)}
            rate = g.Sum(tuple(_of_pod(context, pod, "vllm.rps") for pod in pods))
            yield labels, g.Counter(rate, whole=True)


def _request_errors(context: Context) -> Iterator[Row]:
    for pool, _ in _pools(context):
        labels = {**_pool(pool), "model_name": _name(pool), "target_model_name": _name(pool)}
        yield {**labels, "error_code": "ResourceExhausted"}, ZERO


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
            "name": _name(app),
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
        labels = {"name": _name(app), "namespace": text(app, "metadata", "namespace"), "phase": "Succeeded"}
        yield labels, g.Constant(12.0)


def _queue_lengths(context: Context) -> Iterator[Row]:
    unschedulable = [p for p in context.pods if p.phase == "Pending" and not p.node]
    for queue in ("active", "backoff", "unschedulable", "gated"):
        yield {"queue": queue}, g.Constant(float(len(unschedulable) if queue == "unschedulable" else 0))


_EXPORTERS: dict[str, dict[str, Rows]] = {
    "kueue": {
        "kueue_pending_workloads": _pending,
        "kueue_admitted_active_workloads": _admitted("Admitted"),
        "kueue_reserving_active_workloads": _admitted("QuotaReserved"),
        "kueue_cluster_queue_status": _status,
        "kueue_cluster_queue_info": _info,
        "kueue_evicted_workloads_total": _evicted,
        "kueue_cluster_queue_nominal_quota": _quota("nominalQuota"),
        "kueue_cluster_queue_borrowing_limit": _quota("borrowingLimit"),
        "kueue_cluster_queue_lending_limit": _quota("lendingLimit"),
        "kueue_cluster_queue_resource_reservation": _used("flavorsReservation"),
        "kueue_cluster_queue_resource_usage": _used("flavorsUsage"),
    },
    "keda": {
        "keda_scaler_metrics_value": _scaler_value,
        "keda_scaler_active": _active,
        "keda_scaler_metrics_latency_seconds": _constant_per_scaler(0.012),
        "keda_scaler_detail_errors_total": _constant_per_scaler(0.0),
        "keda_scaler_empty_upstream_responses_total": _constant_per_scaler(0.0),
        "keda_scaled_object_paused": _paused,
        "keda_scaled_object_errors_total": lambda context: ((labels, ZERO) for _, labels in _scaled(context)),
    },
    "epp": {
        "inference_pool_ready_pods": _ready_pods,
        "inference_extension_scheduler_attempts_total": _attempts,
        "inference_objective_request_total": _requests,
        "inference_objective_request_error_total": _request_errors,
    },
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
