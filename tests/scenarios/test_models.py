"""Scenarios asked through a model over real HTTP: graded, counted, kept in bounds, and the key in none of it."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from agent.settings import Settings
from agent.types import Claim, Disputed, ModelUsage
from evals import graders, once
from evals.engine import Engine, engine_of
from evals.items import item_of, verdict
from evals.personas import load as persona
from evals.report import as_json, as_junit, line, summarize
from evals.rundir import Sample
from evals.scenario import load_all
from evals.servers.model.script import ScriptedReply, Wire
from evals.servers.model.server import ModelServer
from evals.types import Result, RunRecord
from tools.errors import SettingsError
from tools.limits import MODEL_BUDGET
from tools.types import EvidenceRef

SCENARIOS = {scenario.name: scenario for scenario in load_all()}
CPU = SCENARIOS["hpa-cpu"]
KEY = "sk-of-this-test-only-0123456789"


class Staged:
    """One persona, and a judge that answers what it is told to."""

    def __init__(self, name: str, marks: str = '{"clarity": 4, "usefulness": 2}') -> None:
        self._inner, self._marks = persona(name), marks

    def reply(self, request: object) -> ScriptedReply:
        """By the model that is asked for."""
        if getattr(request, "model", "") == "critic":
            return ScriptedReply(text=self._marks)
        return self._inner.reply(request)  # type: ignore[arg-type]


Stage = Callable[..., Awaitable[tuple[Engine, ModelServer]]]


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """An engine on a served persona; its key comes from the environment."""
    monkeypatch.setenv("PLUMBLINE_MODEL_KEY", KEY)
    servers: list[ModelServer] = []

    async def start(script: object, **changes: object) -> tuple[Engine, ModelServer]:
        server = ModelServer(script, key=KEY, models=("scripted", "critic"))  # type: ignore[arg-type]
        servers.append(server)
        url = await server.start()
        engine = Engine(reasoner="llm", model="scripted", model_url=url)
        return engine.model_copy(update=changes), server

    yield start
    for server in servers:
        await server.stop()


# --- runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hpa-cpu", "hpa-blind", "idle-jobset", "pending-volume", "xid-memory"])
async def test_a_model_that_does_its_job_passes(name: str, stage: Stage) -> None:
    engine, server = await stage(persona("honest"))
    result = await once.run(SCENARIOS[name], engine)
    assert result.passed, result.grades
    record = result.record
    assert verdict(result) == "pass"
    assert record.reasoner == "model scripted"
    assert record.fallback == ""
    assert record.model is not None
    assert record.model.requests == len(server.requests)
    assert 0 < record.model.input < 12_000
    assert {"model", "model_url", "policy", "prompt:system"} <= record.versions.keys()
    assert KEY not in record.model_dump_json()


async def test_what_the_citation_check_does_to_a_clumsy_model_is_counted(stage: Stage) -> None:
    engine, _ = await stage(persona("clumsy"))
    result = await once.run(CPU, engine)
    assert result.passed, result.grades
    assert result.record.removed >= 1
    assert result.record.marked >= 1
    assert result.record.diagnosis is not None
    assert any(f"{result.record.removed} statement" in note for note in result.record.diagnosis.notes)


@pytest.mark.parametrize("name", ["looping", "refusing", "silent", "chatty"])
async def test_a_model_that_gives_no_answer_is_a_fallback_within_its_budget(name: str, stage: Stage) -> None:
    engine, _ = await stage(persona(name))
    result = await once.run(CPU, engine)
    assert verdict(result) == "fallback"
    assert result.passed, result.grades
    assert result.record.fallback in line(item_of(result))
    assert result.record.model_calls <= MODEL_BUDGET.calls


async def test_a_model_alone_is_graded_alone(stage: Stage) -> None:
    engine, _ = await stage(persona("honest"), judging=False)
    result = await once.run(CPU, engine)
    assert result.record.diagnosis is not None
    assert not result.record.diagnosis.ruled_out
    assert verdict(result) in ("pass", "FAIL")
    assert {grade.grader for grade in result.grades if not grade.passed} <= {
        "cause",
        "subject",
        "citations",
        "honesty",
        "ruled_out",
    }


async def test_the_playbook_asks_nobody(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, server = await stage(persona("honest"))
    monkeypatch.setenv("PLUMBLINE_MODEL", engine.model)
    monkeypatch.setenv("PLUMBLINE_MODEL_URL", engine.model_url)
    result = await once.run(CPU)
    assert result.record.reasoner == "playbook"
    assert (result.record.model, result.record.fallback, result.record.token_limit) == (None, "", 0)
    assert server.requests == []


# --- the judge ---------------------------------------------------------------------------------------------


async def test_a_judge_stands_beside_the_verdict(stage: Stage) -> None:
    engine, server = await stage(Staged("honest"), judge="critic")
    result = await once.run(CPU, engine)
    assert verdict(result) == "pass"
    assert result.record.judged is not None
    assert (result.record.judged.clarity, result.record.judged.usefulness) == (4, 2)
    asked = str(server.requests[-1].body["messages"])
    assert CPU.question.split("'")[0] in asked
    assert "E15" not in asked, "the judge sees words, not evidence"
    total = summarize([item_of(result)], 1.0)
    assert (total.clarity, total.usefulness, total.judge_failures) == (4.0, 2.0, 0)


@pytest.mark.parametrize(
    "marks",
    [
        "",
        "4",
        "clarity 4, usefulness 4",
        '{"clarity": 4}',
        '{"clarity": 6, "usefulness": 4}',
        '{"clarity": 0, "usefulness": 4}',
        '{"clarity": "4", "usefulness": 4}',
        '{"clarity": 4.5, "usefulness": 4}',
        '{"clarity": true, "usefulness": 4}',
        '{"clarity": 4, "usefulness": 4, "verdict": "pass"}',
        'Sure! {"clarity": 5, "usefulness": 5}',
        "[" * 5_000,
    ],
)
async def test_what_is_no_score_is_none(stage: Stage, marks: str) -> None:
    from evals.judge import judged

    engine, _ = await stage(Staged("honest", marks))
    diagnosis = (await once.record(CPU)).diagnosis
    assert diagnosis is not None
    settings = Settings(model="scripted", model_url=engine.model_url, model_key=KEY)  # type: ignore[arg-type]
    word = await judged(diagnosis, settings, "critic")
    assert (word.clarity, word.usefulness) == (None, None)
    assert word.failure


async def test_a_judge_that_is_down_fails_apart(stage: Stage) -> None:
    engine, _ = await stage(persona("honest"), judge="nosuch")
    result = await once.run(CPU, engine)
    assert verdict(result) == "pass"
    assert result.record.judged is not None
    assert "has no model 'nosuch'" in result.record.judged.failure
    assert summarize([item_of(result)], 1.0).judge_failures == 1


# --- graders -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> dict[str, RunRecord]:
    """Kept between tests."""
    return {}


@pytest.fixture
async def good(plain: dict[str, RunRecord]) -> RunRecord:
    """A record with evidence, made once."""
    if "record" not in plain:
        plain["record"] = await once.record(CPU)
    return plain["record"]


def said(record: RunRecord, *claims: Claim, **changes: object) -> RunRecord:
    """The record of a run in which a model said so."""
    assert record.diagnosis is not None
    diagnosis = record.diagnosis.model_copy(update={"explained": claims, **changes})
    return record.model_copy(update={"diagnosis": diagnosis})


def graded(name: str, record: RunRecord) -> tuple[bool, str]:
    grade = graders.load()[name](CPU, record)
    return grade.passed, grade.detail


async def test_grounded(good: RunRecord) -> None:
    assert good.diagnosis is not None
    real = good.diagnosis.findings[0].seen[0]
    assert graded("grounded", said(good, real)) == (True, "")
    invented = Claim(text="it is so", refs=(EvidenceRef(evidence="E999", path="/x", value=1),))
    assert graded("grounded", said(good, invented)) == (False, "does not hold: E999/x")
    changed = real.model_copy(update={"refs": (real.refs[0].model_copy(update={"value": "other"}),)})
    assert not graded("grounded", said(good, changed))[0]
    for text in ("see https://evil.example/x", "see www.evil.example", "mailto:me", "data:text/html,x"):
        linked = said(good, real.model_copy(update={"text": text}))
        assert graded("grounded", linked)[1].startswith("a link: ")
    stray = Disputed(cause="U99", because=real)
    assert graded("grounded", said(good, disputed=(stray,))) == (False, "objects to U99, which was not found")
    told = {"events": (*good.events, {"type": "text_delta", "text": "never checked\n"})}
    assert not graded("grounded", good.model_copy(update=told))[0]


async def test_budget(good: RunRecord) -> None:
    assert graded("budget", good) == (True, "")
    many = good.model_copy(update={"model_calls": MODEL_BUDGET.calls + 1})
    assert not graded("budget", many)[0]
    entry = '{"kind":"model-outcome","body":{"request":1,"status":"ok","input":900,"output":200}}'
    usage = ModelUsage(model="m", requests=2, input=1_800, output=400, counted=True)
    once_over = {"audit": (entry,), "token_limit": 1_000, "model": usage}
    assert graded("budget", good.model_copy(update=once_over))[0], "a long last reply cannot be taken back"
    twice = good.model_copy(update={**once_over, "audit": (entry, entry)})
    assert graded("budget", twice) == (False, "asked again after 1,100 tokens, 1,000 allowed")


# --- reports -----------------------------------------------------------------------------------------------


async def test_reports_hold_no_key_and_tell_fallbacks_apart(stage: Stage) -> None:
    engine, _ = await stage(persona("honest"))
    down, _ = await stage(type("Down", (), {"reply": lambda *_: ScriptedReply(wire=Wire(status=401))})())
    done = [await once.run(CPU, engine), await once.run(CPU, down, epoch=2)]
    items = [item_of(result) for result in done]
    total = summarize(items, 2.0)
    assert (total.runs, total.passed, total.failed, total.errors, total.fallbacks) == (2, 1, 0, 0, 1)
    assert total.pass_rate == 1.0
    assert total.median_tokens_in
    assert total.max_tokens_in
    assert total.median_tokens_in <= total.max_tokens_in  # what failed has cost something too
    written = io.StringIO()
    samples = (Sample(item=item, result=result) for item, result in zip(items, done, strict=True))
    as_json(samples, 2.0, engine, written)
    assert [item["epoch"] for item in json.loads(written.getvalue())["items"]] == [1, 2]
    for text in (written.getvalue(), as_junit(items, 2.0), *map(line, items), repr(engine)):
        assert KEY not in text
    assert 'name="hpa-cpu #2"' in as_junit(items, 2.0)


async def test_a_price_gives_a_cost(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine, _ = await stage(persona("honest"))
    (tmp_path / "config.toml").write_text("[prices.scripted]\ninput = 2.0\noutput = 8.0\n")
    monkeypatch.setenv("PLUMBLINE_CONFIG", str(tmp_path / "config.toml"))
    result: Result = await once.run(CPU, engine)
    usage = result.record.model
    assert usage is not None
    assert summarize([item_of(result)], 1.0).cost == pytest.approx((usage.input * 2.0 + usage.output * 8.0) / 1e6)


# --- engines -----------------------------------------------------------------------------------------------


def test_an_engine_is_data_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_MODEL_KEY", KEY)
    settings = Settings(model="m", model_url="https://models.example/v1", model_key=KEY)  # type: ignore[arg-type]
    engine = engine_of(settings)
    assert engine == Engine(reasoner="llm", model="m", model_url="https://models.example/v1")
    assert KEY not in repr(engine) + engine.model_dump_json()
    assert engine_of(Settings()) == Engine()
    with pytest.raises(SettingsError, match="only a model can answer"):
        engine_of(Settings(), judging=False)


def test_the_key_of_openai_goes_to_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("PLUMBLINE_CONFIG", "/dev/null")
    for name in ("PLUMBLINE_MODEL_KEY", "PLUMBLINE_MODEL_URL"):
        monkeypatch.delenv(name, raising=False)
    own = Engine(reasoner="llm", model="m", model_url="https://api.openai.com/v1")
    other = own.model_copy(update={"model_url": "https://api.openai.com.example/v1"})
    assert own.settings(Path("x")).model_key.get_secret_value() == KEY
    assert other.settings(Path("x")).model_key.get_secret_value() == ""
