"""What a run needs beside its state: the gate, the store, the reasoner. Handed to nodes, never stored in state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.analysis.diagnoser import Diagnoser
from agent.analysis.view import View
from agent.events import CallFinished, CallStarted, Event, EvidenceAdded
from agent.reasoner import Reasoner
from agent.store import Store
from tools.gate import Gate
from tools.limits import Meter
from tools.types import Evidence, Mode, Principal, Scope, ToolCall

CONCURRENT = 16
"""Calls in flight at once; the ports bound their own connections further."""


@dataclass(slots=True)
class RunContext:
    """The services of one run."""

    gate: Gate
    store: Store
    reasoner: Reasoner
    diagnosers: Mapping[str, Diagnoser]
    principal: Principal
    permitted: tuple[str, ...] | None
    mode: Mode
    cluster: str
    metrics: bool
    metrics_note: str
    team_map: Mapping[str, Sequence[str]]
    team_label: str
    session: str
    run: int
    emit: Callable[[Event], None]
    requests: Callable[[], int]
    """HTTP requests sent so far, by both ports."""
    meter: Meter = field(default_factory=Meter)
    started: float = field(default_factory=time.monotonic)
    bodies: dict[str, Evidence] = field(default_factory=dict)
    view: View | None = None
    """The view of the first judgement, for the second to build on."""

    def evidence(self, evidence_id: str) -> Evidence:
        """A body by id, from memory or, after a resume, from the store. Raises KeyError when it is gone."""
        found = self.bodies.get(evidence_id) or self.store.evidence(self.session, self.run, evidence_id)
        if found is None:
            raise KeyError(evidence_id)
        self.bodies[evidence_id] = found
        return found

    async def read(self, calls: Sequence[ToolCall], scope: Scope, first_id: int) -> list[Evidence]:
        """Run calls through the gate, at most CONCURRENT at once; results in the order of the calls."""
        slots = asyncio.Semaphore(CONCURRENT)
        numbered = [(f"E{first_id + index}", call) for index, call in enumerate(calls)]
        return list(await asyncio.gather(*(self._one(slots, name, call, scope) for name, call in numbered)))

    async def _one(self, slots: asyncio.Semaphore, name: str, call: ToolCall, scope: Scope) -> Evidence:
        async with slots:
            self.emit(CallStarted(call=name, tool=call.tool, query=_title(call)))
            begun = time.monotonic()
            evidence = await self.gate.run(
                call,
                self.principal,
                self.mode,
                scope=scope,
                meter=self.meter,
                evidence_id=name,
                keep=lambda kept: self.store.keep(self.session, self.run, kept),
            )
        self.bodies[name] = evidence
        seconds = time.monotonic() - begun
        count = len(evidence.rows)
        self.emit(CallFinished(call=name, evidence=name, status=evidence.status, rows=count, seconds=seconds))
        self.emit(EvidenceAdded(evidence=name, query=evidence.query, rows=count))
        return evidence


def _title(call: ToolCall) -> str:
    words = [str(value) for value in call.args.values() if value]
    return " ".join([call.tool, *words])
