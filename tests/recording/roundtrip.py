"""Serve a scenario's world, record it through the real ports, and ask the recording the same question."""

from __future__ import annotations

import tempfile
from pathlib import Path

from evals.engine import Engine
from evals.once import record as ask
from evals.once import serving
from evals.recording.recorder import Wish, record
from evals.recording.writer import Written, write_world
from evals.sameness import summary
from evals.types import Scenario
from evals.world.load import load


async def recorded(scenario: Scenario, folder: Path) -> Written:
    """The scenario's world, recorded into a folder."""
    world = load(scenario.world, overlays=scenario.overlays)
    with tempfile.TemporaryDirectory() as state:
        async with serving(world) as served:
            wish = Wish(question=scenario.question)
            return write_world(folder, await record(Engine().settings(Path(state)), served.target, wish))


async def both(scenario: Scenario, folder: Path) -> tuple[dict[str, object], dict[str, object]]:
    """(what the world says, what its recording says)."""
    plain = scenario.model_copy(update={"change": None})
    live = await ask(plain)
    await recorded(scenario, folder)
    replayed = await ask(plain.model_copy(update={"world": str(folder), "overlays": ()}))
    return {"failure": live.failure, **summary(live.diagnosis)}, {
        "failure": replayed.failure,
        **summary(replayed.diagnosis),
    }
