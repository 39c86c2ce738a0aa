"""Takes one taint of a short list off a node; every other taint stays."""

from __future__ import annotations

from tools import checks, nodes, targets
from tools.changes import ChangeSpec


class Args(targets.NodeTarget):
    """Which node, and which taint."""

    taint: nodes.TaintName


CHANGE = ChangeSpec(
    name="untaint",
    summary="Take one taint of the catalogue off a node.",
    args=Args,
    wants=lambda args, obj: nodes.taints(obj, args.taint, present=False),
    refusal=lambda args, obj: nodes.taint_refusal(obj, args, args.taint, present=False),
    tier=lambda _args, _obj: "D",
    blast=lambda _args, obj: nodes.opening(obj),
    verification=lambda _args, _obj: (checks.condition("Ready"),),
    guards=nodes.GUARDS,
)
