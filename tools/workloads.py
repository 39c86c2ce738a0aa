"""Where each kind of workload keeps its replicas, pod templates and containers, and how far its pods may change now.

Rules: pure reading of objects as the API server returns them; nothing raises on data that is not there. Field names:
k8s.io/api apps/v1 and batch/v1, kubernetes-sigs lws, jobset and kueue, kserve, kubeflow trainer and
training-operator, kuberay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from tools import fields, targets
from tools.changes import Blast, Path, Wanted
from tools.naming import JsonObject, KindRef

GPU_RESOURCE = re.compile(r"(nvidia\.com/(gpu|gpu\.shared|mig-.+)|amd\.com/gpu|gpu\.intel\.com/(i915|xe))$")
"""Extended resources that are GPUs or slices of them (NVIDIA, AMD and Intel device plugins)."""
MAX_FALL = 0.25
"""Share of the replicas that one change may take away."""
LEAST_RISE = 4
"""Replicas that one change may always add, besides doubling: the default scale-up policy of autoscaling/v2."""
KSERVE_CONTAINER = "kserve-container"
"""Name that KServe gives to the container of `spec.predictor.model`."""
ROLLOUT_GUARDS: tuple[Path, ...] = (
    ("spec", "paused"), ("spec", "replicas"), ("spec", "strategy"), ("spec", "updateStrategy"),
    ("spec", "rolloutStrategy"), ("spec", "parallelism"),
)  # fmt: skip
"""What decides how pods are replaced."""
_PREDICTOR: Path = ("spec", "predictor")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a workload and where it stands."""

    path: Path
    """Of the list that holds it, or of the container itself."""
    index: int | None
    """In that list; None where it stands alone."""
    name: str
    spec: JsonObject

    def setting(self, obj: JsonObject, changes: dict[Path, JsonValue]) -> tuple[Wanted, ...]:
        """The fields to set so that the container has other values; a list is written whole, in its order."""
        if self.index is None:
            return tuple(Wanted(path=(*self.path, *path), value=value) for path, value in changes.items())
        whole = fields.dig(obj, *self.path)
        if not isinstance(whole, list) or not changes:
            return ()
        made = self.spec
        for path, value in changes.items():
            made = _with(made, path, value)
        return (Wanted(path=self.path, value=[*whole[: self.index], made, *whole[self.index + 1 :]]),)


def _with(obj: JsonObject, path: Path, value: JsonValue) -> JsonObject:
    """The object with one field set, in its own order of keys."""
    key, *rest = path
    inner = obj.get(key)
    return {**obj, key: _with(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value}


# --- replicas ------------------------------------------------------------------------------------------------


def replicas_path(kind: KindRef) -> Path:
    """The field that says how many replicas a workload should have."""
    return (*_PREDICTOR, "minReplicas") if kind == targets.INFERENCE_SERVICE else ("spec", "replicas")


def replicas(obj: JsonObject, kind: KindRef) -> int:
    """Replicas wanted; 1 where nothing is said, as all these kinds have it."""
    found = fields.number(obj, *replicas_path(kind))
    return 1 if found is None else int(found)


def step(before: int, after: int, what: str) -> str:
    """Why a number may not go that far in one change, in one line; "" where it may. One is always possible."""
    if before - after > max(1, int(before * MAX_FALL)):
        return f"{what} may fall by at most a quarter in one change: from {before} to {before - max(1, before // 4)}"
    if after - before > max(LEAST_RISE, before):
        return f"{what} may at most double, or rise by {LEAST_RISE}, in one change: it is {before}"
    return ""


# --- pods and GPUs -------------------------------------------------------------------------------------------


def pod_specs(obj: JsonObject, kind: KindRef) -> Iterator[tuple[Path, float]]:
    """Where the pod specs of a served workload stand, and how many pods of each one replica has."""
    if kind == targets.LEADER_WORKER_SET:
        above = ("spec", "leaderWorkerTemplate")
        size = fields.number(obj, *above, "size") or 1.0
        led = bool(fields.mapping(obj, *above, "leaderTemplate"))
        if led:
            yield (*above, "leaderTemplate", "spec"), 1.0
        yield (*above, "workerTemplate", "spec"), size - 1.0 if led else size
    elif kind == targets.INFERENCE_SERVICE:
        yield _PREDICTOR, 1.0
    elif kind == targets.LLM_INFERENCE_SERVICE:
        yield ("spec", "template"), 1.0
    else:
        yield ("spec", "template", "spec"), 1.0


def containers(obj: JsonObject, kind: KindRef) -> list[Container]:
    """The containers of a served workload, without init containers."""
    found = []
    for path, _ in pod_specs(obj, kind):
        model = fields.mapping(obj, *path, "model") if kind == targets.INFERENCE_SERVICE else {}
        if model:
            found.append(Container((*path, "model"), None, fields.text(model, "name") or KSERVE_CONTAINER, model))
        whole = fields.dig(obj, *path, "containers")
        for index, one in enumerate(whole if isinstance(whole, list) else ()):
            if isinstance(one, dict):
                found.append(Container((*path, "containers"), index, fields.text(one, "name"), one))
    return found


def container(obj: JsonObject, kind: KindRef, name: str) -> Container | None:
    """The one container of that name; None where there is none, or several."""
    found = [one for one in containers(obj, kind) if one.name == name]
    return found[0] if len(found) == 1 else None


def gpus_of(one: JsonObject) -> dict[str, float]:
    """GPU resources of a container: what it is limited to, or asks for."""
    asked = {**fields.strings(one, "resources", "limits"), **fields.strings(one, "resources", "requests")}
    amounts = {name: fields.quantity(text) for name, text in asked.items() if GPU_RESOURCE.match(name)}
    return {name: amount for name, amount in amounts.items() if amount}


def gpus_of_pod(spec: JsonObject) -> float:
    """GPUs of one pod of that spec."""
    return sum(sum(gpus_of(one).values()) for one in fields.items(spec, "containers"))


def gpus(obj: JsonObject, kind: KindRef) -> float:
    """GPUs of one replica of a served workload."""
    total = 0.0
    for path, pods in pod_specs(obj, kind):
        spec = fields.mapping(obj, *path)
        model = sum(gpus_of(fields.mapping(spec, "model")).values()) if kind == targets.INFERENCE_SERVICE else 0.0
        total += pods * (gpus_of_pod(spec) + model)
    return total


def restarting(obj: JsonObject, kind: KindRef, *, more_gpus: float = 0.0) -> Blast:
    """Every pod of a served workload is replaced; each replica then asks for that many GPUs more."""
    count, each = replicas(obj, kind), gpus(obj, kind)
    return Blast(
        replicas_before=count,
        replicas_after=count,
        gpus_before=count * each,
        gpus_after=count * (each + more_gpus),
        restarts=True,
    )


# --- what is going on ----------------------------------------------------------------------------------------


def rollout(obj: JsonObject, kind: KindRef) -> str:
    """Why its pods must be left alone for now, in one line: its rollout is paused or under way; "" otherwise."""
    if fields.flag(obj, "spec", "paused"):
        return "its rollout is paused"
    generation, seen = fields.number(obj, "metadata", "generation"), fields.number(obj, "status", "observedGeneration")
    if generation is not None and seen is not None and seen < generation:
        return "its controller has not yet seen the last change"
    if kind == targets.STATEFUL_SET:
        wanted, current = fields.text(obj, "status", "updateRevision"), fields.text(obj, "status", "currentRevision")
        moving = bool(wanted and current and wanted != current)
    elif kind in (targets.DEPLOYMENT, targets.LEADER_WORKER_SET):
        updated, all_ = fields.number(obj, "status", "updatedReplicas"), fields.number(obj, "status", "replicas")
        moving = all_ is not None and (updated or 0.0) < all_
    else:
        moving = False
    return "a rollout of it is under way" if moving else ""


def ready(obj: JsonObject) -> int | None:
    """Ready replicas as its controller counts them; None where it has said nothing."""
    found = fields.number(obj, "status", "readyReplicas")
    if found is None:
        return 0 if fields.number(obj, "status", "replicas") else None
    return int(found)


def interrupts(obj: JsonObject, kind: KindRef) -> str:
    """Why new pods would take the last ready replica away, in one line; "" where one stays or none is ready anyway."""
    count, up = replicas(obj, kind), ready(obj)
    if up == 0 or count == 0:
        return ""
    if kind == targets.DEPLOYMENT:
        if fields.text(obj, "spec", "strategy", "type") == "Recreate":
            return "its strategy Recreate would take every ready replica away at once"
        lost = _unavailable(obj, count)
        return "its strategy lets the last ready replica go" if lost >= count else ""
    if kind in (targets.STATEFUL_SET, targets.LEADER_WORKER_SET):
        surge = fields.number(obj, "spec", "rolloutStrategy", "rollingUpdateConfiguration", "maxSurge")
        if min(count, count if up is None else up) < 2 and not surge:
            return "new pods would take its last ready replica away"
    return ""


def unsettled(obj: JsonObject, kind: KindRef) -> str:
    """Why its pods cannot be replaced now, in one line; "" where they can."""
    if fields.text(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return "its pods are only replaced when somebody deletes them"
    return rollout(obj, kind) or interrupts(obj, kind)


def _unavailable(obj: JsonObject, count: int) -> int:
    """Replicas that a rolling update of a Deployment may take away at once (apps/v1: 25 % by default, rounded down)."""
    value = fields.dig(obj, "spec", "strategy", "rollingUpdate", "maxUnavailable")
    if isinstance(value, str) and value.endswith("%"):
        share = fields.number(value[:-1])
        return count if share is None else int(count * share / 100)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(count * 0.25)
