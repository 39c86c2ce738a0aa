"""Where a subject is in its life: starting, ended, declared idle, a notebook, part of a gang that works.

Sources: Kubernetes pod lifecycle documentation; Kubeflow notebook controller (label `notebook-name`).
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.readings import percent, reading, unknown
from agent.analysis.records import Record
from agent.analysis.requests import active
from agent.analysis.view import View
from agent.types import Reading
from tools import fields
from tools.types import JsonObject, ResourceRef

STANDBY_INTENTS = ("standby", "reserved")
STANDBY_CLASSES = ("placeholder", "overprovision", "balloon", "standby")
BATCH_KINDS = (
    "Job", "JobSet", "TrainJob", "PyTorchJob", "MPIJob", "TFJob", "RayJob", "RayCluster", "CronJob", "LeaderWorkerSet",
)  # fmt: skip
PEER_BUSY = 0.05
"""Busy share at which a pod of the same workload counts as working."""


def ready(pod: Record) -> bool:
    """True when the pod's Ready condition is True."""
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in pod.items("status", "conditions"))


def batch(view: View, pod: Record) -> bool:
    """True for pods of training and batch workloads: by owner kind, else by a restart policy other than Always."""
    if any(ref.kind in BATCH_KINDS for ref in view.chain(pod)):
        return True
    return pod.text("spec", "restartPolicy") in ("Never", "OnFailure")


def declared_standby(view: View, ref: ResourceRef) -> Reading:
    """Holds when the owner declares the pods idle on purpose (label plumbline.dev/intent, placeholder priority)."""
    name = "declared_standby"
    for pod in view.pods_of(ref):
        if pod.labels.get("plumbline.dev/intent") in STANDBY_INTENTS:
            path = ("metadata", "labels", "plumbline.dev/intent")
            return reading(name, f"declared {pod.text(*path)}", [pod.cite(*path)], holds=True)
        priority = pod.text("spec", "priorityClassName")
        if any(word in priority for word in STANDBY_CLASSES):
            return reading(name, f"priority class {priority}", [pod.cite("spec", "priorityClassName")], holds=True)
    refs = [pod.cite("metadata", "name") for pod in view.pods_of(ref)]
    return reading(name, "no standby declared", refs, holds=False)


def never_ready(view: View, ref: ResourceRef) -> Reading:
    """Holds when a placed pod of the subject is not Ready: it is starting, loading or failing, not idle."""
    name = "never_ready"
    pods = [pod for pod in view.pods_of(ref) if active(pod) and pod.text("spec", "nodeName")]
    waiting = [pod for pod in pods if not ready(pod)]
    if waiting:
        return reading(name, f"{waiting[0].ref.name} is not Ready", [waiting[0].cite("status", "phase")], holds=True)
    return reading(name, "all its pods are Ready", [p.cite("status", "phase") for p in pods], holds=False)


def notebook(view: View, ref: ResourceRef) -> Reading:
    """Holds for interactive notebooks, which are idle between keystrokes and have their own rule."""
    name = "notebook"
    for pod in view.pods_of(ref):
        if pod.labels.get("notebook-name"):
            path = ("metadata", "labels", "notebook-name")
            return reading(name, "an interactive notebook", [pod.cite(*path)], holds=True)
        if any(owner.kind == "Notebook" for owner in view.chain(pod)):
            return reading(name, "an interactive notebook", [pod.cite("metadata", "ownerReferences")], holds=True)
    refs = [pod.cite("metadata", "name") for pod in view.pods_of(ref)]
    return reading(name, "not a notebook", refs, holds=False)


def main_container_ended(view: View, ref: ResourceRef) -> Reading:
    """Holds when a container that asked for the GPU has terminated while its pod still runs."""
    name = "main_container_ended"
    for pod in view.pods_of(ref):
        for index, status in enumerate(pod.items("status", "containerStatuses")):
            if fields.dig(status, "state", "terminated") is not None and _asks_gpu(pod, fields.text(status, "name")):
                path = ("status", "containerStatuses", index, "state", "terminated", "reason")
                text = f"container {fields.text(status, 'name')} has ended"
                return reading(name, text, [pod.cite(*path)], holds=True)
    refs = [pod.cite("status", "phase") for pod in view.pods_of(ref)]
    return reading(name, "its GPU containers run", refs, holds=False)


def _asks_gpu(pod: Record, container: str) -> bool:
    def gpu(spec: JsonObject) -> bool:
        limits = fields.strings(spec, "resources", "limits")
        return any("gpu" in key or "/mig-" in key for key in limits)

    return any(fields.text(c, "name") == container and gpu(c) for c in pod.items("spec", "containers"))


def peer_busy(view: View, ref: ResourceRef) -> Reading:
    """Holds when some pods of the subject work while others do not: a matter between ranks or replicas."""
    name = "peer_busy"
    rows = view.rows_for(queries.GPU_BUSY_MAX, view.pods_of(ref))
    if not rows:
        return unknown(name, "busy share of its pods")
    busiest = max(rows, key=lambda s: s.value or 0.0)
    share = busiest.value or 0.0
    text = f"busiest pod {busiest.label('pod')} reached {percent(share)} in 30 min"
    return reading(name, text, [busiest.cite()], holds=share >= PEER_BUSY)


SIGNALS = {
    "declared_standby": declared_standby,
    "never_ready": never_ready,
    "notebook": notebook,
    "main_container_ended": main_container_ended,
    "peer_busy": peer_busy,
}
