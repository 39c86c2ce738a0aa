"""Lets a suspended job go on: its pods start again, from their last checkpoint where they keep one.

Rule: what has ended, or waits for quota in Kueue, is not touched.
"""

from __future__ import annotations

from tools import jobs, targets
from tools.changes import ChangeSpec


class Args(targets.Target):
    """Which job goes on."""

    KINDS = jobs.KINDS


CHANGE = ChangeSpec(
    name="resume",
    summary="Let a suspended job go on, or activate its Kueue Workload again.",
    args=Args,
    wants=lambda args, _obj: jobs.wanted(args.ref.kind_ref, suspended=False),
    refusal=lambda args, obj: jobs.refusal(obj, args.ref, suspended=False),
    tier=lambda _args, _obj: "A",
    blast=lambda args, obj: jobs.blast(obj, args.ref.kind_ref, suspended=False),
    verification=lambda args, _obj: jobs.verification(args.ref.kind_ref, suspended=False),
    guards=jobs.GUARDS,
)
