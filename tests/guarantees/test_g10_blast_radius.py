"""G10: one plan patches one object within its limits, an hour's stay within theirs, nothing means all."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from agent.changes.engine import NotNow
from tests.changes.bench import WEB, Bench, on_world, small
from tests.servers.kube.worlds import thing
from tools import fields, registry
from tools.errors import Refused
from tools.types import JsonObject


@pytest.mark.parametrize(
    ("replicas", "said"),
    [(3, ""), (2, "at most a quarter"), (1, "at most a quarter"), (5, ""), (8, "")],
)
async def test_a_step_takes_a_quarter_at_most(tmp_path: Path, replicas: int, said: str) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await bench.previewed(bench.draft("scale", WEB, {"replicas": replicas}))
        assert (row.state == "refused") is bool(said), row.note
        assert said in row.note


async def test_the_last_replica_stays(tmp_path: Path) -> None:
    async with on_world(small(replicas=1), tmp_path) as bench:
        with pytest.raises(Refused):
            registry.changes()["scale"].parse({**_args(), "replicas": 0})
        row = await bench.previewed(bench.draft("restart", WEB, {}))
        assert row.state in ("refused", "awaiting approval"), row.note


def _args() -> JsonObject:
    return {"group": "apps", "kind": "Deployment", "namespace": "default", "name": "web"}


async def test_owners_keep_their_floor(tmp_path: Path) -> None:
    floor = {"namespace": "default", "name": "web", "replicas": 4}
    async with on_world(small(), tmp_path, changes={"floors": [floor]}) as bench:
        row = await bench.previewed(bench.draft("scale", WEB, {"replicas": 3}))
        assert (row.state, "its owners keep at least 4" in row.note) == ("refused", True)


@pytest.mark.parametrize(("allowed", "state"), [(0, "refused"), (1, "awaiting approval")])
async def test_a_disruption_budget_holds(tmp_path: Path, allowed: int, state: str) -> None:
    world = small()
    spec: JsonObject = {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 4}
    status: JsonObject = {"disruptionsAllowed": allowed}
    world.objects.append(thing("policy/v1", "PodDisruptionBudget", "web", "default", spec=spec, status=status))
    async with on_world(world, tmp_path) as bench:
        row = await bench.previewed(bench.draft("scale", WEB, {"replicas": 3}))
        assert row.state == state, row.note


async def _many(bench: Bench, count: int) -> list[str]:
    """States of so many plans of different objects, applied one after another."""
    states: list[str] = []
    for number in range(count):
        target = WEB.model_copy(update={"name": f"web-{number}"})
        row = bench.approved(await bench.previewed(bench.draft("scale", target, {"replicas": 5})))
        try:
            states.append((await bench.applied(row)).state)
        except NotNow as wait:
            states.append(wait.message)
    return states


async def test_an_hour_has_a_budget_of_objects(tmp_path: Path) -> None:
    world = small()
    web = world.objects[0]
    for number in range(4):
        world.objects.append({**web, "metadata": {"name": f"web-{number}", "namespace": "default"}})
    async with on_world(world, tmp_path, changes={"hour_objects": 2}) as bench:
        states = await _many(bench, 3)
        assert states[:2] == ["applied", "applied"]
        assert "an hour's writes touch at most 2 objects" in states[2]
        assert len(bench.served.kube.effective_writes) == 2


@pytest.mark.parametrize("change", sorted(registry.changes()))
def test_nothing_and_everything_are_no_targets(change: str) -> None:
    spec = registry.changes()[change]
    kind = spec.kinds[0]
    names: tuple[JsonValue, ...] = ("", "*", "web,chat", "web*", None, [], ["web"])
    for name in names:
        args: JsonObject = {"group": kind.group, "kind": kind.kind, "namespace": "default", "name": name}
        with pytest.raises(Refused):
            spec.parse(args)
    with pytest.raises(Refused):
        spec.parse({})


async def test_one_patch_of_one_object(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await bench.applied(bench.approved(await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))))
        assert row.state == "applied"
        (write,) = bench.served.kube.effective_writes
        assert (write.method, write.path) == ("PATCH", "/apis/apps/v1/namespaces/default/deployments/web")
        assert fields.dig(await bench.get(), "spec", "replicas") == 5
