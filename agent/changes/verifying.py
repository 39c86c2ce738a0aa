"""Whether an applied plan did what it should: three answers, over its window, from evidence read after the write.

Rules: a check that fails is a failure at once; what cannot be read is inconclusive, and inconclusive is never success;
a serving change is also compared with the latency before it. Whatever is not verified goes to a human, with the undo
that was prepared. Two-sample test: Kolmogorov–Smirnov (Smirnov 1948), with the size of the effect beside it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import JsonValue

from agent.analysis import kinds
from agent.analysis.view import View
from agent.changes.engine import Engine, NotNow, dotted, one_line
from agent.changes.looking import QUERIES
from agent.changes.patches import value_at
from agent.changes.plans import Plan, Verification, carries, read
from agent.changes.prediction import DAY, LATENCY, points
from agent.changes.records import Proposal
from agent.changes.states import TRANSITIONS
from tools import fields, targets
from tools.errors import NotFound, PortError, UserError
from tools.types import JsonObject, Scope, ToolCall

Verdict: TypeAlias = Literal["holds", "fails", "inconclusive"]
LEAST = 12
"""Points of latency on either side from which two stretches are compared: an hour of one replica."""
WORSE = 1.2
"""How much the median may grow: the D08 rule of a fifth."""
ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Seen:
    """What one check says, and why."""

    verdict: Verdict
    because: str


async def verify(engine: Engine, name: str) -> Proposal:
    """Look at an applied proposal: verified, or with a human, or (NotNow) too early to tell.

    Raises UserError for a proposal that is not applied, LedgerDown, AuditUnavailable.
    """
    row = engine.proposal(name)
    if row.state != "applied":
        raise UserError(f"proposal {row.id} is {row.state}, so there is nothing to verify", hint="apply it first")
    plan = read(row.plan.encode(), digest=row.digest)
    at = await engine.writer.server_time()
    done = _applied_at(engine, row)
    checks, since = await _checks(engine, plan, done, at)
    engine.audit.append(
        "verify", {"proposal": row.id, "digest": row.digest, "seen": [[c.verdict, c.because] for _, c in checks]}
    )
    failed = [one.because for _, one in checks if one.verdict == "fails"]
    if failed:
        return engine.move(row, "escalate", at=at, note=f"failed: {failed[0]}; undo it with `proposals undo {row.id}`")
    ends = done + max((one.settle + one.window for one in plan.verification), default=0.0)
    if at < ends:
        raise NotNow(
            f"{row.id}: nothing speaks against it so far; it is looked at until {fields.rfc3339(ends)}",
            hint=f"verify it again then ({since})",
        )
    open_ = [one.because for _, one in checks if one.verdict == "inconclusive"]
    if open_ or not plan.verification:
        why = open_[0] if open_ else "the plan names nothing to look at"
        return engine.move(row, "escalate", at=at, note=f"inconclusive: {why}")
    row = engine.move(row, "pass", at=at, note="; ".join(one.because for _, one in checks)[:400])
    if plan.undoes:
        _undone(engine, plan, at)
    return row


def _undone(engine: Engine, plan: Plan, at: float) -> None:
    """What this plan undoes is undone once that was seen."""
    undone = engine.proposal(plan.undoes)
    if (undone.state, "undo") in TRANSITIONS:
        engine.move(undone, "undo", at=at, note=f"undone by {plan.proposal}, and seen to be")


def _applied_at(engine: Engine, row: Proposal) -> float:
    moves = [move.at for move in engine.ledger.moves(proposal=row.id) if move.move == "done"]
    return moves[-1] if moves else row.at


async def _checks(engine: Engine, plan: Plan, done: float, at: float) -> tuple[list[tuple[str, Seen]], str]:
    """Every check with what it says, and from when on they count."""
    try:
        obj = await engine.writer.get(plan.target)
    except NotFound:
        return [("object", Seen("fails", f"{plan.target} is not there any more"))], "now"
    except PortError as error:
        return [("object", Seen("inconclusive", f"{plan.target} cannot be read: {one_line(error)}"))], "now"
    if fields.text(obj, "metadata", "uid") != plan.target.uid:
        return [("object", Seen("fails", f"{plan.target} was deleted and made again"))], "now"
    if not carries(obj, plan):
        return [("object", Seen("inconclusive", f"{plan.target} has been changed by another plan since"))], "now"
    view = await _view(engine, plan, at)
    out = [(_name(one), _judge(one, plan, obj, view, done, at)) for one in plan.verification if at >= done + one.settle]
    if plan.target.kind_ref in targets.SERVED:
        out.append(("latency", latency(await _view(engine, plan, done), view, plan, done)))
    waits = [one.settle for one in plan.verification if at < done + one.settle]
    return out, f"{len(waits)} of {len(plan.verification)} checks count later" if waits else "all checks count"


def _name(one: Verification) -> str:
    return one.query or one.condition or dotted(one.field)


async def _view(engine: Engine, plan: Plan, at: float) -> View:
    names = dict.fromkeys([*(one.query for one in plan.verification if one.query), LATENCY.name])
    calls = [ToolCall(tool="named_query", args={"name": name}) for name in names]
    if plan.target.namespace:
        for kind in (kinds.POD, kinds.REPLICA_SET, plan.target.kind_ref):
            args: JsonObject = {"group": kind.group, "kind": kind.kind, "namespace": plan.target.namespace}
            calls.append(ToolCall(tool="list_objects", args=args))
    gathered = await engine.look(calls, at=at)
    return View(gathered, now=at, scope=Scope(asked=str(plan.target), subject=plan.target, namespaces=None))


def _judge(one: Verification, plan: Plan, obj: JsonObject, view: View, done: float, at: float) -> Seen:
    if one.query:
        return _by_query(one, plan, view, done)
    if one.condition:
        found = next(
            (c for c in fields.items(obj, "status", "conditions") if fields.text(c, "type") == one.condition), None
        )
        status: JsonValue = fields.text(found, "status") if found is not None else None
        return _compared(one, status, f"condition {one.condition}")
    value = value_at(obj, one.field)
    return _compared(one, value.value if value.present else 0.0, dotted(one.field))


def _by_query(one: Verification, plan: Plan, view: View, done: float) -> Seen:
    """Every pod of the target that the query measures has to hold; one that is not measured leaves it open."""
    query = QUERIES.get(one.query)
    if query is None:
        return Seen("inconclusive", f"there is no query {one.query}")
    pods = view.pods_of(plan.target)
    rows = view.rows_for(query, pods)
    if not pods or not rows:
        return Seen("inconclusive", f"{one.query}: nothing of {plan.target} is measured ({view.state(query)})")
    values = [row.value for row in rows if row.value is not None]
    values += [value for row in rows for moment, value in row.points if moment >= done + one.settle]
    judged = [_compared(one, value, one.query) for value in values]
    worst = next((seen for seen in judged if seen.verdict == "fails"), None)
    if worst is not None:
        return worst
    missing = {pod.ref.name for pod in pods if fields.text(pod.data, "status", "phase") == "Running"}
    missing -= {row.label("pod") for row in rows}
    if missing or not judged or any(seen.verdict == "inconclusive" for seen in judged):
        return Seen("inconclusive", f"{one.query} does not measure {', '.join(sorted(missing)[:3]) or 'its pods'}")
    return Seen("holds", f"{one.query} {one.comparator} {one.bound} on {len(rows)} pods")


def _compared(one: Verification, value: JsonValue, what: str) -> Seen:
    if isinstance(value, bool) and not isinstance(one.bound, str):
        value = float(value)
    if isinstance(one.bound, str):
        if value is None:
            return Seen("inconclusive", f"{what} is not reported")
        return Seen("holds" if value == one.bound else "fails", f"{what} is {value}, wanted {one.bound}")
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return Seen("inconclusive", f"{what} is no number")
    number, bound = float(value), one.bound
    holds = {"<=": number <= bound, ">=": number >= bound, "==": number == bound}[one.comparator]
    return Seen("holds" if holds else "fails", f"{what} is {number:g}, wanted {one.comparator} {bound:g}")


# --- latency -----------------------------------------------------------------------------------------------------


def latency(past: View, view: View, plan: Plan, done: float) -> Seen:
    """Whether time to first token grew with the change; open where only one side of it was measured.

    `past`: the same as of the moment of the write.
    """
    before = [value for moment, value in _latencies(past, plan) if done - DAY <= moment < done]
    after = [value for moment, value in _latencies(view, plan) if moment >= done]
    if not before and not after:
        return Seen("holds", "latency is not measured here, before or after")
    if len(before) < LEAST or len(after) < LEAST:
        return Seen("inconclusive", f"latency: {len(before)} points before and {len(after)} after are too few")
    grown = _median(after) / _median(before)
    if grown > WORSE and _differ(before, after):
        return Seen("fails", f"first token p95 grew {grown:.2f} × ({_median(before):.3g} → {_median(after):.3g} s)")
    return Seen("holds", f"first token p95 {_median(before):.3g} → {_median(after):.3g} s")


def _latencies(view: View, plan: Plan) -> list[tuple[float, float]]:
    """Points of the target's pods, and of those that are gone: by name, unless another workload has it now."""
    target = plan.target
    own = {pod.ref.name for pod in view.pods_of(target)}
    others = {pod.ref.name for pod in view.objects(kinds.POD) if pod.ref.namespace == target.namespace} - own
    rows = [row for row in view.rows(LATENCY) if row.label("namespace") == target.namespace]
    mine = [row for row in rows if row.label("pod") in own or row.label("pod").startswith(f"{target.name}-")]
    found = points(row for row in mine if row.label("pod") not in others)
    return [point for series in found.values() for point in series.items()]


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _differ(one: Sequence[float], other: Sequence[float]) -> bool:
    """True where the two samples come from different distributions, at the level ALPHA."""
    left, right = sorted(one), sorted(other)
    shares = ((bisect_right(left, v) / len(left), bisect_right(right, v) / len(right)) for v in (*left, *right))
    distance = max(abs(a - b) for a, b in shares)
    critical = math.sqrt(-math.log(ALPHA / 2) / 2) * math.sqrt((len(left) + len(right)) / (len(left) * len(right)))
    return distance > critical
