"""Stops an idle notebook as Kubeflow's own culler does: its pod ends, its volumes stay, its owner can start it again.

Rule: the annotation's value is a time that is given, because nothing here reads a clock.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from tools import checks, fields, targets, workloads
from tools.changes import Blast, ChangeSpec, Verification, Wanted
from tools.types import JsonObject

ANNOTATION = "kubeflow-resource-stopped"


class Args(targets.Target):
    """Which notebook, and since when it counts as stopped (RFC 3339, UTC)."""

    KINDS = (targets.NOTEBOOK,)

    at: Annotated[
        str,
        StringConstraints(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$"),
    ]


def _wants(args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    return (Wanted(path=("metadata", "annotations", ANNOTATION), value=args.at),)


def _refusal(args: Args, obj: JsonObject) -> str:
    stopped = ANNOTATION in fields.mapping(obj, "metadata", "annotations")
    return f"{args.ref} is stopped already" if stopped else ""


def _blast(_args: Args, obj: JsonObject) -> Blast:
    held = workloads.gpus_of_pod(fields.mapping(obj, "spec", "template", "spec"))
    return Blast(replicas_before=1, replicas_after=0, gpus_before=held, gpus_after=0.0, restarts=True)


def _verification(_args: Args, _obj: JsonObject) -> tuple[Verification, ...]:
    return (checks.stands(("status", "readyReplicas"), 0.0, settle=300.0),)


CHANGE = ChangeSpec(
    name="stop_notebook",
    summary="Stop an idle notebook; its volumes stay and its owner can start it again.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "B",
    blast=_blast,
    verification=_verification,
    guards=(("metadata", "annotations", ANNOTATION),),
)
