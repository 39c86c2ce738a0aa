"""What changed on one object, when and by whom: field owners, revisions with their differences, events.

Rules: a revision's differences are field paths with the values before and after, hidden as in any object; what may
not be read is a warning, not an end; event messages stay out (they are untrusted text; list_events has them).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import JsonValue

from tools import fields
from tools.arguments import Group, Kind, Name, Namespace, family_of, kubectl
from tools.errors import Denied, NotFound, NotServed
from tools.projection.differences import differences
from tools.projection.hiding import hide
from tools.projection.metadata import metadata
from tools.types import CallScope, Frozen, JsonObject, KindRef, Page, Ports, Row, ToolSpec, WireLimits

MAX_REVISIONS = 20
MAX_CHANGES = 100
_REPLICA_SET = KindRef(group="apps", kind="ReplicaSet")
_REVISION = KindRef(group="apps", kind="ControllerRevision")
_EVENT = KindRef(kind="Event")
_REVISION_NUMBER = "deployment.kubernetes.io/revision"
_HASH_LABELS = ("pod-template-hash", "controller-revision-hash")


class Args(Frozen):
    """Whose history. Deployments have ReplicaSets, StatefulSets and DaemonSets ControllerRevisions."""

    namespace: Namespace | None = None
    group: Group = "apps"
    kind: Kind
    name: Name

    @property
    def ref(self) -> KindRef:
        """The kind asked for."""
        return KindRef(group=self.group, kind=self.kind)

    @property
    def revisions(self) -> KindRef | None:
        """The kind that keeps the revisions, where there is one."""
        if self.group != "apps" or self.namespace is None:
            return None
        known = {"Deployment": _REPLICA_SET, "StatefulSet": _REVISION, "DaemonSet": _REVISION}
        return known.get(self.kind)


def _scope(args: Args) -> CallScope:
    kinds = (args.ref, args.revisions, _EVENT)
    return CallScope(
        kinds=tuple(kind for kind in kinds if kind is not None),
        namespaces=(args.namespace,) if args.namespace else None,
        names=(args.name,),
    )


async def _read(args: Args, ports: Ports, wire: WireLimits) -> AsyncIterator[Page]:
    live = await ports.kube.get(args.ref, namespace=args.namespace, name=args.name)
    if fields.text(live, "metadata", "namespace") != (args.namespace or ""):
        raise NotFound(f"a {args.kind} is in no namespace", hint="ask for it without one")
    yield Page(_writers(live))
    if args.revisions is not None:
        yield await _revisions(args, ports, wire, live)
    yield await _events(args, ports, wire)


# --- who wrote what --------------------------------------------------------------------------------------------


def _writers(live: JsonObject) -> list[JsonObject]:
    meta = metadata(live)
    created: JsonObject = {"key": "object", "what": "created", "time": meta.get("creationTimestamp")}
    for name in ("generation", "uid", "lastApplied", "ownerReferences"):
        if name in meta:
            created[name] = meta[name]
    rows = [created]
    for number, entry in enumerate(fields.items(meta, "managedFields"), 1):
        rows.append({"key": f"managed/{number}", "what": "fields written", **entry})
    return rows


# --- revisions -------------------------------------------------------------------------------------------------


async def _revisions(args: Args, ports: Ports, wire: WireLimits, live: JsonObject) -> Page:
    kind = args.revisions
    assert kind is not None
    labels = fields.strings(live, "spec", "selector", "matchLabels")
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    found: list[JsonObject] = []
    page = Page([])
    try:
        async for part in ports.kube.pages(kind, namespace=args.namespace, label_selector=selector, wire=wire):
            found.extend(item for item in part.items if _owned(item, fields.text(live, "metadata", "uid")))
            page.truncated = page.truncated or part.truncated
    except (Denied, NotServed) as error:
        return Page([], warnings=(f"revisions not read: {error}",))
    ordered = sorted(found, key=lambda item: _number(item) or 0.0)[-MAX_REVISIONS:]
    before: JsonObject | None = None
    for item in ordered:
        template = _template(item)
        hide(template)
        page.items.append(_revision(item, before, template))
        before = template
    return page


def _owned(item: JsonObject, uid: str) -> bool:
    return any(fields.text(owner, "uid") == uid for owner in fields.items(item, "metadata", "ownerReferences"))


def _number(item: JsonObject) -> float | None:
    """The revision: of a ControllerRevision its own field, of a ReplicaSet the Deployment controller's annotation."""
    own = fields.number(item, "revision")
    return own if own is not None else fields.number(item, "metadata", "annotations", _REVISION_NUMBER)


def _template(item: JsonObject) -> JsonObject:
    """The pod template of a revision, without the labels that only tell revisions apart."""
    template = fields.mapping(item, "spec", "template") or fields.mapping(item, "data", "spec", "template")
    labels = fields.mapping(template, "metadata", "labels")
    for name in _HASH_LABELS:
        labels.pop(name, None)
    template.pop("$patch", None)
    return template


def _revision(item: JsonObject, before: JsonObject | None, template: JsonObject) -> JsonObject:
    number = _number(item)
    images: list[JsonValue] = [
        fields.text(one, "image")
        for part in ("initContainers", "containers")
        for one in fields.items(template, "spec", part)
    ]
    row: JsonObject = {
        "key": f"revision/{fields.text(item, 'metadata', 'name')}",
        "what": "revision",
        "time": fields.text(item, "metadata", "creationTimestamp"),
        "revision": number,
        "name": fields.text(item, "metadata", "name"),
        "images": images,
    }
    if "status" in item:
        row["replicas"] = fields.number(item, "status", "replicas")
    if before is not None:
        changes: list[JsonValue] = list(differences(before, template, limit=MAX_CHANGES))
        row["changed"] = changes
    return row


# --- events ----------------------------------------------------------------------------------------------------


async def _events(args: Args, ports: Ports, wire: WireLimits) -> Page:
    selector = f"involvedObject.kind={args.kind},involvedObject.name={args.name}"
    page = Page([])
    try:
        async for part in ports.kube.pages(_EVENT, namespace=args.namespace, field_selector=selector, wire=wire):
            page.items.extend(_event(item) for item in part.items)
            page.truncated = page.truncated or part.truncated
    except (Denied, NotServed) as error:
        return Page([], warnings=(f"events not read: {error}",))
    return page


def _event(item: JsonObject) -> JsonObject:
    times = (fields.text(item, *path) for path in (("lastTimestamp",), ("series", "lastObservedTime"), ("eventTime",)))
    row: JsonObject = {
        "key": f"event/{fields.text(item, 'metadata', 'name')}",
        "what": "event",
        "time": next((time for time in times if time), fields.text(item, "metadata", "creationTimestamp")),
        "type": fields.text(item, "type"),
        "reason": fields.text(item, "reason"),
        "count": fields.number(item, "series", "count") or fields.number(item, "count") or 1,
        "by": fields.text(item, "source", "component") or fields.text(item, "reportingComponent"),
    }
    return row


def _project(args: Args, item: JsonObject) -> Row | None:
    key = str(item.pop("key"))
    return Row(key=key, namespace=args.namespace, data=item)


TOOL = ToolSpec(
    name="rollout_history",
    summary="What changed on one object, when and by whom: field owners, revisions and their differences, events.",
    args=Args,
    source="kubernetes",
    trust="structured",
    wire="bulk",
    scope_of=_scope,
    describe=lambda args, _ports: kubectl("rollout history", args.ref, args.namespace, args.name).replace(" -A", ""),
    family=family_of("history"),
    read=_read,
    project=_project,
)
