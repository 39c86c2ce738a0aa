"""Scripted model endpoints on loopback for tests of the command line, served from another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from agent.llm import endpoint
from evals.servers.model.script import Fixed, Script, ScriptedReply
from evals.servers.model.server import MODEL, ModelServer

KEY = "sk-of-this-test-only-0123456789"
Endpoint: TypeAlias = Callable[..., ModelServer]


@pytest.fixture
def model_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Serve a script or a list of replies; the client pauses for nothing between its tries."""
    monkeypatch.setattr(endpoint, "BACKOFF_SECONDS", (0.0, 0.0))
    monkeypatch.setenv("PLUMBLINE_MODEL_KEY", KEY)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    started: list[ModelServer] = []

    def start(*said: Script | ScriptedReply, key: str = KEY, models: tuple[str, ...] = (MODEL,)) -> ModelServer:
        replies = [one for one in said if isinstance(one, ScriptedReply)]
        scripts: list[Script] = [one for one in said if not isinstance(one, ScriptedReply)]
        server = ModelServer(scripts[0] if scripts else Fixed(*replies), key=key, models=models)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        started.append(server)
        return server

    yield start
    for server in started:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def flags(url: str, model: str = MODEL) -> tuple[str, ...]:
    """The flags that name a model at a server."""
    return ("--model", model, "--base-url", url)
