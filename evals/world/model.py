"""What a world is once loaded and anchored: plain objects, lazily generated series, logs, reactions.

The two servers see only this module; how a world is written down (folders, overlays, generators) is the
business of its siblings. Times here are absolute Unix seconds: anchoring has already happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tools.types import JsonObject


@dataclass(frozen=True, slots=True)
class Matcher:
    """One PromQL label matcher. `op` is one of = != =~ !~ ; regular expressions are fully anchored."""

    label: str
    op: str
    value: str


Key = tuple[tuple[str, str], ...]
"""A series' identity: its labels, sorted."""


def key_of(labels: Mapping[str, str]) -> Key:
    """The identity of the series with these labels, __name__ among them."""
    return tuple(sorted(labels.items()))


@dataclass(frozen=True, slots=True)
class RawSeries:
    """Samples of one series in a window: `times` ascending (seconds), `values` alongside. Labels include __name__.

    A value may be NaN; a staleness marker is the NaN of Prometheus (bits 0x7ff0000000000002).
    """

    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]

    @classmethod
    def of(cls, labels: Mapping[str, str], points: Mapping[float, float]) -> RawSeries:
        """The series of points in any order, time → value."""
        times = sorted(points)
        return cls(labels, times, [points[at] for at in times])


class SeriesSource(Protocol):
    """Where samples come from; generators answer lazily, for the window asked only."""

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """Series that match, with their samples in the closed window [start, end]; those without any are left out."""
        ...

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> Iterable[Mapping[str, str]]:
        """Label sets of series with at least one sample in the window."""
        ...


@dataclass(slots=True)
class Clock:
    """A world's clock: stands still until somebody advances it."""

    now: float
    listeners: list[Callable[[], None]] = field(default_factory=list, compare=False)
    """Called after every step: what has become due happens then."""

    def advance(self, seconds: float) -> None:
        """Move forward. Raises ValueError for a negative step."""
        if seconds < 0:
            raise ValueError(f"a world's clock does not run backwards ({seconds} s)")
        self.now += seconds
        for listener in tuple(self.listeners):
            listener()


class ObjectStore(Protocol):
    """Where the objects of a served world are kept, as reactions change them."""

    def put(self, body: JsonObject) -> None:
        """Make or replace an object; `body` is whole."""
        ...

    def remove(self, body: JsonObject) -> None:
        """Remove an object."""
        ...


class Responder(Protocol):
    """What makes a world answer to writes, in objects and series."""

    @property
    def reacts(self) -> bool:
        """True where anything can follow from a write."""
        ...

    def attach(self, objects: Sequence[JsonObject], store: ObjectStore) -> None:
        """Begin with these objects; changes go to `store`."""
        ...

    def noticed(self, old: JsonObject | None, new: JsonObject | None) -> None:
        """An object was made, changed or removed by a client, at the clock's now."""
        ...

    def settle(self) -> None:
        """Let everything happen that is due."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what in a world. An empty `rules` map allows everything to everybody (the default admin).

    `tokens` maps a bearer token to (user, groups); `rules` maps a user or a group to RBAC-like rules
    [{"verbs": [...], "apiGroups": [...], "resources": [...], "namespaces": [...] | absent}].
    """

    tokens: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    rules: Mapping[str, Sequence[JsonObject]] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """One anchored world, ready to serve. `objects` are full Kubernetes manifests with status and metadata."""

    name: str
    description: str
    clock: Clock
    kubernetes: str
    """Server version, such as "1.36"."""
    prometheus: str
    """"3.x" or "2.x": which edge range windows have (3.x: left-open)."""
    objects: list[JsonObject]
    series: SeriesSource
    logs: Mapping[tuple[str, str, str], bytes] = field(default_factory=dict)
    """(namespace, pod, container) → log; a "previous" log has container name + "/previous"."""
    definitions: list[JsonObject] = field(default_factory=list)
    """Kinds beyond the built-in ones: {group, version, kind, plural, singular, namespaced, shortNames, columns}."""
    responder: Responder | None = None
    """What lets the world react (`reactions.yaml`); a world without one stands still."""
    access: Access = field(default_factory=Access)
    sample_interval: float = 30.0
    """Seconds between samples of generated series."""
    alerts: list[JsonObject] = field(default_factory=list)
    """Firing alerts as /api/v1/alerts shows them."""
    faults: list[JsonObject] = field(default_factory=list)
    """Failures the servers play: {server: kube|prom, match: path substring, status | hang | body …}."""
