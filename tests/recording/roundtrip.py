"""Serve a scenario's world, record it through the real ports, and ask the recording the same question."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from pydantic import JsonValue

from agent.types import Claim, Diagnosis
from evals.engine import Engine
from evals.once import record as ask
from evals.once import serving
from evals.recording.recorder import Wish, record
from evals.recording.writer import Written, write_world
from evals.types import Scenario
from evals.world.load import load

_USER = re.compile(r'User "[^"]*"')
"""Whoever records is not named in a recording."""


def _claim(claim: Claim) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Words and values; which evidence holds them depends on the order in which answers came."""
    return claim.text, tuple(sorted({(ref.path, _value(ref.value)) for ref in claim.refs}))


def _example(claim: Claim) -> tuple[str, tuple[str, ...]]:
    """What is well cites the first few series that say so, and a server may send series in any order."""
    return claim.text, tuple(sorted(_value(ref.value) for ref in claim.refs))


def _value(value: JsonValue) -> str:
    """Sums depend in their last bits on the order of series; a pseudonym stands for the secret it replaced."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def summary(diagnosis: Diagnosis | None) -> dict[str, object]:
    """Everything said: verdict, findings, exclusions, what could not be looked at, with words and values."""
    if diagnosis is None:
        return {}
    return {
        "status": diagnosis.status,
        "findings": [
            (f.cause, f.role, f.title, f.confidence, f.severity, f.since, f.affects, [_claim(one) for one in f.seen])
            for f in diagnosis.findings
        ],
        "ruled out": [(one.cause, str(one.subject), _claim(one.because)) for one in diagnosis.ruled_out],
        "checked": [_example(one) for one in diagnosis.checked],
        "shown": [_claim(one) for one in diagnosis.shown],
        "missing": [(one.need, _USER.sub("User", one.because), one.causes) for one in diagnosis.missing],
        "notes": diagnosis.notes,
    }


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
