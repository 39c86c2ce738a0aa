"""A question with a model behind it: what fails leaves the playbook's answer and a note, what runs out ends in an
answer, what is cancelled goes on where it was, and nothing is sent that was not audited before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.app import App
from agent.events import Answered, Asked, CallStarted, Cancelled, Degraded, Event, Failed, ModelAsked
from agent.session import Session
from agent.types import Diagnosis
from evals import personas
from evals.personas.honest import answer, call
from evals.personas.looping import Looping
from evals.servers.model.script import ChatRequest, Fixed, Script, ScriptedReply, Wire
from evals.servers.model.server import MODEL, ModelServer
from evals.transcript import Statement
from evals.world.model import World
from tests.agent.opening import NOWHERE, named, opening, same, serving_model
from tools.audit import AuditLog
from tools.errors import AuditUnavailable
from tools.limits import Budget
from tools.types import JsonObject

QUESTION = "why are team search's H100s half idle?"
NONE: Mapping[str, object] = {}
KEY = "sk-flows-0123456789abcdefghij"
GATEWAY = "gw-flows-0123456789abcdefghij"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here waits between attempts."""
    monkeypatch.setattr("agent.llm.endpoint.BACKOFF_SECONDS", (0.0, 0.0))


@dataclass(slots=True)
class Run:
    """One question, and everything that can be seen of it."""

    app: App
    session: Session
    events: list[Event]
    server: ModelServer | None = None

    @property
    def answer(self) -> Diagnosis:
        """The diagnosis at the end."""
        last = self.events[-1]
        assert isinstance(last, Answered), last
        return last.diagnosis

    @property
    def audited(self) -> list[JsonObject]:
        """Entries of the audit log."""
        path = self.app.settings.state_dir / "audit.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def heard(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


@asynccontextmanager
async def asking(
    folder: Path, script: Script, settings: Mapping[str, object] = NONE, *, key: str = ""
) -> AsyncIterator[Run]:
    """A question to an App with a scripted model behind it."""
    async with (
        serving_model(script, key=key) as server,
        opening("hpa-cpu", folder, settings=named(server, **settings)) as (app, _),
    ):
        session = await app.session()
        yield Run(app, session, await heard(session.ask(QUESTION)), server)


async def by_playbook(folder: Path) -> Diagnosis:
    """The answer without any model."""
    async with opening("hpa-cpu", folder) as (app, _):
        session = await app.session()
        return Run(app, session, await heard(session.ask(QUESTION))).answer


class Then:
    """One script after another, each for so many requests."""

    def __init__(self, first: Script, count: int, rest: Script) -> None:
        self._first, self._count, self._rest = first, count, rest

    def reply(self, request: ChatRequest) -> ScriptedReply:
        self._count -= 1
        return (self._first if self._count >= 0 else self._rest).reply(request)


class Digging:
    """Reads something new each time, and answers only when it has to; `stubborn`: not even then."""

    def __init__(self, *, stubborn: bool = False, wide: bool = False) -> None:
        self._stubborn, self._wide, self._count = stubborn, wide, 0

    def reply(self, request: ChatRequest) -> ScriptedReply:
        self._count += 1
        if request.tool_choice == "answer" and not self._stubborn:
            return answer([Statement("The cluster has the kinds that were listed.", ("E1",))])
        kind = {} if self._wide else {"kind": "Node"}
        return ScriptedReply(calls=(call("list_events", **kind, name=f"gpu-{self._count}"),))


# --- a model that helps ------------------------------------------------------------------------------------


async def test_a_model_adds_cited_statements_and_changes_no_verdict(tmp_path: Path) -> None:
    expected = await by_playbook(tmp_path / "playbook")
    async with asking(tmp_path / "model", personas.load("honest")) as run:
        found = run.answer
    assert same(found, expected)
    assert len(found.explained) >= 4
    assert (found.notes, found.disputed, found.drafts) == ((), (), ())
    assert found.usage.model is not None
    assert found.usage.model.requests == len([e for e in run.events if isinstance(e, ModelAsked)]) == 2


async def test_a_verdict_that_a_model_sends_counts_for_nothing_where_causes_judged(tmp_path: Path) -> None:
    expected = await by_playbook(tmp_path / "playbook")
    said = answer([Statement("There are 12 namespaces.", ("E2",))], status="healthy", cause="U01", subject="Node/gpu-0")
    async with asking(tmp_path / "model", Fixed(said)) as run:
        found = run.answer
    assert same(found, expected)
    assert [claim.text for claim in found.explained] == ["There are 12 namespaces."]


async def test_a_second_question_is_asked_with_what_came_before(tmp_path: Path) -> None:
    async with asking(tmp_path, personas.load("honest")) as run:
        again = await heard(run.session.ask("what changed in the last 7 days?"))
        assert run.app.store.last_run(run.session.id) == 2
        assert run.server is not None
        opening_of_second = run.server.requests[2].body
    last = again[-1]
    assert isinstance(last, Answered)
    assert last.diagnosis.explained
    assert last.diagnosis.usage.model is not None
    assert last.diagnosis.usage.model.requests == len(run.server.requests) - 2, "what a run spent is its own"
    assert "Question: what changed in the last 7 days?" in json.dumps(opening_of_second)


async def test_a_choice_is_made_before_any_model_is_asked(tmp_path: Path) -> None:
    """The candidates are the program's own; the model hears of the question once it is settled."""

    def twin(world: World) -> None:
        for obj in json.loads(json.dumps(world.objects)):
            if obj["kind"] == "Deployment" and obj["metadata"]["name"] == "chat-70b":
                obj["metadata"].update({"namespace": "research", "uid": "twin"})
                world.objects.append(obj)

    async with (
        serving_model(personas.load("honest")) as server,
        opening("hpa-cpu", tmp_path, change=twin, settings=named(server)) as (app, _),
    ):
        session = await app.session()
        events = await heard(session.ask("why is chat-70b slow?"))
        question = events[-1]
        assert isinstance(question, Asked)
        assert server.requests == []
        chosen = next(c for c in question.candidates if c.startswith("search/"))
        end = (await heard(session.answer(chosen)))[-1]
    assert isinstance(end, Answered)
    assert end.diagnosis.explained


# --- an endpoint that does not -----------------------------------------------------------------------------

HTML = b"<!doctype html><html><body>Sign in at https://login.example/?next=x</body></html>"
DEGRADED: dict[str, tuple[Script, dict[str, object], str]] = {
    "wrong key": (personas.load("honest"), {"model_key": "sk-wrong-0123456789"}, "refuses the key"),
    "unknown model": (personas.load("honest"), {"model": "no-such-model"}, "has no model 'no-such-model'"),
    "429": (Fixed(ScriptedReply(wire=Wire(status=429, headers={"Retry-After": "3600"}))), {}, "asks to wait 3600 s"),
    "500": (Fixed(ScriptedReply(wire=Wire(status=500))), {}, "answered status 500"),
    "timeout": (Fixed(ScriptedReply(wire=Wire(hang=True))), {}, "gave no whole reply within 1 s"),
    "stream cut": (Fixed(ScriptedReply(text="a" * 400, wire=Wire(cut=90))), {}, "reply"),
    "silence": (Fixed(ScriptedReply(text="a" * 400, wire=Wire(hang_after=90))), {}, "within 1 s"),
    "endpoint down": (personas.load("honest"), {"model_url": NOWHERE}, "refuses connections"),
    "HTML": (Fixed(ScriptedReply(wire=Wire(body=HTML, content_type="text/html"))), {}, "HTML page"),
    "a token a minute": (Fixed(ScriptedReply(text=["a", "b", "c"], wire=Wire(drip=60.0))), {}, "within 1 s"),
    "no UTF-8": (Fixed(ScriptedReply(wire=Wire(body=b"\xff\xfe", content_type="text/plain"))), {}, "answered"),
    "no choice": (Fixed(ScriptedReply(wire=Wire(choices=False))), {}, "without any choice"),
    "redirect": (Fixed(ScriptedReply(wire=Wire(redirect="http://203.0.113.9/v1"))), {}, "redirects"),
    "silent": (personas.load("silent"), {}, "answered with nothing"),
    "refusing": (personas.load("refusing"), {}, "refused"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEGRADED)
async def test_a_model_that_cannot_be_used_leaves_the_playbooks_answer(name: str, tmp_path: Path) -> None:
    script, settings, says = DEGRADED[name]
    expected = await by_playbook(tmp_path / "playbook")
    key = "" if name != "wrong key" else KEY
    async with asking(tmp_path / "model", script, {"model_timeout": 1.0, **settings}, key=key) as run:
        found = run.answer
    assert same(found, expected)
    assert found.reasoner == "playbook"
    assert found.explained == ()
    assert len(found.notes) == 1
    assert says in found.notes[0]
    assert "\n" not in found.notes[0]
    assert "login.example" not in found.notes[0]


async def test_the_reader_hears_at_once_that_the_model_is_lacking(tmp_path: Path) -> None:
    async with asking(tmp_path, Fixed(ScriptedReply(wire=Wire(status=401)))) as run:
        pass
    degraded = [event for event in run.events if isinstance(event, Degraded)]
    assert [event.what for event in degraded] == ["the model"]
    assert run.events.index(degraded[0]) < len(run.events) - 1


async def test_a_model_that_fails_halfway_keeps_what_it_cost(tmp_path: Path) -> None:
    script = Then(personas.load("honest"), 1, Fixed(ScriptedReply(wire=Wire(status=401))))
    async with asking(tmp_path, script) as run:
        found = run.answer
    assert found.usage.model is not None
    assert found.usage.model.requests == 2
    assert found.usage.model.input > 1_000
    assert "refuses the key" in found.notes[0]


# --- what runs out -----------------------------------------------------------------------------------------

PRICES = {MODEL: {"input": 1.0, "output": 1.0}}
LIMITS: dict[str, tuple[Callable[[], Script], dict[str, object], Budget | None, str]] = {
    "calls": (Digging, {}, Budget(calls=2, seconds=120.0), "all 2 calls of this question are used"),
    "seconds": (Digging, {}, Budget(calls=30, seconds=15.0), "the 15 s of this question are nearly over"),
    "tokens": (Digging, {"model_tokens": 30_000}, None, "the budget of this question is nearly used"),
    "no tokens": (Digging, {"model_tokens": 1_000}, None, "the 1,000 tokens of this question are used"),
    "money": (Digging, {"model_cost": 0.03, "prices": PRICES}, None, "the budget of this question is nearly used"),
    "no money": (Digging, {"model_cost": 0.001, "prices": PRICES}, None, "would cost more than 0.001"),
    "an hour": (Digging, {"model_tokens_per_hour": 6_000}, None, "tokens of this hour are used"),
    "turns": (Digging, {}, None, "12 replies are enough"),
    "loops": (Looping, {}, None, "the same things were asked again"),
    "stubborn": (lambda: Digging(stubborn=True), {}, Budget(calls=2, seconds=120.0), "all 2 calls of this question"),
}


@pytest.mark.parametrize("name", LIMITS)
async def test_what_runs_out_ends_in_an_answer_that_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, settings, budget, says = LIMITS[name]
    if budget is not None:
        monkeypatch.setattr("agent.session.MODEL_BUDGET", budget)
    expected = await by_playbook(tmp_path / "playbook")
    async with asking(tmp_path / "model", script(), settings) as run:
        found = run.answer
        assert run.server is not None
        asked = len(run.server.requests)
    assert same(found, expected)
    assert any(says in note for note in found.notes), found.notes
    assert asked <= 14
    closed = name in ("calls", "seconds", "tokens", "money", "turns")
    assert bool(found.explained) is closed, "the last request asks for the answer"


async def test_the_hour_is_counted_over_questions(tmp_path: Path) -> None:
    async with asking(tmp_path, personas.load("honest"), {"model_tokens_per_hour": 9_000}) as run:
        assert run.answer.explained
        again = (await heard(run.session.ask(QUESTION)))[-1]
    assert isinstance(again, Answered)
    assert any("of this hour are used" in note for note in again.diagnosis.notes)


# --- cancelling --------------------------------------------------------------------------------------------


async def test_a_cancelled_request_is_closed_and_the_run_goes_on_where_it_was(tmp_path: Path) -> None:
    hanging = Fixed(ScriptedReply(wire=Wire(hang=True)))
    async with (
        serving_model(Then(personas.load("honest"), 1, hanging)) as server,
        opening("hpa-cpu", tmp_path, settings=named(server)) as (app, served),
    ):
        session = await app.session()
        events = await _cancelled_in(session, server, request=2)
        assert isinstance(events[-1], Cancelled)
        await asyncio.wait_for(server.gone.wait(), 5)
        spent = app.store.spent_since(app.now - 3_600)
        server.script = personas.load("honest")
        again = await app.session(session_id=session.id)
        before = len(served.kube.requests), len(served.prom.requests)
        resumed = (await heard(again.resume()))[-1]
        after = len(served.kube.requests), len(served.prom.requests)
    assert isinstance(resumed, Answered)
    assert resumed.diagnosis.explained
    assert after == before, "nothing is read again"
    usage = resumed.diagnosis.usage.model
    assert usage is not None
    assert (usage.requests, len(server.requests)) == (2, 3)
    assert usage.input > spent > 0, "what was spent before is kept"


async def _cancelled_in(session: Session, server: ModelServer, *, request: int) -> list[Event]:
    """Events of a question that was cancelled while the server kept a request waiting."""
    events: list[Event] = []
    async with asyncio.timeout(30):
        async for event in session.ask(QUESTION):
            events.append(event)
            if isinstance(event, ModelAsked) and event.request == request:
                await _until(lambda: len(server.requests) == request)
                await session.cancel()
    return events


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_resume_gives_back_none_of_the_calls_a_run_has_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled and resumed, a question still makes no more calls for a model than its budget."""
    monkeypatch.setattr("agent.session.MODEL_BUDGET", Budget(calls=3, seconds=120.0))
    digging = Digging()
    async with (
        serving_model(Then(digging, 2, Fixed(ScriptedReply(wire=Wire(hang=True))))) as server,
        opening("hpa-cpu", tmp_path, settings=named(server)) as (app, _),
    ):
        session = await app.session()
        first = await _cancelled_in(session, server, request=3)
        server.script = digging
        again = await app.session(session_id=session.id)
        rest = await heard(again.resume())
    assert _dug(first) == 2
    assert _dug([*first, *rest]) == 3
    last = rest[-1]
    assert isinstance(last, Answered)
    assert "all 3 calls of this question are used" in str(last.diagnosis.notes)


def _dug(events: list[Event]) -> int:
    """Reads that the model asked for and that were made."""
    return sum(
        event.tool == "list_events" and "gpu-" in event.query for event in events if isinstance(event, CallStarted)
    )


# --- what is kept ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [True, False])
async def test_no_key_is_in_anything_that_is_kept_or_said(*, right: bool, tmp_path: Path) -> None:
    """Also where the endpoint repeats the key in its refusal, and the model in its words."""
    parrot = Fixed(answer([Statement(f"The key is {KEY} and {GATEWAY}, with 64 GPUs.", ("E2",))]))
    settings = {"model_key": KEY, "model_headers": {"x-gateway-token": GATEWAY}}
    async with asking(tmp_path, parrot, settings, key=KEY if right else "another") as run:
        told = "".join(event.model_dump_json() for event in run.events)
        assert run.server is not None
        assert bool(run.server.requests) is right
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert kept
    for secret in (KEY, GATEWAY):
        assert secret not in told
        assert secret.encode() not in kept


async def test_each_request_is_audited_before_and_after(tmp_path: Path) -> None:
    """G27."""
    async with asking(tmp_path, personas.load("honest")) as run:
        entries = [(entry["kind"], entry["body"]) for entry in run.audited]
        assert run.server is not None
        count = len(run.server.requests)
    ours = [(kind, body) for kind, body in entries if str(kind).startswith("model")]
    assert [kind for kind, _ in ours] == ["model", "model-outcome"] * count
    numbers = [body["request"] for _, body in ours if isinstance(body, dict)]
    assert numbers == [n for n in range(1, count + 1) for _ in range(2)]
    assert all(isinstance(body, dict) and body["digest"] for _, body in ours)


async def test_every_attempt_at_a_request_is_audited_and_charged(tmp_path: Path) -> None:
    """A retry sends the whole case again: it leaves an entry of its own, and its tokens count into the hour."""
    busy = Fixed(ScriptedReply(wire=Wire(status=503)))
    async with asking(tmp_path, Then(busy, 2, personas.load("honest"))) as run:
        sends = [entry["body"] for entry in run.audited if entry["kind"] == "model"]
        assert run.server is not None
        assert len(sends) == len(run.server.requests)
        first = [body for body in sends if isinstance(body, dict) and body["request"] == 1]
        assert [body["send"] for body in first] == [1, 2, 3]
        assert len({str(body["digest"]) for body in first}) == 1
        spent = run.app.store.spent_since(0)
        usage = run.answer.usage.model
    assert usage is not None
    assert usage.input > 3 * int(str(first[0]["tokens"])) * 0.9
    assert spent >= usage.input


async def test_a_failed_request_has_its_outcome_too(tmp_path: Path) -> None:
    async with asking(tmp_path, Fixed(ScriptedReply(wire=Wire(status=401)))) as run:
        outcomes = [entry["body"] for entry in run.audited if entry["kind"] == "model-outcome"]
    assert outcomes == [{"request": 1, "status": "credentials"}]


async def test_without_an_audit_log_no_model_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G28."""
    append = AuditLog.append

    def full(self: AuditLog, kind: str, body: JsonObject) -> str:
        if kind == "model":
            raise AuditUnavailable("the audit log cannot be written: no space left on device")
        return append(self, kind, body)

    monkeypatch.setattr(AuditLog, "append", full)
    async with asking(tmp_path, personas.load("honest")) as run:
        assert run.server is not None
        assert run.server.requests == []
    last = run.events[-1]
    assert isinstance(last, Failed)
    assert "audit log" in last.message
