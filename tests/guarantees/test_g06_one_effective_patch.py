"""G6: however many approve and apply one plan at once, at most one PATCH takes effect.

Size: 4 processes × 6 plans in `make test`, 16 × 1,000 in `make prove`; dry runs and refused patches count apart.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from pathlib import Path

import pytest

from agent.changes.records import Proposal
from tests.changes.bench import WEB, small
from tests.changes.processes import engine_at, prepared, racing
from tests.changes.serving import served
from tools.types import JsonObject, ResourceRef, digest_of

NOW = 1_800_000_000.0


def draft(number: int, target: ResourceRef) -> Proposal:
    """The number-th proposal: one replica more."""
    args: JsonObject = {
        "group": "apps",
        "kind": "Deployment",
        "namespace": "default",
        "name": target.name,
        "replicas": 5,
    }
    return Proposal(
        id=digest_of(["race", number])[:12], at=NOW, change="scale", args=args, target=target, author="test"
    )


def _race(folder: Path, processes: int, plans: int) -> None:
    names = [f"web-{number}" for number in range(plans)]
    world = small()
    web = world.objects.pop(0)
    for name in names:
        meta = {"name": name, "namespace": "default"}
        world.objects.append({**web, "metadata": {**meta}})
    with served(world, folder) as site:
        state = folder / "state"

        async def prepare() -> list[str]:
            async with engine_at(state, site.kubeconfig, "preview") as engine:
                rows = [
                    await prepared(engine, draft(number, WEB.model_copy(update={"name": name})))
                    for number, name in enumerate(names)
                ]
                assert {row.state for row in rows} == {"awaiting approval"}, rows[0].note
                return [row.id for row in rows]

        proposals = asyncio.run(prepare())
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.changes.processes"])
        barrier = context.Barrier(processes)
        workers = [
            context.Process(
                target=racing, args=(state, site.kubeconfig, f"applier-{n}", barrier, proposals), daemon=True
            )
            for n in range(processes)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(3_000)
            assert worker.exitcode == 0
        written = [record.path.rpartition("/")[2] for record in site.there(lambda: site.kube.effective_writes)]

        async def outcome() -> set[str]:
            async with engine_at(state, site.kubeconfig, "after") as engine:
                return {engine.proposal(name).state for name in proposals}

        assert asyncio.run(outcome()) == {"applied"}
        assert sorted(written) == sorted(names), "each plan took effect once"


def test_of_many_appliers_one_writes(tmp_path: Path) -> None:
    _race(tmp_path, 4, 6)


@pytest.mark.prove
def test_of_sixteen_appliers_one_writes_a_thousand_times(tmp_path: Path) -> None:
    _race(tmp_path, 16, 1_000)
