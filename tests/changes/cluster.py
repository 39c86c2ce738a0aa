"""A cluster, a store and a log in memory, and an engine on them that can die at any step: for many runs in little time.

Rules: the cluster keeps what kube-apiserver keeps of a merge patch: uid and resourceVersion are preconditions, what
changes the spec counts the generation up; an engine dies with `Killed`, which nothing catches; nothing here waits, so
that a coroutine runs to its end in one go.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from agent.changes.approving import Rules, lacking
from agent.changes.engine import Engine, Limits
from agent.changes.patches import merged
from agent.changes.plans import Plan
from agent.changes.records import Proposal
from tests.changes.memory import MemoryLedger
from tests.tools.fakes import FakeKube, MemoryAudit
from tools import fields
from tools.changes import PLAN_ANNOTATION, RELATED
from tools.errors import NotFound, Unavailable
from tools.redact import Redactor
from tools.types import (
    BULK,
    ApiResource,
    Discovery,
    Evidence,
    JsonObject,
    KindRef,
    Page,
    ResourceRef,
    ToolCall,
    WireLimits,
)
from tools.writing import Cause, Conflict, Identity, Invalid, Lost

T = TypeVar("T")
START = 1_800_000_000.0


class Killed(BaseException):
    """The process is gone: no handler runs, nothing is tidied up."""


def run(work: Coroutine[object, object, T]) -> T:
    """What a coroutine returns that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    raise AssertionError("it waited for something")


@dataclass
class Cluster:
    """Objects, and what was done to them. Implements Writer."""

    objects: dict[tuple[str, str, str, str], JsonObject] = field(default_factory=dict)
    related: dict[str, list[JsonObject]] = field(default_factory=dict)
    now: float = START
    effective: list[str] = field(default_factory=list)
    """Digest of each patch that took effect."""
    lose: list[bool] = field(default_factory=list)
    """What becomes of the answers to the next patches: lost before (False) or after (True) they took effect."""
    dark: int = 0
    """Reads that are still to be answered 503."""
    dark_after_write: int = 0
    """What `dark` becomes with the next patch."""
    next_get: list[Callable[[], None]] = field(default_factory=list)
    """What happens just before each of the next reads."""
    admit: Callable[[JsonObject], None] = lambda _obj: None
    """What an admission webhook does to an object that is patched."""
    revision: int = 100
    requests: int = 0
    writes: int = 0
    address: str = "memory"

    def add(self, ref: ResourceRef, obj: JsonObject) -> None:
        """Put an object there, and what a change has to see besides it."""
        made = copy.deepcopy(obj)
        for kind, some in fields.mapping(made, RELATED).items():
            if isinstance(some, list):
                self.related[kind] = [one for one in some if isinstance(one, dict)]
        made.pop(RELATED, None)
        self.objects[ref.identity] = made

    def touch(self, ref: ResourceRef, change: Callable[[JsonObject], None]) -> None:
        """Somebody else writes an object."""
        obj = self.objects[ref.identity]
        before = copy.deepcopy(obj.get("spec"))
        change(obj)
        self._count_up(obj, before)

    def _count_up(self, obj: JsonObject, spec: object) -> None:
        meta = fields.mapping(obj, "metadata")
        self.revision += 1
        meta["resourceVersion"] = str(self.revision)
        generation = fields.number(meta, "generation")
        if generation is not None and obj.get("spec") != spec:
            meta["generation"] = int(generation) + 1

    async def get(self, ref: ResourceRef) -> JsonObject:
        """A copy of the object."""
        self.requests += 1
        if self.next_get:
            self.next_get.pop(0)()
        if self.dark:
            self.dark -= 1
            raise Unavailable("the API server answers 503")
        if ref.identity not in self.objects:
            raise NotFound(f"{ref} is not there")
        return copy.deepcopy(self.objects[ref.identity])

    async def dry_run(self, ref: ResourceRef, patch: JsonObject) -> JsonObject:
        """What the object would become."""
        self.requests += 1
        return self._patched(ref, patch)

    async def patch(self, ref: ResourceRef, patch: JsonObject) -> JsonObject:
        """Write once, and answer or not."""
        self.requests += 1
        self.writes += 1
        self.dark, self.dark_after_write = self.dark_after_write, 0
        took = self.lose.pop(0) if self.lose else None
        if took is False:
            raise Lost("the connection broke")
        after = self._patched(ref, patch)
        self.objects[ref.identity] = after
        mark = fields.text(patch, "metadata", "annotations", PLAN_ANNOTATION)
        self.effective.append(mark.partition(" ")[0])
        if took is True:
            raise Lost("the connection broke")
        return copy.deepcopy(after)

    def _patched(self, ref: ResourceRef, patch: JsonObject) -> JsonObject:
        if ref.identity not in self.objects:
            raise NotFound(f"{ref} is not there")
        obj = copy.deepcopy(self.objects[ref.identity])
        meta, wanted = fields.mapping(obj, "metadata"), fields.mapping(patch, "metadata")
        if wanted.get("uid", meta["uid"]) != meta["uid"]:
            raise Invalid("the uid is another", causes=(Cause(field="metadata.uid", message="immutable"),))
        if wanted.get("resourceVersion", meta["resourceVersion"]) != meta["resourceVersion"]:
            raise Conflict("the object has been modified")
        after = merged(obj, patch)
        assert isinstance(after, dict)
        self.admit(after)
        self._count_up(after, copy.deepcopy(obj.get("spec")))
        return after

    async def server_time(self) -> float:
        """The cluster's clock."""
        return self.now

    async def cluster_uid(self) -> str:
        """Its one name."""
        return "cluster-1"

    async def identity(self) -> Identity:
        """The applier."""
        return Identity(user="applier")


@dataclass
class Beside(FakeKube):
    """Lists what stands besides the target. Implements KubePort."""

    cluster: Cluster = field(default_factory=Cluster)

    async def discovery(self) -> Discovery:
        """The kinds there is something of."""
        found = []
        for name in self.cluster.related:
            kind, _, group = name.partition(".")
            found.append(ApiResource(group=group, version="v1", kind=kind, plural=kind.lower(), namespaced=True))
        return Discovery(server_version="1.36", resources=tuple(found))

    async def pages(
        self,
        kind: KindRef,
        *,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        wire: WireLimits = BULK,
    ) -> AsyncIterator[Page]:
        """All of a kind."""
        yield Page(copy.deepcopy(self.cluster.related.get(str(kind), [])))


async def see_nothing(calls: Sequence[ToolCall], *, at: float) -> list[tuple[ToolCall, Evidence]]:
    """Implements Look: nothing else is there, and nothing is measured."""
    return [
        (call, Evidence(
            id=f"E{n}", tool=call.tool, source="kubernetes", family="objects", query="", call_digest=call.digest,
            status="empty", observed_at=at, digest="0" * 64,
        ))
        for n, call in enumerate(calls)
    ]  # fmt: skip


@dataclass
class Switch:
    """Implements Brakes."""

    reason: str = ""

    async def stopped(self, target: ResourceRef, at: float) -> str:
        """What it is set to."""
        return self.reason


@dataclass
class Steps:
    """Counts what an engine does to store, log and cluster, and kills it before or after one of them."""

    fatal: int = -1
    """0 is before the first, 1 after it, 2 before the second, …"""
    count: int = 0

    def tick(self) -> None:
        """One boundary."""
        if self.count == self.fatal:
            raise Killed
        self.count += 1

    def around(self, work: Callable[..., T]) -> Callable[..., T]:
        """A step with its two boundaries."""

        def step(*args: object, **more: object) -> T:
            self.tick()
            done = work(*args, **more)
            self.tick()
            return done

        return step

    def around_async(self, work: Callable[..., Coroutine[object, object, T]]) -> Callable[..., object]:
        """A step of the cluster with its two boundaries: it was not sent, or nobody heard the answer."""

        async def step(*args: object) -> T:
            self.tick()
            done = await work(*args)
            self.tick()
            return done

        return step


@dataclass
class Site:
    """What outlives every process: cluster, store, log, brakes, policy, rules."""

    cluster: Cluster = field(default_factory=Cluster)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    brakes: Switch = field(default_factory=Switch)
    policy: str = "policy-1"
    rules: Rules = field(default_factory=Rules)
    limits: Limits = field(
        default_factory=lambda: Limits(hour_objects=10_000, hour_namespaces=10_000, hour_steps=10_000, gpus=1_000_000.0)
    )

    def quorum(self, row: Proposal, plan: Plan, at: float) -> str:
        """Implements Quorum on the stored approvals."""
        return lacking(row, plan, self.ledger.approvals(row.id), at, self.rules)

    def engine(self, name: str = "applier-1", steps: Steps | None = None) -> Engine:
        """A process; with `steps` it can die."""
        engine = Engine(
            ledger=self.ledger,
            writer=self.cluster,
            kube=Beside(cluster=self.cluster),
            look=see_nothing,
            audit=self.audit,
            brakes=self.brakes,
            quorum=self.quorum,
            policy=lambda: self.policy,
            redactor=Redactor(b"k" * 32),
            name=name,
            limits=self.limits,
        )
        return engine if steps is None else _mortal(engine, self, steps)


def _mortal(engine: Engine, site: Site, steps: Steps) -> Engine:
    """The same engine, whose every effect is a step."""
    from dataclasses import replace

    ledger, writer, audit = copy.copy(site.ledger), copy.copy(site.cluster), copy.copy(site.audit)
    for name in ("move", "write", "put"):
        setattr(ledger, name, steps.around(getattr(site.ledger, name)))
    for name in ("get", "dry_run", "patch"):
        setattr(writer, name, steps.around_async(getattr(site.cluster, name)))
    writer.server_time = site.cluster.server_time  # type: ignore[method-assign]
    audit.append = steps.around(site.audit.append)  # type: ignore[method-assign]
    return replace(engine, ledger=ledger, writer=writer, audit=audit)
