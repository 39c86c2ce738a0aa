"""A training job waits for its data: the GPUs run dry between batches.

Most ranks are under half busy and their containers wait for I/O, or the busy share swings in a saw-tooth around a low
mean. ICSE'24 ("An Empirical Study on Low GPU Utilization of Deep Learning Jobs") finds 46 % of low-utilization
issues in data operations. Told apart from CPU throttling, from checkpoint writes, from one slow rank, and from
GPUs that do nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.analysis import queries
from agent.analysis.diagnoser import Survey, findings, judged, set_aside, undecided
from agent.analysis.gpus import gpu_container, gpu_count, running_gpu_pods
from agent.analysis.judging import Judged
from agent.analysis.kinds import JOB, JOB_SET, NODE, POD, REPLICA_SET, STATEFUL_SET, TRAIN_JOB
from agent.analysis.readings import amount, percent, plural
from agent.analysis.signals.input import CPU_THROTTLED, IO_WAITING, LOW_BUSY, READ_PEAK, WRITE_PEAK, starved_pods
from agent.analysis.signals.lifecycle import batch
from agent.analysis.signals.telemetry import covered, settled
from agent.analysis.view import View, claim, once_per_view
from agent.types import Advice, Cause, Claim, Finding, Missing, Need, Objects, Query, Remedy
from tools.types import ResourceRef, ToolCall

CAUSE = Cause(
    id="U25",
    family="gpu",
    title="training waits for its input",
    severity="medium",
    doc="An Empirical Study on Low GPU Utilization of Deep Learning Jobs (ICSE 2024)",
)
NEEDS: tuple[Need, ...] = (
    Objects(kind=POD, decisive=True),
    Objects(kind=NODE),
    Objects(kind=JOB),
    Objects(kind=JOB_SET),
    Objects(kind=TRAIN_JOB),
    Objects(kind=REPLICA_SET),
    Objects(kind=STATEFUL_SET),
    Query(query=queries.GPU_BUSY_MEAN, decisive=True),
    Query(query=queries.GPU_BUSY_DEVIATION),
    Query(query=queries.GPU_BUSY_MAX),
    Query(query=queries.GPU_COVERAGE_BY_POD, decisive=True),
    Query(query=IO_WAITING, decisive=True),
    Query(query=CPU_THROTTLED),
    Query(query=WRITE_PEAK),
    Query(query=READ_PEAK),
)
CONFIRMS = ("input_stall",)
EXCLUDES = ("gpus_unmeasured", "gpu_idle", "cpu_throttled", "checkpoint_bursts", "never_ready", "notebook")


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Training and batch workloads with running, settled GPU pods."""
    refs: dict[tuple[str, str, str, str], ResourceRef] = {}
    for pod in running_gpu_pods(view):
        if batch(view, pod) and settled(view, pod) and covered(view, pod):
            ref = view.workload(pod)
            refs.setdefault(ref.identity, ref)
    return list(refs.values())


@once_per_view
def judge(view: View) -> list[Finding]:
    """Training workloads most of whose ranks starve."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    pods = [pod for pod in view.pods_of(ref) if gpu_count(pod) > 0]
    gpus = sum(gpu_count(pod) for pod in pods)
    return Finding(
        cause=CAUSE.id,
        title=f"{ref} starves {plural(gpus, 'GPU')}: its ranks wait for input",
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=(*result.claims, *_reading(view, ref)),
        affects=(ref,),
    )


def _reading(view: View, ref: ResourceRef) -> list[Claim]:
    rows = view.rows_for(READ_PEAK, view.pods_of(ref))
    if not rows:
        return []
    most = max(rows, key=lambda row: row.value or 0.0)
    return [claim(f"reads peak at {amount((most.value or 0.0) / 1e6)} MB/s a pod", most.cite())]


def follow(view: View) -> list[ToolCall]:
    """What a starving rank logs."""
    calls: list[ToolCall] = []
    for finding in judge(view)[:1]:
        pod = view.pods_of(finding.subject)[0]
        calls.append(
            ToolCall(
                tool="pod_logs",
                args={
                    "namespace": pod.ref.namespace,
                    "pod": pod.ref.name,
                    "container": gpu_container(pod),
                    "tail_lines": 100,
                },
                reason=f"what a rank of {finding.subject} says about its loader",
            )
        )
    return calls


def survey(view: View) -> Survey:
    """Training jobs that keep their GPUs fed."""
    jobs = subjects(view)
    rows = [row for ref in jobs for row in view.rows_for(queries.GPU_BUSY_MEAN, view.pods_of(ref))]
    missing = (
        *undecided(view, jobs, CONFIRMS, CAUSE.id),
        *set_aside(view, jobs, CONFIRMS, ("cpu_throttled", "checkpoint_bursts"), fine=()),
        *_stragglers(view, jobs),
    )
    if not rows or judge(view):
        return Survey(missing=missing)
    least = min(rows, key=lambda row: row.value or 0.0)
    if (least.value or 0.0) < LOW_BUSY:
        return Survey(missing=missing)
    text = (
        f"{plural(len(jobs), 'training job')} keep their GPUs fed, the least busy pod at {percent(least.value or 0.0)}"
    )
    return Survey(checked=(claim(text, least.cite()),), missing=missing)


def _stragglers(view: View, jobs: list[ResourceRef]) -> Iterator[Missing]:
    """Jobs with a few starved pods among others: one slow rank, not the input."""
    for ref in jobs:
        against = judged(view, ref, CONFIRMS, ()).against
        if against is not None and against.claim is not None and starved_pods(view, ref):
            because = f"{against.claim.text}: look at the node and the host side of those"
            yield Missing(need=f"a judgement of {ref}", because=because, causes=("*",))


def remedy(finding: Finding, view: View) -> Remedy:
    """The loader's settings live in the program: a person changes them."""
    return Advice(
        text=f"give the loader of {finding.subject} more workers (4 to 8 a GPU, with prefetching and pinned memory), a"
        " memory-backed /dev/shm, and a node-local cache of the data set"
    )
