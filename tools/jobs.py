"""What jobs of the kinds we know have in common: how each is suspended, whether it is done, and the GPUs it asks for.

Field names: k8s.io/api batch/v1, jobset.x-k8s.io/v1alpha2, trainer.kubeflow.org/v1alpha1, kubeflow.org/v1, ray.io/v1,
kueue.x-k8s.io/v1beta2.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from tools import checks, fields, targets, workloads
from tools.changes import Blast, Path, Verification, Wanted
from tools.naming import JsonObject, KindRef, ResourceRef

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"
_SUSPEND: Path = ("spec", "suspend")
_PATHS: dict[KindRef, Path] = {
    targets.JOB: _SUSPEND,
    targets.JOB_SET: _SUSPEND,
    targets.TRAIN_JOB: _SUSPEND,
    targets.PYTORCH_JOB: ("spec", "runPolicy", "suspend"),
    targets.RAY_JOB: _SUSPEND,
    targets.WORKLOAD: ("spec", "active"),
}
KINDS = tuple(_PATHS)
SUSPENDED: tuple[Path, ...] = (_SUSPEND, ("spec", "runPolicy", "suspend"))
"""Where kinds that Kueue holds say that they are held."""
GUARDS: tuple[Path, ...] = (("metadata", "labels", QUEUE_LABEL), ("spec", "shutdownAfterJobFinishes"))
_DONE = ("Complete", "Completed", "Failed", "Succeeded", "Finished")
_RAY_DONE = ("Complete", "Failed")


def wanted(kind: KindRef, *, suspended: bool) -> tuple[Wanted, ...]:
    """The field that suspends a job, or lets it go on; a Workload says instead whether it is active."""
    path = _PATHS[kind]
    if kind == targets.WORKLOAD:
        return (Wanted(path=path, value=not suspended, absent=True),)
    return (Wanted(path=path, value=suspended, absent=False),)


def is_suspended(obj: JsonObject, kind: KindRef) -> bool:
    """True where the job is held, by whoever."""
    flag = fields.flag(obj, *_PATHS[kind])
    return flag is False if kind == targets.WORKLOAD else flag is True


def refusal(obj: JsonObject, ref: ResourceRef, *, suspended: bool) -> str:
    """Why a job cannot be suspended, or go on, in one line; "" where it can."""
    kind = ref.kind_ref
    if is_done(obj):
        return f"{ref} has ended"
    if is_suspended(obj, kind) is suspended:
        return f"{ref} is {'suspended' if suspended else 'not suspended'} already"
    if kind != targets.WORKLOAD and fields.strings(obj, "metadata", "labels").get(QUEUE_LABEL):
        return f"Kueue suspends {ref} and lets it go on: change its Workload"
    if kind == targets.RAY_JOB and suspended and not fields.flag(obj, "spec", "shutdownAfterJobFinishes"):
        return f"{ref} has no shutdownAfterJobFinishes, without which KubeRay does not suspend it"
    return ""


def relabel_refusal(obj: JsonObject, ref: ResourceRef, what: str) -> str:
    """Why Kueue would not follow a label of a job, in one line; "" where it would: while the job is suspended."""
    if is_done(obj):
        return f"{ref} has ended"
    return "" if is_suspended(obj, ref.kind_ref) else f"{ref} runs: Kueue keeps the {what} of a job that runs"


def is_done(obj: JsonObject) -> bool:
    """True for a job that has ended, well or not."""
    ended = any(
        fields.text(one, "type") in _DONE and fields.text(one, "status") == "True"
        for one in fields.items(obj, "status", "conditions")
    )
    return ended or fields.text(obj, "status", "jobDeploymentStatus") in _RAY_DONE


def blast(obj: JsonObject, kind: KindRef, *, suspended: bool) -> Blast:
    """Every pod of the job ends, or starts."""
    all_ = gpus(obj, kind)
    before, after = (all_, 0.0) if suspended else (0.0, all_)
    return Blast(gpus_before=before, gpus_after=after, restarts=suspended)


def verification(kind: KindRef, *, suspended: bool) -> tuple[Verification, ...]:
    """The job says that it is held, or runs."""
    if kind == targets.RAY_JOB:
        state = "Suspended" if suspended else "Running"
        return (checks.stands(("status", "jobDeploymentStatus"), state, settle=300.0),)
    if kind == targets.WORKLOAD:
        return (checks.condition("QuotaReserved", "False" if suspended else "True", settle=300.0),)
    return (checks.condition("Suspended", "True" if suspended else "False", settle=300.0),)


# --- GPUs ----------------------------------------------------------------------------------------------------


def gpus(obj: JsonObject, kind: KindRef) -> float:
    """GPUs of all pods of a job when it runs."""
    if kind == targets.TRAIN_JOB:
        nodes = _count(obj, "spec", "trainer", "numNodes")
        return nodes * sum(_amounts(fields.mapping(obj, "spec", "trainer", "resourcesPerNode")).values())
    return sum(count * workloads.gpus_of_pod(spec) for count, spec in _pods(obj, kind))


def _amounts(resources: JsonObject) -> dict[str, float]:
    return workloads.gpus_of({"resources": resources})


def _pods(obj: JsonObject, kind: KindRef) -> Iterator[tuple[float, JsonObject]]:
    """(how many, pod spec) of each part of a job."""
    if kind == targets.JOB:
        yield _count(obj, "spec", "parallelism"), fields.mapping(obj, "spec", "template", "spec")
    elif kind == targets.JOB_SET:
        yield from _of_job_set(obj)
    elif kind == targets.RAY_JOB:
        yield from _of_ray_job(fields.mapping(obj, "spec", "rayClusterSpec"))
    else:
        counted = "count" if kind == targets.WORKLOAD else "replicas"
        parts = [*fields.mapping(obj, "spec", "pytorchReplicaSpecs").values(), *fields.items(obj, "spec", "podSets")]
        for part in parts:
            yield _count(part, counted), fields.mapping(part, "template", "spec")


def _of_job_set(obj: JsonObject) -> Iterator[tuple[float, JsonObject]]:
    for one in fields.items(obj, "spec", "replicatedJobs"):
        for count, spec in _pods(fields.mapping(one, "template"), targets.JOB):
            yield count * _count(one, "replicas"), spec


def _of_ray_job(cluster: JsonObject) -> Iterator[tuple[float, JsonObject]]:
    yield 1.0, fields.mapping(cluster, "headGroupSpec", "template", "spec")
    for group in fields.items(cluster, "workerGroupSpecs"):
        count = _count(group, "replicas") * _count(group, "numOfHosts")
        yield count, fields.mapping(group, "template", "spec")


def _count(obj: JsonValue, *path: str) -> float:
    found = fields.number(obj, *path)
    return 1.0 if found is None else found
