"""The embedded Prometheus and a real one lead to the same diagnosis: a seeded scenario always, all under `prove`."""

from __future__ import annotations

import random

import pytest

from evals import agreement as compared
from evals.agreement import Noted, agreement, loaded
from evals.promql.memory import MemorySource
from evals.scenario import load_all
from evals.servers.prom.real import available, semantics
from evals.world.model import Matcher, RawSeries

real = pytest.mark.skipif(not available(), reason="needs prometheus and promtool on the path")
SCENARIOS = {scenario.name: scenario for scenario in load_all()}
SLICE = random.Random(5).sample([name for name in sorted(SCENARIOS) if name.startswith(("kv", "hpa", "input"))], 1)
NAME = Matcher("__name__", "=", "up")


async def same(name: str) -> None:
    done = await agreement(SCENARIOS[name], prometheus=semantics())
    if done.skipped:
        pytest.skip(f"{name} is not run: {done.skipped}")
    assert done.samples > 1_000
    assert not done.differences


@real
@pytest.mark.parametrize("name", SLICE)
async def test_a_real_prometheus_leads_to_the_same_diagnosis(name: str) -> None:
    await same(name)


@real
@pytest.mark.prove
@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_every_scenario_agrees(name: str) -> None:
    await same(name)


@real
async def test_a_difference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a window missing from what the real one is given, the diagnoses differ."""

    def short(source: Noted, reads: set[compared.Read], limit: int) -> tuple[MemorySource, int]:
        return loaded(source, {(m, max(start, end - 60), end) for m, start, end in reads}, limit)

    monkeypatch.setattr(compared, "loaded", short)
    done = await agreement(SCENARIOS[SLICE[0]], prometheus=semantics())
    assert done.differences


async def test_what_is_not_run_says_why() -> None:
    assert "faults" in (await agreement(SCENARIOS["prometheus-down"], prometheus="2.x")).skipped
    assert "no series" in (await agreement(SCENARIOS["digest-canary"], prometheus="2.x")).skipped
    few = await agreement(SCENARIOS[SLICE[0]], prometheus="2.x", limit=100)
    assert "more than 100 samples" in few.skipped


def test_windows_of_a_selector_are_joined_and_nothing_else_is_loaded() -> None:
    times = [float(at) for at in range(0, 1000, 10)]
    up = RawSeries({"__name__": "up", "job": "a"}, times, times)
    other = RawSeries({"__name__": "down"}, times, times)
    reads: set[compared.Read] = {((NAME,), 100.0, 300.0), ((NAME,), 200.0, 400.0), ((NAME,), 700.0, 800.0)}
    source = MemorySource([up, other])
    held, count = loaded(source, reads, 1_000)
    (series,) = held.select((), 0.0, 1e9)
    assert series.labels == up.labels
    assert list(series.times) == [*times[10:41], *times[70:81]]
    assert count == len(series.times)
    assert loaded(source, reads, 5)[1] > 5
