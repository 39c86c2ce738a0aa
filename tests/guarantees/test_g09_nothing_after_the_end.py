"""G9: whatever ends an apply (expiry, approvals taken back, the kill switch) stops it at its next step.

The end comes before and after every single step of an apply; how ends are told over HTTP is the other file's topic.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.changes.applier import work
from agent.changes.applying import apply
from agent.changes.engine import NotNow
from agent.changes.records import Proposal
from tests.changes.bench import WEB, Bench, on_world, small
from tests.changes.cluster import Site, Steps, run
from tests.changes.test_crashes import approved
from tests.servers.kube.worlds import thing
from tests.tools.change_cases import TAKEN
from tools.errors import PlumblineError

SCALE = next(case for case in TAKEN if case.change == "scale")


async def _ready(bench: Bench) -> Proposal:
    return bench.approved(await bench.previewed(bench.draft("scale", WEB, {"replicas": 5})))


@pytest.mark.parametrize("switch", ["file", "config map"])
async def test_the_kill_switch_stops_what_is_approved(tmp_path: Path, switch: str) -> None:
    world = small()
    world.objects.append(thing("v1", "ConfigMap", "plumbline", "default", data={"stop": "false"}))
    async with on_world(world, tmp_path, changes={"stop_configmap": "default/plumbline"}) as bench:
        row = await _ready(bench)
        if switch == "file":
            (tmp_path / "STOP").touch()
        else:
            kinds = bench.served.kube.kinds.by_path
            stop = thing("v1", "ConfigMap", "plumbline", "default", data={"stop": "true"})
            bench.served.kube.store.put(kinds[("", "v1", "configmaps")], stop)
        with pytest.raises(NotNow, match="kill switch"):
            await apply(bench.engine, row.id)
        assert bench.engine.proposal(row.id).state == "approved"
        assert bench.served.kube.effective_writes == []


# --- at every step -----------------------------------------------------------------------------------------------


@dataclass
class _Then(Steps):
    """Does something at one boundary instead of dying."""

    do: Callable[[], None] = lambda: None

    def tick(self) -> None:
        if self.count == self.fatal:
            self.do()
        self.count += 1


def _interrupted(step: int, do: Callable[[Site, Proposal], None]) -> tuple[Site, Proposal, int, bool]:
    """An apply during which something happens; what was written after it, and whether it happened at all."""
    site = Site()
    row = approved(SCALE, site)
    written: list[int] = []

    def now() -> None:
        do(site, row)
        written.append(len(site.cluster.effective))

    steps = _Then(fatal=step, do=now)
    with suppress(PlumblineError):
        run(apply(site.engine(steps=steps), row.id))
    after = len(site.cluster.effective) - (written[0] if written else 0)
    return site, site.ledger.rows[row.id], after, bool(written)


def _kill(site: Site, _row: Proposal) -> None:
    site.brakes.reason = "the kill switch is set"


def _expire(site: Site, _row: Proposal) -> None:
    site.cluster.now += 4 * 3600.0


def _revoke(site: Site, _row: Proposal) -> None:
    """The approvals are gone: their store says so at once."""
    site.ledger.given.clear()


_ENDS: dict[Callable[[Site, Proposal], None], str] = {_kill: "approved", _expire: "expired", _revoke: "revoked"}


@pytest.mark.parametrize("do", _ENDS)
def test_whatever_ends_an_apply_stops_it_at_its_next_step(do: Callable[[Site, Proposal], None]) -> None:
    """Only what was on its way already may land: the boundary right before the patch comes after the last question."""
    late = []
    for step in range(200):
        site, row, after, happened = _interrupted(step, do)
        if not happened:
            break
        late += [step] if after else []
        if not site.cluster.effective:
            assert row.state == _ENDS[do], (step, row.state, row.note)
    assert len(late) <= 2, f"it was written after it had ended, at the steps {late}"
    assert step > 20


def test_a_switch_that_is_lifted_lets_the_plan_go_on() -> None:
    site = Site()
    row = approved(SCALE, site)
    site.brakes.reason = "the kill switch is set"
    run(work(site.engine()))
    assert site.ledger.rows[row.id].state == "approved"
    site.brakes.reason = ""
    run(work(site.engine()))
    assert site.ledger.rows[row.id].state == "applied"
