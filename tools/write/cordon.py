"""Keeps new pods off a node; what runs there stays. Rule: never a node of the control plane."""

from __future__ import annotations

from tools import checks, nodes, targets
from tools.changes import ChangeSpec, Verification, Wanted
from tools.types import JsonObject


class Args(targets.NodeTarget):
    """Which node."""


def _wants(_args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    return (Wanted(path=nodes.UNSCHEDULABLE, value=True, absent=False),)


def _verification(_args: Args, _obj: JsonObject) -> tuple[Verification, ...]:
    return (checks.stands(nodes.UNSCHEDULABLE, 1.0, settle=0.0),)


CHANGE = ChangeSpec(
    name="cordon",
    summary="Keep new pods off one node; what runs there stays.",
    args=Args,
    wants=_wants,
    refusal=lambda args, obj: nodes.refusal(obj, args),
    tier=lambda _args, _obj: "D",
    blast=lambda _args, obj: nodes.closing(obj),
    verification=_verification,
    guards=nodes.GUARDS,
)
