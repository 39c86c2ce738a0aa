"""Takes one taint of a short list off a node; every other taint stays."""

from __future__ import annotations

from tools import checks, nodes, targets
from tools.changes import ChangeSpec
from tools.types import JsonObject


class Args(targets.NodeTarget):
    """Which node, and which taint."""

    taint: nodes.TaintName


def _refusal(args: Args, obj: JsonObject) -> str:
    if nodes.has_taint(obj, args.taint) is False:
        return f"{args.ref} does not have that taint"
    return nodes.refusal(obj, args)


CHANGE = ChangeSpec(
    name="untaint",
    summary="Take one taint of the catalogue off a node.",
    args=Args,
    kinds=(targets.NODE,),
    target=lambda args: args.ref,
    wants=lambda args, obj: nodes.taints(obj, args.taint, present=False),
    refusal=_refusal,
    tier=lambda _args, _obj: "D",
    blast=lambda _args, obj: nodes.opening(obj),
    verification=lambda _args, _obj: (checks.condition("Ready"),),
    guards=nodes.GUARDS,
)
