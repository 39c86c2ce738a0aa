"""What changed, when, by whom: from managedFields, creations, deletions, revisions and events; newest first.

Rules: reports are no changes (status writes, the kubelet, controllers' bookkeeping) and are left out; who wrote is
told by the field manager alone, and an unlisted manager is called just that; text from objects is data, quoted
short and without control characters, never interpreted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.analysis import kinds
from agent.analysis.records import Record
from agent.analysis.view import View, claim
from agent.types import Claim
from tools import fields
from tools.redaction.cleaning import clean
from tools.types import EvidenceRef, JsonObject, KindRef, ResourceRef

Actor: TypeAlias = Literal["person", "gitops", "release", "controller", "unknown"]
MANAGERS: tuple[tuple[str, Actor], ...] = (
    (
        r"kubectl(-.*)?|k9s|open-?lens|lens|freelens|mozilla|headlamp.*|dashboard|rancher.*|oc|okteto|node-fetch",
        "person",
    ),
    (r"argocd-.*|kustomize-controller|helm-controller|flux.*|fleetagent|fleet-agent|configsync.*|reconciler", "gitops"),
    (r"helm|terraform.*|pulumi.*|ansible.*|skaffold|tilt", "release"),
    (
        r"kube-controller-manager|kube-scheduler|kube-apiserver|kubelet|cloud-controller-manager|cluster-autoscaler"
        r"|karpenter|keda.*|kueue.*|nfd-.*|gpu-operator|gpu-feature-discovery|nvidia-.*|node-problem-detector"
        r"|vpa-.*|manager|trainer-controller.*|jobset-.*|lws-.*|k8s-.*|cilium-.*|calico-.*|.*-controller"
        r"|.*-controller-manager|.*-operator|.*-autoscaler",
        "controller",
    ),
)
"""Field managers by what stands behind them, first match first (web consoles write as Mozilla)."""
SPOKEN: dict[Actor, str] = {
    "person": "a person ({})",
    "gitops": "GitOps ({})",
    "release": "a release tool ({})",
    "controller": "the controller {}",
    "unknown": "unknown manager {}",
}
WATCHED: tuple[KindRef, ...] = tuple(
    kind
    for kind in vars(kinds).values()
    if isinstance(kind, KindRef) and kind not in (kinds.EVENT, kinds.POD, kinds.REPLICA_SET, kinds.WORKLOAD)
)
"""Kinds whose field owners and creations are changes; what controllers make from them (pods, ReplicaSets) is not."""
BOOKKEEPING = re.compile(
    r"status(?:[.\[].*)?|metadata\.(?:finalizers|ownerReferences|generateName|annotations)(?:[.\[].*)?"
)
"""Paths that a controller's write may touch without changing what anybody asked for."""
LAST_APPLIED = "last-applied-configuration"
QUIET = (
    "Pulling", "Pulled", "Created", "Started", "Scheduled", "Killing", "SuccessfulCreate", "SuccessfulDelete",
    "LeaderElection", "Synced", "FailedScheduling", "BackOff", "Unhealthy", "FailedMount", "NotTriggerScaleUp",
    "KEDAScalersStarted", "FailedGetResourceMetric", "FailedComputeMetricsReplicas", "ResourceUpdated", "Completed",
)  # fmt: skip
"""Event reasons that report routine or a symptom, not a change."""
REVISION = "deployment.kubernetes.io/revision"
SAME_WRITE = 10.0
"""Seconds between an edit of a pod template and the ReplicaSet made for it, at most (practice value)."""
MOST_PATHS = 3
MOST_TEXT = 120
"""Characters of a message or path that are quoted."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: when, by which manager or component ("" where nothing says), what of which object, and the claim."""

    at: float
    who: str
    what: str
    object: ResourceRef
    claim: Claim


def changes(view: View, *, since: float) -> list[Change]:
    """Everything that changed from `since` to the view's now within the scope, newest first."""
    found: list[Change] = []
    for kind in WATCHED:
        for record in view.objects(kind):
            if _asked(view, record.ref):
                found += [*_life(record), *_writes(record)]
    found += [*_revisions(view), *_events(view)]
    recent = [change for change in found if since <= change.at <= view.now]
    return sorted(recent, key=lambda change: (-change.at, str(change.object), change.what))


def actor(manager: str) -> Actor:
    """What stands behind a field manager."""
    name = manager.lower()
    return next((kind for pattern, kind in MANAGERS if re.fullmatch(pattern, name)), "unknown")


def spoken(manager: str) -> str:
    """A field manager in words."""
    return SPOKEN[actor(manager)].format(_short(manager)) if manager else "somebody unnamed"


def _asked(view: View, ref: ResourceRef) -> bool:
    """True for objects the scope is about: the subject, what scales it, what owns its pods, its nodes; places."""
    scope = view.scope
    if scope.subject is not None:
        related = view.once(("related to the subject",), lambda: _related(view))
        target = view.scale_target(ref)
        return ref.identity in related or (target is not None and target.identity in related)
    if scope.node is not None:
        return ref.kind == "Node" and ref.name == scope.node
    return scope.namespaces is None or ref.namespace is None or ref.namespace in scope.namespaces


def _related(view: View) -> set[tuple[str, str, str, str]]:
    """The subject, its pods, and everything that owns them."""
    subject = view.scope.subject
    if subject is None:
        return set()
    owners = {ref.identity for pod in view.pods_of(subject) for ref in view.chain(pod)}
    return {subject.identity, *owners}


def _writes(record: Record) -> Iterator[Change]:
    """Fields written by each manager, but for reports, bookkeeping, and the write that made the object."""
    for index, entry in enumerate(record.items("metadata", "managedFields")):
        manager, at = fields.text(entry, "manager"), fields.timestamp(entry.get("time"))
        paths = _telling(manager, entry)
        if at is None or not paths or at == record.created:
            continue
        more = f" and {len(paths) - MOST_PATHS} more fields" if len(paths) > MOST_PATHS else ""
        what = ", ".join(_short(path) for path in paths[:MOST_PATHS]) + more
        here = ("metadata", "managedFields", index)
        text = f"{fields.text(entry, 'time')} {spoken(manager)} set {what} of {record.ref}"
        refs = [record.cite(*here, name) for name in ("time", "manager", "paths")]
        yield Change(at, manager, what, record.ref, claim(text, *refs))


def _telling(manager: str, entry: JsonObject) -> list[str]:
    """The paths of an entry that are a change; none for status writes and the kubelet."""
    if fields.text(entry, "subresource") == "status" or manager == "kubelet":
        return []
    paths = [p for p in fields.texts(entry, "paths") if LAST_APPLIED not in p and not p.startswith("status")]
    if actor(manager) == "controller":
        paths = [path for path in paths if not BOOKKEEPING.fullmatch(path)]
    return sorted(paths, key=lambda path: (not path.startswith("spec"), path))


def _life(record: Record) -> Iterator[Change]:
    """Creation and deletion of an object."""
    created, gone = record.created, record.time("metadata", "deletionTimestamp")
    if created is not None and not record.items("metadata", "ownerReferences"):
        index = next(
            (i for i, e in enumerate(record.items("metadata", "managedFields"))
             if fields.timestamp(e.get("time")) == created and fields.text(e, "subresource") != "status"),
            None,
        )  # fmt: skip
        who = record.text("metadata", "managedFields", index, "manager") if index is not None else ""
        refs: list[EvidenceRef] = [record.cite("metadata", "creationTimestamp")]
        if index is not None:
            refs.append(record.cite("metadata", "managedFields", index, "manager"))
        text = f"{record.text('metadata', 'creationTimestamp')} {spoken(who)} created {record.ref}"
        yield Change(created, who, "created", record.ref, claim(text, *refs))
    if gone is not None:
        text = f"{record.text('metadata', 'deletionTimestamp')} {record.ref} is being deleted"
        yield Change(gone, "", "deletion", record.ref, claim(text, record.cite("metadata", "deletionTimestamp")))


def _revisions(view: View) -> Iterator[Change]:
    """ReplicaSets as revisions of their Deployment: what image came with them, and who edited the template."""
    known: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in view.objects(kinds.REPLICA_SET):
        owner = view.owner(record)
        if owner is not None and record.annotations.get(REVISION) and _asked(view, owner):
            known.setdefault(owner.identity, []).append(record)
    for records in known.values():
        records.sort(key=lambda record: record.created or 0.0)
        for before, record in zip([None, *records], records, strict=False):
            change = _revision(view, before, record)
            if change is not None:
                yield change


def _revision(view: View, before: Record | None, record: Record) -> Change | None:
    owner, at = view.owner(record), record.created
    if owner is None or at is None:
        return None
    revision = record.cite("metadata", "annotations", REVISION)
    refs = [record.cite("metadata", "creationTimestamp"), revision]
    what = f"revision {_short(str(revision.value))}"
    for index, container in enumerate(record.items("spec", "template", "spec", "containers")):
        image = ("spec", "template", "spec", "containers", index, "image")
        if before is not None and before.text(*image) != record.text(*image):
            what += f", {_short(fields.text(container, 'name'))} now {_short(record.text(*image))}"
            refs += [record.cite(*image), before.cite(*image)]
    who, cited = _author(view, owner, at)
    by = f" by {spoken(who)}" if who else ""
    text = f"{record.text('metadata', 'creationTimestamp')} {what} of {owner} rolled out{by}"
    return Change(at, who, what, owner, claim(text, *refs[:6], *cited))


def _author(view: View, owner: ResourceRef, at: float) -> tuple[str, list[EvidenceRef]]:
    """Who wrote the owner's pod template just before `at`, as far as managedFields still say."""
    record = view.find(owner)
    for index, entry in enumerate(record.items("metadata", "managedFields") if record else ()):
        written, manager = fields.timestamp(entry.get("time")), fields.text(entry, "manager")
        touches = any(path.startswith("spec.template") for path in fields.texts(entry, "paths"))
        if record and written is not None and touches and 0 <= at - written <= SAME_WRITE:
            return manager, [record.cite("metadata", "managedFields", index, name) for name in ("manager", "time")]
    return "", []


def _events(view: View) -> Iterator[Change]:
    """Events that tell of a change; of repeats of one reason on one object, the newest."""
    newest: dict[tuple[str, str, str], Change] = {}
    for event in view.objects(kinds.EVENT):
        change = None if event.text("reason") in QUIET else _event(view, event)
        if change is not None:
            key = (str(change.object), change.what, change.who)
            if key not in newest or newest[key].at < change.at:
                newest[key] = change
    yield from newest.values()


def _event(view: View, event: Record) -> Change | None:
    field = "involvedObject" if event.get("involvedObject") else "regarding"
    group = event.text(field, "apiVersion").rpartition("/")[0]
    kind, name = event.text(field, "kind"), event.text(field, "name")
    about = ResourceRef(group=group, kind=kind, namespace=event.text(field, "namespace") or None, name=name)
    times = (("series", "lastObservedTime"), ("lastTimestamp",), ("eventTime",), ("metadata", "creationTimestamp"))
    path = next((path for path in times if event.time(*path) is not None), None)
    reason = event.text("reason")
    if path is None or not (kind and name and reason) or not _event_asked(view, about):
        return None
    who = event.text("source", "component") or event.text("reportingComponent") or event.text("reportingController")
    said = next((part for part in ("message", "note") if event.text(part)), "reason")
    text = f"{event.text(*path)} {_short(reason)} on {about}: “{_short(event.text(said))}”"
    refs = [event.cite(*path), event.cite("reason"), event.cite(said)]
    return Change(event.time(*path) or 0.0, who, _short(reason), about, claim(text, *refs))


def _event_asked(view: View, about: ResourceRef) -> bool:
    """As for objects; events about the subject's pods and about a node's pods count as well."""
    if _asked(view, about):
        return True
    scope = view.scope
    if about.kind != "Pod" or (scope.node is None and scope.subject is None):
        return False
    subject = scope.subject or ResourceRef(kind="Node", name=scope.node or "")
    return any(pod.ref.same(about) for pod in view.pods_of(subject))


def _short(text: str) -> str:
    """Foreign text on one line, without control characters, cut."""
    line = " ".join(clean(text[: 4 * MOST_TEXT]).split())
    return line if len(line) <= MOST_TEXT else line[: MOST_TEXT - 1] + "…"
