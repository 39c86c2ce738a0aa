"""What changed, when, by whom: from managedFields, creations, revisions and events; newest first.

Status updates and the kubelet's own writes are left out: they report, they do not change. Text in names and
messages is data and is only ever quoted.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from dataclasses import dataclass

from agent.analysis.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    HPA,
    NODE,
    REPLICA_SET,
    SCALED_OBJECT,
    STATEFUL_SET,
)
from agent.analysis.records import Record
from agent.analysis.view import View, claim
from agent.types import Claim
from tools import fields
from tools.types import JsonObject, ResourceRef

TRACKED = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, HPA, SCALED_OBJECT, NODE)
CONTROLLERS = (
    "kube-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver", "keda", "keda-operator",
    "nfd-master", "gpu-operator", "gpu-feature-discovery", "nvidia-mig-manager", "cluster-autoscaler", "karpenter",
    "cloud-controller-manager", "node-problem-detector",
)  # fmt: skip
GITOPS = ("argocd-controller", "argocd-application-controller", "kustomize-controller", "helm-controller", "helm")
HUMANS = ("kubectl", "k9s", "Mozilla", "OpenLens", "lens", "dashboard", "rancher", "headlamp", "oc")
SCALING = ("SuccessfulRescale", "ScalingReplicaSet")
REVISION = "deployment.kubernetes.io/revision"
MOST_PATHS = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One change: when, by which field manager, to what, and the claim that says so."""

    at: float
    who: str
    object: ResourceRef
    claim: Claim


def changes(view: View, *, since: float) -> list[Change]:
    """All changes since a moment, newest first."""
    found = [*_managed(view), *_revisions(view), *_scalings(view)]
    recent = [change for change in found if since <= change.at <= view.now]
    return sorted(recent, key=lambda change: (-change.at, str(change.object)))


def actor(manager: str) -> str:
    """A field manager in words: GitOps, a person's tool, a controller, or its bare name."""
    if manager in GITOPS:
        return f"GitOps ({manager})"
    if manager.startswith(HUMANS):
        return f"a person ({manager})"
    if manager in CONTROLLERS:
        return f"the controller {manager}"
    return manager or "an unknown manager"


def stamp(at: float) -> str:
    """A moment as `2026-03-02 14:05Z`."""
    return clock.strftime("%Y-%m-%d %H:%MZ", clock.gmtime(at))


def _managed(view: View) -> Iterator[Change]:
    for kind in TRACKED:
        for record in view.objects(kind):
            for index, entry in enumerate(record.items("metadata", "managedFields")):
                change = _entry(record, index, entry)
                if change is not None:
                    yield change


def _entry(record: Record, index: int, entry: JsonObject) -> Change | None:
    manager, at = fields.text(entry, "manager"), fields.timestamp(fields.text(entry, "time"))
    spec = [path for path in fields.texts(entry, "paths") if not path.startswith(("status", "f:status"))]
    routine = record.ref.kind == "Node" and manager in CONTROLLERS
    if at is None or fields.text(entry, "subresource") == "status" or routine or not spec:
        return None
    more = f" and {len(spec) - MOST_PATHS} more fields" if len(spec) > MOST_PATHS else ""
    text = f"{stamp(at)} {actor(manager)} set {', '.join(spec[:MOST_PATHS])}{more} of {record.ref}"
    path = ("metadata", "managedFields", index)
    return Change(at, manager, record.ref, claim(text, record.cite(*path, "manager"), record.cite(*path, "time")))


def _revisions(view: View) -> Iterator[Change]:
    for record in view.objects(REPLICA_SET):
        revision, at, owner = record.annotations.get(REVISION), record.created, view.owner(record)
        if revision and at is not None and owner is not None:
            text = f"{stamp(at)} revision {revision} of {owner} was rolled out as {record.ref.name}"
            refs = (record.cite("metadata", "creationTimestamp"), record.cite("metadata", "annotations", REVISION))
            yield Change(at, "", owner, claim(text, *refs))


def _scalings(view: View) -> Iterator[Change]:
    for event in view.objects(EVENT):
        if event.text("reason") not in SCALING:
            continue
        at = event.time("lastTimestamp") or event.time("eventTime") or event.created
        if at is None:
            continue
        about = ResourceRef(
            kind=event.text("involvedObject", "kind"),
            namespace=event.text("involvedObject", "namespace") or None,
            name=event.text("involvedObject", "name"),
        )
        text = f"{stamp(at)} {about}: {event.text('message')[:120]}"
        yield Change(at, event.text("source", "component"), about, claim(text, event.cite("message")))
