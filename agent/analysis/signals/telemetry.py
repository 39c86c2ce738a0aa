"""Is the subject measured at all? No verdict on utilization may stand where the answer is no.

Coverage bar: 75 % of the samples that the best-covered GPU pod of the fleet has in 30 minutes (practice value,
so that 15 s and 60 s scrapes are judged alike), never fewer than 10.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.gpus import allocatable, gpu_count, running_gpu_pods
from agent.analysis.kinds import NODE
from agent.analysis.readings import absent, plural, reading, spell
from agent.analysis.records import Record, Sample
from agent.analysis.view import View
from agent.types import Reading
from tools.types import ResourceRef

COVERAGE_SHARE = 0.75
COVERAGE_FLOOR = 10.0
SETTLED = 2100.0
"""Seconds a pod must have run before its coverage of a 30-minute window can be judged."""


def shared_gpu(view: View, pod: Record) -> bool:
    """True where one GPU serves several pods (time-slicing, MPS): samples are attributed to one of them only."""
    name = pod.text("spec", "nodeName")
    node = view.find(ResourceRef(kind=NODE.kind, name=name)) if name else None
    replicas = (node.labels.get("nvidia.com/gpu.replicas", "") if node else "") or "1"
    return replicas.isdigit() and int(replicas) > 1


def bar(view: View) -> float:
    """Samples in 30 minutes below which a pod counts as not covered."""
    counts = [s.value for s in view.rows(queries.GPU_COVERAGE_BY_POD) if s.value is not None]
    return max(COVERAGE_FLOOR, COVERAGE_SHARE * max(counts, default=0.0))


def settled(view: View, pod: Record) -> bool:
    """True when a pod has run long enough to fill the coverage window."""
    started = pod.time("status", "startTime") or pod.created
    return started is not None and view.now - started > SETTLED


def covered(view: View, pod: Record) -> Sample | None:
    """The coverage sample of a pod whose telemetry may be judged, else None."""
    threshold = bar(view)
    rows = view.rows_for(queries.GPU_COVERAGE_BY_POD, [pod])
    return next((s for s in rows if s.value is not None and s.value >= threshold), None)


def dark(view: View, node: Record) -> bool:
    """True for a GPU node without any sample under any of the names a scrape may give it."""
    seen = {row.label("node") for row in view.rows(queries.GPU_SAMPLES_BY_NODE) if (row.value or 0) > 0}
    names = {node.ref.name, node.labels.get("kubernetes.io/hostname", node.ref.name)}
    return bool(allocatable(node)) and not names & seen


def uncovered_pods(view: View, pods: list[Record]) -> list[Record]:
    """Settled, running GPU pods without enough samples, but for shared GPUs."""
    return [p for p in pods if settled(view, p) and not shared_gpu(view, p) and covered(view, p) is None]


def gpus_unmeasured(view: View, ref: ResourceRef) -> Reading:
    """Holds when running GPU pods of the subject have no, or too few, utilization samples."""
    name = "gpus_unmeasured"
    if view.state(queries.GPU_COVERAGE_BY_POD) not in ("ok", "absent"):
        return absent(name, view, queries.GPU_COVERAGE_BY_POD)
    node = view.find(ref) if ref.kind_ref == NODE else None
    if node is not None and dark(view, node):
        return reading(name, "no utilization series from it", [node.cite("status", "allocatable")], holds=True)
    members = {pod.ref.identity for pod in view.pods_of(ref)}
    running = running_gpu_pods(view)
    pods = [pod for pod in running if pod.ref.identity in members]
    blind = uncovered_pods(view, pods)
    if not pods and running and not view.rows_for(queries.GPU_COVERAGE_BY_POD, running):
        refs = [pod.cite("spec", "nodeName") for pod in running]
        return reading(name, "no sample anywhere is attributed to a running GPU pod", refs, holds=True)
    if blind:
        text = (
            f"no utilization samples for {plural(len(blind), 'running GPU pod')}: {spell([p.ref.name for p in blind])}"
        )
        return reading(name, text, [p.cite("spec", "nodeName") for p in blind], holds=True)
    seen = [(pod, sample) for pod in pods if (sample := covered(view, pod))]
    gpus, all_gpus = sum(gpu_count(pod) for pod, _ in seen), sum(gpu_count(pod) for pod in pods)
    whole = f"its {plural(gpus, 'GPU')}" if gpus == all_gpus else f"{gpus:,.0f} of its {all_gpus:,.0f} GPUs"
    return reading(name, f"telemetry covers {whole}", [sample.cite() for _, sample in seen], holds=False)


SIGNALS = {"gpus_unmeasured": gpus_unmeasured}
