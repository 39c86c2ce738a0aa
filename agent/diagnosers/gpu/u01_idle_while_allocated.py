"""A workload holds GPUs and has not used them for half an hour.

Every GPU of every pod stayed under 1 % busy for 30 minutes, the pods are older than that, ready, and nothing says
that they are meant to wait. Bars: 30 minutes without activity and 5 minutes of grace (wseaton/gpu-pruner README).
Notebooks, starting pods, declared standby and programs that fell back to the CPU follow rules of their own.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.diagnoser import Survey, findings, set_aside
from agent.analysis.gpus import claiming_pods, gpu_container, gpu_count, running_gpu_pods
from agent.analysis.judging import Judged
from agent.analysis.kinds import (
    DEPLOYMENT,
    JOB,
    JOB_SET,
    NODE,
    NOTEBOOK,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    TRAIN_JOB,
)
from agent.analysis.readings import amount, percent, plural
from agent.analysis.records import Record
from agent.analysis.signals.telemetry import covered, settled, shared_gpu
from agent.analysis.view import View, claim, once_per_view
from agent.types import Advice, Cause, Claim, Finding, LiveChange, Missing, Need, Objects, Query, Remedy
from tools.types import JsonObject, ResourceRef, ToolCall

CAUSE = Cause(
    id="U01",
    family="gpu",
    title="idle while allocated",
    severity="high",
    doc="wseaton/gpu-pruner README (30 min without activity, 300 s grace)",
)
NEEDS: tuple[Need, ...] = (
    Objects(kind=POD, decisive=True),
    Objects(kind=NODE),
    Objects(kind=REPLICA_SET),
    Objects(kind=DEPLOYMENT),
    Objects(kind=STATEFUL_SET),
    Objects(kind=JOB),
    Objects(kind=JOB_SET),
    Objects(kind=TRAIN_JOB),
    Objects(kind=NOTEBOOK),
    Query(query=queries.GPU_BUSY_MAX, decisive=True),
    Query(query=queries.GPU_COVERAGE_BY_POD, decisive=True),
    Query(query=queries.GPU_MEMORY_USED),
    Query(query=queries.GPU_POWER),
    Query(query=queries.POD_CPU_CORES),
    Query(query=queries.VLLM_FINISHED_30M),
)
CONFIRMS = ("gpu_idle",)
EXCLUDES = (
    "gpus_unmeasured",
    "requests_served",
    "declared_standby",
    "never_ready",
    "main_container_ended",
    "notebook",
    "cpu_fallback",
)
AT_REST = ("declared_standby", "notebook")
"""Why a workload may rest in peace: a notebook rests between keystrokes, a standby by its owner's word."""
TROUBLED = ("never_ready", "main_container_ended", "cpu_fallback")
"""Why a workload rests that somebody should look at, though it is not idle for want of work."""
SUSPENDABLE = ("Job", "JobSet", "TrainJob", "PyTorchJob", "RayJob")


def _settled_pods(view: View) -> list[Record]:
    return [pod for pod in running_gpu_pods(view) if settled(view, pod) and not shared_gpu(view, pod)]


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Workloads all of whose running GPU pods are old enough to judge."""
    settled_pods = {pod.ref.identity for pod in _settled_pods(view)}
    workloads: dict[tuple[str, str, str, str], tuple[ResourceRef, bool]] = {}
    for pod in running_gpu_pods(view):
        ref = view.workload(pod)
        _, before = workloads.get(ref.identity, (ref, True))
        workloads[ref.identity] = (ref, before and pod.ref.identity in settled_pods)
    return [ref for ref, old_enough in workloads.values() if old_enough]


@once_per_view
def judge(view: View) -> list[Finding]:
    """Workloads whose GPUs all rested for 30 minutes without a reason to."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    ours = {pod.ref.identity for pod in view.pods_of(ref)}
    pods = [pod for pod in running_gpu_pods(view) if pod.ref.identity in ours]
    gpus = sum(gpu_count(pod) for pod in pods)
    held = claim(
        f"{plural(gpus, 'GPU')} held by {plural(len(pods), 'running pod')}",
        *(p.cite("status", "phase") for p in pods[:8]),
    )
    return Finding(
        cause=CAUSE.id,
        title=f"{ref} holds {plural(gpus, 'GPU')} and uses none",
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=(held, *result.claims, *_corroboration(view, pods)),
        affects=(ref,),
    )


def _corroboration(view: View, pods: list[Record]) -> list[Claim]:
    out: list[Claim] = []
    if power := view.rows_for(queries.GPU_POWER, pods):
        most = max(power, key=lambda row: row.value or 0.0)
        out.append(claim(f"they draw {amount(most.value or 0.0)} W per GPU at most", most.cite()))
    if memory := view.rows_for(queries.GPU_MEMORY_USED, pods):
        most = max(memory, key=lambda row: row.value or 0.0)
        out.append(claim(f"GPU memory in use {amount(most.value or 0.0)} MiB", most.cite()))
    return out


def follow(view: View) -> list[ToolCall]:
    """The last lines of an idle pod: what it waits for, if it says."""
    calls: list[ToolCall] = []
    for finding in judge(view)[:2]:
        pod = view.pods_of(finding.subject)[0]
        args: JsonObject = {"namespace": pod.ref.namespace, "pod": pod.ref.name, "tail_lines": 50}
        args["container"] = gpu_container(pod)
        calls.append(ToolCall(tool="pod_logs", args=args, reason=f"what {finding.subject} last said"))
    return calls


def survey(view: View) -> Survey:
    """Workloads that use what they hold; idle notebooks are named, not judged."""
    pods = running_gpu_pods(view)
    rows = view.rows(queries.GPU_BUSY_MAX)
    claimed = _claimed(view)
    if not pods:
        return Survey(missing=claimed)
    if not rows:
        return Survey(missing=(view.lacking(queries.GPU_BUSY_MAX, (CAUSE.id,)), *claimed))
    missing = (*set_aside(view, subjects(view), CONFIRMS, (*AT_REST, *TROUBLED), fine=AT_REST), *claimed)
    busy = [row for row in view.rows_for(queries.GPU_BUSY_MAX, pods) if (row.value or 0.0) >= 0.01]
    judged_pods = [pod for pod in pods if covered(view, pod)]
    if judge(view) or not busy or len(busy) < len(judged_pods) - len(missing):
        return Survey(missing=missing)
    least = min(busy, key=lambda row: row.value or 0.0)
    text = f"{plural(len(busy), 'GPU pod')} worked within 30 min, the least used up to {percent(least.value or 0.0)}"
    return Survey(checked=(claim(text, least.cite()),), missing=missing)


def _claimed(view: View) -> tuple[Missing, ...]:
    """What is not judged, because its GPUs do not stand in the pod: whose claims are GPUs is not read yet."""
    pods = claiming_pods(view)
    if not pods:
        return ()
    text = "their devices are allocated by ResourceClaims, which are not read yet"
    return (Missing(need=f"the GPUs of {plural(len(pods), 'pod')}", because=text, causes=(CAUSE.id,)),)


def remedy(finding: Finding, view: View) -> Remedy:
    """Reversible, and the owner's decision."""
    subject = finding.subject
    args: JsonObject = {
        "group": subject.group,
        "kind": subject.kind,
        "namespace": subject.namespace,
        "name": subject.name,
    }
    if subject.kind in SUSPENDABLE:
        return LiveChange(name="suspend", args=args)
    if subject.kind in ("Deployment", "StatefulSet"):
        return Advice(text=f"scale {subject} to zero in its source of truth, if its owner agrees that nobody needs it")
    return Advice(text=f"ask the owner of {subject} whether it may be stopped")
