"""Did a GPU report a fault that no restart of the program mends?

Source: NVIDIA XID catalog (immediate action per code); trap T9: the gauge keeps the last XID, and its err_code and
err_msg labels change with it, so only a change within the window is news.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.analysis.kinds import POD
from agent.analysis.queries import normalised
from agent.analysis.readings import absent, reading, unknown
from agent.analysis.records import Sample
from agent.analysis.view import View
from agent.types import Reading
from tools.types import NamedQuery, ResourceRef

RESET_OR_WORSE = frozenset({46, 48, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143, *range(144, 151), 154, 158})
"""Codes whose immediate action is a reset, a node workflow, an NVLink workflow or a bare-metal restart."""
BLANK = 1e18
"""DCGM's blank value is 9223372036854775794."""
SPREAD_NODES = 3
"""Nodes with one code under one workload from which the program is the likelier culprit."""

_XID = "max without (err_code, err_msg) (DCGM_FI_DEV_XID_ERRORS or DCGM_FI_DEV_XID_ERROR)"
XID_ENABLE = "dcgm-exporter field DCGM_FI_DEV_XID_ERRORS (on by default)"
XID_CHANGES = NamedQuery(
    name="gpu_xid_changes_30m",
    promql=normalised(f"changes(({_XID})[30m:1m])"),
    family="dcgm",
    unit="changes of the last XID in 30 min",
    metrics=("DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_XID_ERROR"),
    enable=XID_ENABLE,
    tenant_label=None,
    window=1800,
)
XID_LAST = NamedQuery(
    name="gpu_xid_last",
    promql=normalised(f"last_over_time(({_XID})[30m:1m]) > 0"),
    family="dcgm",
    unit="XID code",
    metrics=("DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_XID_ERROR"),
    enable=XID_ENABLE,
    tenant_label=None,
    window=1800,
)
"""The last code of each GPU in 30 minutes, also of one that fell silent after it."""
XID_WINDOW = NamedQuery(
    name="gpu_xid_window_counts",
    promql=normalised("DCGM_EXP_XID_ERRORS_COUNT > 0"),
    family="dcgm",
    unit="XIDs in the exporter's window",
    metrics=("DCGM_EXP_XID_ERRORS_COUNT",),
    enable="dcgm-exporter field DCGM_EXP_XID_ERRORS_COUNT",
    tenant_label=None,
)


def _key(sample: Sample) -> tuple[str, str]:
    return (sample.label("node"), sample.label("UUID") or sample.label("gpu"))


def new_faults(view: View) -> Iterator[tuple[int, Sample, list[Sample]]]:
    """(code, series, samples to cite) of each XID of any kind that is new in 30 minutes."""
    changed = {_key(s): s for s in view.rows(XID_CHANGES) if (s.value or 0.0) > 0}
    for last in view.rows(XID_LAST):
        if _key(last) in changed and last.value is not None and last.value < BLANK:
            yield int(last.value), last, [last, changed[_key(last)]]
    seen = {(_key(s), int(s.value or 0)) for s in view.rows(XID_LAST) if _key(s) in changed}
    for counted in view.rows(XID_WINDOW):
        code = counted.label("xid")
        if code.isdigit() and (_key(counted), int(code)) not in seen:
            yield int(code), counted, [counted]


def _touches(view: View, ref: ResourceRef, sample: Sample) -> bool:
    if ref.kind == "Node":
        return sample.label("node") == ref.name
    for pod in view.pods_of(ref):
        if (sample.label("namespace"), sample.label("pod")) == (pod.ref.namespace, pod.ref.name):
            return True
    return False


def gpu_fault(view: View, ref: ResourceRef) -> Reading:
    """Holds when a GPU of the subject reported a new XID that calls for a reset, a drain or worse."""
    name = "gpu_fault"
    if view.state(XID_CHANGES) != "ok" and view.state(XID_WINDOW) != "ok":
        return absent(name, view, XID_CHANGES)
    for code, series, cited in new_faults(view):
        if code in RESET_OR_WORSE and _touches(view, ref, series):
            if ref.kind == "Node" and (nodes := _unattributed(view, code)):
                return unknown(name, f"kubectl get pods (XID {code} on {nodes} nodes: one program, or so many faults)")
            text = f"new XID {code} on GPU {series.label('gpu')} of {series.label('node')}"
            return reading(name, text, [s.cite() for s in cited], holds=True)
    rows = [s for s in view.rows(XID_CHANGES) if _touches(view, ref, s)]
    return reading(name, "no new XID that calls for a reset in 30 min", [s.cite() for s in rows], holds=False)


def _unattributed(view: View, code: int) -> int:
    """Nodes on which a code appears while pods cannot be read, where so many may run one program; 0 otherwise."""
    nodes = {series.label("node") for found, series, _ in new_faults(view) if found == code and series.label("pod")}
    unread = view.state(POD) not in ("ok", "absent", "truncated")
    return len(nodes) if len(nodes) >= SPREAD_NODES and unread else 0


def fault_follows_program(view: View, ref: ResourceRef) -> Reading:
    """Holds when one code appears on several nodes under one workload: the program, not the hardware."""
    name = "fault_follows_program"
    by_program: dict[tuple[int, str], dict[str, Sample]] = {}
    for code, series, _ in new_faults(view):
        owner = _program(view, series)
        if code in RESET_OR_WORSE and owner:
            by_program.setdefault((code, owner), {})[series.label("node")] = series
    for (code, owner), nodes in by_program.items():
        if len(nodes) >= SPREAD_NODES and any(_touches(view, ref, s) for s in nodes.values()):
            text = f"XID {code} on {len(nodes)} nodes, each under {owner}"
            return reading(name, text, [s.cite() for s in nodes.values()], holds=True)
    rows = [series for _, series, _ in new_faults(view) if _touches(view, ref, series)]
    return reading(name, "its XIDs do not follow one program", [s.cite() for s in rows], holds=False)


def _program(view: View, sample: Sample) -> str:
    ref = ResourceRef(kind="Pod", namespace=sample.label("namespace") or None, name=sample.label("pod"))
    pods = view.pods_of(ref)
    return str(view.workload(pods[0])) if pods else ""


SIGNALS = {"gpu_fault": gpu_fault, "fault_follows_program": fault_follows_program}
