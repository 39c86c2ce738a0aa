"""Ports, an audit and a gate that live in memory, for tests of what stands between them."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, JsonValue

from tools.changes import Drafting
from tools.errors import AuditUnavailable, NotFound
from tools.gate import Gate
from tools.limits import NEEDS_BUDGET, Budget, Meter
from tools.policy import Policy, default_policy
from tools.redact import WORLD_KEY, Redactor
from tools.types import (
    BULK,
    AccessCheck,
    ApiResource,
    Discovery,
    Evidence,
    JsonObject,
    KindRef,
    LogChunk,
    MetricsAnswer,
    Mode,
    NamedQuery,
    Page,
    Ports,
    Principal,
    Scope,
    Series,
    ToolCall,
    ToolSpec,
    WireLimits,
)

NOW = 1_790_000_000.0
PERSON = Principal(source="cli", user="ann", groups=("team-search",), established="world")
CLUSTER = Scope(asked="cluster")


def named(kind: str, name: str, namespace: str | None = None, **more: JsonValue) -> JsonObject:
    """A minimal object."""
    meta: JsonObject = {"name": name, "uid": f"uid-{name}"}
    if namespace:
        meta["namespace"] = namespace
    return {"kind": kind, "metadata": meta, **copy.deepcopy(more)}


@dataclass
class FakeKube:
    """A KubePort over lists of objects. `fails` maps a kind to the error its list ends with."""

    objects: dict[str, list[JsonObject]] = field(default_factory=dict)
    log: bytes = b""
    log_truncated: bool = False
    fails: dict[str, Exception] = field(default_factory=dict)
    page_size: int = 2
    truncated: str = ""
    hangs: bool = False
    asked: list[tuple[str, str | None, str, str]] = field(default_factory=list)

    async def discovery(self) -> Discovery:
        return Discovery(
            server_version="1.36",
            resources=(
                ApiResource(group="", version="v1", kind="Pod", plural="pods", namespaced=True, verbs=("get", "list")),
            ),
        )

    async def pages(
        self,
        kind: KindRef,
        *,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        wire: WireLimits = BULK,
    ) -> AsyncIterator[Page]:
        self.asked.append((str(kind), namespace, label_selector, field_selector))
        if self.hangs:
            await asyncio.Event().wait()
        found = [o for o in copy.deepcopy(self.objects.get(str(kind), [])) if _in(o, namespace)]
        for start in range(0, len(found), self.page_size):
            yield Page(found[start : start + self.page_size])
        if str(kind) in self.fails:
            raise self.fails[str(kind)]
        if self.truncated:
            yield Page([], truncated=self.truncated)

    async def get(self, kind: KindRef, *, namespace: str | None, name: str) -> JsonObject:
        for item in copy.deepcopy(self.objects.get(str(kind), [])):
            meta = item.get("metadata")
            if isinstance(meta, dict) and meta.get("name") == name and _in(item, namespace):
                return item
        raise NotFound(f"no {kind} named {name}")

    async def logs(
        self, *, namespace: str, pod: str, container: str, tail_lines: int, limit_bytes: int, previous: bool
    ) -> LogChunk:
        return LogChunk(body=self.log[-limit_bytes:], truncated=self.log_truncated)

    async def allowed(self, checks: Sequence[AccessCheck]) -> list[bool | None]:
        return [None for _ in checks]

    async def whoami(self) -> tuple[str, tuple[str, ...]]:
        return PERSON.user, PERSON.groups

    async def server_time(self) -> float:
        return NOW

    @property
    def requests(self) -> int:
        return len(self.asked)


def _in(item: JsonObject, namespace: str | None) -> bool:
    meta = item.get("metadata")
    return namespace is None or (isinstance(meta, dict) and meta.get("namespace") == namespace)


@dataclass
class FakeProm:
    """A MetricsPort that gives one answer to everything and remembers what it was asked."""

    series_list: list[Series] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    alert_list: list[JsonObject] = field(default_factory=list)
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def instant(self, query: str, *, at: float, wire: WireLimits = BULK) -> MetricsAnswer:
        return self._answer(f"{query} @ {at:.0f}")

    async def range(
        self, query: str, *, start: float, end: float, step: float, wire: WireLimits = BULK
    ) -> MetricsAnswer:
        return self._answer(f"{query} [{start:.0f}:{end:.0f}:{step:g}]")

    def _answer(self, asked: str) -> MetricsAnswer:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return MetricsAnswer(series=list(self.series_list), warnings=self.warnings)

    async def series(
        self, matchers: Sequence[str], *, start: float, end: float, limit: int = 1000
    ) -> list[dict[str, str]]:
        self.asked.append(" ".join(matchers))
        return [dict(one.labels) for one in self.series_list[:limit]]

    async def label_values(
        self, label: str, matchers: Sequence[str], *, start: float, end: float, limit: int = 1000
    ) -> list[str]:
        self.asked.append(f"{label} of {' '.join(matchers)}")
        return sorted({one.labels[label] for one in self.series_list if label in one.labels})[:limit]

    async def alerts(self) -> list[JsonObject]:
        return copy.deepcopy(self.alert_list)

    async def server_time(self) -> float:
        return NOW

    @property
    def requests(self) -> int:
        return len(self.asked)


@dataclass
class MemoryAudit:
    """An Audit that keeps its entries in a list; `full_after` entries, it cannot be written any more."""

    entries: list[tuple[str, JsonObject]] = field(default_factory=list)
    full_after: int | None = None

    def append(self, kind: str, body: JsonObject) -> str:
        if self.full_after is not None and len(self.entries) >= self.full_after:
            raise AuditUnavailable("the audit log cannot be written: no space left on device")
        self.entries.append((kind, body))
        return self.head

    @property
    def head(self) -> str:
        return f"{len(self.entries):064x}"


@dataclass
class FakeApprovals:
    """Approvals by digest."""

    digests: set[str] = field(default_factory=set)

    def live(self, digest: str) -> bool:
        return digest in self.digests


@dataclass
class Bench:
    """A gate and everything around it."""

    kube: FakeKube = field(default_factory=FakeKube)
    prom: FakeProm | None = field(default_factory=FakeProm)
    queries: dict[str, NamedQuery] = field(default_factory=dict)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    approvals: FakeApprovals = field(default_factory=FakeApprovals)
    policy: Policy = field(default_factory=default_policy)
    redactor: Redactor = field(default_factory=lambda: Redactor(WORLD_KEY))
    tools: Mapping[str, ToolSpec[BaseModel]] | None = None
    budget: Budget = NEEDS_BUDGET
    kept: list[Evidence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.meter = Meter(self.budget)

    @property
    def gate(self) -> Gate:
        ports = Ports(kube=self.kube, prom=self.prom, queries=self.queries, now=NOW)
        return Gate(
            policy=self.policy,
            audit=self.audit,
            approvals=self.approvals,
            ports=ports,
            redactor=self.redactor,
            tools=self.tools,
        )

    async def run(
        self,
        tool: str,
        *,
        scope: Scope = CLUSTER,
        mode: Mode = "propose",
        principal: Principal = PERSON,
        **args: JsonValue,
    ) -> Evidence:
        """One call through the gate, its arguments by name."""
        return await self.call(tool, args, scope=scope, mode=mode, principal=principal)

    async def call(
        self,
        tool: str,
        args: JsonObject,
        *,
        scope: Scope = CLUSTER,
        mode: Mode = "propose",
        principal: Principal = PERSON,
        drafting: Drafting | None = None,
    ) -> Evidence:
        """One call through the gate."""
        call = ToolCall(tool=tool, args=args, reason="test")
        return await self.gate.run(
            call,
            principal,
            mode,
            scope=scope,
            meter=self.meter,
            evidence_id="E1",
            keep=self.kept.append,
            drafting=drafting,
        )
