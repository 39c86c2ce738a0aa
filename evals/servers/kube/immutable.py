"""Fields that do not change once set, and kinds of which only some fields change: rules about two states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from evals.servers.kube.jsonread import as_object, dig, objects_at
from evals.servers.kube.kinds import Resource
from evals.servers.kube.status import ApiError, Cause
from evals.servers.kube.structure import printed
from evals.world.schemas.kinds import SCHEMAS
from tools.types import JsonObject

_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def changed_causes(resource: Resource, new: JsonObject, old: JsonObject) -> list[Cause]:
    """What a change of `old` into `new` may not do."""
    return [cause for rule in _CHANGE_RULES for cause in rule(resource, new, old)]


def _immutable(resource: Resource, new: JsonObject, old: JsonObject) -> Iterator[Cause]:
    schema = SCHEMAS.get((resource.group, resource.kind))
    for path in schema.immutable if schema is not None else ():
        before, after = dig(old, *path.split(".")), dig(new, *path.split("."))
        if before in (None, after):
            continue
        if resource.kind == "Job" and _may_change(path, new, old):
            continue
        yield ("FieldValueInvalid", f"Invalid value: {printed(after)}: field is immutable", path)


_ON_SUSPENDED = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def _may_change(path: str, new: JsonObject, old: JsonObject) -> bool:
    """Parts of a Job that may change after all: where it schedules while suspended, completions when elastic."""
    if path == "spec.completions":
        indexed = dig(new, "spec", "completionMode") == "Indexed"
        return indexed and dig(new, "spec", "completions") == dig(new, "spec", "parallelism")
    if path != "spec.template" or dig(old, "spec", "suspend") is not True or dig(old, "status", "startTime"):
        return False
    return _fixed(as_object(dig(new, "spec", "template"))) == _fixed(as_object(dig(old, "spec", "template")))


def _fixed(template: JsonObject) -> JsonObject:
    spec = as_object(template.get("spec"))
    return {key: value for key, value in spec.items() if key not in _ON_SUSPENDED}


_SAID: Mapping[str, str] = {
    "StatefulSet": "updates to statefulset spec for fields other than {fields} are forbidden",
    "Pod": "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    "PersistentVolumeClaim": "spec is immutable after creation except resources.requests and "
    "volumeAttributesClassName for bound claims",
    "Node": "node updates may only change labels, taints, or capacity (or configSource, if the DynamicKubeletConfig "
    "feature gate is enabled)",
}


def _only_some(resource: Resource, new: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """Kinds of whose spec only some fields may change."""
    schema = SCHEMAS.get((resource.group, resource.kind))
    if schema is None or not schema.mutable:
        return
    before, after = as_object(old.get("spec")), as_object(new.get("spec"))
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    if resource.kind == "Pod" and _pod_images(before) == _pod_images(after):
        changed -= {"containers", "initContainers"}
    elif resource.kind == "Pod":
        changed |= {"a container"}
    if changed - set(schema.mutable):
        quoted = [f"'{field}'" for field in schema.mutable]
        said = _SAID[resource.kind].format(fields=f"{', '.join(quoted[:-1])} and {quoted[-1]}")
        yield ("FieldValueForbidden", f"Forbidden: {said}", "spec")


def _pod_images(spec: JsonObject) -> list[list[JsonObject]]:
    """The containers of a pod without their images, which may change."""
    lists = [objects_at(spec, field) for field in ("initContainers", "containers")]
    return [[{key: value for key, value in one.items() if key != "image"} for one in some] for some in lists]


def _frozen(resource: Resource, new: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """ConfigMaps and Secrets that are marked immutable."""
    if resource.kind not in ("ConfigMap", "Secret") or old.get("immutable") is not True:
        return
    for field in ("immutable", "data", "binaryData"):
        if new.get(field) != old.get(field):
            yield ("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", field)


def _queued(resource: Resource, new: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """A Kueue Workload keeps its pod sets and queue while it holds quota."""
    if (resource.group, resource.kind) != ("kueue.x-k8s.io", "Workload"):
        return
    reserved = any(
        one.get("type") == "QuotaReserved" and one.get("status") == "True"
        for one in objects_at(old, "status", "conditions")
    )
    for field in ("podSets", "queueName", "priorityClassName"):
        before, after = dig(old, "spec", field), dig(new, "spec", field)
        if reserved and before != after:
            yield ("FieldValueInvalid", f"Invalid value: {printed(after)}: field is immutable", f"spec.{field}")


def _replicated(resource: Resource, new: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """A JobSet's jobs change only while it is suspended."""
    if resource.kind != "JobSet" or dig(old, "spec", "suspend") is True:
        return
    before, after = dig(old, "spec", "replicatedJobs"), dig(new, "spec", "replicatedJobs")
    if before != after:
        yield ("FieldValueInvalid", f"Invalid value: {printed(after)}: field is immutable", "spec.replicatedJobs")


_CHANGE_RULES: tuple[Callable[[Resource, JsonObject, JsonObject], Iterator[Cause]], ...] = (
    _immutable,
    _only_some,
    _frozen,
    _queued,
    _replicated,
)


def webhook(name: str, message: str) -> ApiError:
    """403 of an admission webhook."""
    return ApiError(403, f'admission webhook "{name}" denied the request: {message}')


_JOB_WEBHOOKS = {
    "Job": "vjob.kb.io",
    "JobSet": "vjobset.kb.io",
    "PyTorchJob": "vpytorchjob.kb.io",
    "RayJob": "vrayjob.kb.io",
}


def check_queue_label(resource: Resource, new: JsonObject, old: JsonObject) -> None:
    """Kueue's webhooks keep the queue of a job that is not suspended. Raises ApiError 403."""
    before, after = (dig(one, "metadata", "labels", _QUEUE_LABEL) for one in (old, new))
    name = _JOB_WEBHOOKS.get(resource.kind)
    if name is None or before in (None, after):
        return
    suspended = dig(new, "spec", "suspend") is True or dig(new, "spec", "runPolicy", "suspend") is True
    if not suspended:
        field = f"metadata.labels[{_QUEUE_LABEL}]"
        raise webhook(name, f"{field}: Invalid value: {printed(after)}: field is immutable")
