"""What must be seen after a change, from the few kinds of check that changes share.

Rules: bounds are the field's own where it has one (sources below); a serving change is watched over a whole cycle of
traffic; a check of what the target does not have (a metric of another engine) is not asked for.
"""

from __future__ import annotations

from tools import fields, targets, workloads
from tools.changes import Path, Verification
from tools.engineargs import engine_of
from tools.naming import JsonObject, KindRef

MAX_WAITING = 5
"""Requests waiting on one server: the queue threshold of the endpoint picker (gateway-api-inference-extension)."""
MAX_KV = 0.95
"""Share of the KV cache in use from which vLLM begins to preempt."""
LOOK_BACK = 1800.0
"""Seconds that the widest of the queries asked here reaches back: before that has passed it still sees the past."""
DAY = 86_400.0
"""Seconds of one cycle of traffic."""
ROLLOUT = 1800.0
"""Seconds in which new pods should be ready: an image of 20 GB and the weights of a large model."""
STEADY = 600.0
"""Seconds over which a state of the cluster must hold."""


def seen(obj: JsonObject, *, settle: float = 60.0) -> tuple[Verification, ...]:
    """Its controller has seen the change; nothing for kinds that do not say."""
    generation = fields.number(obj, "metadata", "generation")
    if generation is None or fields.number(obj, "status", "observedGeneration") is None:
        return ()
    path: Path = ("status", "observedGeneration")
    return (Verification(field=path, comparator=">=", bound=generation + 1, settle=settle, window=0.0),)


def replicas_ready(obj: JsonObject, kind: KindRef, count: int, *, restarts: bool = False) -> tuple[Verification, ...]:
    """So many replicas are ready and stay so."""
    settle = ROLLOUT if restarts or count > workloads.replicas(obj, kind) else 60.0
    if kind in (targets.INFERENCE_SERVICE, targets.LLM_INFERENCE_SERVICE):
        return (condition("Ready", settle=settle), *seen(obj))
    path: Path = ("status", "readyReplicas")
    ready = Verification(field=path, comparator=">=", bound=float(count), settle=settle, window=STEADY)
    return (ready, *seen(obj))


def restarted(obj: JsonObject, kind: KindRef) -> tuple[Verification, ...]:
    """As many replicas as before are ready once their pods were replaced, and what they serve is well."""
    return (*replicas_ready(obj, kind, workloads.replicas(obj, kind), restarts=True), *serving(obj, kind))


def serving(obj: JsonObject, kind: KindRef) -> tuple[Verification, ...]:
    """Requests do not pile up and the KV cache does not run full, over a day; only for what runs vLLM."""
    if not any(engine_of(one.spec) == "vllm" for one in workloads.containers(obj, kind)):
        return ()
    return (
        below("vllm_waiting_max_30m", MAX_WAITING),
        below("vllm_kv_cache_max_10m", MAX_KV),
    )


def below(query: str, bound: float) -> Verification:
    """A named query stays at or below a bound for a day, from when new pods are ready and it sees nothing before."""
    return Verification(query=query, comparator="<=", bound=bound, settle=ROLLOUT + LOOK_BACK, window=DAY)


def condition(name: str, status: str = "True", *, settle: float = 60.0, window: float = STEADY) -> Verification:
    """A condition has that status."""
    return Verification(condition=name, comparator="==", bound=status, settle=settle, window=window)


def stands(path: Path, value: float | str, *, settle: float = 60.0, window: float = STEADY) -> Verification:
    """A field has that value."""
    return Verification(field=path, comparator="==", bound=value, settle=settle, window=window)
