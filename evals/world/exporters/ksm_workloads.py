"""kube-state-metrics v2.20: workloads, autoscalers, quotas and namespaces.

Source: kubernetes/kube-state-metrics docs/metrics. An autoscaler's current and desired replicas come from its
profile where one is written (`match: {hpa: NAME}`), else from its status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from evals.world.exporters.context import Context
from evals.world.exporters.ksm import entry, label_pairs
from evals.world.generators import Clamp, Constant, Generator, Moment
from evals.world.manifests import entries, mapping, text
from evals.world.noise import seed_of
from evals.world.profiles import Signals, Subject
from evals.world.quantity import amount
from evals.world.series import Entry, Families, Family
from tools.types import JsonObject

Row = tuple[Mapping[str, str], Generator]
Rows = Callable[[Context, JsonObject], Iterator[Row]]


def _number(*path: str) -> Rows:
    """The number at a path; 0 where it is absent, as kube-state-metrics does for counts."""

    def rows(context: Context, body: JsonObject) -> Iterator[Row]:
        yield {}, Constant(amount(mapping(body, *path[:-1]).get(path[-1])) or 0.0)

    return rows


def _where_set(*path: str) -> Rows:
    """As _number, but no series where the field is absent."""

    def rows(context: Context, body: JsonObject) -> Iterator[Row]:
        value = amount(mapping(body, *path[:-1]).get(path[-1]))
        if value is not None:
            yield {}, Constant(value)

    return rows


def _time(*path: str) -> Rows:
    def rows(context: Context, body: JsonObject) -> Iterator[Row]:
        at = context.offset(mapping(body, *path[:-1]).get(path[-1]))
        if at is not None:
            yield {}, Moment(at)

    return rows


def _info(**fields: str) -> Rows:
    """A series of value 1 whose labels are fields of the object (`a.b.c`)."""

    def rows(context: Context, body: JsonObject) -> Iterator[Row]:
        yield {label: text(body, *path.split(".")) for label, path in fields.items()}, Constant(1.0)

    return rows


def _owner(context: Context, body: JsonObject) -> Iterator[Row]:
    for owner in entries(body, "metadata", "ownerReferences"):
        labels = {
            "owner_kind": text(owner, "kind"),
            "owner_name": text(owner, "name"),
            "owner_is_controller": text(owner, "controller") or "false",
        }
        yield labels, Constant(1.0)


def _conditions(context: Context, body: JsonObject) -> Iterator[Row]:
    for condition in entries(body, "status", "conditions"):
        status = text(condition, "status").lower()
        for option in ("true", "false", "unknown"):
            yield {"condition": text(condition, "type"), "status": option}, Constant(float(status == option))


def _finished(kind: str) -> Rows:
    def rows(context: Context, body: JsonObject) -> Iterator[Row]:
        for condition in entries(body, "status", "conditions"):
            if text(condition, "type") == kind:
                status = text(condition, "status").lower()
                for option in ("true", "false", "unknown"):
                    yield {"condition": option}, Constant(float(status == option))

    return rows


def _targets(part: str, field: str) -> Rows:
    """Target or current values of an autoscaler's metrics, by name and kind of target."""
    kinds = {"utilization": "averageUtilization", "average": "averageValue", "value": "value"}

    def rows(context: Context, body: JsonObject) -> Iterator[Row]:
        for metric in entries(body, *part.split(".")):
            source = next((mapping(metric, key) for key in metric if key != "type"), {})
            name = text(source, "name") or text(source, "metric", "name")
            for kind, key in kinds.items():
                value = amount(mapping(source, field).get(key))
                if value is not None:
                    yield {"metric_name": name, "metric_target_type": kind}, Constant(value)

    return rows


def _hpa_signals(context: Context, body: JsonObject) -> Signals:
    target = text(body, "spec", "scaleTargetRef", "name")
    subject = Subject(
        namespace=text(body, "metadata", "namespace"),
        workloads=(target,),
        hpa=text(body, "metadata", "name"),
    )
    return context.metrics.profiles.signals(subject, "hpa")


def _replicas(signal: str, field: str) -> Rows:
    def rows(context: Context, body: JsonObject) -> Iterator[Row]:
        signals = _hpa_signals(context, body)
        fixed = Constant(amount(mapping(body, "status").get(field)) or 0.0)
        yield {}, Clamp(signals.get(signal), low=0.0, whole=True) if signals.has(signal) else fixed

    return rows


def _quota(context: Context, body: JsonObject) -> Iterator[Row]:
    for kind in ("hard", "used"):
        for name, value in mapping(body, "status", kind).items():
            number = amount(value)
            if number is not None:
                yield {"resource": name, "type": kind}, Constant(number)


def _namespace_labels(context: Context, body: JsonObject) -> Iterator[Row]:
    yield label_pairs(body, ("team", "kubernetes.io/metadata.name")), Constant(1.0)


def _namespace_phase(context: Context, body: JsonObject) -> Iterator[Row]:
    for phase in ("Active", "Terminating"):
        yield {"phase": phase}, Constant(float(text(body, "status", "phase") == phase))


KINDS: tuple[tuple[str, str, str, dict[str, Rows]], ...] = (
    (
        "apps",
        "Deployment",
        "deployment",
        {
            "kube_deployment_created": _time("metadata", "creationTimestamp"),
            "kube_deployment_spec_replicas": _number("spec", "replicas"),
            "kube_deployment_spec_paused": _number("spec", "paused"),
            "kube_deployment_status_replicas": _number("status", "replicas"),
            "kube_deployment_status_replicas_available": _number("status", "availableReplicas"),
            "kube_deployment_status_replicas_ready": _number("status", "readyReplicas"),
            "kube_deployment_status_replicas_unavailable": _number("status", "unavailableReplicas"),
            "kube_deployment_status_replicas_updated": _number("status", "updatedReplicas"),
            "kube_deployment_status_observed_generation": _number("status", "observedGeneration"),
            "kube_deployment_metadata_generation": _number("metadata", "generation"),
            "kube_deployment_status_condition": _conditions,
        },
    ),
    (
        "apps",
        "ReplicaSet",
        "replicaset",
        {
            "kube_replicaset_created": _time("metadata", "creationTimestamp"),
            "kube_replicaset_owner": _owner,
            "kube_replicaset_spec_replicas": _number("spec", "replicas"),
            "kube_replicaset_status_replicas": _number("status", "replicas"),
            "kube_replicaset_status_ready_replicas": _number("status", "readyReplicas"),
        },
    ),
    (
        "apps",
        "StatefulSet",
        "statefulset",
        {
            "kube_statefulset_created": _time("metadata", "creationTimestamp"),
            "kube_statefulset_replicas": _number("spec", "replicas"),
            "kube_statefulset_status_replicas": _number("status", "replicas"),
            "kube_statefulset_status_replicas_ready": _number("status", "readyReplicas"),
            "kube_statefulset_metadata_generation": _number("metadata", "generation"),
        },
    ),
    (
        "apps",
        "DaemonSet",
        "daemonset",
        {
            "kube_daemonset_status_desired_number_scheduled": _number("status", "desiredNumberScheduled"),
            "kube_daemonset_status_number_ready": _number("status", "numberReady"),
            "kube_daemonset_status_number_available": _number("status", "numberAvailable"),
        },
    ),
    (
        "batch",
        "Job",
        "job_name",
        {
            "kube_job_created": _time("metadata", "creationTimestamp"),
            "kube_job_owner": _owner,
            "kube_job_spec_parallelism": _number("spec", "parallelism"),
            "kube_job_spec_completions": _number("spec", "completions"),
            "kube_job_status_active": _number("status", "active"),
            "kube_job_status_succeeded": _number("status", "succeeded"),
            "kube_job_status_failed": _number("status", "failed"),
            "kube_job_status_start_time": _time("status", "startTime"),
            "kube_job_status_completion_time": _time("status", "completionTime"),
            "kube_job_complete": _finished("Complete"),
            "kube_job_failed": _finished("Failed"),
        },
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscaler",
        {
            "kube_horizontalpodautoscaler_info": _info(
                scaletargetref_api_version="spec.scaleTargetRef.apiVersion",
                scaletargetref_kind="spec.scaleTargetRef.kind",
                scaletargetref_name="spec.scaleTargetRef.name",
            ),
            "kube_horizontalpodautoscaler_spec_min_replicas": _number("spec", "minReplicas"),
            "kube_horizontalpodautoscaler_spec_max_replicas": _number("spec", "maxReplicas"),
            "kube_horizontalpodautoscaler_spec_target_metric": _targets("spec.metrics", "target"),
            "kube_horizontalpodautoscaler_status_target_metric": _targets("status.currentMetrics", "current"),
            "kube_horizontalpodautoscaler_status_desired_replicas": _replicas("desired", "desiredReplicas"),
            "kube_horizontalpodautoscaler_status_current_replicas": _replicas("current", "currentReplicas"),
            "kube_horizontalpodautoscaler_status_condition": _conditions,
            "kube_horizontalpodautoscaler_metadata_generation": _number("metadata", "generation"),
        },
    ),
    (
        "policy",
        "PodDisruptionBudget",
        "poddisruptionbudget",
        {
            "kube_poddisruptionbudget_status_current_healthy": _number("status", "currentHealthy"),
            "kube_poddisruptionbudget_status_desired_healthy": _number("status", "desiredHealthy"),
            "kube_poddisruptionbudget_status_pod_disruptions_allowed": _number("status", "disruptionsAllowed"),
        },
    ),
    ("", "ResourceQuota", "resourcequota", {"kube_resourcequota": _quota}),
    (
        "",
        "Namespace",
        "namespace",
        {
            "kube_namespace_labels": _namespace_labels,
            "kube_namespace_status_phase": _namespace_phase,
            "kube_namespace_created": _time("metadata", "creationTimestamp"),
        },
    ),
)


def families(context: Context) -> Families:
    """Families of workloads, autoscalers, quotas and namespaces, by metric name."""
    out: Families = {}
    for group, kind, label, rows_by_name in KINDS:
        for name, rows in rows_by_name.items():
            out[name] = _family(context, group, kind, label, rows)
    return out


def _family(context: Context, group: str, kind: str, label: str, rows: Rows) -> Family:
    gaps = context.option("ksm").at("gaps").windows()

    def made() -> Iterator[Entry]:
        for body in context.kind(kind, group):
            base = {label: text(body, "metadata", "name")}
            namespace = text(body, "metadata", "namespace")
            if namespace:
                base["namespace"] = namespace
            for labels, value in rows(context, body):
                made = entry({**base, **labels}, value, context.created(body), gaps)
                if kind != "HorizontalPodAutoscaler":
                    yield made
                else:
                    signals = _hpa_signals(context, body).values
                    yield Entry(
                        made.labels, value, seed_of(namespace, kind, base[label]), made.born, None, gaps, 0.0, signals
                    )

    return made
