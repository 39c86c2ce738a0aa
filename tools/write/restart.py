"""Replaces every pod of a workload, a few at a time, by an annotation of its pod template.

Rule: the annotation holds the generation that is restarted, so that a second restart differs from the first and no
clock is needed.
"""

from __future__ import annotations

from tools import checks, fields, targets, workloads
from tools.changes import ChangeSpec, Path, Wanted
from tools.types import JsonObject

ANNOTATION = "plumbline.dev/restarted-generation"


class Args(targets.Target):
    """Which workload to restart."""

    KINDS = (
        targets.DEPLOYMENT,
        targets.STATEFUL_SET,
        targets.LEADER_WORKER_SET,
        targets.INFERENCE_SERVICE,
    )


def _annotations(args: Args, obj: JsonObject) -> list[Path]:
    """Where the annotations of its pods stand: KServe copies those of a predictor to them."""
    kind = args.ref.kind_ref
    if kind == targets.INFERENCE_SERVICE:
        return [("spec", "predictor", "annotations")]
    return [(*path[:-1], "metadata", "annotations") for path, _ in workloads.pod_specs(obj, kind)]


def _wants(args: Args, obj: JsonObject) -> tuple[Wanted, ...]:
    generation = fields.number(obj, "metadata", "generation")
    if generation is None:
        return ()
    return tuple(Wanted(path=(*path, ANNOTATION), value=f"{generation:.0f}") for path in _annotations(args, obj))


def _refusal(args: Args, obj: JsonObject) -> str:
    if fields.number(obj, "metadata", "generation") is None:
        return f"{args.ref} has no generation"
    return workloads.unsettled(obj, args.ref.kind_ref)


CHANGE = ChangeSpec(
    name="restart",
    summary="Replace every pod of one workload, a few at a time.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "B",
    blast=lambda args, obj: workloads.restarting(obj, args.ref.kind_ref),
    verification=lambda args, obj: checks.restarted(obj, args.ref.kind_ref),
    guards=workloads.ROLLOUT_GUARDS,
)
