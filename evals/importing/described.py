"""Objects from the text of `kubectl describe`, which does not say their kind: it is told by what stands there.

Rules: only what is printed is in the object, nothing is made up; an object whose kind cannot be told is none;
events become events. Forms are those of kubectl 1.27 to 1.36 (k8s.io/kubectl/pkg/describe).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from evals.importing import described_kinds as kinds
from evals.importing.blocks import Entries, Entry, moment, read
from evals.importing.described_pods import owner_of, pod
from tools import fields
from tools.types import JsonObject

Reader = Callable[[Entries], JsonObject]
_BEGIN = re.compile(r"(?m)^(?=Name:\s)")
_AGE = re.compile(r"(?:(\d+)y)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_TIMES = re.compile(r"(\S+?)(?: \(x(\d+) over (\S+?)\))?")
_UNITS = (365 * 86400, 86400, 3600, 60, 1)


@dataclass(frozen=True, slots=True)
class Shape:
    """What an object of a kind shows."""

    version: str
    kind: str
    keys: tuple[str, ...]
    """Entries that all stand in it."""
    read: Reader


SHAPES = (
    Shape("v1", "Node", ("Roles", "Allocatable"), kinds.node),
    Shape("v1", "Pod", ("Containers", "Node"), pod),
    Shape("apps/v1", "Deployment", ("StrategyType", "Pod Template"), kinds.deployment),
    Shape("apps/v1", "DaemonSet", ("Desired Number of Nodes Scheduled",), kinds.daemon_set),
    Shape("batch/v1", "CronJob", ("Schedule", "Concurrency Policy"), kinds.cron_job),
    Shape("batch/v1", "Job", ("Parallelism", "Pod Template"), kinds.job),
    Shape("apps/v1", "StatefulSet", ("Update Strategy", "Pod Template"), kinds.replicated),
    Shape("apps/v1", "ReplicaSet", ("Replicas", "Pod Template", "Selector"), kinds.replicated),
    Shape("autoscaling/v2", "HorizontalPodAutoscaler", ("Min replicas", "Max replicas"), kinds.autoscaler),
    Shape("v1", "PersistentVolumeClaim", ("StorageClass", "Access Modes", "Volume"), kinds.claim),
    Shape("v1", "Service", ("Session Affinity", "Selector", "Type"), kinds.service),
)


@dataclass(frozen=True, slots=True)
class Described:
    """An object, and the table of its events, whose times are ages."""

    body: JsonObject
    events: Entry | None

    def at(self, now: float) -> Iterator[JsonObject]:
        """The object, then its events, described at `now`, Unix seconds."""
        events = list(_events(self.body, self.events, now))
        _by_events(self.body, events)
        yield self.body
        yield from events


def objects(text: str) -> Iterator[Described | str]:
    """Each object of a text; a line on each that is none."""
    for piece in _BEGIN.split(text):
        entries = {one.key: one for one in read(piece.splitlines())}
        if "Name" not in entries or not entries["Name"].value:
            if piece.strip():
                yield f"{piece.strip().splitlines()[0][:60]!r} begins no object"
            continue
        body = _object(entries)
        if body is None:
            yield f"{entries['Name'].value}: what kind of object it is cannot be told from its text"
        else:
            yield Described(body, entries.get("Events"))


def is_described(head: bytes) -> bool:
    """True for a text that begins as those of `kubectl describe` do."""
    return re.match(rb"(?:\xef\xbb\xbf)?\s*Name:\s+\S", head) is not None


def _object(entries: Entries) -> JsonObject | None:
    if "Kind" in entries and "API Version" in entries:
        return kinds.generic(entries)
    shape = next((one for one in SHAPES if all(key in entries for key in one.keys)), None)
    if shape is None:
        return None
    body: JsonObject = {"apiVersion": shape.version, "kind": shape.kind, "metadata": _metadata(entries)}
    return body | shape.read(entries)


def _metadata(entries: Entries) -> JsonObject:
    found = kinds.names(entries)
    for key in ("CreationTimestamp", "Start Time"):
        if key in entries and (at := moment(entries[key].value)):
            found.setdefault("creationTimestamp", at)
    if "Controlled By" in entries and (owner := owner_of(entries["Controlled By"].value)):
        found["ownerReferences"] = [owner]
    return found


def _by_events(body: JsonObject, events: Sequence[JsonObject]) -> None:
    """What describe does not print, and the events below say: that it was there by then, and why it is not scheduled.

    kube-scheduler writes one message into the event and into the condition PodScheduled (pkg/scheduler, handling of
    scheduling failures).
    """
    if not events:
        return
    fields.mapping(body, "metadata").setdefault(
        "creationTimestamp", min(fields.text(one, "firstTimestamp") for one in events)
    )
    failed = [one for one in events if one["reason"] == "FailedScheduling"]
    if not failed:
        return
    last = max(failed, key=lambda one: fields.text(one, "lastTimestamp"))
    for condition in fields.items(body, "status", "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            condition |= {"reason": "Unschedulable", "message": last["message"]}


def _events(body: JsonObject, entry: Entry | None, now: float) -> Iterator[JsonObject]:
    """The events below an object; their names are made, as describe does not print them."""
    metadata = fields.mapping(body, "metadata")
    namespace = fields.text(metadata, "namespace")
    for number, row in enumerate(entry.table() if entry is not None else ()):
        match = _TIMES.fullmatch(row.get("Age", ""))
        last = _seconds(match[1]) if match else None
        if match is None or last is None:
            continue
        first = _seconds(match[3]) if match[3] else last
        yield {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.described-{number}",
                "namespace": namespace or "default",
                "creationTimestamp": fields.rfc3339(now - (first or last)),
            },
            "involvedObject": {
                "apiVersion": body["apiVersion"],
                "kind": body["kind"],
                "name": metadata["name"],
                **({"namespace": namespace} if namespace else {}),
            },
            "type": row.get("Type", ""),
            "reason": row.get("Reason", ""),
            "message": row.get("Message", ""),
            "source": {"component": row.get("From", "")},
            "count": int(match[2] or 1),
            "firstTimestamp": fields.rfc3339(now - (first or last)),
            "lastTimestamp": fields.rfc3339(now - last),
        }


def _seconds(age: str) -> float | None:
    """Seconds of an age such as `5m30s`, `2d3h` or `<invalid>`."""
    match = _AGE.fullmatch(age)
    if match is None or not age:
        return None
    return float(sum(int(count or 0) * unit for count, unit in zip(match.groups(), _UNITS, strict=True)))
