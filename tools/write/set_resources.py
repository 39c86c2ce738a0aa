"""Sets what one container of a served workload asks for and may use.

Rules: a limit is never taken away; a request never exceeds its limit; memory falls by at most half and GPUs at most
double or halve in one change; GPUs keep their resource name and stay enough for the engine's tensor parallelism.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, JsonValue, StringConstraints, model_validator

from tools import checks, engineargs, fields, targets, workloads
from tools.changes import Blast, ChangeSpec, Path, Wanted
from tools.errors import Refused
from tools.types import JsonObject
from tools.workloads import Container

Cpu: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}m?$")]
"""Cores, or thousandths of one."""
Memory: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,6}(Mi|Gi)$")]
MAX_CPU, MAX_MEMORY = 512.0, 8.0 * 2**40
"""Cores and bytes of the largest machines that carry GPUs, and more."""
_FIELDS = (
    ("cpu_request", "requests", "cpu"), ("cpu_limit", "limits", "cpu"),
    ("memory_request", "requests", "memory"), ("memory_limit", "limits", "memory"),
)  # fmt: skip


class Args(targets.Target):
    """Which container of which workload, and its resources; what is not given stays."""

    KINDS = targets.SERVED

    container: targets.ContainerName
    cpu_request: Cpu | None = None
    cpu_limit: Cpu | None = None
    memory_request: Memory | None = None
    memory_limit: Memory | None = None
    gpus: Annotated[int, Field(strict=True, ge=1, le=16)] | None = None

    @model_validator(mode="after")
    def _something_within_bounds(self) -> Args:
        given = [getattr(self, name) for name, *_ in _FIELDS]
        if self.gpus is None and not any(given):
            raise ValueError("nothing to set is given")
        for name, _, resource in _FIELDS:
            amount = fields.quantity(getattr(self, name) or "0") or 0.0
            if amount > (MAX_CPU if resource == "cpu" else MAX_MEMORY):
                raise ValueError(f"{name} is too large")
        return self


def _container(args: Args, obj: JsonObject) -> Container | None:
    return workloads.container(obj, args.ref.kind_ref, args.container)


def _changes(args: Args, found: Container) -> dict[Path, JsonValue]:
    made: dict[Path, JsonValue] = {}
    for name, part, resource in _FIELDS:
        value = getattr(args, name)
        if value is not None and fields.number(found.spec, "resources", part, resource) != fields.quantity(value):
            made["resources", part, resource] = value
    for resource in workloads.gpus_of(found.spec) if args.gpus is not None else ():
        for part in ("limits", "requests"):
            standing = fields.number(found.spec, "resources", part, resource)
            if standing is not None and standing != args.gpus:
                made["resources", part, resource] = str(args.gpus)
    return made


def _wants(args: Args, obj: JsonObject) -> tuple[Wanted, ...]:
    found = _container(args, obj)
    return found.setting(obj, _changes(args, found)) if found else ()


def _refusal(args: Args, obj: JsonObject) -> str:
    found = _container(args, obj)
    if found is None:
        return f"{args.ref} has no single container of that name"
    return _amounts(args, found) or _gpus(args, found) or workloads.unsettled(obj, args.ref.kind_ref)


def _amounts(args: Args, found: Container) -> str:
    for resource in ("cpu", "memory"):
        standing = [fields.number(found.spec, "resources", part, resource) for part in ("requests", "limits")]
        wanted = [fields.quantity(getattr(args, f"{resource}_{part}") or "") for part in ("request", "limit")]
        request, limit = (new if new is not None else old for new, old in zip(wanted, standing))
        if request is not None and limit is not None and request > limit:
            return f"the {resource} request would exceed its limit"
        if resource == "memory" and wanted[1] is not None and standing[1] is not None and wanted[1] < standing[1] / 2:
            return "a memory limit may fall by at most half in one change"
    return ""


def _gpus(args: Args, found: Container) -> str:
    if args.gpus is None:
        return ""
    held = workloads.gpus_of(found.spec)
    if len(held) != 1:
        return f"the container asks for {len(held)} kinds of GPU: which one is meant is not known"
    (before,) = held.values()
    if not before / 2 <= args.gpus <= before * 2:
        return f"GPUs may at most double or halve in one change: it has {before:g}"
    try:
        parallel = engineargs.value_of(found.spec, "tensor_parallel_size")
    except Refused:
        return ""
    needed = fields.number(parallel)
    return f"its engine spreads over {needed:g} GPUs: lower that first" if needed and needed > args.gpus else ""


def _blast(args: Args, obj: JsonObject) -> Blast:
    found, kind = _container(args, obj), args.ref.kind_ref
    if found is None or args.gpus is None:
        return workloads.restarting(obj, kind)
    pods = next(pods for path, pods in workloads.pod_specs(obj, kind) if found.path[: len(path)] == path)
    more = pods * (args.gpus - sum(workloads.gpus_of(found.spec).values()))
    return workloads.restarting(obj, kind, more_gpus=more)


CHANGE = ChangeSpec(
    name="set_resources",
    summary="Set requests and limits of one container; its pods are replaced.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "B",
    blast=_blast,
    verification=lambda args, obj: checks.restarted(obj, args.ref.kind_ref),
    guards=workloads.ROLLOUT_GUARDS,
)
