"""From a draft to the exact bytes that people approve: a fresh read, every check, and the server's own dry run.

Rules: nothing is written; a change that may not be made is refused with its reason, and what could not be found out
leaves the draft as it is; the plan must be undoable exactly, and the dry run must keep what the patch sets.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from pydantic import JsonValue

from agent.analysis import kinds
from agent.analysis.records import Record
from agent.analysis.view import View
from agent.changes import guards, prediction
from agent.changes.engine import Engine, NotNow, dotted, listed, one_line
from agent.changes.ownership import check_ownership, delivered_by
from agent.changes.patches import FieldChange, differences, inverse, merged, same, stands, touched, value_at
from agent.changes.plans import MAX_BYTES, Blast, Plan, Verification, bind, changed, read
from agent.changes.records import Proposal
from tools import checks, fields, targets, workloads
from tools.changes import ChangeArgs, ChangeSpec, Tier, with_related
from tools.errors import Denied, NotFound, NotServed, PortError, Refused, UserError
from tools.types import JsonObject, ResourceRef, Scope, ToolCall
from tools.writing import Conflict, Invalid, Rejected

TRIES = 5
"""How often an object is read anew because somebody wrote it meanwhile."""


_MAPS = ("labels", "annotations")
"""What of the metadata many write into, each its own keys."""


class Unfit(Exception):
    """Why a proposal is refused for good, in one line."""


class Delivered(NotNow):
    """A delivery tool owns the object: the change belongs into its repository."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a plan is made of before the server has said what it would do."""

    patch: JsonObject
    inverse: JsonObject
    guards: tuple[tuple[str, ...], ...]
    tier: Tier
    blast: Blast
    verification: tuple[Verification, ...]


async def preview(engine: Engine, name: str, *, requester: str) -> Proposal:
    """Turn a draft into a plan that awaits approval, or refuse it; returns the proposal either way.

    Raises NotNow where nothing could be decided (also for credentials that may not dry-run), UserError for a proposal
    that is no draft, Held where another open proposal has the object, LedgerDown, AuditUnavailable.
    """
    row = engine.proposal(name)
    if row.state == "previewed":  # a crash came between the two moves
        return await _submit(engine, row, requester)
    if row.state != "draft":
        raise UserError(f"proposal {row.id} is {row.state}, so it cannot be previewed", hint="propose the change anew")
    try:
        at = await engine.writer.server_time()
        plan = await _plan(engine, row, at, requester)
    except Unfit as unfit:
        return engine.move(row, "refuse", at=at, note=str(unfit))
    except PortError as error:
        raise NotNow(f"{row.target} cannot be previewed now: {one_line(error)}", hint=error.hint) from error
    moved = engine.move(
        row,
        "preview",
        at=at,
        target=plan.target,
        cluster=plan.cluster,
        tier=plan.tier,
        plan=plan.body.decode(),
        digest=plan.digest,
        expires=plan.expires,
    )
    return await _submit(engine, moved, requester)


async def _submit(engine: Engine, row: Proposal, requester: str) -> Proposal:
    at = await engine.writer.server_time()
    if row.expires is not None and at >= row.expires:
        return engine.move(row, "expire", at=at, note="the plan expired before it was submitted")
    return engine.move(row, "submit", at=at, requester=requester)


async def _plan(engine: Engine, row: Proposal, at: float, requester: str) -> Plan:
    """The plan of a draft. Raises Unfit, PortError, NotNow."""
    stopped = await engine.brakes.stopped(row.target, at)
    if stopped:
        raise NotNow(f"{row.target} cannot be previewed now: {stopped}", hint="it stays a draft")
    if row.cluster and row.cluster != await engine.writer.cluster_uid():
        raise NotNow(f"{row.target} was proposed for another cluster", hint="preview it there; it stays a draft")
    for _ in range(TRIES):
        obj = await _read(engine, row)
        try:
            return await _planned(engine, row, obj, at, requester)
        except Conflict:
            continue
    raise NotNow(f"{row.target} is being written all the time", hint="preview it again in a while")


async def _read(engine: Engine, row: Proposal) -> JsonObject:
    try:
        obj = await engine.writer.get(row.target.model_copy(update={"uid": None}))
    except (NotFound, NotServed):
        raise Unfit(f"{row.target} is not there any more") from None
    except Denied as error:
        said = f"{row.target} cannot be read back with the applier's credentials: {one_line(error)}"
        raise NotNow(said, hint="plumbline rbac print applier shows what they need; it stays a draft") from None
    if row.target.uid and fields.text(obj, "metadata", "uid") != row.target.uid:
        raise Unfit(f"{row.target} was deleted and made again since it was proposed")
    return obj


async def judged(engine: Engine, row: Proposal, obj: JsonObject, at: float) -> Draft:
    """What a proposal would do to its object as it stands, and nothing that it must not do.

    Asked at the preview, and again right before the write. Raises Unfit, Delivered, NotNow, PortError.
    """
    if row.undoes:
        draft = _undo_draft(engine, row, obj)
    else:
        spec = engine.spec(row)
        draft = _draft(row, spec, await _with_related(engine, spec, row.target, obj))
    await _owned(engine, row, draft, obj, at)
    await _check_guards(engine, row, obj, draft)
    return draft


async def _planned(engine: Engine, row: Proposal, obj: JsonObject, at: float, requester: str) -> Plan:
    view = await _look(engine, row.target, at)
    draft = await judged(engine, row, obj, at)
    target = row.target.model_copy(update={"uid": fields.text(obj, "metadata", "uid") or None})
    dry_run = await _dry_run(engine, target, obj, draft.patch)
    generation = fields.number(obj, "metadata", "generation")
    plan = Plan(
        proposal=row.id,
        change=row.change,
        args=row.args,
        tier=draft.tier,
        cluster=await engine.writer.cluster_uid(),
        target=target,
        generation=None if generation is None else int(generation),
        before=bind(obj, draft.patch, draft.inverse, draft.guards),
        patch=draft.patch,
        inverse=draft.inverse,
        policy=engine.policy(),
        dry_run=dry_run,
        predicted=prediction.predict(view, target, draft.blast, engine.limits),
        blast=draft.blast,
        verification=draft.verification,
        expires=at + engine.limits.expiry,
        nonce=secrets.token_hex(16),
        undoes=row.undoes,
        requesters=tuple(sorted({row.author, row.asker, requester} - {""})),
    )
    if len(plan.body) > MAX_BYTES:
        raise Unfit(f"the plan would be longer than {MAX_BYTES >> 10} KiB")
    if reason := guards.holds_secret(plan, engine.redactor):
        raise Unfit(reason)
    return plan


# --- what would be done --------------------------------------------------------------------------------------


async def _with_related(
    engine: Engine, spec: ChangeSpec[ChangeArgs], target: ResourceRef, obj: JsonObject
) -> JsonObject:
    if not spec.reads:
        return obj
    return with_related(obj, {kind: await listed(engine.kube, kind, target.namespace) for kind in spec.reads})


def _draft(row: Proposal, spec: ChangeSpec[ChangeArgs], obj: JsonObject) -> Draft:
    """What the change of the catalogue would do to the object. Raises Unfit."""
    try:
        args = spec.parse(row.args)
    except Refused as refused:
        raise Unfit(one_line(refused)) from None
    if not args.ref.same(row.target):
        raise Unfit(f"the arguments name another object than {row.target}")
    if reason := spec.objection(args, obj):
        raise Unfit(reason)
    patch = spec.patch(args, obj)
    return Draft(
        patch=patch,
        inverse=_inverse(obj, patch),
        guards=spec.guards,
        tier=spec.tier(args, obj),
        blast=spec.blast(args, obj),
        verification=spec.verification(args, obj),
    )


def _inverse(obj: JsonObject, patch: JsonObject) -> JsonObject:
    """The patch that undoes another one exactly. Raises Unfit where there is none."""
    try:
        back = _key_by_key(inverse(obj, patch), patch)
    except ValueError as error:
        raise Unfit(f"it could not be undone exactly: {error}") from None
    if not same(_tidy(merged(merged(obj, patch), back)), _tidy(obj)):
        raise Unfit("it could not be undone exactly")
    return back


def _key_by_key(back: JsonObject, patch: JsonObject) -> JsonObject:
    """An inverse that takes away its own labels and annotations only, also where there were none before."""
    meta, given = dict(fields.mapping(back, "metadata")), fields.mapping(patch, "metadata")
    for name in _MAPS:
        if name in meta and meta[name] is None:
            meta[name] = dict.fromkeys(fields.mapping(given, name))
    return {**back, "metadata": meta} if meta else back


def _tidy(obj: JsonValue) -> JsonValue:
    """An object as a server keeps it: labels or annotations of which there are none are left out."""
    meta = fields.mapping(obj, "metadata")
    kept = {key: value for key, value in meta.items() if key not in _MAPS or value}
    return {**obj, "metadata": kept} if isinstance(obj, dict) and meta else obj


def _undo_draft(engine: Engine, row: Proposal, obj: JsonObject) -> Draft:
    """What undoing a plan would do to the object as it stands. Raises Unfit where somebody else changed it since."""
    undone = engine.proposal(row.undoes)
    done = read(undone.plan.encode(), digest=undone.digest)
    if not done.target.same(row.target) or done.target.uid != fields.text(obj, "metadata", "uid"):
        raise Unfit(f"{row.target} is not the object that {undone.id} changed")
    if reason := foreign_change(done, obj) or _moved_since(done, obj):
        raise Unfit(reason)
    before, after = done.blast.replicas_after, done.blast.replicas_before
    turned = {"replicas_before": before, "replicas_after": after}
    gpus = {"gpus_before": done.blast.gpus_after, "gpus_after": done.blast.gpus_before}
    restarts = done.blast.restarts or (before or 0) > (after or 0)
    takes = restarts or (done.blast.gpus_after or 0.0) > (done.blast.gpus_before or 0.0)
    least: Tier = "B" if takes else "A"
    return Draft(
        patch=done.inverse,
        inverse=_inverse(obj, done.inverse),
        guards=tuple(bound.path for bound in done.before),
        tier=max(done.tier, least),
        blast=done.blast.model_copy(update={**turned, **gpus, "restarts": restarts}),
        verification=_undo_verification(done, obj),
    )


def foreign_change(done: Plan, obj: JsonObject) -> str:
    """Where an object does not stand as a plan left it, in one line; "" where it does."""
    for change in done.dry_run:
        now = value_at(obj, change.path)
        if now.present is change.removed or not (change.removed or same(now.value, change.after)):
            return f"{dotted(change.path)} of {done.target} was changed by somebody else since: undo it by hand"
    ours = {change.path for change in done.dry_run}
    for path in touched(done.inverse):
        now = value_at(obj, path)
        if isinstance(now.value, dict) and now.value and not ours.issuperset(touched(now.value, path)):
            return f"{dotted(path)} of {done.target} holds what somebody else put there since: undo it by hand"
    return ""


def _moved_since(done: Plan, obj: JsonObject) -> str:
    """Which field that the plan held on to, without setting it, is another now, in one line; "" where none is."""
    ours = {*touched(done.patch), *touched(done.inverse), *(change.path for change in done.dry_run)}
    for bound in done.before:
        mine = any(path[: len(bound.path)] == bound.path or bound.path[: len(path)] == path for path in ours)
        if not mine and not stands(bound, obj):
            return f"{dotted(bound.path)} of {done.target} has changed since: undo it by hand"
    return ""


def _undo_verification(done: Plan, obj: JsonObject) -> tuple[Verification, ...]:
    """What must be seen after an undo: the restored numbers stand, and as many replicas as before are ready."""
    kind, count = done.target.kind_ref, done.blast.replicas_before
    stands = tuple(
        checks.stands(bound.path, bound.value if isinstance(bound.value, str) else float(bound.value), settle=0.0)
        for bound in done.before
        if bound.path in touched(done.inverse) and isinstance(bound.value, str | int | float) and bound.present
    )
    if kind not in targets.SERVED or count is None:
        return stands
    moved = done.blast.restarts or workloads.replicas(obj, kind) < count
    return (*stands, *checks.replicas_ready(obj, kind, count, restarts=moved), *checks.serving(obj, kind))


# --- whether it may be done ----------------------------------------------------------------------------------


async def _look(engine: Engine, target: ResourceRef, at: float) -> View:
    """What is measured around the target."""
    calls = [ToolCall(tool="named_query", args={"name": query.name}) for query in prediction.MEASURES]
    if target.namespace and target.kind_ref in targets.SERVED:
        asked: JsonObject = {"group": "", "kind": "Pod", "namespace": target.namespace}
        calls.append(ToolCall(tool="list_objects", args=asked))
        calls += [
            ToolCall(tool="list_objects", args={"group": kind.group, "kind": kind.kind, "namespace": target.namespace})
            for kind in (kinds.REPLICA_SET, target.kind_ref)
        ]
        gathered = await engine.look(calls, at=at)
    else:
        gathered = ()
    return View(gathered, now=at, scope=_scope(target))


async def _owned(engine: Engine, row: Proposal, draft: Draft, obj: JsonObject, at: float) -> None:
    """Raises Unfit where somebody would set the change back, Delivered where a tool delivers the object."""
    place: JsonObject = {} if row.target.namespace is None else {"namespace": row.target.namespace}
    calls = [
        ToolCall(tool="list_objects", args={"group": kind.group, "kind": kind.kind, **where})
        for kind, where in ((kinds.HPA, place), (kinds.SCALED_OBJECT, place), (kinds.APPLICATION, {}))
    ]
    gathered = await engine.look(calls, at=at)
    view = View(gathered, now=at, scope=_scope(row.target))
    if tool := delivered_by(Record("", "", obj, row.target), view):
        raise Delivered(
            f"{row.target} is delivered by {tool}, which would set a live write back",
            hint=f"plumbline proposals export {row.id} --source DIR makes it a patch of the repository",
        )
    try:
        check_ownership(Record("", "", obj, row.target), touched(draft.patch), view, gathered)
    except Refused as refused:
        raise Unfit(str(refused)) from None


def _scope(target: ResourceRef) -> Scope:
    return Scope(asked=str(target), subject=target, namespaces=None)


async def _check_guards(engine: Engine, row: Proposal, obj: JsonObject, draft: Draft) -> None:
    target, blast, limits = row.target, draft.blast, engine.limits
    budgets: list[JsonObject] = []
    if target.kind_ref in targets.SERVED:
        budgets = await listed(engine.kube, guards.BUDGET, target.namespace)
    reason = (
        guards.too_far(target, blast, limits, undo=bool(row.undoes))
        or guards.breaks_service(target, obj, blast)
        or guards.below_floor(target, obj, blast, limits)
        or guards.breaks_budget(target, obj, blast, budgets)
    )
    if reason:
        raise Unfit(f"{target}: {reason}")


# --- what the server says ------------------------------------------------------------------------------------


async def _dry_run(engine: Engine, target: ResourceRef, obj: JsonObject, patch: JsonObject) -> tuple[FieldChange, ...]:
    """The normalised difference that the server would make. Raises Unfit, NotNow, Conflict and other PortErrors."""
    try:
        after = await engine.writer.dry_run(target, conditional(patch, obj))
    except Denied as error:
        who = await engine.writer.identity()
        raise NotNow(
            f"{who.user} may not change {target}, and a dry run is authorised like a change: {one_line(error)}",
            hint="preview with the applier's credentials, not the reader's",
        ) from error
    except (Invalid, Rejected) as error:
        raise Unfit(f"the API server refuses it: {one_line(error)}") from None
    except (NotFound, NotServed):
        raise Unfit(f"{target} is not there any more") from None
    except Refused as error:
        raise Unfit(one_line(error)) from None
    kept = merged(obj, patch)
    for wanted in differences(obj, kept):
        now = value_at(after, wanted.path)
        if now.present is wanted.removed or (not wanted.added and now.present and same(now.value, wanted.before)):
            raise Unfit(f"the API server would not keep {dotted(wanted.path)} as it is set")
    made = changed(obj, after)
    if not made:
        raise Unfit("the API server says that nothing would change")
    return made


def conditional(patch: JsonObject, obj: JsonObject) -> JsonObject:
    """A patch that holds only for the object just read."""
    meta: JsonObject = {name: fields.text(obj, "metadata", name) for name in ("uid", "resourceVersion")}
    body = merged(patch, {"metadata": meta})
    return body if isinstance(body, dict) else {}
