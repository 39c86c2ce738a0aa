"""Replicas of one workload run different bytes under one image reference.

A tag moved between two pulls, or a node kept an old layer: the spec says the same, the digests do not. Told apart
from a rollout or a paused canary (two revisions, or replicas still to update), from differing image references, and
from one multi-architecture index on nodes of two architectures. Bar: differing for 30 minutes.
"""

from __future__ import annotations

from agent.analysis.diagnoser import Survey, findings, history_of
from agent.analysis.judging import Judged
from agent.analysis.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    JOB_SET,
    LEADER_WORKER_SET,
    NODE,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    TRAIN_JOB,
)
from agent.analysis.readings import plural
from agent.analysis.records import Record
from agent.analysis.signals.images import differing_since, pulled
from agent.analysis.view import View, claim, once_per_view
from agent.types import Cause, Finding, GitPatch, Need, Objects, Remedy
from tools.types import ResourceRef, ToolCall

CAUSE = Cause(
    id="D03",
    family="drift",
    title="image digest differs across replicas",
    severity="high",
    doc="Kubernetes: Images (imagePullPolicy and mutable tags)",
)
NEEDS: tuple[Need, ...] = (
    Objects(kind=POD, decisive=True),
    Objects(kind=NODE),
    Objects(kind=REPLICA_SET),
    Objects(kind=DEPLOYMENT),
    Objects(kind=STATEFUL_SET),
    Objects(kind=DAEMON_SET),
    Objects(kind=LEADER_WORKER_SET),
    Objects(kind=JOB),
    Objects(kind=JOB_SET),
    Objects(kind=TRAIN_JOB),
)
REPLICATED = (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET, LEADER_WORKER_SET, JOB, JOB_SET, TRAIN_JOB)
_REPLICATED = frozenset((kind.group, kind.kind) for kind in REPLICATED)
CONFIRMS = ("image_digests_differ",)
EXCLUDES = ("rollout_in_progress",)


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Workloads with at least two running pods of one template."""
    counts: dict[tuple[str, str, str, str], tuple[ResourceRef, int]] = {}
    for pod in view.objects(POD):
        if pod.text("status", "phase") == "Running":
            ref = _replicated(view, pod)
            counts[ref.identity] = (ref, counts.get(ref.identity, (ref, 0))[1] + 1)
    return [ref for ref, count in counts.values() if count > 1]


def _replicated(view: View, pod: Record) -> ResourceRef:
    """The outermost owner that stamps its pods from one template; an operator's own kind may stamp from several."""
    known = [ref for ref in view.chain(pod) if (ref.group, ref.kind) in _REPLICATED]
    return known[-1] if known else view.workload(pod)


@once_per_view
def judge(view: View) -> list[Finding]:
    """Workloads whose replicas differ in bytes while their specs agree."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    began = [since for group in pulled(view, ref).values() if (since := differing_since(group)) is not None]
    return Finding(
        cause=CAUSE.id,
        title=f"{ref} runs different bytes under one image reference",
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=result.claims,
        affects=(ref,),
        since=min(began, default=None),
    )


def follow(view: View) -> list[ToolCall]:
    """What was rolled out when, on the workloads that differ."""
    return [
        history_of(finding.subject, f"rollouts of {finding.subject}")
        for finding in judge(view)[:2]
        if finding.subject.kind in ("Deployment", "StatefulSet", "DaemonSet")
    ]


def survey(view: View) -> Survey:
    """Workloads whose replicas agree."""
    workloads = subjects(view)
    if not workloads or judge(view):
        return Survey()
    refs = [p.ref for ref in workloads[:4] for group in pulled(view, ref).values() for p in group[:1]]
    if not refs:
        return Survey()
    text = f"replicas of {plural(len(workloads), 'workload')} run one digest per container"
    return Survey(checked=(claim(text, *refs[:8]),))


def remedy(finding: Finding, view: View) -> Remedy:
    """Pin the reference to a digest in the source of truth; which digest is right, a person says."""
    return GitPatch(target=finding.subject)
