"""What an API server refuses about an object that could be decoded: bounds, enums, references, immutable fields.

Rules: every rule yields causes; the answer lists them all (422). Schemas say types, bounds and immutable fields;
what depends on two fields, or on another state of the object, is a function below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from evals.servers.kube.immutable import changed_causes, check_queue_label, webhook
from evals.servers.kube.jsonread import as_int, as_object, as_text, dig, objects_at
from evals.servers.kube.kinds import Resource
from evals.servers.kube.status import Cause, invalid
from evals.servers.kube.structure import printed, structure
from evals.world.quantity import amount
from tools.types import JsonObject


def validate(resource: Resource, new: JsonObject, old: JsonObject | None, *, subresource: str = "") -> None:
    """Check a write of `new` over `old` (None: creation). Raises ApiError 403, 422."""
    causes = [] if subresource == "status" else _problems(resource, new)
    if old is not None and causes:
        had = _problems(resource, old)
        causes = [one for one in causes if one not in had]
    if old is not None and subresource != "status":
        causes += changed_causes(resource, new, old)
    if causes:
        raise invalid(resource.kind, resource.group, as_text(dig(new, "metadata", "name")), causes)
    _scaled_object(resource, new)
    if old is not None:
        check_queue_label(resource, new, old)


def _problems(resource: Resource, body: JsonObject) -> list[Cause]:
    """What is wrong with one state. Of a world's own objects, whatever was wrong before is no fault of a change."""
    return list(structure(resource, body)) or [cause for rule in _RULES for cause in rule(resource, body)]


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
