"""Suspends a job: its pods end, and the GPUs they hold are free for others.

Rule: what has ended, or is suspended by Kueue through its Workload, is not touched.
"""

from __future__ import annotations

from tools import jobs, targets
from tools.changes import ChangeSpec


class Args(targets.Target):
    """Which job to suspend."""

    KINDS = jobs.KINDS


CHANGE = ChangeSpec(
    name="suspend",
    summary="Suspend a job, or deactivate its Kueue Workload; its pods end.",
    args=Args,
    wants=lambda args, _obj: jobs.wanted(args.ref.kind_ref, suspended=True),
    refusal=lambda args, obj: jobs.refusal(obj, args.ref, suspended=True),
    tier=lambda _args, _obj: "B",
    blast=lambda args, obj: jobs.blast(obj, args.ref.kind_ref, suspended=True),
    verification=lambda args, _obj: jobs.verification(args.ref.kind_ref, suspended=True),
    guards=jobs.GUARDS,
)
