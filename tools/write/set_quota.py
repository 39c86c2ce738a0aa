"""Sets how much of one resource of one flavor a Kueue ClusterQueue may use.

Rules: the flavor and the resource are there already; quota falls by at most a quarter in one change and never below
what is in use; it may at most double. Borrowing and lending limits stay.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import JsonValue, StringConstraints

from tools import checks, fields, targets
from tools.arguments import Subdomain
from tools.changes import Blast, ChangeSpec, Verification, Wanted
from tools.types import JsonObject
from tools.workloads import GPU_RESOURCE, MAX_FALL

_GROUPS = ("spec", "resourceGroups")


class Args(targets.ClusterTarget):
    """Which ClusterQueue, flavor and resource, and the quota."""

    KINDS = (targets.CLUSTER_QUEUE,)

    flavor: Subdomain
    resource: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9./-]{0,98}[a-z0-9])?$")]
    quota: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,6}(m|Mi|Gi|Ti)?$")]


def _of_flavor(args: Args, flavors: list[JsonObject]) -> list[JsonObject]:
    """The entries about the resource in a list of flavors."""
    resources = [fields.items(one, "resources") for one in flavors if fields.text(one, "name") == args.flavor]
    return [one for some in resources for one in some if fields.text(one, "name") == args.resource]


def _quotas(args: Args, obj: JsonObject) -> list[JsonObject]:
    flavors = [flavor for group in fields.items(obj, *_GROUPS) for flavor in fields.items(group, "flavors")]
    return _of_flavor(args, flavors)


def _wants(args: Args, obj: JsonObject) -> tuple[Wanted, ...]:
    found = _quotas(args, obj)
    if len(found) != 1:
        return ()
    if fields.number(found[0], "nominalQuota") == fields.quantity(args.quota):
        return (Wanted(path=_GROUPS, value=fields.dig(obj, *_GROUPS)),)
    plain = isinstance(found[0].get("nominalQuota"), int) and args.quota.isdigit()
    made: JsonObject = {**found[0], "nominalQuota": int(args.quota) if plain else args.quota}
    return (Wanted(path=_GROUPS, value=_swapped(fields.dig(obj, *_GROUPS), found[0], made)),)


def _swapped(value: JsonValue, old: JsonObject, new: JsonObject) -> JsonValue:
    """The same lists with that one entry replaced."""
    if value is old:
        return new
    if isinstance(value, list):
        return [_swapped(one, old, new) for one in value]
    return {key: _swapped(one, old, new) for key, one in value.items()} if isinstance(value, dict) else value


def _amounts(args: Args, obj: JsonObject) -> tuple[float, float]:
    found = _quotas(args, obj)
    return (fields.number(found[0], "nominalQuota") or 0.0) if found else 0.0, fields.quantity(args.quota) or 0.0


def _refusal(args: Args, obj: JsonObject) -> str:
    ref, found = args.ref, _quotas(args, obj)
    if len(found) != 1:
        return f"{ref} has {len(found) or 'no'} quotas of that flavor and resource"
    before, after = _amounts(args, obj)
    used = max((fields.number(one, "total") or 0.0 for one in _usage(args, obj)), default=0.0)
    if after < before and after < used:
        return f"{used:g} of the quota are in use"
    if after < before and before - after > max(_least(args), before * MAX_FALL):
        return f"a quota may fall by at most a quarter in one change: it is {before:g}"
    if before and after > before * 2:
        return f"a quota may at most double in one change: it is {before:g}"
    return ""


def _least(args: Args) -> float:
    """What can always be taken away: one GPU."""
    return 1.0 if GPU_RESOURCE.match(args.resource) else 0.0


def _usage(args: Args, obj: JsonObject) -> list[JsonObject]:
    flavors = [*fields.items(obj, "status", "flavorsUsage"), *fields.items(obj, "status", "flavorsReservation")]
    return _of_flavor(args, flavors)


def _blast(args: Args, obj: JsonObject) -> Blast:
    before, after = _amounts(args, obj)
    return Blast(gpus_before=before, gpus_after=after) if GPU_RESOURCE.match(args.resource) else Blast()


def _verification(_args: Args, obj: JsonObject) -> tuple[Verification, ...]:
    return (checks.condition("Active"), *checks.seen(obj))


CHANGE = ChangeSpec(
    name="set_quota",
    summary="Set the quota of one resource in one flavor of a Kueue ClusterQueue.",
    args=Args,
    wants=_wants,
    refusal=_refusal,
    tier=lambda _args, _obj: "C",
    blast=_blast,
    verification=_verification,
    guards=(("spec", "cohort"), ("spec", "cohortName"), ("spec", "stopPolicy")),
)
