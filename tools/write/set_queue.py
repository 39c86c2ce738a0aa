"""Puts a job that waits into another Kueue queue.

Rule: only while it is suspended; Kueue keeps the queue of a job that runs.
"""

from __future__ import annotations

from tools import checks, jobs, targets
from tools.arguments import Subdomain
from tools.changes import Blast, ChangeSpec, Wanted
from tools.types import JsonObject


class Args(targets.Target):
    """Which job, and the LocalQueue it should wait in."""

    KINDS = targets.JOBS

    queue: Subdomain


def _wants(args: Args, _obj: JsonObject) -> tuple[Wanted, ...]:
    return (Wanted(path=("metadata", "labels", jobs.QUEUE_LABEL), value=args.queue),)


def _refusal(args: Args, obj: JsonObject) -> str:
    if jobs.is_done(obj):
        return f"{args.ref} has ended"
    return (
        ""
        if jobs.is_suspended(obj, args.ref.kind_ref)
        else f"{args.ref} runs: Kueue keeps the queue of a job that runs"
    )


CHANGE = ChangeSpec(
    name="set_queue",
    summary="Put a suspended job into another Kueue LocalQueue of its namespace.",
    args=Args,
    kinds=Args.KINDS,
    target=lambda args: args.ref,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "C",
    blast=lambda _args, _obj: Blast(),
    verification=lambda args, _obj: (checks.stands(("metadata", "labels", jobs.QUEUE_LABEL), args.queue),),
    guards=(("spec", "suspend"), ("spec", "runPolicy", "suspend")),
)
