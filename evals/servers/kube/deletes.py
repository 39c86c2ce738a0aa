"""DELETE of one object, and eviction of a pod within its disruption budget.

Rules: preconditions come first; an object with finalizers is only marked; a pod that is evicted takes its place out
of the budget. Whole collections are never deleted, and owned objects stay: a world has no garbage collector.
"""

from __future__ import annotations

from evals.servers.kube.calls import Answer, Call
from evals.servers.kube.jsonread import as_int, as_object, as_text, dig, rfc3339
from evals.servers.kube.kinds import Resource
from evals.servers.kube.negotiate import wanted
from evals.servers.kube.patch import decode_body
from evals.servers.kube.reads import find
from evals.servers.kube.selectors import selects
from evals.servers.kube.status import ApiError, details_of
from evals.servers.kube.store import Item
from evals.servers.kube.views import answer, object_body
from evals.servers.kube.writing import Desk, dry_run
from tools.types import JsonObject


def delete(desk: Desk, call: Call, resource: Resource) -> Answer:
    """DELETE. Raises ApiError 404, 409, 422."""
    want = wanted(call.accept, kinds=())
    keep = not dry_run(call, "DeleteOptions")
    options = decode_body(call, kind="DeleteOptions") if call.body.strip() else {}
    item = find(call, resource, desk.store)
    _check_preconditions(item, as_object(options.get("preconditions")))
    desk.admission.review(call, resource, None, object_body(resource, item))
    if item.metadata.get("finalizers"):
        return answer(object_body(resource, _marked(desk, item, keep=keep)), want)
    if keep:
        desk.store.remove(item)
    if resource.kind == "Pod":
        return answer(object_body(resource, item), want)
    details: JsonObject = {**details_of(resource, item.name), "uid": item.metadata["uid"]}
    body: JsonObject = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return answer(body, want)


def _check_preconditions(item: Item, asked_for: JsonObject) -> None:
    for field, word, fate in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        asked, have = as_text(asked_for.get(field)), as_text(item.metadata[field])
        if asked and asked != have:
            kind = item.resource.kind
            message = (
                f'Operation cannot be fulfilled on {kind} "{item.name}": the {word} in the precondition ({asked}) does '
                f"not match the {word} in record ({have}). The object might have been {fate}"
            )
            raise ApiError(409, message, details={"name": item.name, "kind": kind})


def _marked(desk: Desk, item: Item, *, keep: bool) -> Item:
    if item.metadata.get("deletionTimestamp"):
        return item
    metadata: JsonObject = {**item.metadata, "deletionTimestamp": rfc3339(desk.now), "deletionGracePeriodSeconds": 0}
    return desk.keep(item.resource, {**item.raw, "metadata": metadata}, keep=keep)


# --- eviction ----------------------------------------------------------------------------------------------


def evict(desk: Desk, call: Call, resource: Resource) -> Answer:
    """POST of an Eviction. Raises ApiError 404, 429, 500."""
    want = wanted(call.accept, kinds=())
    keep = not dry_run(call, "CreateOptions")
    item = find(call, resource, desk.store)
    body = decode_body(call, kind="Eviction")
    _check_preconditions(item, as_object(dig(body, "deleteOptions", "preconditions")))
    budgets = (
        _budgets(desk, item) if dig(item.body, "status", "phase") not in ("Pending", "Succeeded", "Failed") else []
    )
    if len(budgets) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise ApiError(500, message)
    for budget in budgets:
        _require_room(budget)
        if keep:
            _take_room(desk, budget)
    if keep:
        desk.store.remove(item)
    success: JsonObject = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return answer(success, want, status=201)


def _budgets(desk: Desk, pod: Item) -> list[Item]:
    resource = desk.kinds.by_path[("policy", "v1", "poddisruptionbudgets")]
    labels = as_object(pod.metadata.get("labels"))
    return [
        one
        for one in desk.store.select(resource, pod.namespace)
        if selects(as_object(dig(one.body, "spec", "selector")), labels)
    ]


def _require_room(budget: Item) -> None:
    status = as_object(budget.body.get("status"))
    if as_int(status.get("disruptionsAllowed")) > 0:
        return
    cause: JsonObject = {
        "reason": "DisruptionBudget",
        "message": f"The disruption budget {budget.name} needs {as_int(status.get('desiredHealthy'))} healthy pods "
        f"and has {as_int(status.get('currentHealthy'))} currently",
    }
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    raise ApiError(429, message, details={"causes": [cause]})


def _take_room(desk: Desk, budget: Item) -> None:
    status = as_object(budget.body.get("status"))
    left = {name: as_int(status.get(name)) - 1 for name in ("disruptionsAllowed", "currentHealthy")}
    raw: JsonObject = {**budget.raw, "metadata": budget.metadata, "status": {**status, **left}}
    desk.store.put(budget.resource, raw)
