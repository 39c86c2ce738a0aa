"""Sets one taint of a short list on a node, which keeps pods off that do not tolerate it; none ends a pod."""

from __future__ import annotations

from tools import checks, nodes, targets
from tools.changes import ChangeSpec


class Args(targets.NodeTarget):
    """Which node, and which taint."""

    taint: nodes.TaintName


CHANGE = ChangeSpec(
    name="taint",
    summary="Set one taint of the catalogue on a node: quarantine, or gpu-only.",
    args=Args,
    wants=lambda args, obj: nodes.taints(obj, args.taint, present=True),
    refusal=lambda args, obj: nodes.taint_refusal(obj, args, args.taint, present=True),
    tier=lambda _args, _obj: "D",
    blast=lambda _args, obj: nodes.closing(obj),
    verification=lambda _args, _obj: (checks.condition("Ready"),),
    guards=nodes.GUARDS,
)
