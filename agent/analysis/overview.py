"""The cluster at a glance: what the evidence holds about nodes, GPUs and pods, each line with its source."""

from __future__ import annotations

from collections import Counter

from agent.analysis import queries
from agent.analysis.gpus import allocatable, gpu_count, gpu_nodes, gpu_pods, running_gpu_pods
from agent.analysis.kinds import NODE, POD
from agent.analysis.readings import percent, plural, spell
from agent.analysis.records import Record
from agent.analysis.view import View, claim
from agent.types import Claim
from tools import fields

CITED = 8
"""References a line quotes at most."""
FACT_INPUTS = 2048
"""Values up to which a total is worked out as a Fact; beyond, the line counts without one."""


def overview(view: View) -> list[Claim]:
    """GPUs first, then nodes and pods; nothing about what was not read."""
    lines = [_gpus(view), _use(view), _nodes(view), _pods(view)]
    return [line for line in lines if line is not None]


def _gpus(view: View) -> Claim | None:
    nodes = gpu_nodes(view)
    if not nodes:
        return None
    offered = sum(sum(allocatable(node).values()) for node in nodes)
    held = sum(gpu_count(pod) for pod in gpu_pods(view) if pod.text("spec", "nodeName"))
    where = f"{offered:,.0f} GPUs on {plural(len(nodes), 'node')}"
    if view.scope.namespaces is None:
        where = f"{held:,.0f} of {where} are held by pods"
    return claim(where, *(node.cite("status", "allocatable") for node in nodes[:CITED]))


def _use(view: View) -> Claim | None:
    names = {(p.ref.namespace, p.ref.name) for p in running_gpu_pods(view)}
    rows = [r for r in view.rows(queries.GPU_BUSY_MEAN) if (r.label("namespace"), r.label("pod")) in names]
    if not rows or len(rows) > FACT_INPUTS:
        return None
    mean = view.fact("mean busy share of GPU pods", "mean", [row.cite() for row in rows], "share")
    if mean is None or not isinstance(mean.value, float):
        return None
    text = f"{plural(len(rows), 'GPU pod')} are {percent(mean.value)} busy on average over 30 min"
    return claim(text, mean, *(row.cite() for row in rows[:2]))


def _ready(node: Record) -> bool:
    conditions = node.items("status", "conditions")
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _nodes(view: View) -> Claim | None:
    nodes = view.objects(NODE)
    if not nodes:
        return None
    bad = [node for node in nodes if not _ready(node)]
    cordoned = [node for node in nodes if fields.flag(node.data, "spec", "unschedulable")]
    if bad:
        text = f"{len(bad)} of {plural(len(nodes), 'node')} not Ready: {spell([n.ref.name for n in bad])}"
        return claim(text, *(node.cite("status", "conditions") for node in bad[:CITED]))
    more = f", {len(cordoned)} cordoned ({spell([n.ref.name for n in cordoned])})" if cordoned else ""
    text = f"all {plural(len(nodes), 'node')} are Ready{more}"
    return claim(text, *(node.cite("status", "conditions") for node in (cordoned or list(nodes))[:CITED]))


def _pods(view: View) -> Claim | None:
    pods = view.objects(POD)
    if not pods:
        return None
    phases = Counter(pod.text("status", "phase") or "Unknown" for pod in pods)
    counted = ", ".join(f"{count:,} {phase}" for phase, count in sorted(phases.items()))
    odd = [pod for pod in pods if pod.text("status", "phase") not in ("Running", "Succeeded")]
    names = f" ({spell([str(p.ref) for p in odd])})" if odd else ""
    return claim(f"pods: {counted}{names}", *(pod.cite("status", "phase") for pod in (odd or list(pods))[:CITED]))
