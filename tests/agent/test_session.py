"""A session from question to answer over real HTTP, once with each reasoner: events, store, resume, refusals."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.app import App, Target
from agent.events import Answered, Asked, Cancelled, Degraded, Event, EvidenceAdded, Failed, FindingMade, Planned
from agent.session import Session
from agent.settings import Settings
from agent.types import Diagnosis
from evals import personas
from evals.once import Served, serving
from evals.world.load import load
from evals.world.model import World
from tests.agent.opening import Opener, opener_in
from tools.errors import AuditUnavailable, UnknownName, UserError

QUESTION = "why are team search's H100s half idle?"


@pytest.fixture(params=["playbook", "model"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Every flow of this file runs through both reasoners; the model is a scripted one that does its job."""
    return opener_in(tmp_path, (lambda: personas.load("honest")) if request.param == "model" else None)


async def heard(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


async def asked(app: App, question: str, **flags: str) -> tuple[Session, list[Event]]:
    session = await app.session(**flags)  # type: ignore[arg-type]
    return session, await heard(session.ask(question))


def diagnosis(events: list[Event]) -> Diagnosis:
    last = events[-1]
    assert isinstance(last, Answered), last
    return last.diagnosis


async def test_a_question_ends_in_a_cited_diagnosis(opened: Opener) -> None:
    async with opened() as (app, served):
        session, events = await asked(app, QUESTION)
        found = diagnosis(events)
        stored = [event for _, _, event in app.store.events(session.id, 1)]
        kept = {e.evidence for e in events if isinstance(e, EvidenceAdded)}
        cited = {ref.evidence for finding in found.findings for ref in finding.refs}
        assert all(app.store.evidence(session.id, 1, name) for name in kept | cited)
        assert app.store.notes(session.id, 1)["audit_head"] == app.audit.head
    assert [finding.cause for finding in found.findings] == ["U13"]
    assert found.scope.namespaces == ("search",)
    assert stored == events
    assert isinstance(events[0] if isinstance(events[0], Planned) else events[-1], Planned | Answered)
    assert any(isinstance(event, FindingMade) for event in events)
    assert cited <= kept
    assert served.kube.requests
    assert all(not record.path.endswith("secrets") for record in served.kube.requests)


async def test_each_kind_is_listed_once(opened: Opener) -> None:
    async with opened() as (app, served):
        await asked(app, "is everything all right?")
        lists = [r.path for r in served.kube.requests if r.method == "GET" and r.path.count("/") <= 4]
    assert len(lists) == len(set(lists))


async def test_the_same_question_gives_the_same_answer(opened: Opener) -> None:
    answers = []
    for state in ("one", "two"):
        async with opened(state=state) as (app, _):
            _, events = await asked(app, QUESTION)
            answers.append(diagnosis(events).model_copy(update={"usage": None}))
    assert answers[0] == answers[1]


async def test_two_runs_on_one_session_are_refused(opened: Opener) -> None:
    async with opened() as (app, _):
        session = await app.session()
        first = session.ask(QUESTION)
        await anext(first)
        twin = await app.session()
        twin.id = session.id
        with pytest.raises(UserError, match="busy"):
            await heard(twin.ask("is everything all right?"))
        rest = await heard(first)
    assert isinstance(rest[-1], Answered)


async def test_an_interrupted_run_resumes_without_reading_again(opened: Opener) -> None:
    async with opened() as (app, served):
        session = await app.session()
        events: list[Event] = []
        async for event in session.ask(QUESTION):
            events.append(event)
            if isinstance(event, Planned) and event.round == 2:
                await session.cancel()
        assert isinstance(events[-1], Cancelled)
        before = len(served.prom.requests)
        again = await app.session(session_id=session.id)
        resumed = await heard(again.resume())
        after = len(served.prom.requests)
        once_more = await heard((await app.session(session_id=session.id)).resume())
    assert [f.cause for f in diagnosis(resumed).findings] == ["U13"]
    assert after == before
    assert diagnosis(once_more) == diagnosis(resumed)


async def test_a_second_question_is_a_second_run(opened: Opener) -> None:
    async with opened() as (app, _):
        session, _ = await asked(app, QUESTION)
        await heard(session.ask("what changed in the last 7 days?"))
        assert app.store.last_run(session.id) == 2
        assert app.store.sessions()[0].runs == 2


async def test_several_meanings_are_asked_and_never_guessed(opened: Opener) -> None:
    def twin(world: World) -> None:
        for obj in json.loads(json.dumps(world.objects)):
            if obj["kind"] == "Deployment" and obj["metadata"]["name"] == "chat-70b":
                obj["metadata"].update({"namespace": "research", "uid": "twin"})
                world.objects.append(obj)

    async with opened(change=twin) as (app, _):
        session, events = await asked(app, "why is chat-70b slow?")
        question = events[-1]
        assert isinstance(question, Asked)
        assert len(question.candidates) == 2
        answer = await heard(session.answer(next(c for c in question.candidates if c.startswith("search/"))))
    assert diagnosis(answer).scope.namespaces == ("search",)


@pytest.mark.parametrize("namespace", ["serch", "no-such"])
async def test_an_unknown_namespace_is_one_line(opened: Opener, namespace: str) -> None:
    async with opened() as (app, _):
        _, events = await asked(app, "is everything all right?", namespace=namespace)
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert "\n" not in failed.message
    assert ("search" in failed.hint) == (namespace == "serch")


async def test_without_prometheus_objects_still_answer(opened: Opener) -> None:
    def alter(target: Target) -> Target:
        return dataclasses.replace(target, prom=None, prom_note="none was given")

    async with opened(alter=alter) as (app, _):
        _, events = await asked(app, QUESTION)
    found = diagnosis(events)
    assert any(isinstance(event, Degraded) for event in events)
    assert [f.cause for f in found.findings] == ["U13"]
    assert found.findings[0].confidence == "medium"
    assert [(entry.need, entry.because) for entry in found.missing] == [("metrics", "not read: none was given")]


@pytest.mark.parametrize(
    "question", ["", "x" * 100_000, "\x00\x1b[2J\u202e", "[@click=app.quit()] {{7*7}} $(id)", "؟؟؟"]
)
async def test_odd_questions_get_an_honest_overview(opened: Opener, question: str) -> None:
    async with opened("fleet") as (app, _):
        _, events = await asked(app, question)
    found = diagnosis(events)
    assert found.status == "healthy"
    assert found.asked
    assert "\x1b" not in found.model_dump_json().encode().decode("unicode_escape", "replace")


async def test_a_forbidden_kind_is_named_and_the_answer_goes_on(opened: Opener) -> None:
    def forbid(world: World) -> None:
        world.faults.append(
            {
                "server": "kube",
                "match": "/horizontalpodautoscalers",
                "status": 403,
                "body": {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "status": "Failure",
                    "reason": "Forbidden",
                    "code": 403,
                    "message": "horizontalpodautoscalers is forbidden",
                },
            }
        )

    async with opened(change=forbid) as (app, _):
        _, events = await asked(app, QUESTION)
    found = diagnosis(events)
    assert found.status == "inconclusive"
    assert any("horizontalpodautoscaler" in entry.need for entry in found.missing)


async def test_a_state_directory_that_is_a_file_stops_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    async with serving(load("fleet")) as served:
        before = len(served.kube.requests)
        with pytest.raises(AuditUnavailable, match="state directory"):
            async with App.open(Settings(state_dir=tmp_path / "state"), served.target):
                pass
        assert len(served.kube.requests) == before


async def test_an_unknown_session_is_named(opened: Opener) -> None:
    async with opened() as (app, _):
        with pytest.raises(UnknownName, match="session"):
            await app.session(session_id="nope")


async def test_the_question_is_redacted_before_it_is_kept(opened: Opener) -> None:
    async with opened("fleet") as (app, _):
        session, _ = await asked(app, "is everything ok? token=ghp_0123456789abcdefghijABCDEFGHIJ012345")
        (row,) = [r for r in app.store.sessions() if r.id == session.id]
    assert "ghp_" not in row.question


async def test_cancel_returns_quickly_while_a_server_hangs(opened: Opener) -> None:
    def hang(world: World) -> None:
        world.faults.append({"server": "prom", "match": "kube_horizontalpodautoscaler", "hang": True})

    async with opened(change=hang) as (app, _):
        session = await app.session()
        events = session.ask(QUESTION)
        await anext(events)
        started = asyncio.get_running_loop().time()
        reader = asyncio.create_task(heard(events))
        await asyncio.sleep(0)
        await session.cancel()
        last = (await reader)[-1]
        assert asyncio.get_running_loop().time() - started < 5
    assert isinstance(last, Cancelled)


def test_served_is_what_it_says() -> None:
    assert {field.name for field in dataclasses.fields(Served)} == {"world", "kube", "prom", "target"}


async def test_a_claim_whose_evidence_does_not_hold_never_reaches_anybody(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forged(self: object, ref: object) -> bool:
        return False

    monkeypatch.setattr("agent.citations.Checker.holds", forged)
    async with opened() as (app, _):
        _, events = await asked(app, QUESTION)
    found = diagnosis(events)
    assert (found.status, found.findings, found.checked) == ("inconclusive", (), ())
    assert not any(isinstance(event, FindingMade) for event in events)
    assert any("evidence does not hold" in entry.because for entry in found.missing)


async def test_a_session_stays_with_its_cluster(opened: Opener) -> None:
    async with opened("fleet") as (app, _):
        session, _ = await asked(app, "is everything all right?")
    async with opened("hpa-cpu") as (app, _):
        with pytest.raises(UserError, match="belongs to world fleet"):
            await app.session(session_id=session.id)


async def test_damaged_checkpoints_are_one_line(tmp_path: Path, opened: Opener) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "checkpoints.db").write_bytes(b"no database" * 500)
    with pytest.raises(UserError, match="damaged"):
        async with opened():
            pass


async def test_a_question_outside_the_grammar_says_so(opened: Opener) -> None:
    async with opened("fleet") as (app, _):
        _, events = await asked(app, "how do I bake a cake?")
    found = diagnosis(events)
    assert found.understood is app.reasoner.explores
    assert bool(found.explained) is app.reasoner.explores, "only a model has something to say about it"
