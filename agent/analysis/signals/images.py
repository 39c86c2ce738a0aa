"""Do the pods of a workload run the same bytes?

Source: Kubernetes container images documentation: a tag is mutable, imageID names what was really pulled.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from agent.analysis import kinds
from agent.analysis.readings import plural, reading
from agent.analysis.records import Record
from agent.analysis.view import View
from agent.types import Reading
from tools import fields
from tools.types import EvidenceRef, ResourceRef

SETTLED = 1800.0
"""Seconds for which two digests must have run side by side before they count (practice value)."""
REVISIONS = (
    "pod-template-hash",
    "controller-revision-hash",
    "leaderworkerset.sigs.k8s.io/template-revision-hash",
)
"""Pod labels that name the template revision: of Deployments, of StatefulSets and DaemonSets, of LeaderWorkerSets."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """One running container: the image asked for, the digest pulled, where and since when."""

    image: str
    digest: str
    pod: Record
    started: float | None
    index: int

    @property
    def ref(self) -> EvidenceRef:
        """Where the digest stands."""
        return self.pod.cite("status", "containerStatuses", self.index, "imageID")


def pulled(view: View, ref: ResourceRef) -> dict[str, list[Pulled]]:
    """Container name → what each pod of the subject runs under that name.

    Pods on their way out are left out, and so is an imageID without a repository digest: a runtime reports the id of
    the image's configuration for an image loaded by hand, which cannot be compared with the digest of a manifest.
    """
    found: dict[str, list[Pulled]] = defaultdict(list)
    for pod in view.pods_of(ref):
        if pod.text("metadata", "deletionTimestamp"):
            continue
        specs = {fields.text(c, "name"): fields.text(c, "image") for c in pod.items("spec", "containers")}
        for index, status in enumerate(pod.items("status", "containerStatuses")):
            image_id = fields.text(status, "imageID")
            running = fields.text(status, "state", "running", "startedAt")
            name = fields.text(status, "name")
            if running and name in specs and "@sha256:" in image_id:
                digest = image_id.rpartition("@")[2]
                found[name].append(Pulled(specs[name], digest, pod, fields.timestamp(running), index))
    return found


def _same_architecture(view: View, group: list[Pulled]) -> bool:
    """False where each digest belongs to nodes of another architecture: one index, several manifests."""
    seen: dict[str, set[str]] = defaultdict(set)
    for item in group:
        node = view.find(ResourceRef(kind="Node", name=item.pod.text("spec", "nodeName")))
        seen[item.digest].add(node.labels.get("kubernetes.io/arch", "") if node else "")
    arches = [next(iter(a)) for a in seen.values() if len(a) == 1]
    return len(arches) != len(seen) or len(set(arches)) < len(seen)


def differing_since(group: list[Pulled]) -> float | None:
    """When a second digest first ran beside another, or None while there is one digest only."""
    first: dict[str, float] = {}
    for item in group:
        if item.started is not None:
            first[item.digest] = min(item.started, first.get(item.digest, item.started))
    return sorted(first.values())[1] if len(first) > 1 else None


def _drifting(view: View, group: list[Pulled]) -> bool:
    since = differing_since(group)
    same_spec = len({p.image for p in group}) == 1
    return since is not None and same_spec and view.now - since > SETTLED and _same_architecture(view, group)


def image_digests_differ(view: View, ref: ResourceRef) -> Reading:
    """Holds when one container of the subject, under one image reference, runs more than one digest for 30 minutes."""
    name = "image_digests_differ"
    containers = pulled(view, ref)
    for container, group in sorted(containers.items()):
        if _drifting(view, group):
            firsts = list({p.digest: p for p in group}.values())
            digests = ", ".join(f"{_short(p.digest)} on {p.pod.ref.name}" for p in firsts[:3])
            text = f"container {container} of {group[0].image} runs {len(firsts)} digests: {digests}"
            return reading(name, text, [p.ref for p in firsts], holds=True)
    refs = [p.ref for group in containers.values() for p in group[:2]]
    text = f"one digest per image and architecture in {plural(len(view.pods_of(ref)), 'pod')}, or not for 30 min yet"
    return reading(name, text, refs, holds=False)


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:12]


def rollout_in_progress(view: View, ref: ResourceRef) -> Reading:
    """Holds while a workload is being updated or paused midway, so that differing pods are intended."""
    name = "rollout_in_progress"
    record = view.find(ref)
    if record is None:
        refs = [pod.cite("metadata", "name") for pod in view.pods_of(ref)]
        return reading(name, "no rollout of its owner is visible", refs, holds=False)
    wanted, updated = _replicas(record)
    if record.get("spec", "paused") is True:
        return reading(name, "its rollout is paused", [record.cite("spec", "paused")], holds=True)
    if wanted is not None and updated is not None and updated < wanted:
        text = f"{updated:.0f} of {wanted:.0f} replicas are updated"
        return reading(name, text, [record.cite("status")], holds=True)
    pods = [pod for pod in view.pods_of(ref) if not pod.text("metadata", "deletionTimestamp")]
    for label in REVISIONS:
        if len({pod.labels.get(label, "") for pod in pods} - {""}) > 1:
            refs = [pod.cite("metadata", "labels", label) for pod in pods]
            return reading(name, "pods of two revisions run side by side", refs, holds=True)
    return reading(name, "no rollout in progress", [record.cite("status")], holds=False)


def _replicas(record: Record) -> tuple[float | None, float | None]:
    """(wanted, updated) replicas; a DaemonSet wants one pod per eligible node."""
    if record.ref.kind_ref == kinds.DAEMON_SET:
        return record.num("status", "desiredNumberScheduled"), record.num("status", "updatedNumberScheduled")
    return record.num("spec", "replicas"), record.num("status", "updatedReplicas")


SIGNALS = {"image_digests_differ": image_digests_differ, "rollout_in_progress": rollout_in_progress}
