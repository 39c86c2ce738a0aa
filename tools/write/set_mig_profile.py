"""Divides the GPUs of a node into MIG slices, through the label that the MIG manager follows.

Rules: the layouts are those that NVIDIA's MIG manager ships; the node is cordoned first, because every GPU pod on it
ends; a node whose GPUs cannot be divided is refused.
"""

from __future__ import annotations

from typing import Literal

from tools import checks, fields, nodes, targets
from tools.changes import Blast, ChangeSpec, Verification, Wanted
from tools.types import JsonObject

LABEL = "nvidia.com/mig.config"


class Args(targets.NodeTarget):
    """Which node, and the layout of its GPUs."""

    profile: Literal[
        "all-disabled", "all-balanced",
        "all-1g.5gb", "all-2g.10gb", "all-3g.20gb", "all-7g.40gb",
        "all-1g.10gb", "all-1g.20gb", "all-2g.20gb", "all-3g.40gb", "all-4g.40gb", "all-7g.80gb",
    ]  # fmt: skip


def _wants(args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    return (Wanted(path=(*nodes.LABELS, LABEL), value=args.profile),)


def _refusal(args: Args, obj: JsonObject) -> str:
    if fields.strings(obj, *nodes.LABELS).get("nvidia.com/mig.capable") != "true":
        return f"{args.ref} has no GPUs that can be divided"
    if not fields.flag(obj, *nodes.UNSCHEDULABLE):
        return f"every GPU pod on {args.ref} would end: cordon and drain it first"
    return nodes.refusal(obj, args)


def _verification(_args: Args, _obj: JsonObject) -> tuple[Verification, ...]:
    return (checks.stands((*nodes.LABELS, nodes.MIG_STATE), "success", settle=checks.ROLLOUT),)


CHANGE = ChangeSpec(
    name="set_mig_profile",
    summary="Divide the GPUs of a cordoned node into MIG slices of one layout.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "D",
    blast=lambda _args, obj: Blast(gpus_before=nodes.gpus(obj), restarts=True),
    verification=_verification,
    guards=(*nodes.GUARDS, (*nodes.LABELS, "nvidia.com/mig.capable")),
)
