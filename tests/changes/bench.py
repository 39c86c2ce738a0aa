"""A world on its servers, and an engine that may write to it: what a proposal goes through, over real HTTP."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.changes.applying import apply
from agent.changes.approving import may_approve
from agent.changes.engine import Engine
from agent.changes.opening import open_engine
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from agent.settings import Settings
from evals.once import Served, serving
from evals.world.load import load
from evals.world.model import World
from tests.servers.kube.worlds import small_world, thing
from tools import fields
from tools.kube.connect import KubeTarget
from tools.kube.writer import connect_writer
from tools.types import JsonObject, Principal, ResourceRef, digest_of

WEB = ResourceRef(group="apps", version="v1", kind="Deployment", namespace="default", name="web")


@dataclass(slots=True)
class Bench:
    """An engine, the world it works on, and the settings both were made from."""

    engine: Engine
    served: Served
    settings: Settings
    drafted: int = 0

    @property
    def world(self) -> World:
        """The world."""
        return self.served.world

    def draft(self, change: str, target: ResourceRef, args: Mapping[str, object], *, author: str = "test") -> Proposal:
        """A draft on an object of the world."""
        self.drafted += 1
        known = ("group", "kind", "name") if target.namespace else ("name",)
        named = {name: value for name, value in target.model_dump().items() if name in known}
        place = {"namespace": target.namespace} if target.namespace else {}
        whole: JsonObject = json.loads(json.dumps({**named, **place, **args}))
        row = Proposal(
            id=digest_of([change, whole, self.drafted])[:12],
            at=self.world.clock.now,
            change=change,
            args=whole,
            target=target,
            author=author,
        )
        return self.engine.ledger.add(row, actor=author)

    async def previewed(self, row: Proposal, *, requester: str = "ada") -> Proposal:
        """The proposal with its plan."""
        return await preview(self.engine, row.id, requester=requester)

    def approved(self, row: Proposal, *people: str) -> Proposal:
        """The proposal with the approvals of some people."""
        for who in people or ("grace",):
            principal = Principal(source="cli", user=who, established="SelfSubjectReview")
            at, rules = self.world.clock.now, self.settings.changes.rules
            reason = may_approve(row, principal, row.digest, at, rules)
            assert reason == "", reason
            given = Approval(proposal=row.id, digest=row.digest, principal=who, surface="cli", at=at)
            row, _ = self.engine.ledger.approve(row, given, needed=rules.needed.of(row.tier or "D"))
        return row

    async def applied(self, row: Proposal) -> Proposal:
        """The proposal after an apply."""
        return await apply(self.engine, row.id)

    async def get(self, ref: ResourceRef = WEB) -> JsonObject:
        """The object as it stands."""
        return await self.engine.writer.get(ref)

    async def settle(self) -> None:
        """The controllers of the Deployment have caught up."""
        obj = copy.deepcopy(await self.get())
        count, generation = fields.dig(obj, "spec", "replicas"), fields.dig(obj, "metadata", "generation")
        counted = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
        obj["status"] = {**dict.fromkeys(counted, count), "observedGeneration": generation}
        self.served.kube.store.put(self.served.kube.kinds.by_path[("apps", "v1", "deployments")], obj)

    def later(self, seconds: float) -> None:
        """Let the world's time pass."""
        self.world.clock.advance(seconds)


def small(*faults: JsonObject, replicas: int = 4) -> World:
    """A world of one Deployment that nobody else owns."""
    spec: JsonObject = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "example/app:1"}]},
        },
    }
    counts: JsonObject = {
        name: replicas for name in ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
    }
    status: JsonObject = {**counts, "observedGeneration": 1}
    web = thing("apps/v1", "Deployment", "web", "default", spec=spec, status=status)
    return small_world(
        [web, thing("v1", "Namespace", "kube-system"), thing("v1", "Namespace", "default")],
        faults=[{"server": "kube", **fault} for fault in faults],
    )


@asynccontextmanager
async def on_world(
    world: str | World,
    state_dir: Path,
    *,
    changes: Mapping[str, object] | None = None,
    alter: Callable[[World], None] | None = None,
    applier: str = "applier-1",
) -> AsyncIterator[Bench]:
    """A bench on a world. `changes`: settings of the table; `alter` changes the world first."""
    world = load(world) if isinstance(world, str) else world
    if alter is not None:
        alter(world)
    settings = Settings.model_validate({"state_dir": state_dir, "changes": dict(changes or {})})
    async with serving(world) as served:
        config = state_dir / "applier.json"
        state_dir.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(served.kube.kubeconfig()))
        writer = await connect_writer(KubeTarget(kubeconfig=str(config)), monotonic=lambda: world.clock.now)
        async with writer, open_engine(settings, served.target, writer, name=applier) as engine:
            yield Bench(engine, served, settings)
