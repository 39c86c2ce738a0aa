"""A recording says what the cluster said: every scenario under `prove`, a seeded few of them always."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from evals.scenario import load_all
from evals.world.lint import lint
from tests.recording.roundtrip import both, recorded

SCENARIOS = {scenario.name: scenario for scenario in load_all()}
SLICE = random.Random(5).sample(sorted(SCENARIOS), 1)


@pytest.mark.parametrize("name", SLICE)
async def test_a_recording_gives_the_same_answer(name: str, tmp_path: Path) -> None:
    live, replayed = await both(SCENARIOS[name], tmp_path / "w")
    assert replayed == live
    assert live["failure"] == ""
    assert lint(tmp_path / "w") == []


@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_every_recording_gives_the_same_answer(name: str, tmp_path: Path) -> None:
    live, replayed = await both(SCENARIOS[name], tmp_path / "w")
    assert replayed == live
    assert lint(tmp_path / "w") == []


async def test_the_same_world_is_recorded_to_the_same_bytes(tmp_path: Path) -> None:
    scenario = SCENARIOS["prometheus-down"]
    for name in ("a", "b"):
        done = await recorded(scenario, tmp_path / name)
        assert done.objects > 100
        assert any(one.what == "every series" for one in done.left_out)
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) > 10
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
