"""From a question to an Intent and a Scope: names are taken from the text and checked against the cluster."""

from __future__ import annotations

from agent import grammar, names, scoping
from agent.analysis import kinds
from agent.analysis.view import View
from agent.context import RunContext
from agent.events import Degraded
from agent.state import Gathered, State
from agent.types import Family, Intent
from tools import fields
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
    parsed = grammar.parse(state["question"])
    known = await _names(parsed, flags, context, gathered, now=state["now"])
    outcome = scoping.resolve(
        parsed,
        known,
        namespace_flag=fields.text(flags, "namespace") or None,
        all_namespaces=fields.flag(flags, "all_namespaces") is True,
        selector=fields.text(flags, "selector"),
        permitted=context.permitted,
    )
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
    intent = _intent(state["question"], parsed, flags, now=state["now"])
    return {"intent": intent.model_dump(mode="json"), "scope": scope.model_dump(mode="json"), "choice": {}}


def _intent(question: str, parsed: grammar.Parsed, flags: JsonObject, *, now: float) -> Intent:
    chosen = tuple(fields.texts(flags, "families"))
    families = tuple(family for family in FAMILIES if family in chosen) or parsed.families
    window = fields.number(flags, "window") or parsed.window_at(now) or DEFAULT_WINDOW
    return Intent(
        question=question,
        topic="health" if chosen and not question else parsed.topic,
        families=families,
        causes=parsed.causes,
        window=window,
        understood=parsed.understood or bool(chosen),
    )


async def _names(
    parsed: grammar.Parsed, flags: JsonObject, context: RunContext, gathered: list[Gathered], *, now: float
) -> scoping.Names:
    wanted = set(scoping.needs_names(parsed))
    if fields.text(flags, "namespace"):
        wanted.add("namespaces")
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
    view = View(pairs, now=now, scope=scope)
    return scoping.names_of(view, team_map=context.team_map, team_label=context.team_label)
