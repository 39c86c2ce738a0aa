"""Puts the change engine together for one process: the applier's write port, the reads it needs, store, log, brakes.

Rule: whoever opens an engine holds the applier's credentials; a surface that only shows and approves opens a ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.app import Target
from agent.changes.approving import lacking
from agent.changes.engine import Engine
from agent.changes.ledger import Ledger
from agent.changes.looking import GateLook
from agent.changes.plans import Plan
from agent.changes.records import Proposal
from agent.principal import establish
from agent.settings import Settings
from agent.store.keys import derive, install_key
from agent.store.ledger import open_ledger
from tools.audit import AuditLog
from tools.policy import policy_at
from tools.redact import Redactor
from tools.types import Ports, Scope
from tools.writing import Writer


@asynccontextmanager
async def open_engine(settings: Settings, target: Target, writer: Writer, *, name: str) -> AsyncIterator[Engine]:
    """An engine on a target. Raises UserError, LedgerDown, AuditUnavailable."""
    redactor = Redactor(target.redaction_key or derive(install_key(settings.state_dir), "redaction"))
    policy = policy_at(settings.policy)
    audit = AuditLog(settings.state_dir / "audit.jsonl")
    ledger = open_ledger(settings.state_dir, settings.changes.store)
    try:
        look = GateLook(
            ports=Ports(kube=target.kube, prom=target.prom),
            policy=policy,
            audit=audit,
            redactor=redactor,
            principal=await establish(target.kube),
            scope=Scope(asked="the applier"),
        )
        yield Engine(
            ledger=ledger,
            writer=writer,
            kube=target.kube,
            look=look,
            audit=audit,
            brakes=settings.changes.brakes(target.kube, settings.state_dir),
            quorum=StoredQuorum(ledger, settings),
            policy=lambda: policy.version,
            redactor=redactor,
            name=name,
            limits=settings.changes.limits,
        )
    finally:
        ledger.close()


class StoredQuorum:
    """Implements Quorum on the stored approvals."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._rules = settings.changes.rules

    def __call__(self, row: Proposal, plan: Plan, at: float) -> str:
        """Why the plan is not approved now; "" while it is."""
        return lacking(row, plan, self._ledger.approvals(row.id), at, self._rules)
