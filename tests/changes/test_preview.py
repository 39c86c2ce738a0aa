"""What a preview refuses for good, what it leaves as it is, and what it never does: write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.changes.engine import NotNow
from agent.changes.ledger import Held
from agent.changes.preview import preview
from evals.world.model import Access, World
from tests.changes.bench import WEB, Bench, on_world, small
from tests.servers.kube.worlds import thing
from tools import fields
from tools.errors import UserError
from tools.types import JsonObject

EVERYTHING: JsonObject = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
READING: JsonObject = {"verbs": ["get", "list", "watch"], "apiGroups": ["*"], "resources": ["*"]}
REVIEWS: JsonObject = {"verbs": ["create"], "apiGroups": ["*"], "resources": ["selfsubjectreviews"]}


def _may(*rules: JsonObject) -> Access:
    return Access(tokens={"t": ("reader-sa", ())}, rules={"reader-sa": [*rules, REVIEWS]})


async def _previewed(bench: Bench, replicas: int = 5) -> tuple[str, str]:
    row = await bench.previewed(bench.draft("scale", WEB, {"replicas": replicas}))
    assert bench.served.kube.effective_writes == []
    return row.state, row.note


def _web(world: World) -> JsonObject:
    return next(obj for obj in world.objects if obj["kind"] == "Deployment")


async def test_a_plan_holds_what_was_read_and_nothing_is_written(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))
        plan = json.loads(row.plan)
        assert row.state == "awaiting approval"
        assert (plan["patch"], plan["inverse"]) == ({"spec": {"replicas": 5}}, {"spec": {"replicas": 4}})
        assert [change["path"] for change in plan["dry_run"]] == [["spec", "replicas"]]
        assert (row.requester, row.expires) == ("ada", bench.world.clock.now + 4 * 3600.0)
        assert bench.served.kube.effective_writes == []


async def test_readers_credentials_leave_the_draft_and_name_the_appliers(tmp_path: Path) -> None:
    def alter(world: World) -> None:
        world.access = _may(READING)

    async with on_world(small(), tmp_path, alter=alter) as bench:
        draft = bench.draft("scale", WEB, {"replicas": 5})
        with pytest.raises(NotNow, match="reader-sa may not change") as raised:
            await bench.previewed(draft)
        assert raised.value.hint == "preview with the applier's credentials, not the reader's"
        assert bench.engine.proposal(draft.id).state == "draft"


async def test_what_cannot_be_read_back_stays_a_draft(tmp_path: Path) -> None:
    def alter(world: World) -> None:
        blind: JsonObject = {"verbs": ["*"], "apiGroups": [""], "resources": ["*"]}
        world.access = _may(blind)

    async with on_world(small(), tmp_path, alter=alter) as bench:
        draft = bench.draft("scale", WEB, {"replicas": 5})
        with pytest.raises(NotNow, match="cannot be read back"):
            await bench.previewed(draft)
        assert bench.engine.proposal(draft.id).state == "draft"


def _owned(world: World) -> None:
    owner: JsonObject = {"apiVersion": "example.com/v1", "kind": "Fleet", "name": "all", "uid": "u", "controller": True}
    fields.mapping(_web(world), "metadata")["ownerReferences"] = [owner]


def _autoscaled(world: World) -> None:
    aimed: JsonObject = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec: JsonObject = {"scaleTargetRef": aimed, "minReplicas": 1, "maxReplicas": 9}
    world.objects.append(thing("autoscaling/v2", "HorizontalPodAutoscaler", "web", "default", spec=spec))


def _deleting(world: World) -> None:
    fields.mapping(_web(world), "metadata").update(
        deletionTimestamp="2027-01-15T07:59:00Z", finalizers=["example.com/wait"]
    )


def _secretive(world: World) -> None:
    (container,) = fields.items(_web(world), "spec", "template", "spec", "containers")
    container["resources"] = {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    container["env"] = [{"name": "DB_PASSWORD", "value": "correct-horse"}]


REFUSED: dict[str, tuple[Callable[[World], None], str]] = {
    "owned": (_owned, "belongs to"),
    "autoscaled": (_autoscaled, "sets the replicas of default/Deployment/web"),
    "being deleted": (_deleting, "is being deleted"),
    "gone": (lambda world: world.objects.remove(_web(world)), "is not there any more"),
    "nothing to do": (lambda world: _web(world)["spec"].update(replicas=5), "already has what scale would set"),  # type: ignore[union-attr]
    "denied by a webhook": (
        lambda world: world.faults.append({"server": "kube", "verb": "patch", "webhook": "gate.example.com"}),
        "the API server refuses it: admission webhook",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_may_not_be_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    alter, said = REFUSED[name]
    async with on_world(small(), tmp_path, alter=alter) as bench:
        state, note = await _previewed(bench)
        assert state == "refused", note
        assert said in note


async def test_a_plan_that_would_hold_a_secret_is_refused(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path, alter=_secretive) as bench:
        args = {"container": "app", "cpu_request": "500m"}
        row = await bench.previewed(bench.draft("set_resources", WEB, args))
        assert row.state == "refused"
        assert "move that into a Secret" in row.note
        assert "correct-horse" not in row.model_dump_json()


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429, "retry_after": 0}, {"html": True}])
async def test_a_server_that_does_not_answer_leaves_the_draft(tmp_path: Path, fault: JsonObject) -> None:
    def alter(world: World) -> None:
        world.faults.append({"server": "kube", "match": "/deployments/web", "verb": "patch", **fault})

    async with on_world(small(), tmp_path, alter=alter) as bench:
        draft = bench.draft("scale", WEB, {"replicas": 5})
        with pytest.raises(NotNow):
            await bench.previewed(draft)
        assert bench.engine.proposal(draft.id).state == "draft"


async def test_an_object_has_one_open_plan(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        first = await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))
        second = bench.draft("scale", WEB, {"replicas": 6})
        with pytest.raises(Held):
            await bench.previewed(second)
        bench.engine.ledger.move(first, "reject", actor="ada", at=bench.world.clock.now)
        assert (await bench.previewed(second)).state == "awaiting approval"


async def test_only_a_draft_is_previewed(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        row = await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))
        with pytest.raises(UserError, match="is awaiting approval, so it cannot be previewed"):
            await preview(bench.engine, row.id, requester="ada")
