"""From a question to an Intent and a Scope: names are taken from the text and checked against the cluster."""

from __future__ import annotations

from agent import carrying, grammar, names, scoping
from agent.analysis import kinds
from agent.analysis.gpus import gpu_count
from agent.analysis.requests import active
from agent.analysis.view import View
from agent.context import RunContext
from agent.events import Degraded
from agent.state import Gathered, State
from agent.types import Family, Intent
from tools import fields
from tools.errors import UnknownName
from tools.types import JsonObject, KindRef, Scope, ToolCall

DEFAULT_WINDOW = 21_600.0
FAMILIES: tuple[Family, ...] = ("gpu", "drift")
LISTED: dict[str, tuple[KindRef, ...]] = {
    "namespaces": (kinds.NAMESPACE,),
    "nodes": (kinds.NODE,),
    "queues": (kinds.LOCAL_QUEUE, kinds.CLUSTER_QUEUE),
    "workloads": names.WORKLOADS,
}


async def understand(state: State, context: RunContext, gathered: list[Gathered]) -> State:
    """The changes of the state: intent and scope, or a choice for the user. Appends what it read to `gathered`."""
    flags = state["flags"]
    kept = carrying.carried(flags)
    parsed = carrying.parse(state["question"], kept) if kept else grammar.parse(state["question"])
    outcome = await _resolved(parsed, kept, flags, context, gathered, now=state["now"])
    if isinstance(outcome, scoping.Choice):
        chosen = state.get("chosen", "")
        if chosen not in outcome.candidates:
            return {"choice": {"prompt": outcome.prompt, "candidates": list(outcome.candidates)}}
        scope = outcome.scopes[outcome.candidates.index(chosen)]
    else:
        scope = outcome.scope
        if outcome.left_out:
            hidden = ", ".join(outcome.left_out)
            context.emit(Degraded(what="left out", because=f"your rights do not reach {hidden}"))
    if parsed.note:
        context.emit(Degraded(what="the question", because=parsed.note))
    if scope.selector:
        scope = scope.model_copy(update={"asked": f"{scope.asked} where {scope.selector}"})
    before = kept.window if kept else DEFAULT_WINDOW
    intent = _intent(state["question"], parsed, flags, now=state["now"], before=before)
    if isinstance(outcome, scoping.Resolved):
        intent = intent.model_copy(update={"unknown": outcome.unknown})
    return {"intent": intent.model_dump(mode="json"), "scope": scope.model_dump(mode="json"), "choice": {}}


async def _resolved(
    parsed: grammar.Parsed,
    kept: carrying.Carried | None,
    flags: JsonObject,
    context: RunContext,
    gathered: list[Gathered],
    *,
    now: float,
) -> scoping.Resolved | scoping.Choice:
    """What the question is about, by the names that exist; a follow-up starts from what the last one was about."""
    wanted = set(scoping.needs_names(parsed))
    if fields.text(flags, "namespace"):
        wanted.add("namespaces")
    if kept and kept.followup.place == "other":
        wanted |= {"namespaces", "workloads"}
    view = await _listed(wanted, context, gathered, now=now)
    known = scoping.names_of(view, team_map=context.team_map, team_label=context.team_label)
    if kept:
        pods = [pod for pod in view.objects(kinds.POD) if active(pod) and gpu_count(pod) > 0]
        with_gpus = sorted({pod.ref.namespace or "" for pod in pods})
        return carrying.resolve(kept, parsed, known, flags, permitted=context.permitted, gpu_namespaces=with_gpus)
    try:
        return _placed(parsed, known, flags, context)
    except UnknownName as error:
        read = [kind for what in sorted(wanted) for kind in LISTED[what] if error.what in ("object", kind.kind)]
        unread = [str(kind) for kind in read if view.state(kind) in names.UNREADABLE]
        if not unread and (error.near or not context.reasoner.explores):
            raise
        # It may be one of what cannot be read; or, where it is no slip of the pen, a model may know what it is (a
        # service, a model's name): both are looked for over all that is there.
        because = f"{error} among what can be read; {', '.join(unread[:3])} cannot" if unread else error.message
        context.emit(Degraded(what="a name in the question", because=because))
        return _placed(parsed.model_copy(update={"mentions": ()}), known, flags, context)


def _placed(
    parsed: grammar.Parsed, known: names.Names, flags: JsonObject, context: RunContext
) -> scoping.Resolved | scoping.Choice:
    return scoping.resolve(
        parsed,
        known,
        namespace_flag=fields.text(flags, "namespace") or None,
        all_namespaces=fields.flag(flags, "all_namespaces") is True,
        selector=fields.text(flags, "selector"),
        permitted=context.permitted,
    )


def _intent(question: str, parsed: grammar.Parsed, flags: JsonObject, *, now: float, before: float) -> Intent:
    chosen = tuple(fields.texts(flags, "families"))
    families = tuple(family for family in FAMILIES if family in chosen) or parsed.families
    window = fields.number(flags, "window") or parsed.window_at(now) or before
    return Intent(
        question=question,
        topic="health" if chosen and not question else parsed.topic,
        families=families,
        causes=parsed.causes,
        window=window,
        understood=parsed.understood or bool(chosen),
        beyond=parsed.beyond,
    )


async def _listed(wanted: set[str], context: RunContext, gathered: list[Gathered], *, now: float) -> View:
    """The listings that the names are checked against, each read once."""
    calls = [
        ToolCall(tool="list_objects", args={"group": kind.group, "kind": kind.kind}, reason="names in the question")
        for what in sorted(wanted)
        for kind in LISTED[what]
    ]
    calls = [ToolCall(tool="capabilities", reason="what this cluster serves"), *calls]
    known = {ToolCall.model_validate(entry["call"]).digest for entry in gathered}
    calls = [call for call in calls if call.digest not in known]
    scope = Scope(asked="cluster", permitted=context.permitted)
    found = await context.read(calls, scope, len(gathered) + 1)
    for call, evidence in zip(calls, found, strict=True):
        gathered.append(Gathered(call=call.model_dump(mode="json"), evidence=evidence.id))
    pairs = [(ToolCall.model_validate(e["call"]), context.evidence(e["evidence"])) for e in gathered]
    return View(pairs, now=now, scope=scope)
