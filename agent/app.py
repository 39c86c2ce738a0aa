"""Composition: settings and a target become an App, which opens sessions. The only place that builds a gate."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent import diagnosers
from agent.analysis import labels, queries
from agent.analysis.diagnoser import Diagnoser
from agent.graph import Compiled, build
from agent.playbook import Playbook
from agent.principal import establish, permitted
from agent.reasoner import Reasoner
from agent.session import Session
from agent.settings import Settings
from agent.store import Store
from agent.store.checkpoints import open_checkpoints
from agent.store.keys import derive, install_key
from agent.store.sqlite import SqliteStore
from agent.telemetry import OFF, Telemetry
from agent.types import Query
from tools.audit import AuditLog
from tools.errors import PortError, SettingsError, UnknownName, UserError
from tools.gate import Gate
from tools.policy import policy_at
from tools.redact import Redactor
from tools.types import KubePort, MetricsPort, Mode, NamedQuery, Ports, Principal


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster and the Prometheus an App looks at."""

    kube: KubePort
    prom: MetricsPort | None
    cluster: str
    prom_note: str = ""
    """Where Prometheus was found, or why there is none."""
    urls: tuple[str, ...] = ()
    """Base addresses of both, for the process to lock itself down to."""
    redaction_key: bytes | None = None
    """Fixed in worlds and evals, so that pseudonyms are the same in every run."""


class NoApprovals:
    """No approval exists in a process that only reads; the gate asks and is told so."""

    def live(self, digest: str) -> bool:
        """Always False."""
        return False


@dataclass(slots=True)
class App:
    """One process's view of one target."""

    settings: Settings
    target: Target
    principal: Principal
    now: float
    store: Store
    audit: AuditLog
    redactor: Redactor
    gate: Gate
    graph: Compiled
    reasoner: Reasoner
    diagnosers: Mapping[str, Diagnoser]
    queries: Mapping[str, str]
    """Named queries: name → signal family."""
    reporting: Telemetry = OFF

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        target: Target,
        *,
        at: float | None = None,
        judging: bool = True,
        reporting: Telemetry = OFF,
    ) -> AsyncIterator[App]:
        """An App whose store, audit log and checkpoints are open. Raises UserError or AuditUnavailable.

        Without `judging` no cause judges: a language model alone, to be compared with.
        """
        key = install_key(settings.state_dir)
        store = SqliteStore(settings.state_dir)
        recorded = target.redaction_key is not None  # a world: there, nothing is at stake in a power cut
        audit = AuditLog(settings.state_dir / "audit.jsonl", durable=not recorded)
        redactor = Redactor(target.redaction_key or derive(key, "redaction"))
        reporting.redact_with(redactor)
        now = at if at is not None else await _now(target)
        known = diagnosers.load()
        queries = catalogue(known)
        ports = Ports(kube=target.kube, prom=target.prom, queries=queries, now=now)
        gate = Gate(
            policy=policy_at(settings.policy), audit=audit, approvals=NoApprovals(), ports=ports, redactor=redactor
        )
        try:
            async with (
                open_checkpoints(settings.state_dir, derive(key, "checkpoints")) as saver,
                _reasoner(settings, store, redactor, reporting) as reasoner,
            ):
                principal = await establish(target.kube)
                graph = await _graph(saver)
                yield cls(
                    settings=settings,
                    target=target,
                    principal=principal,
                    now=now,
                    store=store,
                    audit=audit,
                    redactor=redactor,
                    gate=gate,
                    graph=graph,
                    reasoner=reasoner,
                    diagnosers=known if judging else {},
                    queries={name: query.family for name, query in queries.items()},
                    reporting=reporting,
                )
        finally:
            store.close()

    async def session(
        self,
        *,
        mode: Mode = "propose",
        namespace: str | None = None,
        all_namespaces: bool = False,
        selector: str = "",
        session_id: str | None = None,
        window: float | None = None,
    ) -> Session:
        """A new session, or an old one by id. Raises UnknownName for an id that does not exist."""
        if session_id is not None and self.store.last_run(session_id) is None:
            raise UnknownName("session", session_id, [row.id for row in self.store.sessions()])
        if session_id is not None and (known := self.store.cluster_of(session_id)) != self.target.cluster:
            raise UserError(
                f"session {session_id} belongs to {known}, not to {self.target.cluster}",
                hint="ask there, or start a new session",
            )
        try:
            labels.parse(selector)
        except ValueError as error:
            raise SettingsError(
                f"--selector: {error}", hint="write it as for kubectl: app=chat,tier in (a, b)"
            ) from None
        seen = await permitted(self.target.kube, [namespace] if namespace else [])
        return Session(
            app=self,
            id=session_id or uuid.uuid4().hex[:12],
            mode=mode,
            permitted=seen,
            flags={
                "namespace": namespace,
                "all_namespaces": all_namespaces,
                "selector": selector,
                "families": [],
                "window": window,
            },
        )

    def requests(self) -> int:
        """HTTP requests sent so far."""
        return self.target.kube.requests + (self.target.prom.requests if self.target.prom else 0)


@asynccontextmanager
async def _reasoner(
    settings: Settings, store: Store, redactor: Redactor, reporting: Telemetry
) -> AsyncIterator[Reasoner]:
    """The playbook, or a language model where one is set. Raises SettingsError for a model that is half set."""
    wanted = settings.reasoner if settings.reasoner != "auto" else "llm" if settings.model else "playbook"
    if wanted == "playbook":
        yield Playbook()
        return
    if not settings.model:
        raise SettingsError("no model is named", hint="name one with --model, PLUMBLINE_MODEL or `model` in the file")
    from agent.llm.open import open_reasoner

    async with open_reasoner(settings, store, redactor, reporting) as reasoner:
        yield reasoner


def catalogue(known: Mapping[str, Diagnoser]) -> dict[str, NamedQuery]:
    """Every named query by name: the shared ones and those that causes bring. Raises RuntimeError on a clash."""
    found: dict[str, NamedQuery] = {query.name: query for query in queries.CATALOGUE}
    for diagnoser in known.values():
        for need in diagnoser.NEEDS:
            if isinstance(need, Query) and found.setdefault(need.query.name, need.query) != need.query:
                raise RuntimeError(f"two named queries are called {need.query.name!r}")
    return found


async def _now(target: Target) -> float:
    """Prometheus's time, else the API server's: the agent never reads its own wall clock."""
    if target.prom is not None:
        try:
            return await target.prom.server_time()
        except PortError:
            pass  # The answer goes on without metrics; every query's evidence will say why.
    return await target.kube.server_time()


async def _graph(saver: AsyncSqliteSaver) -> Compiled:
    try:
        await saver.setup()
    except sqlite3.DatabaseError as error:
        raise UserError(f"checkpoints.db is damaged: {error}", hint="move it away; its sessions start anew") from None
    return build(saver)
