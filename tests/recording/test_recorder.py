"""Recording from servers as they are: a real Prometheus, neighbours of what was asked, one that is missing."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from evals.engine import Engine
from evals.once import record as ask
from evals.once import serving
from evals.recording.recorder import Wish, record
from evals.recording.sampling import Sampling, neighbours
from evals.recording.writer import Written, write_world
from evals.sameness import differing
from evals.scenario import load_all
from evals.servers.prom.real import RealPrometheus, available
from evals.types import Scenario
from evals.world.load import load
from evals.world.model import World
from tools.errors import Unavailable
from tools.prom.connect import connect_prom
from tools.types import BULK, MetricsAnswer, MetricsPort, WireLimits


async def recorded(world: World, folder: Path, prom: MetricsPort | None, wish: Wish) -> Written:
    with tempfile.TemporaryDirectory() as state:
        async with serving(world) as served:
            target = replace(served.target, prom=prom or served.target.prom)
            return write_world(folder, await record(Engine().settings(Path(state)), target, wish))


@pytest.mark.skipif(not available(), reason="needs prometheus and promtool on the path")
async def test_a_real_prometheus_is_recorded_to_the_same_findings(tmp_path: Path) -> None:
    """Of today, as its clock says; its version decides the ends of windows in the world that comes of it."""
    scenario = load_all("single-cache-full")[0]
    world = load(scenario.world, anchor=float(int(time.time())))
    with RealPrometheus(world, history=2 * 3600.0) as real:
        prom = connect_prom(real.url)
        try:
            done = await recorded(world, tmp_path / "w", prom, Wish(question=scenario.question, since=1800.0))
        finally:
            await prom.aclose()
    assert done.samples > 10_000
    again = await ask(scenario.model_copy(update={"world": str(tmp_path / "w")}))
    live = await ask(scenario)
    assert load(str(tmp_path / "w")).prometheus == "2.x"
    assert not [one for one in differing(live.diagnosis, again.diagnosis) if one.startswith("status")]
    assert live.diagnosis is not None
    assert again.diagnosis is not None
    ours, theirs = ([(f.cause, f.title, f.confidence) for f in d.findings] for d in (live.diagnosis, again.diagnosis))
    assert ours == theirs == [("U16", live.diagnosis.findings[0].title, "high")]


def test_neighbours_are_what_labels_kept_out_and_the_rest_of_an_exporter() -> None:
    windows = {'DCGM_FI_DEV_GPU_UTIL{pod="a"}': 100.0, "up{}": 0.0, "kube_pod_info{}": 900.0}
    found = neighbours(windows, start=500.0)
    assert found == {
        "DCGM_FI_DEV_GPU_UTIL{}": 500.0,
        '{__name__=~"DCGM_FI_.*"}': 500.0,
        "kube_pod_info{}": 500.0,
    }


async def test_neighbours_are_in_the_recording(tmp_path: Path) -> None:
    """A question about one model; the other model's series, and metrics that no cause reads, are there as well."""
    world = load("fleet")
    await recorded(world, tmp_path / "w", None, Wish(question="is chat-70b healthy?", since=600.0))
    taken = load(str(tmp_path / "w"))
    now = taken.clock.now
    names = {str(labels["__name__"]) for labels in taken.series.label_sets((), now - 600, now)}
    assert {"DCGM_FI_DEV_SM_CLOCK", "vllm:prompt_tokens_total"} <= names
    pods = {labels.get("pod", "") for labels in taken.series.label_sets((), now - 600, now)}
    assert any(pod.startswith("chat-8b") for pod in pods)


async def test_a_prometheus_that_is_gone_is_asked_once(tmp_path: Path) -> None:
    scenario: Scenario = load_all("prometheus-down")[0]
    world = load(scenario.world)
    async with serving(world) as served:
        with tempfile.TemporaryDirectory() as state:
            found = await record(Engine().settings(Path(state)), served.target, Wish())
        assert len([one for one in served.prom.requests if "time()" in one.query]) <= 3, "tries of one question"
    assert found.faults == [{"server": "prom", "status": 503}]
    assert found.series == []


class Slow:
    """Answers windows up to a length in time; one of 0 answers nothing."""

    def __init__(self, port: MetricsPort, longest: int) -> None:
        self.port, self.longest, self.asked = port, longest, 0

    async def instant(self, query: str, *, at: float, wire: WireLimits = BULK) -> MetricsAnswer:
        self.asked += 1
        if int(query.rpartition("[")[2].removesuffix("ms]")) > self.longest * 1000 + 1:
            raise Unavailable("Prometheus did not answer in time")
        return await self.port.instant(query, at=at, wire=wire)

    def __getattr__(self, name: str) -> object:
        return getattr(self.port, name)


async def test_what_is_not_answered_in_time_is_asked_in_halves(tmp_path: Path) -> None:
    world = load("fleet")
    now = world.clock.now
    windows = {"DCGM_FI_DEV_GPU_UTIL{}": now - 3600, "vllm:prompt_tokens_total{}": now - 3600}
    async with serving(world) as served:
        assert served.target.prom is not None
        whole, slow = Sampling(served.target.prom, now), Slow(served.target.prom, 900)
        halved = Sampling(cast(MetricsPort, slow), now)
        await whole.fetch(windows)
        await halved.fetch(windows)
        assert halved.points == whole.points != {}
        assert (halved.left_out, slow.asked) == ([], 2 * 7)
        dead = Slow(served.target.prom, 0)
        gone = Sampling(cast(MetricsPort, dead), now)
        await gone.fetch({f"series_{number}{{}}": now - 3600 for number in range(100)})
        assert (len(gone.left_out), gone.points) == (100, {})
        assert dead.asked < 150, "halves are not asked of a server that answers nothing"
