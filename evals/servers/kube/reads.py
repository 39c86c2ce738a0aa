"""get and list, with selectors, paging and the read-only subresources `status` and `scale`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from evals.servers.kube.calls import Answer, Call
from evals.servers.kube.convert import served_form
from evals.servers.kube.fieldselectors import field_selector
from evals.servers.kube.jsonread import as_int, as_object, as_text, dig, json_path
from evals.servers.kube.kinds import Resource
from evals.servers.kube.negotiate import wanted
from evals.servers.kube.paging import Window, make_token, window_of
from evals.servers.kube.selectors import label_selector
from evals.servers.kube.sheets import SHEETS
from evals.servers.kube.status import not_found, unknown_resource
from evals.servers.kube.store import Item, Store
from evals.servers.kube.tables import Printer, printer_for
from evals.servers.kube.views import LIST_KINDS, OBJECT_KINDS, answer, list_answer, object_answer
from tools.types import JsonObject

Matches = Callable[[Item], bool]


def printer_of(call: Call, resource: Resource, now: float) -> Printer:
    """The printer a request's Table would be made with."""
    return printer_for(resource, SHEETS, now=now, include=call.query.get("includeObject", ""))


def matcher(call: Call, resource: Resource) -> Matches | None:
    """The test of a request's selectors and name; None where it admits everything. Raises ApiError 400."""
    labels = label_selector(call.query.get("labelSelector", ""))
    fields = field_selector(call.query.get("fieldSelector", ""), resource)
    name = call.target.name
    if labels is None and fields is None and not name:
        return None

    def matches(item: Item) -> bool:
        if name and item.name != name:
            return False
        if labels is not None and not labels(as_object(item.metadata.get("labels"))):
            return False
        return fields is None or fields(item.body)

    return matches


def list_objects(call: Call, resource: Resource, store: Store, now: float) -> Answer:
    """One page of a list. Raises ApiError 400, 406, 410, 504."""
    want = wanted(call.accept, kinds=LIST_KINDS)
    matches = matcher(call, resource)
    window = window_of(call.query, current=store.revision, compacted=store.compacted)
    items = store.select(resource, call.target.namespace, at=window.revision)
    chosen, metadata = _page(items, matches, window, store.revision)
    return list_answer(resource, chosen, metadata, want, printer_of(call, resource, now))


def _page(
    items: Sequence[Item], matches: Matches | None, window: Window, current: int
) -> tuple[Sequence[Item], JsonObject]:
    revision = current if window.revision is None else window.revision
    metadata: JsonObject = {"resourceVersion": str(revision)}
    first = _first(items, window.start)
    if matches is None:
        last = min(len(items), first + window.limit) if window.limit else len(items)
        chosen, remaining = items[first:last], len(items) - last
    else:
        chosen, last = _filtered(items, matches, first, window.limit)
        remaining = 1 if last < len(items) else 0
    if remaining:
        metadata["continue"] = make_token(revision, chosen[-1].key + "\0")
        if matches is None:
            metadata["remainingItemCount"] = remaining
    return chosen, metadata


def _first(items: Sequence[Item], start: str) -> int:
    low, high = 0, len(items) if start else 0
    while low < high:
        middle = (low + high) // 2
        if items[middle].key < start:
            low = middle + 1
        else:
            high = middle
    return low


def _filtered(items: Sequence[Item], matches: Matches, first: int, limit: int) -> tuple[list[Item], int]:
    """Up to `limit` matching items, and where the scan ended (len(items) when nothing more matches)."""
    chosen: list[Item] = []
    for index in range(first, len(items)):
        if matches(items[index]):
            if limit and len(chosen) == limit:
                return chosen, index
            chosen.append(items[index])
    return chosen, len(items)


def get_object(call: Call, resource: Resource, store: Store, now: float) -> Answer:
    """One object. Raises ApiError 404, 406."""
    want = wanted(call.accept, kinds=OBJECT_KINDS)
    item = find(call, resource, store)
    return object_answer(resource, item, want, printer_of(call, resource, now))


def find(call: Call, resource: Resource, store: Store) -> Item:
    """The object a request names. Raises ApiError 404."""
    namespace = call.target.namespace if resource.namespaced else ""
    item = store.get(resource, namespace, call.target.name)
    if item is None:
        raise not_found(resource, call.target.name)
    return item


def get_scale(call: Call, resource: Resource, store: Store, _now: float) -> Answer:
    """The Scale of a workload. Raises ApiError 404, 406."""
    want = wanted(call.accept, kinds=())
    return answer(scale_of(resource, find(call, resource, store)), want)


def scale_of(resource: Resource, item: Item) -> JsonObject:
    """autoscaling/v1 Scale of an object."""
    keep = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata: JsonObject = {key: item.metadata[key] for key in keep if key in item.metadata}
    body = served_form(resource, item.body)
    spec: JsonObject = {}
    status: JsonObject = {"replicas": 0}
    desired, current, selector = resource.scale_paths
    if replicas := _number(body, desired):
        spec["replicas"] = replicas
    status["replicas"] = _number(body, current)
    text = _selector(body) if not resource.custom else "".join(map(as_text, json_path(body, selector)[:1]))
    if text:
        status["selector"] = text
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _number(body: JsonObject, path: str) -> int:
    found = json_path(body, path)
    return as_int(found[0]) if found else 0


def _selector(body: JsonObject) -> str:
    selector = dig(body, "spec", "selector")
    labels = as_object(dig(selector, "matchLabels") if dig(selector, "matchLabels") is not None else selector)
    return ",".join(f"{key}={as_text(value)}" for key, value in sorted(labels.items()) if isinstance(value, str))


def get_other(call: Call, resource: Resource, _store: Store, _now: float) -> Answer:
    """Subresources a world does not have (exec, proxy …): as if the object were not there, never a connection."""
    raise not_found(resource, call.target.name) if resource.namespaced else unknown_resource()


Reader = Callable[[Call, Resource, Store, float], Answer]
SUBRESOURCE_READS: Mapping[str, Reader] = {"": get_object, "status": get_object, "scale": get_scale}
"""What answers GET on an object, by subresource; `log` is not here because it needs the world's logs."""
