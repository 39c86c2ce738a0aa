"""From an order to a stored draft: what must hold before anybody is asked to look at a change.

Rules, in this order, and a doubt is a no: the change exists and its arguments are in bounds; its target is one object
that was itself listed or got in this run; it lies in what was asked about; two independent channels of evidence bear
it, one of them a metric or status of the target; it would change something; nobody would set it back; and no run
leaves more than a few. A draft is only kept: nothing here reaches a cluster, and no other state is known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.analysis import labels
from agent.analysis.records import Record, reference_of
from agent.analysis.view import View
from agent.changes.channels import Channels, independent, named
from agent.changes.ownership import check_ownership
from agent.events import Drafted, Event
from agent.links import strip
from agent.store import DraftRow, Store
from tools import fields, registry
from tools.changes import ChangeArgs, ChangeSpec, DraftOrder, Wanted, with_related
from tools.errors import Refused
from tools.types import Evidence, Frozen, JsonObject, ResourceRef, Scope, ToolCall, digest_of

MAX_DRAFTS = 5
"""Drafts of one run at most: what a person can weigh."""
MAX_BECAUSE = 1000
"""Characters of prose kept with a draft."""
Gathered = Sequence[tuple[ToolCall, Evidence]]


class Vetted(Frozen):
    """An order that may become a draft."""

    target: ResourceRef
    """With the uid that was read."""
    args: JsonObject
    """The arguments in their one spelling."""
    digest: str


def vet(order: DraftOrder, evidence: Gathered, scope: Scope, *, spec: ChangeSpec[ChangeArgs]) -> Vetted:
    """Check an order against what was read in this run. Raises Refused with one line that says what is missing."""
    args = spec.parse(order.args)
    named_target = args.ref
    if spec.name != order.change or named_target.kind_ref not in spec.kinds:
        raise Refused(f"{spec.name} is not made for {named_target.kind_ref}")
    target = _read_target(named_target, evidence)
    view = _view(evidence, scope)
    _check_scope(target, scope, view)
    _check_grounds(order.cites, target.ref, evidence, view)
    obj = _with_related(target, spec, view)
    wanted = spec.wants(args, obj)
    if not wanted:
        raise Refused(spec.objection(args, obj))
    if all(_stands(target, want) for want in wanted):
        raise Refused(f"{target.ref} already has what {spec.call} would set")
    check_ownership(target, {want.path for want in wanted}, view, evidence)
    plain: JsonObject = args.model_dump(mode="json")
    digest = digest_of({"change": spec.name, "args": plain, "uid": target.ref.uid})
    return Vetted(target=target.ref, args=plain, digest=digest)


# --- the target --------------------------------------------------------------------------------------------


def _is_reading(call: ToolCall, evidence: Evidence) -> bool:
    """True for objects as the API server gave them: never for text about them."""
    return (
        call.tool in ("list_objects", "get_object")
        and evidence.tool == call.tool
        and evidence.trust == "structured"
        and evidence.status in ("ok", "truncated")
    )


def _read_target(ref: ResourceRef, gathered: Gathered) -> Record:
    """The object itself, as read last. Raises Refused when it was not read, or is not one object."""
    found: list[Record] = []
    for call, evidence in gathered:
        if not _is_reading(call, evidence) or fields.text(call.args, "kind") != ref.kind:
            continue
        if fields.text(call.args, "group") != ref.group:
            continue
        records = (Record(evidence.id, r.key, r.data, reference_of(r.data, ref.kind_ref)) for r in evidence.rows)
        found += [record for record in records if record.ref.same(ref) and _is_of_kind(record)]
    if not found:
        where = f"namespace {ref.namespace}"  # the name is left out: until it is found, it is only what somebody wrote
        raise Refused(f"no {ref.kind} of that name in {where} was read in this run", hint="list or get it first")
    uids = {record.ref.uid for record in found}
    if len(uids) != 1 or None in uids:
        raise Refused(f"{ref} is not one object here: {len(uids)} uids, or none, were read", hint="get it again")
    if found[-1].text("metadata", "deletionTimestamp"):
        raise Refused(f"{ref} is being deleted")
    return found[-1]


def _is_of_kind(record: Record) -> bool:
    """True when the object says of itself what the call asked for; list items may say nothing."""
    group = record.text("apiVersion").rpartition("/")[0]
    return record.text("kind") in ("", record.ref.kind) and (not record.text("apiVersion") or group == record.ref.group)


def _view(gathered: Gathered, scope: Scope) -> View:
    """What was read, for owners and pods: a single object counts as a listing of one."""
    read = [
        (call.model_copy(update={"tool": "list_objects"}), evidence)
        for call, evidence in gathered
        if _is_reading(call, evidence)
    ]
    return View(read, now=0.0, scope=scope)


def _with_related(target: Record, spec: ChangeSpec[ChangeArgs], view: View) -> JsonObject:
    """The target, and what was read of the kinds that the change has to see besides it."""
    read = {kind: view.objects(kind) for kind in spec.reads}
    near = {kind: [r.data for r in some if r.ref.namespace == target.ref.namespace] for kind, some in read.items()}
    return with_related(target.data, {kind: some for kind, some in near.items() if some})


def _check_scope(target: Record, scope: Scope, view: View) -> None:
    namespace = target.ref.namespace
    inside = scope.namespaces is None or namespace in scope.namespaces
    if not inside or not scope.admits(namespace):
        raise Refused(f"{target.ref} is outside {scope.asked}", hint="ask about its namespace")
    pods = view.pods_of(target.ref)
    if scope.selector:
        wanted = labels.parse(scope.selector)
        if not any(labels.matches(wanted, record.labels) for record in (target, *pods)):
            raise Refused(f"{target.ref} does not match -l {scope.selector}")
    if scope.node and not any(pod.text("spec", "nodeName") == scope.node for pod in pods):
        raise Refused(f"{target.ref} has no pod on node {scope.node} that was read")
    if scope.subject is not None and not any(ref.same(target.ref) for ref in _around(scope.subject, view)):
        raise Refused(f"{target.ref} is not what was asked about, {scope.asked}", hint="ask about it")


def _around(subject: ResourceRef, view: View) -> list[ResourceRef]:
    """The subject, what it scales, its owners, and the workloads of its pods."""
    around = [subject]
    scaled = view.scale_target(subject)
    if scaled is not None:
        around.append(scaled)
    for record in (view.find(subject), *view.pods_of(subject)):
        around += view.chain(record) if record is not None else ()
    return around


# --- its grounds -------------------------------------------------------------------------------------------


def _check_grounds(cites: tuple[str, ...], target: ResourceRef, gathered: Gathered, view: View) -> None:
    grounds = Channels({evidence.id: (call, evidence) for call, evidence in gathered}, view, target).grounds(cites)
    if not independent(grounds):
        raise Refused(
            f"two independent kinds of evidence are needed, one of them a metric or status of {target};"
            f" cited: {named(grounds)}",
            hint="cite a row of a metric of its pods, or E4/NAMESPACE/NAME/status/readyReplicas, and another kind",
        )


def _stands(target: Record, want: Wanted) -> bool:
    found = target.get(*want.path)
    return (want.absent if found is None else found) == want.value


# --- keeping -----------------------------------------------------------------------------------------------


def prose(text: str, redact: Callable[[str], str]) -> str:
    """What somebody wrote, as it may be kept: without secrets and links, and not endless."""
    return strip(redact(text))[0][:MAX_BECAUSE]


@dataclass(slots=True)
class RunDrafting:
    """Takes the orders of one run (tools.changes.Drafting) and keeps those that hold as drafts."""

    store: Store
    session: str
    run: int
    now: float
    author: str
    """`model NAME` or `playbook`."""
    asker: str
    """The principal who asked."""
    evidence: Gathered
    """What was read in this run, the derived numbers among it."""
    emit: Callable[[Event], None]
    redact: Callable[[str], str]
    changes: Mapping[str, ChangeSpec[ChangeArgs]] = field(default_factory=registry.changes)

    async def draft(self, order: DraftOrder, scope: Scope) -> JsonObject:
        """Keep the order as a draft, once. Raises Refused with one line, AuditUnavailable when nothing can be kept."""
        spec = self.changes.get(order.change)
        if spec is None:
            raise Refused(f"there is no such change; the changes are: {', '.join(self.changes)}")
        vetted = await asyncio.to_thread(vet, order, self.evidence, scope, spec=spec)  # 0.6 s for 10,000 pods
        name = digest_of([self.session, self.run, vetted.digest])[:12]
        known = self.store.draft_by_id(name)
        if known is None:
            if len(self.store.drafts(self.session, MAX_DRAFTS, run=self.run)) >= MAX_DRAFTS:
                raise Refused(f"this question has left {MAX_DRAFTS} drafts already", hint="ask a narrower one")
            known = self._row(name, order, vetted)
            self.store.draft(known)
        self._tell(name)
        return {
            "proposal": known.id,
            "state": known.state,
            "change": known.change,
            "target": known.target,
            "namespace": vetted.target.namespace,
            "args": known.args,
        }

    def _row(self, name: str, order: DraftOrder, vetted: Vetted) -> DraftRow:
        return DraftRow(
            id=name,
            session=self.session,
            run=self.run,
            at=self.now,
            change=order.change,
            args=vetted.args,
            target=str(vetted.target),
            uid=vetted.target.uid or "",
            because=prose(order.because, self.redact),
            cites=order.cites,
            author=self.author,
            asker=self.asker,
            digest=vetted.digest,
        )

    def _tell(self, name: str) -> None:
        """Say it once: also when a crash came between keeping and saying."""
        said = self.store.events(self.session, self.run)
        if not any(isinstance(event, Drafted) and event.proposal == name for _, _, event in said):
            self.emit(Drafted(proposal=name))
