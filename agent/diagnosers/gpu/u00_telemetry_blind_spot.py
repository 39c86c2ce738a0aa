"""GPUs that nobody measures look exactly like GPUs that nobody uses.

A node whose exporter is gone, or pods whose samples cannot be attributed, drop out of every utilization sum. Until
telemetry covers them, no verdict about their use may stand. Bars: no series at all, or under 75 % of the samples
that the best-covered GPUs of the fleet have in 30 minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.analysis import queries
from agent.analysis.diagnoser import Survey
from agent.analysis.gpus import allocatable, gpu_count, gpu_nodes, running_gpu_pods
from agent.analysis.kinds import DAEMON_SET, JOB, JOB_SET, NODE, POD, REPLICA_SET
from agent.analysis.readings import amount, plural, spell
from agent.analysis.records import Record, Sample
from agent.analysis.signals.telemetry import bar, covered, dark, settled, uncovered_pods
from agent.analysis.view import View, claim, once_per_view
from agent.types import Advice, Cause, Claim, Finding, GitPatch, Missing, Need, Objects, Query, Remedy
from tools.types import EvidenceRef, ResourceRef, ToolCall

CAUSE = Cause(
    id="U00",
    family="gpu",
    title="GPU telemetry blind spot",
    severity="high",
    doc="NVIDIA dcgm-exporter README and default-counters.csv; CNCF AI conformance item accelerator_metrics",
)
NEEDS: tuple[Need, ...] = (
    Objects(kind=NODE, decisive=True),
    Objects(kind=POD, decisive=True),
    Objects(kind=DAEMON_SET),
    Objects(kind=REPLICA_SET),
    Objects(kind=JOB),
    Objects(kind=JOB_SET),
    Query(query=queries.GPU_SAMPLES_BY_NODE, decisive=True),
    Query(query=queries.GPU_COVERAGE_BY_POD, decisive=True),
)
CONFIRMS = ("gpus_unmeasured",)
EXCLUDES: tuple[str, ...] = ()
YOUNG_NODE = 900.0
"""Seconds after joining in which a node may still lack its exporter."""


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """GPU nodes."""
    return [node.ref for node in gpu_nodes(view)]


def _readable(view: View) -> bool:
    return view.state(queries.GPU_SAMPLES_BY_NODE) in ("ok", "absent")


def _dark_nodes(view: View) -> list[Record]:
    """GPU nodes, old enough to have their exporter, with no sample at all."""
    return [n for n in gpu_nodes(view) if dark(view, n) and view.now - (n.created or 0.0) > YOUNG_NODE]


@once_per_view
def judge(view: View) -> list[Finding]:
    """Nodes without any series; else running pods without enough of them."""
    if not _readable(view) or not gpu_nodes(view):
        return []
    dark = _dark_nodes(view)
    dark_names = {node.ref.name for node in dark}
    blind = [
        pod for pod in uncovered_pods(view, running_gpu_pods(view)) if pod.text("spec", "nodeName") not in dark_names
    ]
    found = [_nodes_finding(view, dark)] if dark else []
    if blind and not any(_samples(view, pod) for pod in running_gpu_pods(view)):
        return [*found, _unattributed(view, blind)]
    return [*found, *_pod_findings(view, blind)]


def _samples(view: View, pod: Record) -> Sample | None:
    """What the pod has of samples, be it too few."""
    return next(iter(view.rows_for(queries.GPU_COVERAGE_BY_POD, [pod])), None)


def _unattributed(view: View, blind: list[Record]) -> Finding:
    """One finding where no sample anywhere names a pod: the exporter's mapping, not the workloads, is at fault."""
    exporters, rows = _exporter_pods(view), view.rows(queries.GPU_SAMPLES_BY_NODE)
    subject = view.chain(exporters[0])[1:2] if exporters else ()
    workloads = {view.workload(pod).identity: view.workload(pod) for pod in blind}
    seen = [claim(f"no sample is attributed to any of {plural(len(blind), 'running GPU pod')}", *_where(blind))]
    if rows:
        seen.append(claim(f"{plural(len(rows), 'node')} report their GPUs without pods", *(r.cite() for r in rows[:4])))
    return Finding(
        cause=CAUSE.id,
        title=f"GPU telemetry names no pods: the use of {plural(len(workloads), 'workload')} cannot be judged",
        subject=subject[0] if subject else view.workload(blind[0]),
        severity=CAUSE.severity,
        confidence="high",
        seen=tuple(seen),
        affects=tuple(workloads.values()),
    )


def _where(pods: list[Record]) -> list[EvidenceRef]:
    return [pod.cite("spec", "nodeName") for pod in pods[:8]]


def _nodes_finding(view: View, dark: list[Record]) -> Finding:
    total = gpu_nodes(view)
    gpus = sum(sum(allocatable(node).values()) for node in dark)
    nodes = spell([node.ref.name for node in dark])
    refs = [node.cite("status", "allocatable") for node in dark[:8]]
    seen = [
        claim(f"no utilization series for {plural(gpus, 'GPU')} on {nodes}", *refs),
        *_exporter(view, dark),
    ]
    if rows := view.rows(queries.GPU_SAMPLES_BY_NODE):
        seen.append(claim(f"{plural(len(rows), 'other node')} report", *(row.cite() for row in rows[:4])))
    everything = len(dark) == len(total)
    return Finding(
        cause=CAUSE.id,
        title=f"no GPU telemetry from {'any' if everything else len(dark)} of {len(total)} GPU nodes",
        subject=dark[0].ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=tuple(seen),
        affects=tuple(node.ref for node in dark),
    )


def _exporter_pods(view: View) -> list[Record]:
    return [
        pod
        for pod in view.objects(POD)
        if "dcgm-exporter" in pod.ref.name or pod.labels.get("app", "").endswith("dcgm-exporter")
    ]


def _exporter(view: View, dark: list[Record]) -> list[Claim]:
    pods = _exporter_pods(view)
    names = {node.ref.name for node in dark}
    here = [pod for pod in pods if pod.text("spec", "nodeName") in names]
    running = [pod for pod in here if pod.text("status", "phase") == "Running"]
    if running:
        text = f"exporter pods run there ({spell([p.ref.name for p in running])}): their scrape or fields are missing"
        return [claim(text, *(pod.cite("status", "phase") for pod in running[:4]))]
    if here:
        text = f"exporter pod {here[0].ref.name} is {here[0].text('status', 'phase')}"
        return [claim(text, here[0].cite("status", "phase"))]
    if pods:
        return [claim("no exporter pod on them, though others have one", pods[0].cite("spec", "nodeName"))]
    return []


def _pod_findings(view: View, blind: list[Record]) -> list[Finding]:
    by_workload: dict[tuple[str, str, str, str], list[Record]] = {}
    for pod in blind:
        by_workload.setdefault(view.workload(pod).identity, []).append(pod)
    return [_pods_finding(view, pods) for pods in by_workload.values()]


def _pods_finding(view: View, pods: list[Record]) -> Finding:
    workload = view.workload(pods[0])
    gpus = sum(gpu_count(pod) for pod in pods)
    return Finding(
        cause=CAUSE.id,
        title=f"no usable GPU telemetry for {workload}, which holds {plural(gpus, 'GPU')}",
        subject=workload,
        severity="medium",
        confidence="high",
        seen=tuple(_blindness(view, pods)),
        affects=(workload, *(pod.ref for pod in pods[:32])),
    )


def _blindness(view: View, pods: list[Record]) -> Iterator[Claim]:
    """Pods with too few samples, and pods with none; nodes that report tell the latter from a dead exporter."""
    thin = [(pod, sample) for pod in pods if (sample := _samples(view, pod))]
    if thin:
        pod, sample = min(thin, key=lambda found: found[1].value or 0.0)
        text = f"{pod.ref.name} has only {amount(sample.value or 0.0)} samples in 30 min of some GPU"
        text += f", {plural(len(thin) - 1, 'more pod')} likewise" if len(thin) > 1 else ""
        yield claim(f"{text}; at least {bar(view):.0f} are needed", *(sample.cite() for _, sample in thin[:8]))
    none = [pod for pod in pods if not _samples(view, pod)]
    if none:
        yield claim(f"no samples are attributed to {spell([p.ref.name for p in none])}", *_where(none))
        on = {pod.text("spec", "nodeName") for pod in none}
        if rows := [row for row in view.rows(queries.GPU_SAMPLES_BY_NODE) if row.label("node") in on]:
            yield claim("the nodes themselves report, so attribution is missing", *(r.cite() for r in rows[:4]))


def follow(view: View) -> list[ToolCall]:
    """Events of the nodes that went dark."""
    return [
        ToolCall(
            tool="list_events",
            args={"kind": "Node", "name": node.ref.name},
            reason=f"why {node.ref.name} is dark",
        )
        for node in _dark_nodes(view)[:2]
    ]


def survey(view: View) -> Survey:
    """How much of the fleet is measured."""
    nodes = gpu_nodes(view)
    if not nodes:
        return Survey()
    if not _readable(view) or not view.rows(queries.GPU_SAMPLES_BY_NODE):
        return Survey(missing=(view.lacking(queries.GPU_SAMPLES_BY_NODE, (CAUSE.id,)),))
    if judge(view):
        return Survey()
    rows = view.rows(queries.GPU_SAMPLES_BY_NODE)
    measured = view.fact("GPUs with samples", "sum", [row.cite() for row in rows], "GPUs")
    gpus = sum(sum(allocatable(node).values()) for node in nodes)
    pods = [pod for pod in running_gpu_pods(view) if settled(view, pod) and covered(view, pod)]
    text = f"telemetry covers {measured.value:,.0f} GPUs of {gpus:,.0f} allocatable" if measured else "telemetry covers"
    missing: tuple[Missing, ...] = ()
    return Survey(
        checked=(claim(f"{text}, {plural(len(pods), 'running GPU pod')}", measured, *(r.cite() for r in rows[:4])),),
        missing=missing,
    )


def remedy(finding: Finding, view: View) -> Remedy:
    """Turn the exporter's fields on through the GPU operator's policy, or bring its pod back."""
    if any(pod.text("spec", "nodeName") == finding.subject.name for pod in _exporter_pods(view)):
        policy = ResourceRef(group="nvidia.com", version="v1", kind="ClusterPolicy", name="cluster-policy")
        return GitPatch(target=policy)
    return Advice(
        text="bring the exporter back on these nodes (its DaemonSet's tolerations and node selector), and set"
        " honorLabels: true on its scrape so that samples keep their pod"
    )
