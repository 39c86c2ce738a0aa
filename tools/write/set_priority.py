"""Gives a job that waits another Kueue WorkloadPriorityClass.

Rule: only while it is suspended; Kueue keeps the priority of a job that runs.
"""

from __future__ import annotations

from tools import checks, fields, jobs, targets
from tools.arguments import Subdomain
from tools.changes import Blast, ChangeSpec, Wanted
from tools.types import JsonObject


class Args(targets.Target):
    """Which job, and its WorkloadPriorityClass."""

    KINDS = targets.JOBS

    priority_class: Subdomain


def _wants(args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    return (Wanted(path=("metadata", "labels", jobs.PRIORITY_LABEL), value=args.priority_class),)


def _refusal(args: Args, obj: JsonObject) -> str:
    if jobs.is_done(obj):
        return f"{args.ref} has ended"
    if not fields.strings(obj, "metadata", "labels").get(jobs.QUEUE_LABEL):
        return f"{args.ref} waits in no Kueue queue"
    return (
        ""
        if jobs.is_suspended(obj, args.ref.kind_ref)
        else f"{args.ref} runs: Kueue keeps the priority of a job that runs"
    )


CHANGE = ChangeSpec(
    name="set_priority",
    summary="Give a suspended job another Kueue WorkloadPriorityClass.",
    args=Args,
    kinds=Args.KINDS,
    target=lambda args: args.ref,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "C",
    blast=lambda _args, _obj: Blast(),
    verification=lambda args, _obj: (checks.stands(("metadata", "labels", jobs.PRIORITY_LABEL), args.priority_class),),
    guards=(*jobs.GUARDS, ("spec", "suspend"), ("spec", "runPolicy", "suspend")),
)
