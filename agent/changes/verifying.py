"""Whether a change did what its plan says: held, failed or inconclusive, over a window, with fresh evidence.

Rules: nothing counts before a check's settling time; a check that failed once has failed; what was not watched for the
whole window, or not measured, is inconclusive, and inconclusive is never a success: a human decides then. A change of
something that serves must also not have made it slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import JsonValue

from agent.changes import observing
from agent.changes.engine import Engine, one_line
from agent.changes.ledger import Raced
from agent.changes.plans import Plan, Verification, read
from agent.changes.preview import foreign_change
from agent.changes.records import Proposal
from tools import fields
from tools.errors import NotFound, NotServed, PortError
from tools.types import JsonObject

GRACE = 3600.0
"""Seconds beyond its window after which a check that could not be made is inconclusive."""
MAX_GAP = 120.0
"""Seconds between two looks at most; of a longer window a fifth of it."""
Status: TypeAlias = Literal["held", "failed", "inconclusive", "pending"]
_WORST: tuple[Status, ...] = ("failed", "pending", "inconclusive", "held")


@dataclass(frozen=True, slots=True)
class Check:
    """How one check stands."""

    status: Status
    text: str


async def verify(engine: Engine, name: str, *, heard: Callable[[Sequence[Check]], None] = lambda _: None) -> Proposal:
    """Look once, and move an applied proposal where its checks are decided; it stays applied while they are not.

    `heard` is told how each check stands.

    Raises Raced for a proposal that is not applied, PortError where the cluster's clock cannot be read.
    """
    row = engine.proposal(name)
    if row.state != "applied":
        raise Raced(f"proposal {row.id} is {row.state}, not applied")
    at = await engine.writer.server_time()
    found = await look(engine, row, at)
    heard(found)
    worst = min((check.status for check in found), key=_WORST.index)
    if worst == "pending":
        return row
    note = "; ".join(check.text for check in found if check.status == worst)
    if worst != "held":
        word = "failed" if worst == "failed" else "inconclusive"
        return engine.move(row, "escalate", at=at, note=f"verification {word}: {note}")
    row = engine.move(row, "pass", at=at, note=note)
    if row.undoes:
        undone = engine.proposal(row.undoes)
        engine.move(undone, "undo", at=at, note=f"undone by {row.id}, verified")
    return row


async def look(engine: Engine, row: Proposal, at: float) -> list[Check]:
    """Every check of an applied proposal as it stands now; what was seen is kept for the next look."""
    plan = read(row.plan.encode(), digest=row.digest)
    since = _applied_at(engine, row)
    key = f"watch/{row.id}"
    seen = dict(engine.ledger.document(key) or {})
    try:
        obj = await engine.writer.get(plan.target)
    except (NotFound, NotServed):
        return [Check("failed", f"{plan.target} is not there any more")]
    except PortError as error:
        return _unreadable(plan, since, at, one_line(error))
    if fields.text(obj, "metadata", "uid") != plan.target.uid:
        return [Check("failed", f"{plan.target} was deleted and made again")]
    if reason := foreign_change(plan, obj):
        return [Check("inconclusive", reason)]
    found = [Check("held", "the fields stand as they were set")]
    for number, wanted in enumerate(plan.verification):
        if wanted.query:
            found.append(await _query(engine, plan, wanted, since, at))
        else:
            found.append(_field(wanted, obj, seen, str(number), since, at))
    engine.ledger.put(key, seen, at=at)
    if any(wanted.query for wanted in plan.verification) and all(check.status == "held" for check in found):
        longest = max(wanted.settle + wanted.window for wanted in plan.verification if wanted.query)
        settle = max(wanted.settle for wanted in plan.verification if wanted.query)
        verdict, told = await observing.latency(engine, plan.target, since, since + settle, since + longest)
        found.append(Check(verdict, f"latency: {told}"))
    return found


def _applied_at(engine: Engine, row: Proposal) -> float:
    moves = engine.ledger.moves(proposal=row.id)
    return next((move.at for move in reversed(moves) if move.state == "applied"), row.at)


def _unreadable(plan: Plan, since: float, at: float, why: str) -> list[Check]:
    last = max((wanted.settle + wanted.window for wanted in plan.verification), default=0.0)
    over = at > since + last + GRACE
    return [Check("inconclusive" if over else "pending", f"{plan.target} could not be read: {why}")]


# --- fields and conditions -----------------------------------------------------------------------------------


def _field(wanted: Verification, obj: JsonObject, seen: JsonObject, key: str, since: float, at: float) -> Check:
    """A field or condition, from this look and those before it."""
    name = wanted.condition or ".".join(wanted.field)
    start = since + wanted.settle
    if at < start:
        return Check("pending", f"{name} counts only {start - at:.0f} s from now")
    standing = seen.get(key)
    kept: JsonObject = dict(standing) if isinstance(standing, dict) else {}
    value = _condition(obj, wanted.condition) if wanted.condition else _value(obj, wanted)
    told = f"{name} {wanted.comparator} {wanted.bound} (seen: {value})"
    if kept.get("failed") or (value is not None and not holds(value, wanted)):
        seen[key] = {**kept, "failed": kept.get("failed") or told}
        return Check("failed", str(kept.get("failed") or told))
    if value is not None:
        last, first = fields.number(kept, "last"), fields.number(kept, "first")
        unbroken = first is not None and last is not None and at - last <= max(MAX_GAP, wanted.window / 5)
        kept = {**kept, "begun": kept.get("begun", at), "first": first if unbroken else at, "last": at}
        seen[key] = kept
    first, last = fields.number(kept, "first"), fields.number(kept, "last")
    if kept.get("held") or (first is not None and last is not None and last - first >= wanted.window):
        seen[key] = {**kept, "held": True}
        return Check("held", told)
    begun = fields.number(kept, "begun")
    until = max(start, start if begun is None else begun) + wanted.window + GRACE
    if at > until:
        return Check("inconclusive", f"{name} was not watched for {wanted.window:.0f} s on end")
    return Check("pending", told)


def _condition(obj: JsonObject, name: str) -> str | None:
    """Its status; None where its controller has not seen the object as it is."""
    generation = fields.number(obj, "metadata", "generation")
    of_all = fields.number(obj, "status", "observedGeneration")
    for one in fields.items(obj, "status", "conditions"):
        if fields.text(one, "type") == name:
            own = fields.number(one, "observedGeneration")
            observed = of_all if own is None else own
            stale = generation is not None and observed is not None and observed < generation
            return None if stale else fields.text(one, "status")
    return None


def _value(obj: JsonObject, wanted: Verification) -> float | str | None:
    found: JsonValue = fields.dig(obj, *wanted.field)
    if isinstance(wanted.bound, str):
        return found if isinstance(found, str) else ""
    if isinstance(found, bool):
        return float(found)
    return 0.0 if found is None else fields.number(found)


def holds(value: float | str, wanted: Verification) -> bool:
    """True where a value is what is wanted; text and numbers never compare."""
    bound = wanted.bound
    if isinstance(value, str) or isinstance(bound, str):
        return wanted.comparator == "==" and value == bound
    return {"<=": value <= bound, ">=": value >= bound, "==": value == bound}[wanted.comparator]


# --- queries -------------------------------------------------------------------------------------------------


async def _query(engine: Engine, plan: Plan, wanted: Verification, since: float, at: float) -> Check:
    """A named query over the window, asked anew from its beginning to now."""
    start, end = since + wanted.settle, since + wanted.settle + wanted.window
    if at < start:
        return Check("pending", f"{wanted.query} counts only {start - at:.0f} s from now")
    seen = await observing.over(engine, plan.target, wanted.query, start, min(at, end))
    bad = [(pod, value) for pod, moment, value in seen.values if not holds(value, wanted)]
    if bad:
        pod, value = bad[0]
        return Check("failed", f"{wanted.query} was {value:g} at {pod}, wanted {wanted.comparator} {wanted.bound}")
    if at < end:
        return Check("pending", f"{wanted.query} {wanted.comparator} {wanted.bound} so far")
    if seen.missing:
        return Check("inconclusive", f"{wanted.query}: {seen.missing}")
    return Check("held", f"{wanted.query} {wanted.comparator} {wanted.bound} for {wanted.window / 3600:.3g} h")
