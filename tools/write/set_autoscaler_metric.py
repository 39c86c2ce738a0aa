"""Lets an autoscaler follow the load of the model servers instead of CPU or memory.

Rules: the metric is one of a list; a ScaledObject keeps the Prometheus it already asks, and the query is made here,
for the pods of its target only: no text of a model reaches a query or an address. Other metrics of load stay.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from tools import checks, fields, targets
from tools.changes import Blast, ChangeSpec, Verification, Wanted
from tools.types import JsonObject

_QUERIES = {
    "vllm:num_requests_waiting": "sum(vllm:num_requests_waiting{{{own}}})",
    "vllm:num_requests_running": "sum(vllm:num_requests_running{{{own}}})",
    "vllm:generation_tokens": "sum(rate(vllm:generation_tokens_total{{{own}}}[2m]))",
    "sglang:num_queue_reqs": "sum(sglang:num_queue_reqs{{{own}}})",
    "sglang:gen_throughput": "sum(sglang:gen_throughput{{{own}}})",
}
"""Metric → its sum over the pods of one workload: vLLM v1 and SGLang metrics."""
_MADE_OF_RESOURCES = ("Resource", "ContainerResource")


class Args(targets.Target):
    """Which autoscaler, which metric, and how much of it one replica should carry."""

    KINDS = (targets.HPA, targets.SCALED_OBJECT)

    metric: Literal[
        "vllm:num_requests_waiting",
        "vllm:num_requests_running",
        "vllm:generation_tokens",
        "sglang:num_queue_reqs",
        "sglang:gen_throughput",
    ]
    source: Literal["Pods", "External"] = "Pods"
    """Of a HorizontalPodAutoscaler: which metrics API serves it, averaged per pod in both cases."""
    per_replica: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    """Requests, or tokens a second."""


def _hpa_metric(args: Args) -> JsonObject:
    target: JsonObject = {"type": "AverageValue", "averageValue": str(args.per_replica)}
    body: JsonObject = {"metric": {"name": args.metric}, "target": target}
    return {"type": args.source, args.source.lower(): body}


def _name(metric: JsonObject) -> str:
    return fields.text(metric, fields.text(metric, "type").lower(), "metric", "name")


def _query(args: Args, obj: JsonObject) -> str:
    workload = fields.text(obj, "spec", "scaleTargetRef", "name").replace(".", "\\\\.")
    return _QUERIES[args.metric].format(own=f'namespace="{args.namespace}",pod=~"{workload}-.+"')


def _wants(args: Args, obj: JsonObject) -> tuple[Wanted, ...]:
    if args.ref.kind_ref == targets.HPA:
        kept: list[JsonValue] = [
            one
            for one in fields.items(obj, "spec", "metrics")
            if fields.text(one, "type") not in _MADE_OF_RESOURCES and _name(one) != args.metric
        ]
        return (Wanted(path=("spec", "metrics"), value=[*kept, _hpa_metric(args)]),)
    made = _triggers(args, obj)
    return (Wanted(path=("spec", "triggers"), value=made),) if made else ()


def _triggers(args: Args, obj: JsonObject) -> list[JsonValue]:
    """The triggers without CPU and memory, the first Prometheus one asking for the metric; none where there is none."""
    made: list[JsonValue] = []
    done = False
    for one in fields.items(obj, "spec", "triggers"):
        if fields.text(one, "type") in ("cpu", "memory"):
            continue
        if fields.text(one, "type") == "prometheus" and not done:
            metadata = {**fields.mapping(one, "metadata")}
            metadata |= {"query": _query(args, obj), "threshold": str(args.per_replica)}
            one, done = {**one, "metadata": metadata}, True
        made.append(one)
    return made if done else []


def _refusal(args: Args, obj: JsonObject) -> str:
    if any(key in fields.mapping(obj, "metadata", "annotations") for key in targets.KEDA_PAUSED):
        return f"{args.ref} is paused: its metric has no effect"
    if args.ref.kind_ref == targets.HPA:
        return ""
    if not _triggers(args, obj):
        return f"{args.ref} asks no Prometheus yet: give it a trigger where it is declared"
    return ""


def _blast(args: Args, obj: JsonObject) -> Blast:
    """At worst: the new metric lets it fall to the minimum."""
    path, least = (("spec", "minReplicas"), 1) if args.ref.kind_ref == targets.HPA else (("spec", "minReplicaCount"), 0)
    now, low = fields.number(obj, "status", "currentReplicas"), fields.number(obj, *path)
    return Blast(
        replicas_before=None if now is None else int(now),
        replicas_after=least if low is None else int(low),
        restarts=False,
    )


def _verification(args: Args, obj: JsonObject) -> tuple[Verification, ...]:
    works = "ScalingActive" if args.ref.kind_ref == targets.HPA else "Ready"
    query = (checks.below("vllm_waiting_max_30m", checks.MAX_WAITING),) if args.metric.startswith("vllm:") else ()
    return (checks.condition(works, settle=300.0), *query, *checks.seen(obj))


CHANGE = ChangeSpec(
    name="set_autoscaler_metric",
    summary="Let an autoscaler follow waiting or running requests or token throughput, not CPU or memory.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "B",
    blast=_blast,
    verification=_verification,
    guards=(
        *(("spec", name) for name in ("scaleTargetRef", "minReplicas", "maxReplicas")),
        *(("spec", name) for name in ("minReplicaCount", "maxReplicaCount")),
    ),
)
