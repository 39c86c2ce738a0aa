"""The vocabulary every layer shares: who asks, what is called, what came back, and the ports behind it.

Rules: everything frozen; unknown fields are errors; an expected failure is Evidence with a status, never an
exception; a derived number is a Fact that names its function and inputs, so that a checker can recompute it.
Times are Unix seconds (float, UTC) unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Generic, Literal, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, Field, JsonValue, SkipValidation

from tools.changes import Drafting
from tools.naming import Frozen as Frozen
from tools.naming import JsonObject as JsonObject
from tools.naming import KindRef as KindRef
from tools.naming import Principal as Principal
from tools.naming import ResourceRef as ResourceRef
from tools.naming import Scope as Scope
from tools.naming import canonical as canonical
from tools.naming import digest_of as digest_of
from tools.naming import pointer as pointer
from tools.naming import tokens_of as tokens_of
from tools.naming import unescaped as unescaped

Mode: TypeAlias = Literal["incident", "propose", "apply"]
Effect: TypeAlias = Literal["read", "draft", "write"]
WireClass: TypeAlias = Literal["interactive", "bulk"]
Trust: TypeAlias = Literal["structured", "text", "derived"]
Status: TypeAlias = Literal["ok", "empty", "denied", "unavailable", "truncated", "failed"]
UNREAD: tuple[Status, ...] = ("denied", "unavailable", "failed")
"""Statuses of evidence for which nothing was read: no empty answer, and no count."""
Source: TypeAlias = Literal["kubernetes", "prometheus", "derived"]


# --- calls and decisions -----------------------------------------------------------------------------------


class ToolCall(Frozen):
    """One request to look or to change. Model, playbook and people all produce this same object."""

    tool: str
    args: JsonObject = Field(default_factory=dict)
    reason: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 over tool and arguments; the reason does not count."""
        return digest_of({"tool": self.tool, "args": self.args})


class CallScope(Frozen):
    """What a call touches, in structured fields: the only thing policy matches on."""

    kinds: tuple[KindRef, ...] = ()
    namespaces: tuple[str, ...] | None = None
    """None: every namespace, or a cluster-wide question."""
    names: tuple[str, ...] = ()
    metrics: bool = False
    free_query: bool = False
    """True for PromQL that did not come from our own catalogue."""


class PolicyDecision(Frozen):
    """Allow or deny; always names the rule that decided ("default-deny" when none matched)."""

    allow: bool
    rule: str
    reason: str


# --- evidence ----------------------------------------------------------------------------------------------


class Row(Frozen):
    """One item of evidence: an object, a series, a log line, an event. `key` is unique and stable in its Evidence."""

    key: str
    namespace: str | None = None
    data: Annotated[JsonObject, SkipValidation]


class Evidence(Frozen):
    """What one call brought back, after projection and redaction. The only thing anybody reasons from."""

    id: str
    """"E1", "E2", … in the order of the run."""
    tool: str
    source: Source
    family: str
    """Signal family: objects, events, logs, dcgm, ksm, vllm, cadvisor, kueue, keda, derived …"""
    query: str
    """What was asked, as a person would write it."""
    call_digest: str
    status: Status
    detail: str = ""
    """Why it is not ok, and what would make it so; "" when ok."""
    observed_at: float
    window: tuple[float, float] | None = None
    rows: tuple[Row, ...] = ()
    trust: Trust = "structured"
    digest: str
    """SHA-256 of the canonical rows."""
    redactions: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """True when the rows may be reasoned from: complete, or known to be empty."""
        return self.status in ("ok", "empty")


class EvidenceRef(Frozen):
    """A quotation: `value` stands at `path` of `evidence`, a JSON Pointer whose first token is a row key."""

    evidence: str
    path: str
    value: JsonValue = None


class Fact(Frozen):
    """A derived number. Stored as Evidence of trust `derived`; the checker recomputes it from `inputs`."""

    id: str
    name: str
    value: float
    unit: str
    function: str
    """Id of a pure function in agent/analysis/functions.py."""
    inputs: tuple[EvidenceRef, ...]


# --- named queries -----------------------------------------------------------------------------------------


class NamedQuery(Frozen):
    """A PromQL query of our own catalogue. Returns values, not verdicts: thresholds belong to the diagnosers."""

    name: str
    promql: str
    family: str
    unit: str
    metrics: tuple[str, ...]
    """Series it reads; when all of them are absent the answer is "not measured here", never zero."""
    enable: str
    """What to switch on where the series are absent."""
    tenant_label: str | None = "namespace"
    """Label of the *result* that names the tenant; None: rows need cluster read."""
    step: float | None = None
    """Seconds between points of a range query; None for an instant query."""
    window: float = 0.0
    """Seconds of history a range query covers, or that the text reaches back (for coverage and cost)."""


# --- the ports (implemented by tools/kube and tools/prom) ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class WireLimits:
    """How much one call may pull over the wire, and until when."""

    page_bytes: int
    call_bytes: int
    seconds: float
    page_items: int = 500


INTERACTIVE = WireLimits(page_bytes=1 << 20, call_bytes=1 << 20, seconds=15.0)
BULK = WireLimits(page_bytes=4 << 20, call_bytes=128 << 20, seconds=60.0)


@dataclass(slots=True)
class Page:
    """One page of raw items on its way through projection; dropped as soon as it is projected."""

    items: list[JsonObject]
    warnings: tuple[str, ...] = ()
    truncated: str = ""
    """Not empty when more exists than was read: says what was left out and how to ask for it."""


class ApiResource(Frozen):
    """One line of discovery: where a kind lives and what may be asked of it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: tuple[str, ...] = ()


class Discovery(Frozen):
    """Everything a cluster serves (preferred version of each kind), read once per context."""

    server_version: str
    resources: tuple[ApiResource, ...]
    unreachable: tuple[str, ...] = ()
    """API groups that did not answer: whether their kinds are served is not known."""

    def find(self, kind: KindRef) -> ApiResource | None:
        """The resource that serves `kind`, or None where the cluster lacks it."""
        for resource in self.resources:
            if resource.kind == kind.kind and resource.group == kind.group:
                return resource
        return None


class AccessCheck(Frozen):
    """One question to SelfSubjectAccessReview."""

    verb: str
    group: str = ""
    resource: str
    subresource: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Bytes of one container's log, already bounded; not necessarily UTF-8."""

    body: bytes
    truncated: bool


class KubePort(Protocol):
    """Read access to one cluster. Errors are those of tools/errors.py; every call has a deadline."""

    async def discovery(self) -> Discovery:
        """What the cluster serves; cached for the life of the port."""
        ...

    def pages(
        self,
        kind: KindRef,
        *,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        wire: WireLimits = BULK,
    ) -> AsyncIterator[Page]:
        """All objects of a kind, page by page, in the server's order."""
        ...

    async def get(self, kind: KindRef, *, namespace: str | None, name: str) -> JsonObject:
        """One object. Raises NotFound."""
        ...

    async def logs(
        self, *, namespace: str, pod: str, container: str, tail_lines: int, limit_bytes: int, previous: bool
    ) -> LogChunk:
        """The end of a container's log."""
        ...

    async def allowed(self, checks: Sequence[AccessCheck]) -> list[bool | None]:
        """SelfSubjectAccessReview answers, in order; None where the server would not say."""
        ...

    async def whoami(self) -> tuple[str, tuple[str, ...]]:
        """(user, groups) by SelfSubjectReview."""
        ...

    async def server_time(self) -> float:
        """The API server's own clock, from its Date header."""
        ...

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        ...


@dataclass(slots=True)
class Series:
    """One series of an answer: its labels and [time, value] points (one point for an instant vector)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


@dataclass(slots=True)
class MetricsAnswer:
    """A Prometheus answer with the warnings that make it partial."""

    series: list[Series]
    warnings: tuple[str, ...] = ()


class MetricsPort(Protocol):
    """Read access to one Prometheus-compatible server. Errors are those of tools/errors.py."""

    async def instant(self, query: str, *, at: float, wire: WireLimits = BULK) -> MetricsAnswer:
        """Evaluate at one moment; scalars come back as one series without labels."""
        ...

    async def range(
        self, query: str, *, start: float, end: float, step: float, wire: WireLimits = BULK
    ) -> MetricsAnswer:
        """Evaluate over a window; at most 11,000 points a series."""
        ...

    async def series(
        self, matchers: Sequence[str], *, start: float, end: float, limit: int = 1000
    ) -> list[dict[str, str]]:
        """Label sets of the series that match."""
        ...

    async def label_values(
        self, label: str, matchers: Sequence[str], *, start: float, end: float, limit: int = 1000
    ) -> list[str]:
        """Values of one label."""
        ...

    async def alerts(self) -> list[JsonObject]:
        """Pending and firing alerts."""
        ...

    async def server_time(self) -> float:
        """Prometheus's answer to `time()`."""
        ...

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What a tool may reach: the two live ports and our own query catalogue. Nothing else."""

    kube: KubePort
    prom: MetricsPort | None
    queries: Mapping[str, NamedQuery] = field(default_factory=dict)
    now: float = 0.0
    permitted: tuple[str, ...] | None = None
    """Namespaces the principal of this call may see; None: all. Free queries are narrowed to them before they leave."""
    scope: Scope | None = None
    drafting: Drafting | None = None
    """The scope of this call, and who stores a draft in it; None where nothing may be drafted."""


# --- tools -------------------------------------------------------------------------------------------------

A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ToolSpec(Generic[A]):
    """One tool: plain data and plain functions, one per file. Nothing but the gate calls `read`."""

    name: str
    summary: str
    args: type[A]
    source: Source
    trust: Trust
    wire: WireClass
    scope_of: Callable[[A], CallScope]
    """What the call touches. Raises ValueError on an empty or all-matching selector."""
    describe: Callable[[A, Ports], str]
    """The call as a person would write it (a kubectl line or PromQL); becomes Evidence.query."""
    family: Callable[[A, Ports], str]
    read: Callable[[A, Ports, WireLimits], AsyncIterator[Page]]
    project: Callable[[A, JsonObject], Row | None]
    """The declared projection of one raw item; None drops it."""
    effect: Effect = "read"
    touches: tuple[str, ...] = ("*",)
    """Kinds its calls can name, as policy selectors ("Pod/log", "metrics"): decides whether it is listed at all."""
    public: bool = False
    """True where a row without a namespace may be shown to all: discovery, and queries narrowed before they left."""
    window: Callable[[A, Ports], tuple[float, float] | None] = lambda _args, _ports: None


class Approvals(Protocol):
    """Where live approvals are looked up; the gate asks, nobody else may answer."""

    def live(self, digest: str) -> bool:
        """True only for an approval of exactly these bytes that has not expired, been used or revoked."""
        ...


class Audit(Protocol):
    """The hash-chained log. `append` returns only after the entry is durable, or raises AuditUnavailable."""

    def append(self, kind: str, body: JsonObject) -> str:
        """Append one entry; returns the new head (64 hex digits)."""
        ...

    @property
    def head(self) -> str:
        """Digest of the newest entry."""
        ...


Run: TypeAlias = Callable[[ToolCall], Awaitable[Evidence]]
