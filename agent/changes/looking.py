"""Reads evidence for the change engine through the same gate as every question, as of a moment on the server's clock.

Rule: read tools only; what is refused or missing comes back as evidence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.analysis import queries
from agent.changes.prediction import MEASURES
from tools.gate import Gate
from tools.limits import Meter
from tools.policy import Policy
from tools.redact import Redactor
from tools.types import Audit, Evidence, NamedQuery, Ports, Principal, Scope, ToolCall

QUERIES: Mapping[str, NamedQuery] = {query.name: query for query in (*queries.CATALOGUE, *MEASURES)}
"""What may be asked by name here."""


class NoWrites:
    """The gate of the engine's reads lets no write through: the applier writes by itself, from approved bytes."""

    def live(self, digest: str) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class GateLook:
    """Implements Look."""

    ports: Ports
    policy: Policy
    audit: Audit
    redactor: Redactor
    principal: Principal
    scope: Scope

    async def __call__(self, calls: Sequence[ToolCall], *, at: float) -> list[tuple[ToolCall, Evidence]]:
        """Every call with what it brought, in order. Raises AuditUnavailable, CredentialsError, TargetError."""
        ports = replace(self.ports, now=at, queries={**QUERIES, **self.ports.queries})
        gate = Gate(policy=self.policy, audit=self.audit, approvals=NoWrites(), ports=ports, redactor=self.redactor)
        meter = Meter()
        gathered = []
        for number, call in enumerate(calls, 1):
            evidence = await gate.run(
                call, self.principal, "apply", scope=self.scope, meter=meter, evidence_id=f"E{number}"
            )
            gathered.append((call, evidence))
        return gathered
