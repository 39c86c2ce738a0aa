"""G9: no write starts after its approval ended, inside a freeze window, or with the kill switch set."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from agent.changes.applier import work
from agent.changes.engine import NotNow
from agent.changes.windows import STOP_FILE
from tests.changes.bench import WEB, Bench, on_world, small
from tools.types import ResourceRef
from tools.writing import ClockJumped


async def _approved(bench: Bench) -> str:
    return bench.approved(await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))).id


@pytest.mark.parametrize(("seconds", "state"), [(3_590.0, "applied"), (3_600.0, "expired"), (90_000.0, "expired")])
async def test_an_approval_ends(tmp_path: Path, seconds: float, state: str) -> None:
    async with on_world(small(), tmp_path, changes={"expiry": 3600}) as bench:
        name = await _approved(bench)
        bench.later(seconds)
        await work(bench.engine)
        assert bench.engine.proposal(name).state == state
        assert len(bench.served.kube.effective_writes) == (state == "applied")


async def test_a_plan_that_nobody_approves_ends_too(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path, changes={"expiry": 3600}) as bench:
        row = await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))
        bench.later(3_600.0)
        await work(bench.engine)
        assert bench.engine.proposal(row.id).state == "expired"


async def test_the_kill_switch_stops_before_and_right_before_the_write(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        (tmp_path / STOP_FILE).write_text("")
        with pytest.raises(NotNow, match="kill switch"):
            await bench.applied(bench.engine.proposal(name))
        assert bench.engine.proposal(name).state == "approved"
        (tmp_path / STOP_FILE).unlink()
        late = _Late(bench, calls=4)
        engine = dataclasses.replace(bench.engine, brakes=late)
        bench.engine = engine
        row = await bench.applied(engine.proposal(name))
        assert late.calls > 1, "it was asked again after the claim"
        assert row.state == "approved"
        assert "too late" in row.note
        assert bench.served.kube.effective_writes == []
        bench.engine = dataclasses.replace(engine, brakes=_Late(bench, calls=99))
        assert (await bench.applied(bench.engine.proposal(name))).state == "applied"


class _Late:
    """A switch that is thrown after so many looks: between the claim and the write."""

    def __init__(self, bench: Bench, *, calls: int) -> None:
        self._left, self.calls = calls - 1, 0

    async def stopped(self, _target: ResourceRef, _at: float) -> str:
        """Free at first, then stopped."""
        self.calls += 1
        return "" if self.calls < self._left else "thrown, and not too late"


async def test_a_freeze_window_stops(tmp_path: Path) -> None:
    window = {"since": "2027-01-15T07:30:00Z", "until": "2027-01-15T09:00:00Z", "reason": "launch"}
    async with on_world(small(), tmp_path, changes={"freezes": [window]}) as bench:
        row = bench.draft("scale", WEB, {"replicas": 5})
        with pytest.raises(NotNow, match="a freeze window is open: launch"):
            await bench.previewed(row)
        assert bench.engine.proposal(row.id).state == "draft"
    other = {**window, "since": "2027-01-15T08:30:00Z"}
    async with on_world(small(), tmp_path / "b", changes={"freezes": [other]}) as bench:
        name = await _approved(bench)
        bench.later(1_800.0)
        with pytest.raises(NotNow, match="launch"):
            await bench.applied(bench.engine.proposal(name))
        bench.later(1_800.0)
        assert (await bench.applied(bench.engine.proposal(name))).state == "applied"


@pytest.mark.parametrize("jump", [-600.0, 600.0, 1e6])
async def test_a_clock_that_jumps_starts_nothing(tmp_path: Path, jump: float) -> None:
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        bench.served.kube.skew = jump
        bench.later(2.0)
        with pytest.raises((NotNow, ClockJumped), match="clock"):
            await bench.applied(bench.engine.proposal(name))
        assert bench.engine.proposal(name).state == "approved"
        assert bench.served.kube.effective_writes == []
