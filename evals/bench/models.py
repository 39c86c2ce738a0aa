"""What a language model costs in tokens, calls and time that is ours: measured with the scripted honest model."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from agent.app import App
from agent.events import Event, ModelAsked
from agent.settings import Settings
from evals import personas
from evals.engine import Engine
from evals.once import record, serving
from evals.scenario import load_all
from evals.servers.model.script import Fixed, ScriptedReply, Wire
from evals.servers.model.server import ModelServer
from evals.types import RunRecord
from evals.world.load import load

QUESTION = "why are team search's H100s half idle?"


async def conversations() -> tuple[list[RunRecord], list[int]]:
    """Every scenario with the honest model: records, and the estimated size of each first request."""
    server = ModelServer(personas.load("honest"))
    url = await server.start()
    try:
        engine = Engine(reasoner="llm", model="scripted", model_url=url)
        records = [await record(scenario, engine) for scenario in load_all()]
    finally:
        await server.stop()
    first = [int(str(event["tokens"])) for done in records for event in done.events if event.get("request") == 1]
    return records, first


async def cancelling() -> float:
    """Seconds from cancelling a run whose model never answers to the end of the run."""
    server = ModelServer(Fixed(ScriptedReply(wire=Wire(hang=True))))
    url = await server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(state_dir=Path(folder), model="scripted", model_url=url)
            async with serving(load("hpa-cpu")) as served, App.open(settings, served.target) as app:
                session = await app.session()
                heard: list[Event] = []
                begun = 0.0
                async for event in session.ask(QUESTION):
                    heard.append(event)
                    if isinstance(event, ModelAsked):
                        begun = time.perf_counter()
                        await session.cancel()
                return time.perf_counter() - begun
    finally:
        await server.stop()


def measured() -> list[tuple[str, str, str]]:
    """(what, value, target) rows."""
    records, first = asyncio.run(conversations())
    usages = [done.diagnosis.usage for done in records if done.diagnosis and done.diagnosis.usage.model]
    sent = [usage.model.input for usage in usages if usage.model]
    asked = [usage.model.requests for usage in usages if usage.model]
    seconds = min(asyncio.run(cancelling()) for _ in range(3))
    return [
        ("first model request, largest of all scenarios", f"{max(first):,} tokens", "4,000"),
        ("tokens in, median diagnosis", f"{statistics.median(sent):,.0f}", "12,000"),
        ("model requests, median diagnosis", f"{statistics.median(asked):g}", "12 tool calls"),
        ("cancelling a model that hangs", f"{seconds * 1000:.0f} ms", "200 ms"),
    ]
