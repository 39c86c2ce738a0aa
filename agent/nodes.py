"""The steps of a run. Each is short, returns what it changes of the state, and can be run again after a crash."""

from __future__ import annotations

import time
from collections.abc import Sequence

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from agent import conclude, intake, wording
from agent.analysis.view import View
from agent.context import RunContext
from agent.events import Answered, Asked, Degraded, EvidenceAdded, FindingMade, Planned
from agent.reasoner import Case, Ground
from agent.state import Gathered, State
from agent.types import Diagnosis, Intent, Usage
from tools import fields
from tools.types import ApiResource, Evidence, JsonObject, Scope, ToolCall

MAX_FOLLOW_UPS = 20
"""Calls of the second round at most (about the subjects that the first judgement suspects)."""
DERIVED = ToolCall(tool="derive", reason="a number that the judgement worked out")
CAPABILITIES = ToolCall(tool="capabilities", reason="what this cluster serves")


async def understand(state: State, runtime: Runtime[RunContext]) -> State:
    """Intent and scope from the question, checked against names the cluster really has."""
    context = runtime.context
    gathered: list[Gathered] = list(state.get("gathered", []))
    outcome = await intake.understand(state, context, gathered)
    return {**outcome, "gathered": gathered}


def choose(state: State, runtime: Runtime[RunContext]) -> State:
    """Let the user choose between candidates. Nothing else may stand here: this node re-runs from its first line."""
    return {"chosen": str(interrupt(state.get("choice", {}))), "choice": {}}


async def plan(state: State, runtime: Runtime[RunContext]) -> State:
    """What to read for the intent, over the scope."""
    context = runtime.context
    intent, scope = Intent.model_validate(state["intent"]), Scope.model_validate(state["scope"])
    gathered = list(state.get("gathered", []))
    context.span.over(scope)
    served = _served(await _known(context, gathered, CAPABILITIES, scope))
    if not context.metrics:
        context.emit(Degraded(what="no metrics", because=context.metrics_note))
    ground = Ground(served=served, metrics=context.metrics, diagnosers=context.diagnosers)
    made = [ToolCall.model_validate(entry["call"]) for entry in gathered]
    calls = [call for call in context.reasoner.plan(intent, scope, ground) if not _covered(call, made)]
    context.emit(Planned(intent=intent, scope=scope, calls=len(calls)))
    return {"calls": [_dump(call) for call in calls], "gathered": gathered, "round": 1}


async def gather(state: State, runtime: Runtime[RunContext]) -> State:
    """Make the planned calls through the gate."""
    context, scope = runtime.context, Scope.model_validate(state["scope"])
    gathered = list(state.get("gathered", []))
    calls = [ToolCall.model_validate(call) for call in state.get("calls", [])]
    first = len(gathered) + len(state.get("derived", [])) + 1
    if state.get("consulting"):
        derived = [(DERIVED, context.evidence(name)) for name in state.get("derived", [])]
        context.drafting = context.drafts_of([*_pairs(context, gathered), *derived])
        found = await context.read(calls, scope, first, meter=context.model_meter)
    else:
        found = await context.read(calls, scope, first)
    gathered += [Gathered(call=_dump(call), evidence=evidence.id) for call, evidence in zip(calls, found, strict=True)]
    return {"gathered": gathered, "calls": [], "used": context.used}


async def diagnose(state: State, runtime: Runtime[RunContext]) -> State:
    """Judge the evidence, after the first round ask once more about the suspects, and check every citation."""
    context = runtime.context
    intent, scope = Intent.model_validate(state["intent"]), Scope.model_validate(state["scope"])
    pairs = _pairs(context, state.get("gathered", []))
    note = "" if context.metrics else context.metrics_note
    view = context.view = View(pairs, now=state["now"], scope=scope, earlier=context.view, metrics_note=note)
    candidates = conclude.candidates(view, context.diagnosers, intent)
    if state.get("round", 1) == 1:
        calls = conclude.follow_ups(view, context.diagnosers, intent, [call for call, _ in pairs])[:MAX_FOLLOW_UPS]
        if calls:
            context.emit(Planned(intent=intent, scope=scope, calls=len(calls), round=2))
            return {"calls": [_dump(call) for call in calls], "round": 2}
    diagnosis = conclude.diagnosis(
        view,
        context.diagnosers,
        intent,
        candidates,
        conclude.Frame(
            reasoner=context.reasoner.name,
            mode=context.mode,
            cluster=context.cluster,
            team_map=context.team_map,
            team_label=context.team_label,
        ),
    )
    for evidence in view.derived():
        context.bodies[evidence.id] = evidence
        context.store.keep(context.session, context.run, evidence)
        context.emit(EvidenceAdded(evidence=evidence.id, query=evidence.query, rows=len(evidence.rows)))
    cited = conclude.only_cited(diagnosis, context.evidence)
    for finding in cited.findings:
        context.emit(FindingMade(finding=finding))
    return {
        "diagnosis": cited.model_dump(mode="json"),
        "calls": [],
        "derived": [evidence.id for evidence in view.derived()],
        "consulting": context.reasoner.explores,
    }


async def consult(state: State, runtime: Runtime[RunContext]) -> State:
    """Let the reasoner look at what was found: it asks for more, or is done."""
    context = runtime.context
    intent, scope = Intent.model_validate(state["intent"]), Scope.model_validate(state["scope"])
    context.model_meter.begin()
    case = Case(
        question=state["question"],
        intent=intent,
        scope=scope,
        mode=context.mode,
        now=state["now"],
        diagnosis=Diagnosis.model_validate(state["diagnosis"]),
        judged=bool(context.diagnosers),
        gathered=_pairs(context, state.get("gathered", [])),
        derived=[context.evidence(name) for name in state.get("derived", [])],
        tools=context.gate.shown(context.principal, context.mode),
        queries=context.queries,
        earlier=context.earlier,
        meter=context.model_meter,
        audit=context.audit,
        redact=context.redact,
        emit=context.emit,
    )
    step = await context.reasoner.consult(case, state.get("reasoner", {}))
    if step.calls:
        context.emit(Planned(intent=intent, scope=scope, calls=len(step.calls), round=3))
    return {
        "calls": [_dump(call) for call in step.calls],
        "reasoner": step.state,
        "consulting": not step.done,
        "used": context.used,
    }


async def report(state: State, runtime: Runtime[RunContext]) -> State:
    """Word the answer and end the run."""
    context = runtime.context
    judged = Diagnosis.model_validate(state["diagnosis"])
    checked = context.reasoner.conclude(judged, state.get("reasoner", {}))
    usage = Usage(
        calls=context.meter.calls + context.model_meter.calls,
        requests=context.requests(),
        seconds=round(time.monotonic() - context.started, 3),
        model=checked.usage.model,
    )
    diagnosis = checked.model_copy(
        update={
            "narrative": checked.narrative or wording.narrate(checked),
            "asked": tuple(checked.asked or wording.suggest(checked)),
            "usage": usage,
        }
    )
    context.emit(Answered(diagnosis=diagnosis))
    return {"diagnosis": diagnosis.model_dump(mode="json")}


def after_understanding(state: State) -> str:
    """Ask the user when there is a choice to make."""
    return "choose" if state.get("choice") else "plan"


def after_diagnosis(state: State) -> str:
    """Gather once more for follow-ups, else let a reasoner that explores look at it, else report."""
    return "gather" if state.get("calls") else after_consulting(state)


def after_gathering(state: State) -> str:
    """Back to whoever asked: the causes, or the reasoner."""
    return "consult" if state.get("consulting") else "diagnose"


def after_consulting(state: State) -> str:
    """Gather what was asked for, go on where only thinking was done, else report."""
    if state.get("calls"):
        return "gather"
    return "consult" if state.get("consulting") else "report"


def ask_event(choice: JsonObject) -> Asked:
    """The event for a pending choice."""
    return Asked(prompt=fields.text(choice, "prompt"), candidates=tuple(fields.texts(choice, "candidates")))


async def _known(context: RunContext, gathered: list[Gathered], call: ToolCall, scope: Scope) -> Evidence:
    """The evidence of a call that intake may already have made; made now otherwise."""
    for entry in gathered:
        if ToolCall.model_validate(entry["call"]).digest == call.digest:
            return context.evidence(entry["evidence"])
    (evidence,) = await context.read([call], scope, len(gathered) + 1)
    gathered.append(Gathered(call=_dump(call), evidence=evidence.id))
    return evidence


def _served(evidence: Evidence) -> dict[tuple[str, str], ApiResource]:
    served: dict[tuple[str, str], ApiResource] = {}
    for row in evidence.rows:
        group, kind = fields.text(row.data, "group"), fields.text(row.data, "kind")
        served[(group, kind)] = ApiResource(
            group=group,
            version=fields.text(row.data, "version"),
            kind=kind,
            plural=fields.text(row.data, "plural"),
            namespaced=fields.flag(row.data, "namespaced") is not False,
        )
    return served


def _pairs(context: RunContext, gathered: Sequence[Gathered]) -> list[tuple[ToolCall, Evidence]]:
    return [(ToolCall.model_validate(entry["call"]), context.evidence(entry["evidence"])) for entry in gathered]


def _covered(call: ToolCall, made: Sequence[ToolCall]) -> bool:
    """True when a call was made already, or a listing of every namespace stands for one of some."""
    whole = ToolCall(tool=call.tool, args={k: v for k, v in call.args.items() if k != "namespace"})
    digests = {call.digest, whole.digest} if call.tool == "list_objects" else {call.digest}
    return any(earlier.digest in digests for earlier in made)


def _dump(call: ToolCall) -> JsonObject:
    data: JsonObject = call.model_dump(mode="json")
    return data
