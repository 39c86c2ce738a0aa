"""What a workload's controller does after a change: pods made, replaced and removed, and the counts that follow.

Rules: pods are those whose owners lead to the object; new ones get the object's template, the highest numbered go
first; nothing is random (names follow from the object and the moment). Two steps: at once, and when pods are ready.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evals.world.compose import complete_metadata
from evals.world.manifests import (
    Identity,
    entries,
    identity_of,
    mapping,
    merge_patch,
    short_hash,
    template_hash,
    text,
    uid_of,
)
from evals.world.pods import PodPlan, owner_reference, pod, with_labels
from evals.world.reactions import Pods
from evals.world.times import anchor_value, stamp
from tools.types import JsonObject

Objects = Mapping[Identity, JsonObject]


@dataclass(slots=True)
class Work:
    """Objects to put and to remove at one moment."""

    put: list[JsonObject] = field(default_factory=list)
    gone: list[JsonObject] = field(default_factory=list)


def at_once(objects: Objects, owner: JsonObject, effect: Pods, moment: float) -> Work:
    """What the controller does as soon as it sees the change: new pods, and surplus ones gone."""
    work = Work()
    parent = _parent(objects, owner, moment)
    current, stale = _pods(objects, owner, parent)
    wanted = effect.count if effect.count is not None else desired(owner)
    missing = wanted - len(current)
    first = len(current) + (0 if text(owner, "kind") == "StatefulSet" else len(stale))
    for number in range(max(0, missing)):
        node = effect.nodes[number % len(effect.nodes)] if effect.nodes else _node_of(stale, number)
        work.put.append(_new_pod(owner, parent, node, effect, (moment, first + number)))
    if missing < 0:
        work.gone += current[missing:]
    if missing <= 0 or not effect.ready_after:
        work.gone += stale
    ready = [one for one in current if _is_ready(one)][: wanted if missing < 0 else None]
    ready += [] if missing <= 0 or not effect.ready_after else [one for one in stale if _is_ready(one)]
    work.put += _counts(objects, owner, parent, total=wanted, ready=len(ready), updated=min(wanted, len(current)))
    return work


def when_ready(objects: Objects, owner: JsonObject, effect: Pods, made: Sequence[Identity], moment: float) -> Work:
    """When the new pods have become ready: they say so, and those they replace go."""
    work = Work()
    parent = _parent(objects, owner, moment)
    current, stale = _pods(objects, owner, parent)
    ready = 0
    for one in current:
        if identity_of(one) in made and text(one, "spec", "nodeName"):
            one = _ready_pod(one, moment)
            work.put.append(one)
        ready += _is_ready(one)
    work.gone += stale
    work.put += _counts(objects, owner, parent, total=len(current), ready=ready, updated=len(current))
    return work


def desired(owner: JsonObject) -> int:
    """How many pods an object asks for: its replicas or parallelism; none while it is suspended."""
    spec = mapping(owner, "spec")
    if spec.get("suspend") is True or mapping(spec, "runPolicy").get("suspend") is True:
        return 0
    for name in ("replicas", "parallelism"):
        value = spec.get(name)
        if isinstance(value, int):
            return value
    return 1


# --- pods --------------------------------------------------------------------------------------------------


def _parent(objects: Objects, owner: JsonObject, moment: float) -> JsonObject:
    """What owns new pods: of a Deployment the ReplicaSet of its template (made where there is none)."""
    if text(owner, "kind") != "Deployment":
        return owner
    hashed = template_hash(mapping(owner, "spec", "template"))
    name = f"{text(owner, 'metadata', 'name')}-{hashed}"
    found = objects.get(("apps", "ReplicaSet", text(owner, "metadata", "namespace"), name))
    if found is None:
        found = _current_set(objects, owner) or _new_set(owner, name, hashed, moment)
    return found


def _sets(objects: Objects, owner: JsonObject) -> list[JsonObject]:
    return [one for one in objects.values() if one.get("kind") == "ReplicaSet" and _owned(one, owner)]


def _current_set(objects: Objects, owner: JsonObject) -> JsonObject | None:
    """A ReplicaSet whose template is the object's, whatever its hash (worlds may write their own)."""
    wanted = mapping(owner, "spec", "template")
    for one in _sets(objects, owner):
        have = mapping(one, "spec", "template")
        same = mapping(have, "metadata", "annotations") == mapping(wanted, "metadata", "annotations")
        if same and mapping(have, "spec") == mapping(wanted, "spec"):
            return one
    return None


def _new_set(owner: JsonObject, name: str, hashed: str, moment: float) -> JsonObject:
    template = mapping(owner, "spec", "template")
    labels: JsonObject = {**mapping(template, "metadata", "labels"), "pod-template-hash": hashed}
    body: JsonObject = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": text(owner, "metadata", "namespace"),
            "creationTimestamp": stamp(moment),
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/desired-replicas": str(desired(owner))},
            "ownerReferences": [owner_reference(owner, text(owner, "metadata", "uid"))],
        },
        "spec": {
            "replicas": desired(owner),
            "selector": {
                "matchLabels": {**mapping(owner, "spec", "selector", "matchLabels"), "pod-template-hash": hashed}
            },
            "template": with_labels(template, {"pod-template-hash": hashed}),
        },
        "status": {"replicas": 0},
    }
    return complete_metadata(body, [])


def _owned(body: JsonObject, owner: JsonObject) -> bool:
    uid = text(owner, "metadata", "uid")
    return any(text(one, "uid") == uid for one in entries(body, "metadata", "ownerReferences"))


def _pods(objects: Objects, owner: JsonObject, parent: JsonObject) -> tuple[list[JsonObject], list[JsonObject]]:
    """(pods of the object as it is, pods of an older template), in their order."""
    by_uid = {text(one, "metadata", "uid"): one for one in objects.values()}
    top = text(owner, "metadata", "uid")
    current: list[JsonObject] = []
    stale: list[JsonObject] = []
    for one in objects.values():
        if one.get("kind") != "Pod" or not _leads_to(one, top, by_uid):
            continue
        fresh = _owned(one, parent) if parent is not owner else _same_containers(one, owner)
        (current if fresh else stale).append(one)
    return current, stale


def _leads_to(body: JsonObject, uid: str, by_uid: Mapping[str, JsonObject]) -> bool:
    for _ in range(8):
        owner = next(iter(entries(body, "metadata", "ownerReferences")), None)
        if owner is None:
            return False
        if text(owner, "uid") == uid:
            return True
        above = by_uid.get(text(owner, "uid"))
        if above is None:
            return False
        body = above
    return False


def _same_containers(one: JsonObject, owner: JsonObject) -> bool:
    """True when a pod still runs what the template says (kinds without a template never replace pods)."""
    template = mapping(owner, "spec", "template")
    notes = mapping(template, "metadata", "annotations")
    if not notes.items() <= mapping(one, "metadata", "annotations").items():
        return False
    wanted = entries(template, "spec", "containers")
    have = {text(each, "name"): each for each in entries(one, "spec", "containers")}
    fields = ("image", "args", "command", "env")
    return all(have.get(text(each, "name"), {}).get(key) == each.get(key) for each in wanted for key in fields)


def _node_of(stale: list[JsonObject], number: int) -> str | None:
    """A pod that replaces another runs where that one ran."""
    return text(stale[number % len(stale)], "spec", "nodeName") or None if stale else None


def _new_pod(
    owner: JsonObject, parent: JsonObject, node: str | None, effect: Pods, when: tuple[float, int]
) -> JsonObject:
    moment, number = when
    base = text(parent, "metadata", "name")
    hashed = text(parent, "metadata", "labels", "pod-template-hash")
    name = f"{base}-{number}" if parent is owner else f"{base}-{short_hash(5, base, number, int(moment))}"
    plan = PodPlan(
        name=name,
        namespace=text(owner, "metadata", "namespace"),
        owner=owner_reference(parent, text(parent, "metadata", "uid")),
        labels={"pod-template-hash": hashed} if hashed else {},
        template=mapping(owner, "spec", "template"),
        node=node,
        created=0.0,
        ready_after=effect.ready_after,
        pending=effect.pending,
    )
    body = anchor_value(complete_metadata(pod(plan), []), moment)
    assert isinstance(body, dict)
    # A name may be used again after a pod of that name was removed; the object is another one.
    metadata: JsonObject = {**mapping(body, "metadata"), "uid": uid_of((base, "Pod", str(int(moment)), name))}
    body = {**body, "metadata": metadata}
    return _starting(body) if node is not None and effect.ready_after else body


def _starting(body: JsonObject) -> JsonObject:
    """A pod on its node whose containers do not run yet."""
    status = mapping(body, "status")
    waiting: JsonObject = {"ready": False, "started": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
    return {
        **body,
        "status": {
            **status,
            "phase": "Pending",
            "conditions": [_turned(one, good=False) for one in entries(status, "conditions")],
            "containerStatuses": [{**one, **waiting} for one in entries(status, "containerStatuses")],
        },
    }


def _turned(condition: JsonObject, *, good: bool) -> JsonObject:
    if text(condition, "type") not in ("Ready", "ContainersReady"):
        return condition
    if good:
        return {key: value for key, value in condition.items() if key not in ("reason", "message")} | {"status": "True"}
    return {**condition, "status": "False", "reason": "ContainersNotReady"}


def _ready_pod(body: JsonObject, moment: float) -> JsonObject:
    status = mapping(body, "status")
    conditions: list[JsonObject] = []
    for one in entries(status, "conditions"):
        turned = _turned(one, good=True)
        conditions.append(turned if turned == one else {**turned, "lastTransitionTime": stamp(moment)})
    running: JsonObject = {"ready": True, "started": True, "state": {"running": {"startedAt": stamp(moment)}}}
    containers = [{**one, **running} for one in entries(status, "containerStatuses")]
    changed: JsonObject = {"phase": "Running", "conditions": list(conditions), "containerStatuses": list(containers)}
    return {**body, "status": {**status, **changed}}


def _is_ready(body: JsonObject) -> bool:
    return any(
        text(one, "type") == "Ready" and text(one, "status") == "True" for one in entries(body, "status", "conditions")
    )


# --- counts ------------------------------------------------------------------------------------------------


def _counts(
    objects: Objects, owner: JsonObject, parent: JsonObject, *, total: int, ready: int, updated: int
) -> list[JsonObject]:
    """The owner (and its ReplicaSets) with the numbers that follow."""
    status: JsonObject = {
        "replicas": total,
        "readyReplicas": ready,
        "updatedReplicas": updated,
        "availableReplicas": ready,
    }
    if text(owner, "kind") == "Job":
        status = {"active": total, "ready": ready}
    generation = mapping(owner, "metadata").get("generation")
    if generation is not None:
        status["observedGeneration"] = generation
    out: list[JsonObject] = [_with_status(owner, {**status, "unavailableReplicas": total - ready or None})]
    if parent is owner:
        return out
    for one in [*_sets(objects, owner), parent]:
        mine = identity_of(one) == identity_of(parent)
        count = total if mine else 0
        numbers: JsonObject = {
            "replicas": count,
            "readyReplicas": min(ready, count),
            "availableReplicas": min(ready, count),
        }
        changed = merge_patch(_with_status(one, numbers), {"spec": {"replicas": count}})
        assert isinstance(changed, dict)
        if changed not in out:
            out.append(changed)
    return out


def _with_status(body: JsonObject, status: JsonObject) -> JsonObject:
    changed = merge_patch(body, {"status": status})
    assert isinstance(changed, dict)
    return changed
