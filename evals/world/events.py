"""`$events`: Event objects about an object or its pods, with the names, uids and times a recorder gives them.

    $events:
      probe: {type: Warning, reason: Unhealthy, message: "Readiness probe failed", at: -6h, count: 2, pod: 0}

The key only tells overlays which one they change. `pod` is the index of one of the pods that `$pods` made, and
`pods: true` stands for each of them; `${pod}` and `${node}` are filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evals.world.manifests import child, entries, identity_of, short_hash, text, uid_of
from evals.world.noise import seed_of
from evals.world.places import Place
from evals.world.times import offset_of, relative
from tools.types import JsonObject

EVENTS = "$events"
_FIELDS = ("type", "reason", "message", "at", "first", "count", "component", "host", "pod", "pods", "field")
_COMPONENTS = {"Scheduled": "default-scheduler", "FailedScheduling": "default-scheduler"}


def events_of(place: Place, body: JsonObject, made: Sequence[JsonObject]) -> list[JsonObject]:
    """The events that a document's `$events` stands for. Raises DocumentError."""
    pods = [entry for entry in made if text(entry, "kind") == "Pod"]
    out = []
    for key in place.at(EVENTS).mapping():
        entry = place.at(EVENTS, key)
        entry.only(_FIELDS)
        out += [_event(entry, key, about) for about in _about(entry, body, pods)]
    return out


def refusals(made: Sequence[JsonObject]) -> Iterator[JsonObject]:
    """What the scheduler says of each pod that it has no node for: the message of its condition, said again since.

    A pod is tried again at least every five minutes (kube-scheduler, `podMaxInUnschedulablePodsDuration`).
    """
    for body in made:
        since = offset_of(text(body, "metadata", "creationTimestamp"))
        for condition in entries(body, "status", "conditions"):
            if since is not None and condition.get("reason") == "Unschedulable" and text(body, "kind") == "Pod":
                last = max(since, -float(seed_of("scheduler", text(body, "metadata", "name")) % 240) - 5)
                yield _refusal(body, text(condition, "message"), since, last)


def _refusal(pod: JsonObject, message: str, since: float, last: float) -> JsonObject:
    _, _, namespace, name = identity_of(pod)
    again = int((last - since) // 300)
    series: JsonObject = {"count": again + 1, "lastObservedTime": f"@{relative(last)}"}
    event: JsonObject = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{name}.{seed_of('FailedScheduling', name):08x}{short_hash(8, name).encode().hex()[:8]}",
            "namespace": namespace,
            "creationTimestamp": relative(since),
        },
        "involvedObject": _involved(pod),
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": message,
        "reportingComponent": "default-scheduler",
        **({"series": series} if again else {}),
    }
    _as_scheduler(event, since)
    return event | {"action": "Scheduling"}


def _about(entry: Place, body: JsonObject, pods: list[JsonObject]) -> Iterator[JsonObject]:
    if entry.at("pods").flag(default=False):
        yield from pods
        return
    if entry.at("pod").value is None:
        yield body
        return
    index = int(entry.at("pod").number())
    if not 0 <= index < len(pods):
        entry.at("pod").fail(f"there are {len(pods)} pods here, counted from 0")
    yield pods[index]


def _involved(body: JsonObject) -> JsonObject:
    """The reference by which an event names an object."""
    identity = identity_of(body)
    return {
        "apiVersion": text(body, "apiVersion"),
        "kind": identity[1],
        "name": identity[3],
        "uid": text(body, "metadata", "uid") or uid_of(identity),
        **({"namespace": identity[2]} if identity[2] else {}),
    }


def _event(entry: Place, key: str, about: JsonObject) -> JsonObject:
    _, kind, namespace, name = identity_of(about)
    reason, at = entry.at("reason").text(), entry.at("at").seconds()
    node = text(about, "spec", "nodeName")
    scheduled = reason in _COMPONENTS
    component = entry.at("component").text(_COMPONENTS.get(reason, "kubelet" if kind == "Pod" else "controllermanager"))
    involved = _involved(about)
    if entry.at("field").value is not None:
        involved["fieldPath"] = entry.at("field").text()
    message = entry.at("message").text().replace("${pod}", name).replace("${node}", node)
    event: JsonObject = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{name}.{seed_of(key, reason, name):08x}{short_hash(8, key, name).encode().hex()[:8]}",
            "namespace": namespace or "default",
            "creationTimestamp": relative(entry.at("first").seconds(at)),
        },
        "involvedObject": involved,
        "type": entry.at("type").choice(("Normal", "Warning"), "Normal"),
        "reason": reason,
        "message": message,
        "reportingComponent": component,
        "reportingInstance": node,
        "source": {"component": component, **({"host": node} if node and not scheduled else {})},
        "count": int(entry.at("count").number(1)),
        "firstTimestamp": relative(entry.at("first").seconds(at)),
        "lastTimestamp": relative(at),
        "eventTime": None,
    }
    if scheduled:
        _as_scheduler(event, at)
    return event


def _as_scheduler(event: JsonObject, at: float) -> None:
    """The scheduler writes the newer form: eventTime and action instead of first and last timestamps."""
    event |= {"eventTime": f"@{relative(at)}", "firstTimestamp": None, "lastTimestamp": None, "action": "Binding"}
    event["reportingInstance"] = "default-scheduler-cpu-0"
    child(event, "source").clear()
    event.pop("count", None)
