"""One scenario, once: serve its world over real HTTP, ask, and record everything a grader may see."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.app import App, Target
from agent.events import EVENT, Answered, Asked, Event, Failed
from agent.session import Session
from agent.settings import Settings
from agent.types import Diagnosis
from evals import graders
from evals.engine import Engine
from evals.kept import Kept
from evals.perturb.model import Case
from evals.scenario import plan_of
from evals.servers.kube.server import KubeServer
from evals.servers.prom.server import PromServer
from evals.types import Changed, Judged, Result, RunRecord, Scenario
from evals.world.load import anchored
from evals.world.model import World
from tools.errors import PlumblineError, UserError
from tools.kube.connect import KubeTarget, connect
from tools.kube.port import LiveKube
from tools.prom.connect import connect_prom
from tools.redact import WORLD_KEY

DEADLINE = 60.0
"""Seconds one scenario may take."""
MODEL_DEADLINE = 240.0
"""The same where a model is asked: what a question gives it (120 s), and one more reply for a judge."""
PLAYBOOK = Engine()


@dataclass(slots=True)
class Served:
    """A world on its two servers, and the target that looks at it."""

    world: World
    kube: KubeServer
    prom: PromServer
    target: Target


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Served]:
    """Serve a world on loopback and connect the real clients to it."""
    kube, prom = KubeServer(world), PromServer(world)
    kube_url = await kube.start()
    prom_url = await prom.start()
    try:
        async with _port(kube) as port:
            metrics = connect_prom(prom_url)
            try:
                target = Target(port, metrics, f"world {world.name}", prom_url, (kube_url, prom_url), WORLD_KEY)
                yield Served(world, kube, prom, target)
            finally:
                await metrics.aclose()
    finally:
        await prom.stop()
        await kube.stop()


@asynccontextmanager
async def _port(kube: KubeServer) -> AsyncIterator[LiveKube]:
    """A client that found its server the way any client does: through a kubeconfig file."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="kubeconfig-") as handle:
        json.dump(kube.kubeconfig(), handle)
        handle.flush()
        port = await connect(KubeTarget(kubeconfig=handle.name))
    async with port:
        yield port


@dataclass(slots=True)
class Heard:
    """What a session said."""

    events: list[Event] = field(default_factory=list)
    diagnosis: Diagnosis | None = None
    failure: str = ""


async def converse(session: Session, scenario: Scenario) -> Heard:
    """Ask, answer the one choice a scenario foresees, and collect the events."""
    heard = Heard()
    start = session.ask(scenario.question) if scenario.question else session.diagnose(scenario.families)
    async for event in start:
        _note(heard, event)
    if heard.events and isinstance(heard.events[-1], Asked) and scenario.choose:
        async for event in session.answer(scenario.choose):
            _note(heard, event)
    if heard.diagnosis is None and not heard.failure:
        heard.failure = "no answer"
    return heard


def _note(heard: Heard, event: Event) -> None:
    heard.events.append(event)
    if isinstance(event, Answered):
        heard.diagnosis = event.diagnosis
    if isinstance(event, Failed):
        heard.failure = event.message


async def record(
    scenario: Scenario, engine: Engine = PLAYBOOK, *, epoch: int = 1, limit: float = 0.0, case: Case | None = None
) -> RunRecord:
    """Run a scenario, in `limit` seconds where they are given; on the world of `case` where it is perturbed.

    Failures of the machine are told apart from failures to answer.
    """
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(limit or (MODEL_DEADLINE if engine.asks else DEADLINE)):
            return await _record(scenario, engine, epoch, begun, case)
    except Exception as error:  # one broken sample must not lose the others
        ours = isinstance(error, PlumblineError | OSError | TimeoutError) and not isinstance(error, UserError)
        ours = ours and not (
            limit and isinstance(error, TimeoutError)
        )  # a limit that was asked for is the sample's own
        return RunRecord(
            scenario=scenario.name,
            epoch=epoch,
            reasoner=engine.reasoner,
            diagnosis=None,
            failure=f"{type(error).__name__}: {error}",
            infrastructure=ours,
            evidence=Kept({}),
            seconds=time.perf_counter() - begun,
            versions={},
            perturbations=case.names if case is not None else (),
        )


async def _record(scenario: Scenario, engine: Engine, epoch: int, begun: float, case: Case | None) -> RunRecord:
    from evals import told  # not before it is needed: whoever only serves a world starts without it

    world = case.world if case is not None else anchored(plan_of(scenario))
    with tempfile.TemporaryDirectory(prefix="plumbline-eval-") as folder:
        settings = engine.settings(Path(folder))
        async with serving(world) as served, App.open(settings, served.target, judging=engine.judging) as app:
            session = await app.session(mode=scenario.mode, namespace=scenario.namespace or None)
            heard = await converse(session, scenario)
            kept = _kept(app, session, heard)
            versions = app.store.notes(session.id, app.store.last_run(session.id) or 0)
            requests = tuple(f"{r.method} {r.path}{'?' + r.query if r.query else ''}" for r in served.kube.requests)
            done = await _changed(served, settings, scenario)
        seconds = time.perf_counter() - begun
        audit = (Path(folder) / "audit.jsonl").read_text(encoding="utf-8").splitlines()
        word = await _judged(heard, settings, engine.judge)
    asked = engine.reasoner == "llm"
    return RunRecord(
        scenario=scenario.name,
        epoch=epoch,
        reasoner=app.reasoner.name,
        diagnosis=heard.diagnosis,
        failure=heard.failure,
        events=tuple(EVENT.dump_python(event, mode="json") for event in heard.events),
        evidence=kept,
        tools=tuple(evidence.tool for evidence in kept.values()),
        kube_requests=requests,
        prom_requests=tuple(f"{r.method} {r.path} {r.query}" for r in served.prom.requests),
        audit=tuple(audit),
        seconds=seconds,
        model=heard.diagnosis.usage.model if heard.diagnosis else None,
        model_calls=told.model_calls(heard.events),
        token_limit=settings.model_tokens if asked else 0,
        fallback=told.fallback(heard.diagnosis) if asked and heard.diagnosis else "",
        removed=told.removed(heard.diagnosis),
        marked=told.marked(heard.diagnosis),
        versions={name: value for name, value in versions.items() if name != "audit_head"},
        judged=word,
        changed=done,
        perturbations=case.names if case is not None else (),
    )


async def _changed(served: Served, settings: Settings, scenario: Scenario) -> Changed | None:
    if scenario.change is None:
        return None
    from evals.changing import changed  # brings the write port along, which nobody else needs

    return await changed(served.world, served.kube.kubeconfig(), settings, served.target, scenario.change)


async def _judged(heard: Heard, settings: Settings, judge: str) -> Judged | None:
    if not judge or heard.diagnosis is None:
        return None
    from evals.judge import judged  # brings the model client along, which nobody else needs

    return await judged(heard.diagnosis, settings, judge)


def _kept(app: App, session: Session, heard: Heard) -> Kept:
    run = app.store.last_run(session.id)
    names = [event.evidence for event in heard.events if event.type == "evidence_added"]
    found = [app.store.evidence(session.id, run, name) for name in names] if run else []
    return Kept.of({evidence.id: evidence for evidence in found if evidence is not None})


def grade(scenario: Scenario, done: RunRecord) -> Result:
    """All graders' word on a record."""
    if done.infrastructure:
        return Result(record=done, grades=())
    return Result(record=done, grades=tuple(grader(scenario, done) for grader in graders.load().values()))


async def run(
    scenario: Scenario, engine: Engine = PLAYBOOK, *, epoch: int = 1, limit: float = 0.0, case: Case | None = None
) -> Result:
    """Record and grade; a perturbed scenario by what is right of it then."""
    asked = case.scenario if case is not None else scenario
    return grade(asked, await record(asked, engine, epoch=epoch, limit=limit, case=case))
