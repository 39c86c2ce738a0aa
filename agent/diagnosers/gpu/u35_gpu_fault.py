"""A GPU reported a fault (XID) that no restart of the program mends.

NVIDIA's XID catalog gives an immediate action per code; here count those that ask for a GPU reset, a node or NVLink
workflow, or a bare-metal restart. Codes that ask to restart the application, and codes to ignore, are not faults of
the hardware. Only an XID that is new within 30 minutes counts: the exporter keeps showing the last one for ever.
"""

from __future__ import annotations

from agent.analysis.diagnoser import Survey, findings, set_aside, undecided
from agent.analysis.gpus import claiming_pods, gpu_nodes
from agent.analysis.judging import Judged
from agent.analysis.kinds import JOB, JOB_SET, NODE, POD, REPLICA_SET
from agent.analysis.readings import plural, spell
from agent.analysis.signals.hardware import RESET_OR_WORSE, XID_CHANGES, XID_LAST, XID_WINDOW, new_faults
from agent.analysis.view import View, claim, once_per_view
from agent.types import Cause, Claim, Finding, LiveChange, Need, Objects, Query, Remedy
from tools.types import ResourceRef, ToolCall

CAUSE = Cause(
    id="U35",
    family="gpu",
    title="GPU fault (XID)",
    severity="critical",
    doc="NVIDIA: Xid Errors, catalog of immediate actions",
)
NEEDS: tuple[Need, ...] = (
    Objects(kind=NODE, decisive=True),
    Objects(kind=POD),
    Objects(kind=REPLICA_SET),
    Objects(kind=JOB),
    Objects(kind=JOB_SET),
    Query(query=XID_CHANGES, decisive=True),
    Query(query=XID_LAST),
    Query(query=XID_WINDOW),
)
CONFIRMS = ("gpu_fault",)
EXCLUDES = ("fault_follows_program",)


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Nodes with a new XID of any kind: what has such a series has GPUs, however they are handed out."""
    nodes = {series.label("node") for _, series, _ in new_faults(view)}
    return [node.ref for node in view.objects(NODE) if node.ref.name in nodes]


@once_per_view
def judge(view: View) -> list[Finding]:
    """Nodes with a GPU that needs a reset, a drain or worse."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    codes = sorted({c for c, s, _ in new_faults(view) if s.label("node") == ref.name and c in RESET_OR_WORSE})
    victims = _victims(view, ref)
    suffering: tuple[Claim, ...] = ()
    if victims:
        pods = [pod for v in victims if (pod := view.find(v))]
        text = f"the GPU serves {spell([str(v) for v in victims])}"
        suffering = (claim(text, *(pod.cite("spec", "nodeName") for pod in pods)),) if pods else ()
    return Finding(
        cause=CAUSE.id,
        title=f"GPU fault on {ref.name}: XID {', '.join(str(c) for c in codes)}",
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=(*result.claims, *suffering),
        affects=(ref, *victims, *_workloads(view, victims)),
    )


def _victims(view: View, ref: ResourceRef) -> tuple[ResourceRef, ...]:
    """Pods that the faulty GPUs were attributed to."""
    found: dict[tuple[str, str, str, str], ResourceRef] = {}
    for code, series, _ in new_faults(view):
        if code in RESET_OR_WORSE and series.label("node") == ref.name and series.label("pod"):
            pod = view.find(
                ResourceRef(kind="Pod", namespace=series.label("namespace") or None, name=series.label("pod"))
            )
            if pod is not None and "dcgm-exporter" not in pod.ref.name:
                found[pod.ref.identity] = pod.ref
    return tuple(found.values())


def _workloads(view: View, pods: tuple[ResourceRef, ...]) -> tuple[ResourceRef, ...]:
    owners = {view.workload(pod).identity: view.workload(pod) for ref in pods if (pod := view.find(ref))}
    return tuple(owners.values())


def follow(view: View) -> list[ToolCall]:
    """Events of the node with the fault."""
    return [
        ToolCall(tool="list_events", args={"kind": "Node", "name": f.subject.name}, reason=f"events of {f.subject}")
        for f in judge(view)[:2]
    ]


def survey(view: View) -> Survey:
    """How many GPUs were looked at without a fault."""
    rows = view.rows(XID_CHANGES)
    if not rows and not gpu_nodes(view) and not claiming_pods(view):
        return Survey()
    if not rows and not view.rows(XID_WINDOW):
        return Survey(missing=(view.lacking(XID_CHANGES, (CAUSE.id,)),))
    if judge(view):
        return Survey()
    missing = (
        *undecided(view, subjects(view), CONFIRMS, CAUSE.id),
        *set_aside(view, subjects(view), CONFIRMS, EXCLUDES, fine=()),
    )
    if missing:
        return Survey(missing=missing)
    others = [(code, series) for code, series, _ in new_faults(view)]
    refs = [row.cite() for row in rows[:4]] or [row.cite() for row in view.rows(XID_WINDOW)[:4]]
    if others:
        code, series = others[0]
        text = f"XID {code} on {series.label('node')} is new, but asks for no reset: look at the program first"
        return Survey(checked=(claim(text, series.cite()),))
    return Survey(checked=(claim(f"no new XID on {plural(len(rows), 'GPU')} in 30 min", *refs),))


def remedy(finding: Finding, view: View) -> Remedy:
    """Take the node out of scheduling; drain and reset follow the runbook, by a person."""
    return LiveChange(name="cordon", args={"name": finding.subject.name})
