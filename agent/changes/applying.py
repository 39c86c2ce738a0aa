"""From an approved plan to one effective write, and what became of it: safe wherever the process dies.

Rules: claim → read → check → write down → patch once; a patch holds only for the resourceVersion just read, so of two
that are sent one at most takes effect; everything that may stop a write is asked again right before it; an answer
that never came is looked up on the object, never guessed.
"""

from __future__ import annotations

from agent.changes.budget import overspent
from agent.changes.clock import set_back
from agent.changes.engine import Engine, NotNow, one_line
from agent.changes.ledger import Raced
from agent.changes.patches import touched
from agent.changes.plans import BadPlan, Plan, carries, changed, read, request, stale
from agent.changes.preview import Delivered, Unfit, judged
from agent.changes.records import JournalEntry, Point, Proposal
from agent.changes.states import Move
from tools import fields
from tools.errors import CredentialsError, Denied, NotFound, NotServed, PlumblineError, PortError, Refused
from tools.types import JsonObject, canonical
from tools.writing import Conflict, Invalid, Lost, Rejected

TRIES = 5
"""How often an apply starts again because somebody wrote the object meanwhile."""
LOOKS = 3
"""How often an object is read to find out what became of a write."""
SWITCH_SECONDS = 5.0
"""How old the moment may be by which a freeze window was judged when the write leaves."""
Stop = tuple[Move, str]
"""What to do with a claimed proposal that must not be written, and why."""


async def apply(engine: Engine, name: str) -> Proposal:
    """Apply an approved proposal; returns it in the state it reached.

    Raises NotNow where nothing was decided and it is still approved, Raced for one that is not approved, or that
    somebody else claimed, LedgerDown and AuditUnavailable where nothing can be written down: nothing starts.
    """
    row = engine.proposal(name)
    if row.state != "approved":
        raise Raced(f"proposal {row.id} is {row.state}, not approved", hint="only an approved plan is applied")
    try:
        at = await engine.writer.server_time()
        why = await set_back(engine, at) or await engine.brakes.stopped(row.target, at)
        why = why or overspent(engine, row, at) or await _waits(engine, row, at)
    except PortError as error:
        raise NotNow(f"{row.id} cannot be applied now: {one_line(error)}", hint=error.hint) from error
    if row.expires is None or at >= row.expires:
        return engine.move(row, "expire", at=at, note="its approval expired")
    if why:
        raise NotNow(f"{row.id} is not applied now: {why}", hint="it stays approved until it expires")
    engine.audit.append("apply", {"proposal": row.id, "digest": row.digest, "actor": engine.name, "at": at})
    engine.ledger.put(f"applier/{engine.name}", {"proposal": row.id}, at=at)
    row = engine.move(row, "claim", at=at, lease=engine.name, lease_until=at + engine.limits.lease)
    _write_down(engine, row, "claimed", at)
    return await resume(engine, row)


async def resume(engine: Engine, row: Proposal) -> Proposal:
    """Go on with a proposal that this applier has claimed, until it is no longer claimed."""
    for _ in range(TRIES):
        try:
            row = await _attempt(engine, row)
        except (PortError, CredentialsError) as error:
            row = engine.proposal(row.id)
            if row.state == "claimed":
                engine.move(row, "release", at=row.lease_until - engine.limits.lease, note=one_line(error))
            raise NotNow(f"{row.id} was not applied: {one_line(error)}", hint=error.hint) from error
        if row.state != "claimed":
            return row
    at = await engine.writer.server_time()
    return engine.move(row, "release", at=at, note=f"{row.target} is being written all the time")


async def _attempt(engine: Engine, row: Proposal) -> Proposal:
    """One round from fresh read to patch; a proposal that is still claimed may be tried again."""
    at = await engine.writer.server_time()
    try:
        plan = read(row.plan.encode(), digest=row.digest)
    except BadPlan as error:
        return engine.move(row, "refuse", at=at, note=one_line(error))
    obj = await _get(engine, plan)
    if obj is None:
        return engine.move(row, "go stale", at=at, note=f"{plan.target} was deleted")
    _write_down(engine, row, "read", at, resourceVersion=_revision(obj))
    sent = _intents(engine, row)
    if carries(obj, plan) and sent and fields.text(obj, "metadata", "uid") == plan.target.uid:
        row = engine.move(row, "write", at=at, note="a write that was lost sight of took effect")
        return _adopt(engine, row, at)
    stop = (
        await _stop(engine, row, plan, at)
        or await _unfit(engine, row, plan, obj)
        or await _forbidden(engine, row, obj, at)
    )
    if stop is not None:
        return engine.move(row, stop[0], at=at, note=stop[1])
    try:
        after = await engine.writer.dry_run(plan.target, request(plan, obj))
    except Conflict:
        return row
    except (Invalid, Rejected, Denied, Refused, NotFound, NotServed) as error:
        move, note = _verdict(error)
        return engine.move(row, move, at=at, note=note)
    if _bytes(changed(obj, after)) != _bytes(plan.dry_run):
        return engine.move(
            row, "go stale", at=at, note="the API server would now make another change than was approved"
        )
    _write_down(engine, row, "checked", at)
    return await _patch(engine, row, plan, obj)


async def _get(engine: Engine, plan: Plan) -> JsonObject | None:
    try:
        return await engine.writer.get(plan.target)
    except NotFound:
        return None


async def _unfit(engine: Engine, row: Proposal, plan: Plan, obj: JsonObject) -> Stop | None:
    """Why a plan no longer fits what was read."""
    if plan.proposal != row.id:
        return "refuse", "the plan was made for another proposal"
    if carries(obj, plan):
        return "go stale", f"{plan.target} bears the mark of this plan, which was never sent"
    if await engine.writer.cluster_uid() != plan.cluster:
        return "go stale", "this is another cluster than the one the plan was made for"
    reason = stale(plan, obj, policy=engine.policy())
    return ("go stale", reason) if reason else None


async def _forbidden(engine: Engine, row: Proposal, obj: JsonObject, at: float) -> Stop | None:
    """What would refuse the proposal if it were previewed now: budgets, floors, owners and readiness may have moved."""
    try:
        await judged(engine, row, obj, at)
    except Delivered as delivered:
        return "go stale", one_line(delivered)
    except Unfit as unfit:
        return "release", str(unfit)
    except NotNow as not_now:
        return "release", one_line(not_now)
    return None


async def _waits(engine: Engine, row: Proposal, at: float) -> str:
    """Why a plan that still fits has to wait, in one line; "" where it may be claimed, or the claim will tell more."""
    try:
        plan = read(row.plan.encode(), digest=row.digest)
    except BadPlan:
        return ""
    obj = await _get(engine, plan)
    if obj is None or carries(obj, plan) or await _unfit(engine, row, plan, obj):
        return ""
    stop = await _forbidden(engine, row, obj, at)
    return stop[1] if stop and stop[0] == "release" else ""


async def _stop(engine: Engine, row: Proposal, plan: Plan, at: float) -> Stop | None:
    """What stands in the way of a write at this moment: kill switch, window, expiry, approvals, lease."""
    if reason := await engine.brakes.stopped(plan.target, at):
        return "release", reason
    began, at = at, await engine.writer.server_time()  # reading the switch takes its time
    if at >= plan.expires:
        return "expire", "its approval expired"
    if reason := engine.quorum(row, plan, at):
        return "revoke", reason
    if row.lease != engine.name or at >= row.lease_until:
        return "release", "the claim on it ran out"
    if at - began > SWITCH_SECONDS:
        return "release", f"reading the kill switch took {at - began:.0f} s"
    return None


# --- the write -----------------------------------------------------------------------------------------------


async def _patch(engine: Engine, row: Proposal, plan: Plan, obj: JsonObject) -> Proposal:
    """Write the intent down, ask once more whether it may be, and send the patch once."""
    at = await engine.writer.server_time()
    entry: JsonObject = {"proposal": row.id, "digest": row.digest, "target": str(plan.target), "at": at}
    body = request(plan, obj, head=engine.audit.append("write", entry))
    _write_down(engine, row, "intent", at, resourceVersion=_revision(obj), digest=row.digest)
    row = engine.move(row, "write", at=at, lease_until=at + engine.limits.lease)
    try:
        over = overspent(engine, row, at)
        at = await engine.writer.server_time()
        stop: Stop | None = ("release", over) if over else await _stop(engine, row, plan, at)
        if stop is not None:
            row = _back(engine, row, at, stop[1])
            return engine.move(row, stop[0], at=at, note=stop[1])
        after = await engine.writer.patch(plan.target, body)
    except Lost as error:
        return await settle(engine, row, plan, why=one_line(error))
    except Conflict as error:
        return _back(engine, row, at, one_line(error))
    except (Invalid, Rejected, Denied, Refused, NotFound, NotServed) as error:
        move, note = _verdict(error)
        return engine.move(row, move, at=at, note=note)
    except (PortError, CredentialsError) as error:  # by the port's contract, nothing was written
        _back(engine, row, at, one_line(error))
        raise
    _write_down(engine, row, "answered", at, resourceVersion=_revision(after))
    row = engine.move(row, "done", at=at)
    _write_down(engine, row, "done", at)
    return row


def _back(engine: Engine, row: Proposal, at: float, why: str) -> Proposal:
    """From applying to claimed: nothing was written."""
    _write_down(engine, row, "released", at, why=why)
    return engine.move(row, "release", at=at, note=why)


def _verdict(error: PlumblineError) -> Stop:
    """What an answer means that says that nothing was written."""
    if isinstance(error, NotFound | NotServed):
        return "go stale", "the object was deleted"
    if isinstance(error, Invalid) and error.other_object:
        return "go stale", "the object was deleted and made again"
    return "refuse", f"the API server refuses it: {one_line(error)}"


# --- what became of it ---------------------------------------------------------------------------------------


async def settle(engine: Engine, row: Proposal, plan: Plan, *, why: str) -> Proposal:
    """Find out by a fresh read what became of a write that was begun.

    The plan's mark is there: it took effect. Nothing has moved and the claim is alive: back to claimed, once, to be
    tried again. Anything else is `unknown`, and a human is told.
    """
    obj: JsonObject | None = None
    known = False
    for _ in range(LOOKS):
        try:
            obj = await _get(engine, plan)
            at = await engine.writer.server_time()
            known = True
            break
        except PortError as error:
            why, at = one_line(error), row.lease_until
    same = obj is not None and fields.text(obj, "metadata", "uid") == plan.target.uid
    if obj is not None and same and carries(obj, plan):
        return _adopt(engine, row, at)
    again = obj is not None and known and _again(engine, row, plan, obj, at)
    if again:
        _write_down(engine, row, "released", at, retry=True)
        return engine.move(row, "release", at=at, note=f"it did not take effect: {why}")
    return engine.move(row, "lose", at=at, note=f"what became of it is not known ({why}): look at {plan.target}")


def _again(engine: Engine, row: Proposal, plan: Plan, obj: JsonObject, at: float) -> bool:
    """True where a write certainly took no effect and may be tried a second time."""
    steps = engine.ledger.journal(row.id)
    if any(step.detail.get("retry") for step in steps):
        return False
    if row.lease != engine.name or at >= row.lease_until:
        return False
    sent = [step.detail.get("resourceVersion") for step in steps if step.point == "intent"]
    if sent and sent[-1] == _revision(obj):
        return True
    counted = plan.generation is not None and any(path[0] == "spec" for path in touched(plan.patch))
    return counted and not stale(plan, obj, policy=engine.policy())


def _adopt(engine: Engine, row: Proposal, at: float) -> Proposal:
    _write_down(engine, row, "adopted", at)
    return engine.move(row, "adopt" if row.state == "unknown" else "done", at=at, note="found applied")


async def look_again(engine: Engine, row: Proposal) -> Proposal:
    """Whether a write that was lost sight of took effect after all; one that did is adopted, any other stays."""
    plan = read(row.plan.encode(), digest=row.digest)
    obj = await _get(engine, plan)
    if obj is not None and fields.text(obj, "metadata", "uid") == plan.target.uid and carries(obj, plan):
        return _adopt(engine, row, await engine.writer.server_time())
    return row


# --- small things --------------------------------------------------------------------------------------------


def _write_down(engine: Engine, row: Proposal, point: Point, at: float, **detail: str | bool) -> None:
    attempt = sum(step.point == "intent" for step in engine.ledger.journal(row.id)) + (point != "intent")
    entry: JsonObject = {**detail}
    engine.ledger.write(
        JournalEntry(proposal=row.id, attempt=max(1, attempt), point=point, at=at, applier=engine.name, detail=entry)
    )


def _intents(engine: Engine, row: Proposal) -> bool:
    return any(step.point == "intent" for step in engine.ledger.journal(row.id))


def _revision(obj: JsonObject) -> str:
    return fields.text(obj, "metadata", "resourceVersion")


def _bytes(changes: tuple[object, ...]) -> bytes:
    return canonical([change.model_dump(mode="json") for change in changes if hasattr(change, "model_dump")])
