"""What a run needs beside its state: the gate, the store, the reasoner. Handed to nodes, never stored in state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agent.analysis.diagnoser import Diagnoser
from agent.analysis.view import View
from agent.events import CallFinished, CallStarted, Event, EvidenceAdded
from agent.links import strip
from agent.reasoner import Reasoner
from agent.state import Used
from agent.store import Store
from agent.telemetry import Run, Telemetry
from tools import fields
from tools.changes import Drafting
from tools.gate import Gate
from tools.limits import MODEL_BUDGET, Meter
from tools.types import Evidence, JsonObject, Mode, Principal, Scope, ToolCall

CONCURRENT = 16
"""Calls in flight at once; the ports bound their own connections further."""


MAX_TITLE = 200
"""Characters of a call that a model wrote, as surfaces show it."""


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
    audit: Callable[[str, JsonObject], str]
    redact: Callable[[str], str]
    drafts_of: Callable[[Sequence[tuple[ToolCall, Evidence]]], Drafting]
    """Who stores a draft, given what was read and worked out in this run."""
    queries: Mapping[str, str]
    """Named queries: name → signal family."""
    reporting: Telemetry
    span: Run
    earlier: str = ""
    """What was asked and found earlier in the session, in few words."""
    drafting: Drafting | None = None
    meter: Meter = field(default_factory=Meter)
    model_meter: Meter = field(default_factory=lambda: Meter(MODEL_BUDGET, waiting=True))
    """What a language model may spend, apart from what the causes need; its time begins when it is first consulted."""
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

    @property
    def used(self) -> Used:
        """What both budgets have been used for so far."""
        meter, model = self.meter, self.model_meter
        return Used(calls=meter.calls, model_calls=model.calls, model_seconds=model.elapsed)

    async def read(
        self, calls: Sequence[ToolCall], scope: Scope, first_id: int, *, meter: Meter | None = None
    ) -> list[Evidence]:
        """Run calls through the gate, at most CONCURRENT at once; results in the order of the calls."""
        slots, paid = asyncio.Semaphore(CONCURRENT), meter or self.meter
        numbered = [(f"E{first_id + index}", call) for index, call in enumerate(calls)]
        return list(await asyncio.gather(*(self._one(slots, paid, name, call, scope) for name, call in numbered)))

    async def _one(self, slots: asyncio.Semaphore, meter: Meter, name: str, call: ToolCall, scope: Scope) -> Evidence:
        async with slots:
            title = _title(call) if meter is self.meter else strip(self.redact(_title(call)))[0][:MAX_TITLE]
            self.emit(CallStarted(call=name, tool=call.tool, query=title))
            begun = time.monotonic()
            with self.reporting.tool(call, evidence=name) as step:
                evidence = await self.gate.run(
                    call,
                    self.principal,
                    self.mode,
                    scope=scope,
                    meter=meter,
                    evidence_id=name,
                    drafting=self.drafting,
                    keep=lambda kept: self.store.keep(self.session, self.run, kept),
                )
                step.brought(evidence)
        self.bodies[name] = evidence
        seconds = time.monotonic() - begun
        count = len(evidence.rows)
        self.emit(CallFinished(call=name, evidence=name, status=evidence.status, rows=count, seconds=seconds))
        self.emit(EvidenceAdded(evidence=name, query=evidence.query, rows=count))
        return evidence


def _title(call: ToolCall) -> str:
    if call.tool == "propose_change":
        return f"{call.tool} {fields.text(call.args, 'change')}"
    words = [str(value) for value in call.args.values() if value]
    return " ".join([call.tool, *words])
