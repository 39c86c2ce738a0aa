"""G7: wherever an applier dies, each plan is applied exactly once, not applied, or `unknown` with a human told.

Size: SIGKILL at four steps of one change over three states of the object in `make test`; at every step, for each change
of a kind that a plain API server has, in `make prove`. A step is before and after each write to store or cluster.
"""

from __future__ import annotations

import asyncio
import copy
import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.changes.records import Proposal
from tests.changes.bench import small
from tests.changes.processes import approve, engine_at, killed_at, prepared, recovered
from tests.changes.serving import Site, served
from tests.tools.change_cases import TAKEN
from tests.tools.changing import Case
from tools import fields, registry
from tools.changes import RELATED
from tools.types import JsonObject, ResourceRef, digest_of

NOW = 1_800_000_000.0
MOST_STEPS = 40
"""More than an apply has."""
Alter = Callable[[Site, JsonObject, tuple[str, str, str]], None]


def unchanged(_site: Site, _obj: JsonObject, _where: tuple[str, str, str]) -> None:
    """Nothing happens between the crash and the restart."""


def changed(site: Site, obj: JsonObject, where: tuple[str, str, str]) -> None:
    """Somebody else writes the object, and takes what the plan wrote with it."""
    other = copy.deepcopy(obj)
    meta = other["metadata"]
    assert isinstance(meta, dict)
    meta["labels"] = {"by": "another"}
    meta["generation"] = 9
    _put(site, other, where)


def recreated(site: Site, obj: JsonObject, where: tuple[str, str, str]) -> None:
    """The object is deleted and made again."""
    other = copy.deepcopy(obj)
    meta = other["metadata"]
    assert isinstance(meta, dict)
    meta["uid"] = "made-again"
    _put(site, other, where)


def _put(site: Site, obj: JsonObject, where: tuple[str, str, str]) -> None:
    meta = obj["metadata"]
    assert isinstance(meta, dict)
    meta["resourceVersion"] = "999999999"
    site.there(lambda: site.kube.store.put(site.kube.kinds.by_path[where], obj))


AFTER: tuple[Alter, ...] = (unchanged, changed, recreated)


def _crash(folder: Path, case: Case, step: int, alter: Alter) -> bool:
    """One crash and one recovery; returns whether the applier was killed at all."""
    spec = registry.changes()[case.change]
    args = spec.parse(case.args)
    target = args.ref
    world = small()
    obj = copy.deepcopy(case.obj)
    near = fields.mapping(obj, RELATED)
    obj.pop(RELATED, None)
    related = [one for kind in near for one in fields.items(near, kind)]
    for number, one in enumerate(related):
        one["metadata"] = {**fields.mapping(one, "metadata"), "name": f"related-{number}"}
    world.objects += [obj, *related]
    if target.namespace:
        world.objects.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": target.namespace}})
    folder.mkdir()
    with served(world, folder) as site:
        state = folder / "state"
        row = Proposal(
            id=digest_of([case.change, step, alter.__name__])[:12], at=NOW, change=case.change,
            args=args.model_dump(mode="json"), target=target, author="test",
        )  # fmt: skip

        async def prepare() -> JsonObject:
            async with engine_at(state, site.kubeconfig, "preview") as engine:
                made = await prepared(engine, row)
                assert made.state == "awaiting approval", made.note
                approve(engine, made)
                return await engine.writer.get(target)

        before = asyncio.run(prepare())
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.changes.processes"])
        process = context.Process(target=killed_at, args=(state, site.kubeconfig, row.id, step), daemon=True)
        process.start()
        process.join(60)
        killed = process.exitcode == -signal.SIGKILL
        assert killed or process.exitcode == 0
        where = next(path for path, one in site.kube.kinds.by_path.items() if (path[0], one.kind) == _named(target))
        alter(site, before, where)
        after = asyncio.run(recovered(state, site.kubeconfig, row.id))
        count = len(site.there(lambda: site.kube.effective_writes))
    assert count <= 1, "never twice"
    assert (after.state, count) in _ALLOWED[alter.__name__], (step, after.state, count, after.note)
    if after.state == "unknown":
        assert "look at" in after.note
    return killed


def _named(target: ResourceRef) -> tuple[str, str]:
    return target.group, target.kind


_DONE = {("applied", 1), ("needs human", 1), ("verified", 1)}
_ALLOWED: dict[str, set[tuple[str, int]]] = {
    "unchanged": _DONE,
    "changed": _DONE | {("stale", 0), ("unknown", 1), ("unknown", 0)},
    "recreated": _DONE | {("stale", 0), ("unknown", 1), ("unknown", 0)},
}
SCALE = next(case for case in TAKEN if case.change == "scale")
SERVED_KINDS = ("Deployment", "StatefulSet", "HorizontalPodAutoscaler", "Job", "Node")


@pytest.mark.parametrize("alter", AFTER)
@pytest.mark.parametrize("step", [3, 9, 13, 17])
def test_killed_at_a_step(tmp_path: Path, step: int, alter: Alter) -> None:
    assert _crash(tmp_path / "run", SCALE, step, alter)


def test_not_killed_it_is_applied_once(tmp_path: Path) -> None:
    assert not _crash(tmp_path / "run", SCALE, 0, unchanged)


def _one_each() -> list[Case]:
    """One case of every change on a kind that a plain API server has."""
    found: dict[str, Case] = {}
    for case in TAKEN:
        target = registry.changes()[case.change].parse(case.args).ref
        if target.kind in SERVED_KINDS:
            found.setdefault(case.change, case)
    return list(found.values())


@pytest.mark.prove
@pytest.mark.parametrize("case", _one_each(), ids=lambda case: case.change)
def test_killed_at_every_step_of_every_change(tmp_path: Path, case: Case) -> None:
    for alter in AFTER:
        for step in range(1, MOST_STEPS):
            if not _crash(tmp_path / f"{alter.__name__}-{step}", case, step, alter):
                break
        else:
            pytest.fail("an apply has more steps than were tried")
