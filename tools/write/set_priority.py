"""Gives a job that waits another Kueue WorkloadPriorityClass.

Rule: only while it is suspended; Kueue keeps the priority of a job that runs.
"""

from __future__ import annotations

from tools import checks, fields, jobs, targets
from tools.arguments import Subdomain
from tools.changes import Blast, ChangeSpec, Wanted
from tools.types import JsonObject

_LABEL = ("metadata", "labels", jobs.PRIORITY_LABEL)


class Args(targets.Target):
    """Which job, and its WorkloadPriorityClass."""

    KINDS = targets.JOBS

    priority_class: Subdomain


def _refusal(args: Args, obj: JsonObject) -> str:
    if not jobs.is_done(obj) and not fields.strings(obj, "metadata", "labels").get(jobs.QUEUE_LABEL):
        return f"{args.ref} waits in no Kueue queue"
    return jobs.relabel_refusal(obj, args.ref, "priority")


CHANGE = ChangeSpec(
    name="set_priority",
    summary="Give a suspended job another Kueue WorkloadPriorityClass.",
    args=Args,
    wants=lambda args, _obj: (Wanted(path=_LABEL, value=args.priority_class),),
    refusal=_refusal,
    tier=lambda _args, _obj: "C",
    blast=lambda _args, _obj: Blast(),
    verification=lambda args, _obj: (checks.stands(_LABEL, args.priority_class),),
    guards=(*jobs.GUARDS, *jobs.SUSPENDED),
)
