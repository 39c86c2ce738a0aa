"""With the model endpoint down, every scenario passes as with the playbook."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest

from evals import once
from evals.engine import Engine
from evals.scenario import load_all
from evals.servers.model.server import MODEL
from evals.types import Scenario
from tests.agent.opening import NOWHERE, same

SCENARIOS = {scenario.name: scenario for scenario in load_all()}
SLICE = sorted(random.Random(3).sample(sorted(SCENARIOS), 8))


@pytest.fixture
def _down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.llm.endpoint.BACKOFF_SECONDS", (0.0, 0.0))
    if Path("/dev/shm").is_dir():
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")


async def passes_without_its_model(scenario: Scenario) -> None:
    """With the endpoint down a scenario passes, and the answer is the playbook's to the letter, plus a note."""
    result = await once.run(scenario, Engine(reasoner="llm", model=MODEL, model_url=NOWHERE))
    assert result.passed, result.record.failure or result.grades
    plain = await once.record(scenario)
    assert result.record.diagnosis is not None
    assert plain.diagnosis is not None
    assert same(result.record.diagnosis, plain.diagnosis)
    assert "refuses connections" in result.record.fallback


@pytest.mark.usefixtures("_down")
@pytest.mark.parametrize("name", SLICE)
async def test_with_the_endpoint_down_a_scenario_passes(name: str) -> None:
    await passes_without_its_model(SCENARIOS[name])


@pytest.mark.prove
@pytest.mark.usefixtures("_down")
@pytest.mark.parametrize("name", SCENARIOS)
async def test_with_the_endpoint_down_every_scenario_passes(name: str) -> None:
    await passes_without_its_model(SCENARIOS[name])
