"""Recorded conversations are played again word for word, without a model, without a way out, and hold no secret.

PLUMBLINE_RECORD=1 records them anew from the scripted models, after prompts or tables have changed.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from vcr.errors import CannotOverwriteExistingCassetteException

from agent.app import App
from agent.events import Answered, Event
from agent.types import Diagnosis
from evals import personas
from evals.cassettes import CassetteError, cassette, guarded
from evals.scenario import load_all
from evals.servers.model.script import Fixed, ScriptedReply
from evals.servers.model.server import MODEL
from evals.types import Scenario
from tests.agent.opening import NOWHERE, named, opening, serving_model
from tools.documents import load_yaml
from tools.types import JsonObject

FOLDER = Path(__file__).parent / "cassettes"
RECORD = bool(os.environ.get("PLUMBLINE_RECORD"))
KEY = "sk-cassette-0123456789abcdef"
SETTINGS = {"model_key": KEY, "model_headers": {"x-gateway-token": "gw-cassette-0123456789"}}
SCENARIOS = {s.name: s for s in load_all() if s.name in ("hpa-cpu", "pending-taint", "fleet-unknown-question")}
CONVERSATIONS = [(name, persona) for name in sorted(SCENARIOS) for persona in ("honest", "clumsy")]
MAX_BYTES = 64 << 10
"""Of one cassette."""


def file_of(name: str, persona: str) -> Path:
    return FOLDER / f"{name}-{persona}.yaml"


@asynccontextmanager
async def endpoint(persona: str) -> AsyncIterator[dict[str, object]]:
    """Settings that name the scripted model when recording, and nothing at all in replay."""
    if not RECORD:
        yield {"model": MODEL, "model_url": NOWHERE, **SETTINGS}
        return
    async with serving_model(personas.load(persona), key=KEY) as server:
        yield named(server, **SETTINGS)


async def asked(app: App, scenario: Scenario) -> Diagnosis:
    session = await app.session(mode=scenario.mode, namespace=scenario.namespace or None)
    events: list[Event] = [event async for event in session.ask(scenario.question)]
    last = events[-1]
    assert isinstance(last, Answered)
    return last.diagnosis


@pytest.mark.parametrize(("name", "persona"), CONVERSATIONS)
async def test_a_recorded_conversation_is_played_again(name: str, persona: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    async with (
        endpoint(persona) as settings,
        opening(scenario.world, tmp_path, overlays=scenario.overlays, settings=settings) as (app, served),
    ):
        with cassette(file_of(name, persona), record=RECORD, reachable=served.target.urls, secrets=[KEY]):
            found = await asked(app, scenario)
    assert found.explained
    assert found.usage.model is not None
    assert found.usage.model.requests >= (2 if persona == "honest" else 3)
    assert bool(found.notes) is (persona == "clumsy"), found.notes


# --- what stands in them -----------------------------------------------------------------------------------


def test_no_cassette_is_an_orphan() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {file_of(*one).name for one in CONVERSATIONS}


@pytest.mark.parametrize(("name", "persona"), CONVERSATIONS)
def test_a_cassette_holds_neither_secrets_nor_callers(name: str, persona: str) -> None:
    path = file_of(name, persona)
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) <= MAX_BYTES
    low = text.lower()
    for word in ("authorization:", "bearer", "cookie", "x-stainless", "user-agent", "x-gateway", "127.0.0.1"):
        assert word not in low, word
    for secret in (KEY, "gw-cassette", "planted-canary", *(c for s in SCENARIOS.values() for c in s.canaries)):
        assert secret not in text, secret
    document = load_yaml(text, name=path.name)
    assert isinstance(document, dict)
    interactions = document["interactions"]
    assert isinstance(interactions, list)
    for one in interactions:
        assert isinstance(one, dict)
        assert headers(one, "request") <= {"content-type"}
        assert headers(one, "response") <= {"content-type", "retry-after"}


def headers(interaction: JsonObject, part: str) -> set[str]:
    side = interaction[part]
    assert isinstance(side, dict)
    found = side["headers"]
    assert isinstance(found, dict)
    return {name.lower() for name in found}


# --- the manager -------------------------------------------------------------------------------------------

HELLO: JsonObject = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "n": 1}
TURNED: JsonObject = {"n": 1, "messages": [{"content": "hello", "role": "user"}], "model": MODEL}
OTHER: JsonObject = {"model": MODEL, "messages": [{"role": "user", "content": "good bye"}], "n": 1}


async def post(url: str, body: JsonObject) -> str:
    async with httpx2.AsyncClient() as client:
        return (await client.post(f"{url}/chat/completions", json=body, headers={"authorization": KEY})).text


@pytest.fixture
async def tape(tmp_path: Path) -> Path:
    """One recorded exchange."""
    path = tmp_path / "one.yaml"
    async with serving_model(Fixed(ScriptedReply(text="hi"))) as server:
        with cassette(path, record=True):
            await post(server.url, HELLO)
    return path


async def test_a_body_matches_in_any_order_at_any_port(tape: Path) -> None:
    with cassette(tape, record=False):
        assert '"hi"' in await post(NOWHERE, TURNED)


async def refused(url: str, body: JsonObject) -> None:
    with pytest.raises(CannotOverwriteExistingCassetteException):
        await post(url, body)


async def test_another_body_is_a_miss_and_never_goes_out(tape: Path) -> None:
    async with serving_model(Fixed(ScriptedReply(text="live"))) as server:
        with pytest.raises(CassetteError, match=r"not in one\.yaml"), cassette(tape, record=False):
            await refused(server.url, OTHER)
        assert server.requests == []


async def test_an_exchange_is_played_once(tape: Path) -> None:
    async def twice() -> None:
        with cassette(tape, record=False):
            await post(NOWHERE, HELLO)
            await refused(NOWHERE, HELLO)

    with pytest.raises(CassetteError, match=r"not in one\.yaml"):
        await twice()


async def test_what_is_left_over_is_an_error(tape: Path) -> None:
    with pytest.raises(CassetteError, match="1 of 1 interactions"), cassette(tape, record=False):
        pass


async def test_a_failure_inside_is_not_hidden(tape: Path) -> None:
    with pytest.raises(ZeroDivisionError), cassette(tape, record=False):
        raise ZeroDivisionError


def test_a_cassette_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="record it first"), cassette(tmp_path / "none.yaml", record=False):
        pass


async def test_a_secret_is_never_stored(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    async with serving_model(Fixed(ScriptedReply(text=f"your key is {KEY}"))) as server:
        with pytest.raises(CassetteError, match="would hold a secret"), cassette(path, record=True, secrets=[KEY]):
            await post(server.url, HELLO)
    assert not path.exists()


async def test_the_guard_lets_out_only_what_is_named() -> None:
    async with serving_model(personas.load("silent")) as model, serving_model(personas.load("silent")) as cluster:
        with guarded([cluster.url]):
            assert await reached(cluster.url)
            assert not await reached(model.url)
            with pytest.raises(ConnectionRefusedError, match="replay"):
                socket.create_connection(("127.0.0.1", 9), timeout=1)
        assert await reached(model.url)


async def reached(url: str) -> bool:
    parts = httpx2.URL(url)
    try:
        _, writer = await asyncio.open_connection(parts.host, parts.port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
