"""Sets arguments of the engine that a container runs, in the form in which the container has them.

Rules: only the arguments of this list, within these bounds; everything else of the container stays byte for byte;
what would not start (more GPUs than the container has, fewer tokens in a batch than sequences) is refused.
Bounds: vllm/config and sglang/srt/server_args.py, narrowed to what servers are run with.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tools import checks, engineargs, fields, targets, workloads
from tools.changes import ChangeSpec, Verification, Wanted
from tools.engineargs import Value
from tools.errors import Refused
from tools.types import JsonObject
from tools.workloads import Container

_PLACE = frozenset({*targets.Target.model_fields, "container"})


class Args(targets.Target):
    """Which container of which workload, and its engine's arguments; what is not given stays."""

    KINDS = targets.SERVED

    container: targets.ContainerName
    max_num_seqs: Annotated[int, Field(strict=True, ge=1, le=4096)] | None = None
    max_num_batched_tokens: Annotated[int, Field(strict=True, ge=256, le=262_144)] | None = None
    max_model_len: Annotated[int, Field(strict=True, ge=256, le=2_097_152)] | None = None
    gpu_memory_utilization: Annotated[float, Field(ge=0.5, le=0.97, allow_inf_nan=False)] | None = None
    tensor_parallel_size: Annotated[int, Field(strict=True, ge=1, le=16)] | None = None
    kv_cache_dtype: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2"] | None = None
    enable_prefix_caching: Annotated[bool, Field(strict=True)] | None = None
    enable_chunked_prefill: Annotated[bool, Field(strict=True)] | None = None
    max_running_requests: Annotated[int, Field(strict=True, ge=1, le=8192)] | None = None
    mem_fraction_static: Annotated[float, Field(ge=0.4, le=0.95, allow_inf_nan=False)] | None = None
    chunked_prefill_size: Annotated[int, Field(strict=True, ge=256, le=65_536)] | None = None
    max_prefill_tokens: Annotated[int, Field(strict=True, ge=256, le=262_144)] | None = None
    context_length: Annotated[int, Field(strict=True, ge=256, le=2_097_152)] | None = None

    @model_validator(mode="after")
    def _something_that_can_be(self) -> Args:
        if not self.values:
            raise ValueError("nothing to set is given")
        size = self.tensor_parallel_size
        if size is not None and size & (size - 1):
            raise ValueError("tensor_parallel_size is a power of two")
        return self

    @property
    def values(self) -> dict[str, Value]:
        """Argument → value."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields if name not in _PLACE)
        return {name: value for name, value in given if value is not None}


def _container(args: Args, obj: JsonObject) -> Container | None:
    return workloads.container(obj, args.ref.kind_ref, args.container)


def _wants(args: Args, obj: JsonObject) -> tuple[Wanted, ...]:
    found = _container(args, obj)
    if found is None:
        return ()
    try:
        return found.setting(obj, engineargs.setting(found.spec, args.values))
    except Refused:
        return ()


def _refusal(args: Args, obj: JsonObject) -> str:
    found = _container(args, obj)
    if found is None:
        return f"{args.ref} has no single container of that name"
    try:
        engineargs.setting(found.spec, args.values)
        reason = _fits(args, obj, found)
    except Refused as refused:
        return f"{args.ref}: {refused.message}"
    return reason or workloads.unsettled(obj, args.ref.kind_ref)


def _fits(args: Args, obj: JsonObject, found: Container) -> str:
    """Why the engine would not start, as far as that can be told from its arguments."""
    if args.tensor_parallel_size is not None:
        if fields.mapping(obj, "spec", "parallelism"):
            return "its spec.parallelism says over how many GPUs it spreads"
        held = sum(workloads.gpus_of(found.spec).values())
        if held < args.tensor_parallel_size:
            return f"its container has {held:g} GPUs: raise those first"
    if engineargs.engine_of(found.spec) == "vllm":
        tokens = args.max_num_batched_tokens or _standing(found, "max_num_batched_tokens")
        seqs = args.max_num_seqs or _standing(found, "max_num_seqs")
        if tokens and seqs and tokens < seqs:
            return f"a batch of {tokens:g} tokens would not hold {seqs:g} sequences"
    return ""


def _standing(found: Container, argument: str) -> float | None:
    return fields.number(engineargs.value_of(found.spec, argument))


def _verification(args: Args, obj: JsonObject) -> tuple[Verification, ...]:
    kind = args.ref.kind_ref
    preempts = (checks.below("vllm_preemptions_10m", 0.0),) if args.max_num_seqs or args.max_num_batched_tokens else ()
    return (*checks.restarted(obj, kind), *(preempts if checks.serving(obj, kind) else ()))


CHANGE = ChangeSpec(
    name="set_engine_args",
    summary="Set arguments of the vLLM or SGLang engine in one container; its pods are replaced.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "B",
    blast=lambda args, obj: workloads.restarting(obj, args.ref.kind_ref),
    verification=_verification,
    guards=workloads.ROLLOUT_GUARDS,
)
