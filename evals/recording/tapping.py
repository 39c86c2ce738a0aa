"""Ports that note what a session asks for, and pass it on: what was touched is what a recording has to hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from tools.errors import Denied
from tools.types import (
    BULK,
    AccessCheck,
    Discovery,
    JsonObject,
    KindRef,
    KubePort,
    LogChunk,
    MetricsAnswer,
    MetricsPort,
    Page,
    WireLimits,
)

Asked = tuple[KindRef, str | None]
"""A kind and the namespace it was asked for in; None: all."""


@dataclass(slots=True)
class TappedKube:
    """A KubePort that remembers."""

    port: KubePort
    listed: set[Asked] = field(default_factory=set)
    got: set[tuple[KindRef, str | None, str]] = field(default_factory=set)
    denied: set[Asked] = field(default_factory=set)
    read_logs: set[tuple[str, str, str, bool]] = field(default_factory=set)
    """(namespace, pod, container, previous)."""

    async def discovery(self) -> Discovery:
        """As the port."""
        return await self.port.discovery()

    async def pages(
        self,
        kind: KindRef,
        *,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        wire: WireLimits = BULK,
    ) -> AsyncIterator[Page]:
        """As the port; the kind is noted."""
        self.listed.add((kind, namespace))
        pages = self.port.pages(
            kind, namespace=namespace, label_selector=label_selector, field_selector=field_selector, wire=wire
        )
        try:
            async for page in pages:
                yield page
        except Denied:
            self.denied.add((kind, namespace))
            raise

    async def get(self, kind: KindRef, *, namespace: str | None, name: str) -> JsonObject:
        """As the port; the object is noted."""
        self.got.add((kind, namespace, name))
        try:
            return await self.port.get(kind, namespace=namespace, name=name)
        except Denied:
            self.denied.add((kind, namespace))
            raise

    async def logs(
        self, *, namespace: str, pod: str, container: str, tail_lines: int, limit_bytes: int, previous: bool
    ) -> LogChunk:
        """As the port; the container is noted."""
        self.read_logs.add((namespace, pod, container, previous))
        return await self.port.logs(
            namespace=namespace,
            pod=pod,
            container=container,
            tail_lines=tail_lines,
            limit_bytes=limit_bytes,
            previous=previous,
        )

    async def allowed(self, checks: Sequence[AccessCheck]) -> list[bool | None]:
        """As the port."""
        return await self.port.allowed(checks)

    async def whoami(self) -> tuple[str, tuple[str, ...]]:
        """As the port."""
        return await self.port.whoami()

    async def server_time(self) -> float:
        """As the port."""
        return await self.port.server_time()

    @property
    def requests(self) -> int:
        """As the port."""
        return self.port.requests


@dataclass(slots=True)
class TappedProm:
    """A MetricsPort that remembers."""

    port: MetricsPort
    queries: set[tuple[str, float, float]] = field(default_factory=set)
    """(query, start, end)."""
    selectors: set[tuple[str, float, float]] = field(default_factory=set)
    """Selectors of series and label questions."""
    warnings: set[str] = field(default_factory=set)

    async def instant(self, query: str, *, at: float, wire: WireLimits = BULK) -> MetricsAnswer:
        """As the port; the query is noted."""
        self.queries.add((query, at, at))
        return self._heard(await self.port.instant(query, at=at, wire=wire))

    async def range(
        self, query: str, *, start: float, end: float, step: float, wire: WireLimits = BULK
    ) -> MetricsAnswer:
        """As the port; the query is noted."""
        self.queries.add((query, start, end))
        return self._heard(await self.port.range(query, start=start, end=end, step=step, wire=wire))

    def _heard(self, answer: MetricsAnswer) -> MetricsAnswer:
        self.warnings.update(answer.warnings)
        return answer

    async def series(
        self, matchers: Sequence[str], *, start: float, end: float, limit: int = 1000
    ) -> list[dict[str, str]]:
        """As the port; the selectors are noted."""
        self.selectors.update((text, start, end) for text in matchers)
        return await self.port.series(matchers, start=start, end=end, limit=limit)

    async def label_values(
        self, label: str, matchers: Sequence[str], *, start: float, end: float, limit: int = 1000
    ) -> list[str]:
        """As the port; the selectors are noted."""
        self.selectors.update((text, start, end) for text in matchers)
        return await self.port.label_values(label, matchers, start=start, end=end, limit=limit)

    async def alerts(self) -> list[JsonObject]:
        """As the port."""
        return await self.port.alerts()

    async def server_time(self) -> float:
        """As the port."""
        return await self.port.server_time()

    @property
    def requests(self) -> int:
        """As the port."""
        return self.port.requests
