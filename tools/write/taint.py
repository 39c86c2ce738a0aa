"""Sets one taint of a short list on a node, which keeps pods off that do not tolerate it; none ends a pod."""

from __future__ import annotations

from tools import checks, nodes, targets
from tools.changes import ChangeSpec
from tools.types import JsonObject


class Args(targets.NodeTarget):
    """Which node, and which taint."""

    taint: nodes.TaintName


def _refusal(args: Args, obj: JsonObject) -> str:
    if nodes.has_taint(obj, args.taint) is True:
        return f"{args.ref} has that taint already"
    return nodes.refusal(obj, args)


CHANGE = ChangeSpec(
    name="taint",
    summary="Set one taint of the catalogue on a node: quarantine, or gpu-only.",
    args=Args,
    kinds=(targets.NODE,),
    target=lambda args: args.ref,
    wants=lambda args, obj: nodes.taints(obj, args.taint, present=True),
    refusal=_refusal,
    tier=lambda _args, _obj: "D",
    blast=lambda _args, obj: nodes.closing(obj),
    verification=lambda _args, _obj: (checks.condition("Ready"),),
    guards=nodes.GUARDS,
)
