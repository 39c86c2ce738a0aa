"""Sets how many replicas a workload has; of an InferenceService, how many it has at least.

Rules: at least one replica stays, and a change takes away no more than a quarter; what an autoscaler sets is left to
it. Taking a service away altogether is no change of this catalogue.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from tools import checks, fields, targets, workloads
from tools.changes import Blast, ChangeSpec, Tier, Verification, Wanted, related
from tools.types import JsonObject

MAX_REPLICAS = 1000
"""Replicas that can be asked for: far more than any fleet we are measured on runs of one model."""
Replicas: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=MAX_REPLICAS)]


class Args(targets.Target):
    """Which workload, and how many replicas (of a LeaderWorkerSet: groups) it should have."""

    KINDS = targets.SERVED

    replicas: Replicas


def _wants(args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    return (Wanted(path=workloads.replicas_path(args.ref.kind_ref), value=args.replicas, absent=1),)


def _refusal(args: Args, obj: JsonObject) -> str:
    kind, ref = args.ref.kind_ref, args.ref
    before = workloads.replicas(obj, kind)
    if owner := _autoscaler(args, obj):
        return f"{owner} sets the replicas of {ref}: change its bounds"
    if before == 0:
        return f"{ref} was scaled to zero: whoever did that has to take it back"
    if kind == targets.INFERENCE_SERVICE:
        most = fields.number(obj, "spec", "predictor", "maxReplicas")
        if most and args.replicas > most:
            return f"{ref} has at most {most:g} replicas: change its autoscaler's bounds"
    reason = workloads.rollout(obj, kind) or workloads.step(before, args.replicas, "replicas")
    return reason or _loses_ready(args, obj, before)


def _loses_ready(args: Args, obj: JsonObject, before: int) -> str:
    """Sets end their highest-numbered pods first, ready or not; a Deployment ends those first that are not ready."""
    up = workloads.ready(obj)
    if args.replicas >= before or up is None or up >= before:
        return ""
    if args.ref.kind_ref in (targets.STATEFUL_SET, targets.LEADER_WORKER_SET):
        return f"only {up} of its {before} replicas are ready, and those might be the ones to go"
    return ""


def _autoscaler(args: Args, obj: JsonObject) -> str:
    if args.ref.kind_ref == targets.LLM_INFERENCE_SERVICE and fields.mapping(obj, "spec", "scaling"):
        return "its spec.scaling"
    for kind in (targets.HPA, targets.SCALED_OBJECT):
        for one in related(obj, kind) or ():
            if _scales(one, args):
                return f"{kind.kind} {fields.text(one, 'metadata', 'name')}"
    return ""


def _scales(scaler: JsonObject, args: Args) -> bool:
    aimed = fields.mapping(scaler, "spec", "scaleTargetRef")
    kind, group = fields.text(aimed, "kind") or "Deployment", fields.text(aimed, "apiVersion").rpartition("/")[0]
    return (fields.text(aimed, "name"), kind) == (args.name, args.kind) and group in ("", args.group)


def _tier(args: Args, obj: JsonObject) -> Tier:
    return "A" if args.replicas >= workloads.replicas(obj, args.ref.kind_ref) else "B"


def _blast(args: Args, obj: JsonObject) -> Blast:
    before, each = workloads.replicas(obj, args.ref.kind_ref), workloads.gpus(obj, args.ref.kind_ref)
    return Blast(
        replicas_before=before,
        replicas_after=args.replicas,
        gpus_before=before * each,
        gpus_after=args.replicas * each,
        restarts=args.replicas < before,
    )


def _verification(args: Args, obj: JsonObject) -> tuple[Verification, ...]:
    kind = args.ref.kind_ref
    return (*checks.replicas_ready(obj, kind, args.replicas), *checks.serving(obj, kind))


CHANGE = ChangeSpec(
    name="scale",
    summary="Set the number of replicas of one workload.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=_tier,
    blast=_blast,
    verification=_verification,
    guards=(("spec", "paused"), ("spec", "predictor", "maxReplicas"), ("spec", "scaling")),
    reads=(targets.HPA, targets.SCALED_OBJECT),
)
