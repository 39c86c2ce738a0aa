"""What an API server refuses about an object that could be decoded: bounds, enums, references, immutable fields.

Rules: every rule yields causes; the answer lists them all (422). Schemas say types, bounds and immutable fields;
what depends on two fields, or on another state of the object, is a function below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_int, as_object, as_text, dig, objects_at
from evals.servers.kube.kinds import Resource
from evals.servers.kube.status import ApiError, Cause, invalid
from evals.world.quantity import amount
from evals.world.schemas.fields import Problem, problems
from evals.world.schemas.kinds import SCHEMAS
from tools.types import JsonObject

_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def validate(resource: Resource, new: JsonObject, old: JsonObject | None, *, subresource: str = "") -> None:
    """Check a write of `new` over `old` (None: creation). Raises ApiError 403, 422."""
    causes = [] if subresource == "status" else _problems(resource, new)
    if old is not None and causes:
        had = _problems(resource, old)
        causes = [one for one in causes if one not in had]
    if old is not None and subresource != "status":
        causes += [cause for rule in _CHANGE_RULES for cause in rule(resource, new, old)]
    if causes:
        raise invalid(resource.kind, resource.group, as_text(dig(new, "metadata", "name")), causes)
    _scaled_object(resource, new)
    if old is not None:
        _queue_label(resource, new, old)


def _problems(resource: Resource, body: JsonObject) -> list[Cause]:
    """What is wrong with one state. Of a world's own objects, whatever was wrong before is no fault of a change."""
    return list(_structure(resource, body)) or [cause for rule in _RULES for cause in rule(resource, body)]


# --- structure ---------------------------------------------------------------------------------------------


def _structure(resource: Resource, body: JsonObject) -> Iterator[Cause]:
    schema = SCHEMAS.get((resource.group, resource.kind))
    if schema is not None:
        shown: JsonObject = {key: value for key, value in body.items() if key not in ("status", "metadata")}
        for problem in problems(schema.root, shown):
            cause = _cause(resource, problem)
            if cause is not None:
                yield cause
    if resource.schema:
        yield from _open_api(resource.schema, body, "")


def _cause(resource: Resource, problem: Problem) -> Cause | None:
    value, field = printed(problem.value), problem.field
    body = f"{problem.path} in body should be" if resource.custom else "must be"
    match problem.kind:
        case "required":
            return ("FieldValueRequired", "Required value", problem.path)
        case "enum":
            known = ", ".join(f'"{one}"' for one in field.enum if one)
            return ("FieldValueNotSupported", f"Unsupported value: {value}: supported values: {known}", problem.path)
        case "low":
            said = f"{body} greater than or equal to {field.low:g}"
            return ("FieldValueInvalid", f"Invalid value: {value}: {said}", problem.path)
        case "high":
            said = f"{body} less than or equal to {field.high:g}"
            return ("FieldValueInvalid", f"Invalid value: {value}: {said}", problem.path)
        case "format":
            return (
                "FieldValueInvalid",
                f"Invalid value: {value}: quantities must match the regular expression",
                problem.path,
            )
        case "type":
            return _type_cause(problem.path, problem.value, field.type)
    return None


def _type_cause(path: str, value: JsonValue, wanted: str) -> Cause:
    got = f'"{_type_name(value)}"'
    said = f"{path} in body must be of type {wanted}: {got}"
    return ("FieldValueTypeInvalid", f"Invalid value: {got}: {said}", path)


def _type_name(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _open_api(schema: JsonObject, value: JsonValue, path: str) -> Iterator[Cause]:
    """The part of OpenAPI that a world's own definitions use: types, bounds, enums, required fields."""
    wanted = as_text(schema.get("type"))
    if value is None or (wanted and not _is(wanted, value)):
        if value is not None:
            yield _type_cause(path, value, wanted)
        return
    yield from _open_api_bounds(schema, value, path)
    if isinstance(value, dict):
        for name in schema.get("required") or ():  # type: ignore[union-attr]
            if name not in value:
                yield ("FieldValueRequired", "Required value", f"{path}.{name}".lstrip("."))
        for name, inner in as_object(schema.get("properties")).items():
            yield from _open_api(as_object(inner), value.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _open_api(as_object(schema.get("items")), one, f"{path}[{number}]")


def _open_api_bounds(schema: JsonObject, value: JsonValue, path: str) -> Iterator[Cause]:
    enum, low, high = schema.get("enum"), schema.get("minimum"), schema.get("maximum")
    if isinstance(enum, list) and value not in enum:
        known = ", ".join(printed(one) for one in enum)
        yield ("FieldValueNotSupported", f"Unsupported value: {printed(value)}: supported values: {known}", path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(low, int | float) and value < low:
        said = f"{path} in body should be greater than or equal to {low}"
        yield ("FieldValueInvalid", f"Invalid value: {printed(value)}: {said}", path)
    if isinstance(high, int | float) and value > high:
        said = f"{path} in body should be less than or equal to {high}"
        yield ("FieldValueInvalid", f"Invalid value: {printed(value)}: {said}", path)


def _is(wanted: str, value: JsonValue) -> bool:
    got = _type_name(value)
    return got == wanted or (wanted == "number" and got == "integer")


def printed(value: JsonValue) -> str:
    """A value as causes print it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- rules about one state ---------------------------------------------------------------------------------


def pod_specs(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """(path, pod spec) of everything in an object that is one."""
    if body.get("kind") == "Pod":
        yield "spec", as_object(body.get("spec"))
    template = dig(body, "spec", "template", "spec")
    if isinstance(template, dict):
        yield "spec.template.spec", template


def _containers(resource: Resource, body: JsonObject) -> Iterator[Cause]:
    """Every container has an image, and requests that its limits allow (extended resources: exactly)."""
    for path, spec in pod_specs({"kind": resource.kind, **body}):
        for field in ("initContainers", "containers"):
            for number, container in enumerate(objects_at(spec, field)):
                where = f"{path}.{field}[{number}]"
                if not container.get("image") and not resource.custom:
                    yield ("FieldValueRequired", "Required value", f"{where}.image")
                yield from _resources(container, f"{where}.resources.requests")


def _resources(container: JsonObject, where: str) -> Iterator[Cause]:
    limits = as_object(dig(container, "resources", "limits"))
    for name, asked in as_object(dig(container, "resources", "requests")).items():
        wanted, most = amount(asked), amount(limits.get(name))
        if wanted is None or most is None:
            continue
        value = json.dumps(as_text(asked))
        if "/" in name and wanted != most:
            said = f"must be equal to {name} limit of {as_text(limits[name])}"
            yield ("FieldValueInvalid", f"Invalid value: {value}: {said}", where)
        elif wanted > most:
            said = f"must be less than or equal to {name} limit of {as_text(limits[name])}"
            yield ("FieldValueInvalid", f"Invalid value: {value}: {said}", where)


def _selector_matches(resource: Resource, body: JsonObject) -> Iterator[Cause]:
    if resource.group != "apps":
        return
    wanted, labels = (
        as_object(dig(body, "spec", *path))
        for path in (("selector", "matchLabels"), ("template", "metadata", "labels"))
    )
    if not wanted.items() <= labels.items():
        said = f"Invalid value: {printed(labels)}: `selector` does not match template `labels`"
        yield ("FieldValueInvalid", said, "spec.template.metadata.labels")


def _autoscaler(resource: Resource, body: JsonObject) -> Iterator[Cause]:
    if resource.kind != "HorizontalPodAutoscaler":
        return
    low, high = as_int(dig(body, "spec", "minReplicas")), as_int(dig(body, "spec", "maxReplicas"))
    if high < low:
        said = f"Invalid value: {high}: must be greater than or equal to `minReplicas`"
        yield ("FieldValueInvalid", said, "spec.maxReplicas")


def _scaled_object(resource: Resource, body: JsonObject) -> None:
    """KEDA's webhook compares the bounds. Raises ApiError 403."""
    if resource.kind != "ScaledObject":
        return
    low, high = dig(body, "spec", "minReplicaCount"), dig(body, "spec", "maxReplicaCount")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        said = f"MinReplicaCount={low} must be less than or equal to MaxReplicaCount={high}"
        raise webhook("vscaledobject.kb.io", said)


def _bounds(resource: Resource, body: JsonObject) -> Iterator[Cause]:
    """Custom kinds with a lower and an upper number of replicas."""
    for path in (("spec", "predictor"), ("spec", "scaling"), ("spec", "prefill", "scaling")):
        low, high = dig(body, *path, "minReplicas"), dig(body, *path, "maxReplicas")
        if resource.custom and isinstance(low, int) and isinstance(high, int) and 0 < high < low:
            said = f"Invalid value: {high}: must be greater than or equal to minReplicas"
            yield ("FieldValueInvalid", said, ".".join((*path, "maxReplicas")))


_DEVICE_FIELDS = ("driver", "attributes", "capacity", "allowMultipleAllocations")


def _device_selectors(resource: Resource, body: JsonObject) -> Iterator[Cause]:
    """CEL selectors of devices that name a field devices do not have."""
    if resource.kind not in ("DeviceClass", "ResourceClaim"):
        return
    for path, selector in _selectors(body):
        text = as_text(dig(selector, "cel", "expression"))
        for match in re.finditer(r"\bdevice\.(\w+)", text):
            if match[1] not in _DEVICE_FIELDS:
                at = match.start(1)
                place = f"ERROR: <input>:1:{at}: undefined field '{match[1]}'\n | {text}\n | {'.' * (at - 1)}^"
                said = f"Invalid value: {json.dumps(text)}: compilation failed: {place}"
                yield ("FieldValueInvalid", said, f"{path}.cel.expression")


def _selectors(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for number, one in enumerate(objects_at(body, "spec", "selectors")):
        yield f"spec.selectors[{number}]", one
    for number, request in enumerate(objects_at(body, "spec", "devices", "requests")):
        for index, one in enumerate(objects_at(request, "exactly", "selectors")):
            yield f"spec.devices.requests[{number}].exactly.selectors[{index}]", one


_RULES: tuple[Callable[[Resource, JsonObject], Iterator[Cause]], ...] = (
    _containers,
    _selector_matches,
    _autoscaler,
    _bounds,
    _device_selectors,
)


# --- rules about a change ----------------------------------------------------------------------------------


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


_CHANGE_DEVICE_FIELDS = ("driver", "attributes", "capacity", "allowMultipleAllocations")


def _device_selectors(resource: Resource, body: JsonObject) -> Iterator[Cause]:
    """CEL selectors of devices that name a field devices do not have."""
    if resource.kind not in ("DeviceClass", "ResourceClaim"):
        return
    for path, selector in _selectors(body):
        text = as_text(dig(selector, "cel", "expression"))
        for match in re.finditer(r"\bdevice\.(\w+)", text):
            if match[1] not in _DEVICE_FIELDS:
                at = match.start(1)
                place = f"ERROR: <input>:1:{at}: undefined field '{match[1]}'\n | {text}\n | {'.' * (at - 1)}^"
                said = f"Invalid value: {json.dumps(text)}: compilation failed: {place}"
                yield ("FieldValueInvalid", said, f"{path}.cel.expression")


def _selectors(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for number, one in enumerate(objects_at(body, "spec", "selectors")):
        yield f"spec.selectors[{number}]", one
    for number, request in enumerate(objects_at(body, "spec", "devices", "requests")):
        for index, one in enumerate(objects_at(request, "exactly", "selectors")):
            yield f"spec.devices.requests[{number}].exactly.selectors[{index}]", one


_RULES: tuple[Callable[[Resource, JsonObject, JsonObject], Iterator[Cause]], ...] = (
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


def _queue_label(resource: Resource, new: JsonObject, old: JsonObject) -> None:
    """Kueue's webhooks keep the queue of a job that is not suspended. Raises ApiError 403."""
    before, after = (dig(one, "metadata", "labels", _QUEUE_LABEL) for one in (old, new))
    name = _JOB_WEBHOOKS.get(resource.kind)
    if name is None or before in (None, after):
        return
    suspended = dig(new, "spec", "suspend") is True or dig(new, "spec", "runPolicy", "suspend") is True
    if not suspended:
        field = f"metadata.labels[{_QUEUE_LABEL}]"
        raise webhook(name, f"{field}: Invalid value: {printed(after)}: field is immutable")
