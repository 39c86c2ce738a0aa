"""What a session does with a follow-up: rewrites it to a question, or answers it from the store.

Rule: an answer from the store is a run like any other (a question, events, evidence of its own, audit entries), only
that nothing is read from the cluster for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agent import commands, history, recall
from agent.analysis.view import View
from agent.followups import Followup
from agent.graph import peek
from agent.history import Past
from agent.types import Diagnosis, Finding, Intent, Remedy, Usage
from tools import fields
from tools.types import Evidence, JsonObject, Mode, Scope, ToolCall

if TYPE_CHECKING:
    from agent.app import App


def kept_flags(app: App, session: str, given: JsonObject) -> JsonObject:
    """The flags of a run: those given now, else those that commands set earlier in the session."""
    kept = commands.kept(app.store, session)
    flags = dict(given)
    if not (fields.text(given, "namespace") or fields.flag(given, "all_namespaces")):
        flags.update({key: kept[key] for key in ("namespace", "all_namespaces") if key in kept})
    if fields.number(given, "window") is None and "window" in kept:
        flags["window"] = kept["window"]
    return flags


def hand_on_flags(app: App, session: str, run: int) -> None:
    """Give a new run what commands set before it."""
    noted = app.store.notes(session, run - 1).get(commands.SET) if run > 1 else None
    if noted is not None:
        app.store.record(session, run, commands.SET, noted)


def desk(app: App, session: str, permitted: tuple[str, ...] | None, flags: JsonObject) -> commands.Desk:
    """What a command of this session may touch."""
    return commands.Desk(
        store=app.store,
        session=session,
        cluster=app.target.cluster,
        permitted=permitted,
        diagnosers=app.diagnosers,
        flags=flags,
    )


async def recalled(
    app: App, session: str, found: Followup, past: Past | None, question: str, *, mode: Mode
) -> tuple[Diagnosis, list[Evidence]]:
    """The answer to a follow-up from the store, and the evidence it stands on. Raises UnknownName."""
    about = past or _nothing(app, mode)
    remedy = await _remedies(app, session, about) if found.kind == "remedy" else _none
    ground = commands.ground(desk(app, session, about.scope.permitted, {}), about, remedy)
    answered = recall.answer(found, ground, question)
    return answered, recall.needed(answered, ground.lookup)


def _nothing(app: App, mode: Mode) -> Past:
    """Stands for the last answer where there is none: nothing was asked, nothing is known."""
    scope = Scope(asked="cluster")
    diagnosis = Diagnosis(
        question="",
        status="inconclusive",
        reasoner=app.reasoner.name,
        mode=mode,
        cluster=app.target.cluster,
        scope=scope,
        usage=Usage(calls=0, requests=0, seconds=0.0),
    )
    intent = Intent(question="", topic="overview", families=())
    return Past(run=0, question="", intent=intent, scope=scope, diagnosis=diagnosis)


def _none(finding: Finding) -> Remedy:
    raise AssertionError(f"no remedy was asked for {finding.cause}")


async def _remedies(app: App, session: str, past: Past) -> Callable[[Finding], Remedy]:
    """The remedies of the causes over the evidence of the earlier run, as its checkpoint lists it."""
    state, _ = await peek(app.graph, f"{session}/{past.run}")
    pairs: list[tuple[ToolCall, Evidence]] = []
    for entry in state.get("gathered", []):
        evidence = app.store.evidence(session, past.run, entry["evidence"])
        if evidence is not None:
            pairs.append((ToolCall.model_validate(entry["call"]), evidence))
    view = View(pairs, now=state.get("now", app.now), scope=past.scope)
    return lambda finding: app.diagnosers[finding.cause].remedy(finding, view)


def earlier(app: App, session: str, permitted: tuple[str, ...] | None) -> list[Past]:
    """Earlier answers of the session that its reader may build on, newest first."""
    return history.pasts(app.store, session, permitted=permitted)
