"""Lets pods share the GPUs of a node, or not, through the label that chooses the device plugin's configuration.

Rule: which configurations there are is the platform's business (a ConfigMap of the device plugin): the name must be
one, and one the plugin does not know leaves the node without GPUs, which the verification would show.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from tools import checks, fields, nodes, targets
from tools.changes import Blast, ChangeSpec, Verification, Wanted
from tools.types import JsonObject

LABEL = "nvidia.com/device-plugin.config"
_COUNT = ("status", "allocatable", "nvidia.com/gpu")


class Args(targets.NodeTarget):
    """Which node, and the name of the device plugin's configuration."""

    config: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]


def _wants(args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    return (Wanted(path=(*nodes.LABELS, LABEL), value=args.config),)


def _refusal(args: Args, obj: JsonObject) -> str:
    if not nodes.gpus(obj):
        return f"{args.ref} offers no GPUs"
    if not fields.flag(obj, *nodes.UNSCHEDULABLE):
        return f"the GPUs of {args.ref} register anew: cordon and drain it first"
    return nodes.refusal(obj, args)


def _verification(_args: Args, _obj: JsonObject) -> tuple[Verification, ...]:
    return (
        Verification(field=_COUNT, comparator=">=", bound=1.0, settle=300.0, window=checks.STEADY),
        checks.condition("Ready"),
    )


CHANGE = ChangeSpec(
    name="set_time_slicing",
    summary="Choose the device plugin's configuration of a cordoned node: how many pods share a GPU.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "D",
    blast=lambda _args, obj: Blast(gpus_before=nodes.gpus(obj)),
    verification=_verification,
    guards=nodes.GUARDS,
)
