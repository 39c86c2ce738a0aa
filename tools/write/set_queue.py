"""Puts a job that waits into another Kueue queue.

Rule: only while it is suspended; Kueue keeps the queue of a job that runs.
"""

from __future__ import annotations

from tools import checks, jobs, targets
from tools.arguments import Subdomain
from tools.changes import Blast, ChangeSpec, Wanted

_LABEL = ("metadata", "labels", jobs.QUEUE_LABEL)


class Args(targets.Target):
    """Which job, and the LocalQueue it should wait in."""

    KINDS = targets.JOBS

    queue: Subdomain


CHANGE = ChangeSpec(
    name="set_queue",
    summary="Put a suspended job into another Kueue LocalQueue of its namespace.",
    args=Args,
    wants=lambda args, _obj: (Wanted(path=_LABEL, value=args.queue),),
    refusal=lambda args, obj: jobs.relabel_refusal(obj, args.ref, "queue"),
    tier=lambda _args, _obj: "C",
    blast=lambda _args, _obj: Blast(),
    verification=lambda args, _obj: (checks.stands(_LABEL, args.queue),),
    guards=jobs.SUSPENDED,
)
