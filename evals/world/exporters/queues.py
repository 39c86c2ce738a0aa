"""Kueue and KEDA: queues and what scales on them, from the objects that describe both.

Sources: Kueue site docs/reference/metrics (v0.19) and KEDA pkg/metricscollector/prommetrics.go (2.20). Series with a
namespace of their own come as exported_namespace unless `honor_labels` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evals.world import generators as g
from evals.world.exporters.context import Context
from evals.world.exporters.rows import ONE, ZERO, Row, Rows, conditions, holds, name_of
from evals.world.latency import Histogram, Latency, LogNormal
from evals.world.manifests import entries, mapping, text
from evals.world.noise import seed_of
from evals.world.profiles import Signals, Subject
from evals.world.quantity import amount
from evals.world.series import Entry, Families
from tools.types import JsonObject

KUEUE_GROUP = "kueue.x-k8s.io"
WAIT_EDGES = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, 5120.0, 10240.0)


def _queues(context: Context) -> list[JsonObject]:
    return context.kind("ClusterQueue", KUEUE_GROUP)


def _queue(body: JsonObject, **labels: str) -> dict[str, str]:
    return {"cluster_queue": name_of(body), "replica_role": "leader", **labels}


def _pending(context: Context) -> Iterator[Row]:
    """Workloads without quota, by the reason Kueue gives: those it will not retry are inadmissible."""
    for queue in _queues(context):
        waiting = [w for w in _workloads(context, name_of(queue)) if not holds(w, "QuotaReserved")]
        inadmissible = [w for w in waiting if any(text(c, "type") == "QuotaReserved" for c in conditions(w))]
        yield _queue(queue, status="active"), g.Constant(float(len(waiting) - len(inadmissible)))
        yield _queue(queue, status="inadmissible"), g.Constant(float(len(inadmissible)))


def _workloads(context: Context, queue: str) -> list[JsonObject]:
    """Workloads that go to a ClusterQueue, admitted or through their LocalQueue; finished ones left out."""
    locals_ = {
        (text(body, "metadata", "namespace"), name_of(body)): text(body, "spec", "clusterQueue")
        for body in context.kind("LocalQueue", KUEUE_GROUP)
    }
    return [
        body
        for body in context.kind("Workload", KUEUE_GROUP)
        if locals_.get((text(body, "metadata", "namespace"), text(body, "spec", "queueName"))) == queue
        and not holds(body, "Finished")
    ]


def _admitted(kind: str) -> Rows:
    def rows(context: Context) -> Iterator[Row]:
        for queue in _queues(context):
            count = sum(holds(body, kind) for body in _workloads(context, name_of(queue)))
            yield _queue(queue), g.Constant(float(count))

    return rows


def _status(context: Context) -> Iterator[Row]:
    for queue in _queues(context):
        active = "active" if holds(queue, "Active") else "pending"
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


def waits(context: Context) -> Families:
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
        yield body, {own: text(body, "metadata", "namespace"), "scaledObject": name_of(body)}


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
        yield labels, g.Constant(float(holds(body, "Active")))


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


KUEUE: dict[str, Rows] = {
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
}
KEDA: dict[str, Rows] = {
    "keda_scaler_metrics_value": _scaler_value,
    "keda_scaler_active": _active,
    "keda_scaler_metrics_latency_seconds": _constant_per_scaler(0.012),
    "keda_scaler_detail_errors_total": _constant_per_scaler(0.0),
    "keda_scaler_empty_upstream_responses_total": _constant_per_scaler(0.0),
    "keda_scaled_object_paused": _paused,
    "keda_scaled_object_errors_total": lambda context: ((labels, ZERO) for _, labels in _scaled(context)),
}
