"""Lets new pods onto a node again. Rule: only a node that is ready, and that nobody works on."""

from __future__ import annotations

from tools import checks, fields, nodes, targets
from tools.changes import ChangeSpec, Verification, Wanted
from tools.types import JsonObject


class Args(targets.NodeTarget):
    """Which node."""


def _wants(_args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    return (Wanted(path=nodes.UNSCHEDULABLE, value=None),)


def _refusal(args: Args, obj: JsonObject) -> str:
    if not fields.flag(obj, *nodes.UNSCHEDULABLE):
        return f"{args.ref} is not cordoned"
    ready = [
        fields.text(one, "status")
        for one in fields.items(obj, "status", "conditions")
        if fields.text(one, "type") == "Ready"
    ]
    return nodes.refusal(obj, args) or ("" if ready == ["True"] else f"{args.ref} is not ready")


def _verification(_args: Args, _obj: JsonObject) -> tuple[Verification, ...]:
    return (checks.condition("Ready"),)


CHANGE = ChangeSpec(
    name="uncordon",
    summary="Let new pods onto a cordoned node again.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "D",
    blast=lambda _args, obj: nodes.opening(obj),
    verification=_verification,
    guards=nodes.GUARDS,
)
