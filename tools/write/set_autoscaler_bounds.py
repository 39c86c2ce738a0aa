"""Sets between how many replicas an autoscaler may choose.

Rules: at least one replica stays; a bound falls by at most a quarter in one change, because the autoscaler may follow
it at once; a bound that is not given stays as it is.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from tools import checks, fields, targets, workloads
from tools.changes import Blast, ChangeSpec, Path, Tier, Verification, Wanted
from tools.types import JsonObject, KindRef

Bound: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=1000)]
_PATHS: dict[KindRef, tuple[Path, Path]] = {
    targets.HPA: (("spec", "minReplicas"), ("spec", "maxReplicas")),
    targets.SCALED_OBJECT: (("spec", "minReplicaCount"), ("spec", "maxReplicaCount")),
    targets.INFERENCE_SERVICE: (("spec", "predictor", "minReplicas"), ("spec", "predictor", "maxReplicas")),
    targets.LLM_INFERENCE_SERVICE: (("spec", "scaling", "minReplicas"), ("spec", "scaling", "maxReplicas")),
}
_ABSENT: dict[KindRef, tuple[int, int]] = {targets.SCALED_OBJECT: (0, 100)}
"""What absent bounds mean; elsewhere 1 at least, and as many at most."""


class Args(targets.Target):
    """Which autoscaler, and its bounds."""

    KINDS = tuple(_PATHS)

    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Args:
        if self.min is None and self.max is None:
            raise ValueError("min or max is needed")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is greater than max")
        return self


def _before(args: Args, obj: JsonObject) -> tuple[int, int]:
    kind = args.ref.kind_ref
    low, high = (fields.number(obj, *path) for path in _PATHS[kind])
    least, most = _ABSENT.get(kind, (1, 1))
    found = least if low is None else int(low)
    return found, max(found, most) if not high else int(high)


def _after(args: Args, obj: JsonObject) -> tuple[int, int]:
    low, high = _before(args, obj)
    return args.min if args.min is not None else low, args.max if args.max is not None else high


def _wants(args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    given = zip(_PATHS[args.ref.kind_ref], (args.min, args.max))
    return tuple(Wanted(path=path, value=value) for path, value in given if value is not None)


def _refusal(args: Args, obj: JsonObject) -> str:
    ref, kind = args.ref, args.ref.kind_ref
    if kind == targets.LLM_INFERENCE_SERVICE and not fields.mapping(obj, "spec", "scaling"):
        return f"{ref} has no autoscaler"
    if any(key in fields.mapping(obj, "metadata", "annotations") for key in targets.KEDA_PAUSED):
        return f"{ref} is paused: its bounds have no effect"
    (low, high), (least, most) = _before(args, obj), _after(args, obj)
    if least > most:
        return f"{ref} would have a minimum of {least} and a maximum of {most}"
    idle = fields.number(obj, "spec", "idleReplicaCount")
    if idle is not None and least <= idle:
        return f"{ref} has {idle:g} idle replicas, which its minimum must exceed"
    return workloads.step(low, least, "the minimum") or workloads.step(high, most, "the maximum")


def _tier(args: Args, obj: JsonObject) -> Tier:
    (low, high), (least, most) = _before(args, obj), _after(args, obj)
    return "B" if least < low or most < high else "A"


def _running(args: Args, obj: JsonObject) -> int | None:
    kind = args.ref.kind_ref
    path = ("status", "currentReplicas") if kind == targets.HPA else ("status", "replicas")
    found = fields.number(obj, *path)
    return None if found is None else int(found)


def _blast(args: Args, obj: JsonObject) -> Blast:
    """At worst: as few replicas as are allowed where a bound falls, or as many as must be where one rises."""
    now, (least, most) = _running(args, obj), _after(args, obj)
    if now is None:
        falls = _tier(args, obj) == "B"
        return Blast(replicas_after=least if falls else None, restarts=falls)
    after = least if _after(args, obj)[0] < _before(args, obj)[0] else min(max(now, least), most)
    each = workloads.gpus(obj, args.ref.kind_ref) if args.ref.kind_ref in targets.SERVED else 0.0
    known = bool(each)
    return Blast(
        replicas_before=now,
        replicas_after=after,
        gpus_before=now * each if known else None,
        gpus_after=after * each if known else None,
        restarts=after < now,
    )


def _verification(args: Args, obj: JsonObject) -> tuple[Verification, ...]:
    kind = args.ref.kind_ref
    if kind == targets.HPA:
        return (checks.condition("AbleToScale"), *checks.seen(obj))
    return (checks.condition("Ready"), *checks.seen(obj), *checks.serving(obj, kind))


CHANGE = ChangeSpec(
    name="set_autoscaler_bounds",
    summary="Set the smallest and the largest number of replicas that an autoscaler may choose.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=_tier,
    blast=_blast,
    verification=_verification,
    guards=(
        *(path for paths in _PATHS.values() for path in paths),
        ("spec", "idleReplicaCount"),
        *(("metadata", "annotations", key) for key in targets.KEDA_PAUSED),
    ),
)
