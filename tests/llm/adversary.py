"""Runs a model's replies through the real steps of a run: consult, gather, report, in the order the graph has them.

Rules: everything is real but the endpoint, the cluster and the disk; what comes before a model is consulted is run
once for each setting, and every sequence starts from there.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

from langgraph.runtime import Runtime

from agent import diagnosers, nodes
from agent.analysis.kinds import DEPLOYMENT, HPA, POD, REPLICA_SET
from agent.app import catalogue
from agent.changes.drafting import RunDrafting
from agent.context import RunContext
from agent.events import Event
from agent.graph import BRANCHES
from agent.llm import calls as parsing
from agent.llm.budget import Budget
from agent.llm.limits import Hour
from agent.llm.messages import Room
from agent.llm.reasoner import LanguageModel
from agent.llm.types import Message, ModelCall, ModelError, OnSend, OnText, Reply, ToolSchema
from agent.reasoner import Reasoner
from agent.state import State
from agent.store import DraftRow
from agent.store.sqlite import SqliteStore
from agent.telemetry import OFF, Run
from agent.types import Diagnosis
from tests.agent.build import NOW
from tests.llm.building import Counter
from tests.llm.recording_ports import (
    RUNNING,
    Journal,
    JournalAudit,
    NoApprovals,
    RecordingKube,
    RecordingProm,
)
from tools.errors import AuditUnavailable
from tools.gate import Gate
from tools.policy import default_policy
from tools.redact import WORLD_KEY, Redactor
from tools.types import Evidence, JsonObject, Mode, Ports, Principal, Scope, ToolCall

MAX_STEPS = 60
"""Steps after which a run has not ended; the graph's own limit is wider."""
P = ParamSpec("P")
T = TypeVar("T")
SESSION = "s1"
JUDGING = ("U13",)
"""Causes that judge first: one is enough for a finding to attack, and a sequence costs a third."""
_ROUTES = {source: route for source, route, _ in BRANCHES}
Sequence_: TypeAlias = list[Reply | ModelError]


@dataclass(frozen=True, slots=True)
class Setting:
    """Who asks, and how."""

    name: str
    principal: Principal
    permitted: tuple[str, ...] | None
    mode: Mode
    question: str


ANN = Principal(source="cli", user="ann", groups=("team-search",), established="world")
SETTINGS = (
    Setting("cluster reader", ANN, None, "propose", "why are the GPUs half idle?"),
    Setting("one of many", ANN, None, "propose", "what is wrong in namespace search?"),
    Setting("two namespaces", ANN, ("search", "team-a"), "propose", "why are the GPUs half idle?"),
    Setting(
        "incident",
        Principal(source="incident", user="pager", established="incident route"),
        ("search",),
        "incident",
        "what is wrong in namespace search?",
    ),
)


class Inline(ThreadPoolExecutor):
    """Does at once, in the caller's thread, what is handed to a thread: quicker, and the same in every run."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The finished work."""
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class QuickStore(SqliteStore):
    """The real store of drafts, in a file; events and evidence in memory, for speed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._db.execute("PRAGMA synchronous=OFF")
        self._heard: dict[int, list[Event]] = {}

    def append(self, session: str, run: int, event: Event, at: float) -> int:
        """Keep an event."""
        self._heard.setdefault(run, []).append(event)
        return len(self._heard[run])

    def events(self, session: str, run: int | None = None) -> list[tuple[int, int, Event]]:
        """The events of a run."""
        return [(run or 0, seq, event) for seq, event in enumerate(self._heard.get(run or 0, ()), 1)]

    def keep(self, session: str, run: int, evidence: Evidence) -> None:
        """Kept by the context already."""

    def forget(self, run: int) -> None:
        """Drop the events of a run."""
        self._heard.pop(run, None)


@dataclass(slots=True)
class Playing:
    """A ChatPort that plays one sequence, then `after` for ever."""

    journal: Journal
    left: Sequence_
    after: Reply | ModelError
    shown: list[str] = field(default_factory=list)
    """All that the model was shown beside its own calls."""
    replied: list[ModelCall] = field(default_factory=list)
    """All calls that it made."""
    requests: int = 0
    model: str = "adversary"
    address: str = "http://127.0.0.1:1/v1"

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        *,
        seconds: float,
        max_output: int,
        must_call: str = "",
        on_text: OnText | None = None,
        on_send: OnSend | None = None,
    ) -> Reply:
        """The next reply; an error is raised."""
        if on_send is not None:
            on_send(100)
        self.journal.entries.append("model")
        self.requests += 1
        self.shown += [message.content for message in messages if message.role != "assistant"]
        reply = self.left.pop(0) if self.left else self.after
        if isinstance(reply, ModelError):
            raise reply
        self.replied += reply.calls
        return reply

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class Outcome:
    """What a sequence led to."""

    setting: Setting
    scope: Scope
    journal: Journal
    port: Playing
    events: list[Event]
    gathered: list[tuple[ToolCall, Evidence]]
    first: int
    """How many of `gathered` were read before the model was consulted."""
    derived: list[Evidence]
    drafts: list[DraftRow]
    approvals: NoApprovals
    steps: int
    diagnosis: Diagnosis | None
    """None where the audit log failed, or no reasoner was asked."""
    failed: AuditUnavailable | None = None


class Stage:
    """One setting, ready for sequences."""

    def __init__(self, setting: Setting, directory: Path) -> None:
        self.setting = setting
        self.known = {name: diagnosers.load()[name] for name in JUDGING}
        self.queries = catalogue(self.known)
        self.kube = RecordingKube()
        self.prom = RecordingProm([query.promql for query in self.queries.values()])
        self.store = QuickStore(directory)
        self.redactor = Redactor(WORLD_KEY)
        self.policy = default_policy()
        self._runs = itertools.count(1)
        self._state: State = {}
        self._bodies: dict[str, Evidence] = {}

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    async def prepare(self) -> None:
        """Understand, plan, gather and diagnose, once."""
        asyncio.get_running_loop().set_default_executor(Inline(max_workers=1))
        context, _, _ = self._context(Playing(Journal(), [], Reply()), full_after=None)
        runtime = Runtime(context=context)
        state: State = {"question": self.setting.question, "run": 0, "now": NOW, "flags": {}}
        state |= await nodes.understand(state, runtime)
        state |= await nodes.plan(state, runtime)
        state |= await nodes.gather(state, runtime)
        state |= await nodes.diagnose(state, runtime)
        while nodes.after_diagnosis(state) == "gather":
            state |= await nodes.gather(state, runtime)
            state |= await nodes.diagnose(state, runtime)
        assert nodes.after_diagnosis(state) == "consult"
        state["calls"] = [call.model_dump(mode="json") for call in self._prelude(Scope.model_validate(state["scope"]))]
        state |= await nodes.gather({**state, "consulting": False}, runtime)
        self._state, self._bodies = state, context.bodies

    def _prelude(self, scope: Scope) -> list[ToolCall]:
        """Texts, and, where others may be seen too, their objects: what an attacker would read first."""
        calls: list[tuple[str, JsonObject]] = [
            ("pod_logs", {"namespace": "search", "pod": "chat-0"}),
            ("list_events", {"namespace": "search"}),
            ("firing_alerts", {}),
        ]
        if self.setting.permitted is None and scope.namespaces is not None:
            kinds = (DEPLOYMENT, REPLICA_SET, POD, HPA)
            calls += [("list_objects", {"group": kind.group, "kind": kind.kind}) for kind in kinds]
        return [ToolCall(tool=tool, args=args) for tool, args in calls]

    @property
    def before(self) -> list[tuple[ToolCall, Evidence]]:
        """What was read before the model was consulted."""
        return self._pairs(self._state, self._bodies)

    @property
    def derived(self) -> list[Evidence]:
        """The numbers worked out before the model was consulted."""
        return [self._bodies[name] for name in self._state.get("derived", [])]

    @property
    def scope(self) -> Scope:
        """What the question is about."""
        return Scope.model_validate(self._state["scope"])

    async def attempt(
        self, sequence: Sequence_, after: Reply | ModelError, *, full_after: int | None = None
    ) -> Outcome:
        """Play a sequence to the end of its run; `full_after` audit entries the log cannot be written."""
        port = Playing(Journal(), list(sequence), after)
        context, _, approvals = self._context(port, full_after=full_after)
        context.bodies.update(self._bodies)
        state = copy.copy(self._state)
        runtime, node, steps = Runtime(context=context), _ROUTES["diagnose"](state), 0
        failed, diagnosis = None, None
        RUNNING.set("")
        try:
            while node != "report" and steps < MAX_STEPS:
                state |= await (nodes.consult if node == "consult" else nodes.gather)(state, runtime)
                node, steps = _ROUTES[node](state), steps + 1
            state |= await nodes.report(state, runtime)
            diagnosis = Diagnosis.model_validate(state["diagnosis"])
        except AuditUnavailable as error:
            failed = error
        return self._outcome(state, context, port, approvals, steps=steps, diagnosis=diagnosis, failed=failed)

    async def force(self, sequence: Sequence_) -> Outcome:
        """Hand every call of a sequence that is JSON to the gate, as if no reasoner had looked at it."""
        port = Playing(Journal(), [], Reply())
        context, _, approvals = self._context(port, full_after=None)
        context.bodies.update(self._bodies)
        state = copy.copy(self._state)
        RUNNING.set("")
        for reply in sequence:
            port.replied += reply.calls if isinstance(reply, Reply) else ()
            found = [_parsed(call) for call in reply.calls] if isinstance(reply, Reply) else []
            state["calls"] = [call.model_dump(mode="json") for call in found if call is not None]
            state |= await nodes.gather(state, Runtime(context=context))
        return self._outcome(state, context, port, approvals)

    def _outcome(
        self,
        state: State,
        context: RunContext,
        port: Playing,
        approvals: NoApprovals,
        *,
        steps: int = 0,
        diagnosis: Diagnosis | None = None,
        failed: AuditUnavailable | None = None,
    ) -> Outcome:
        outcome = Outcome(
            setting=self.setting,
            scope=self.scope,
            journal=port.journal,
            port=port,
            events=[event for _, _, event in self.store.events(SESSION, context.run)],
            gathered=self._pairs(state, context.bodies),
            first=len(self._state["gathered"]),
            derived=self.derived,
            drafts=self.store.drafts(SESSION, 50, run=context.run),
            approvals=approvals,
            steps=steps,
            diagnosis=diagnosis,
            failed=failed,
        )
        self.store.forget(context.run)
        return outcome

    def _pairs(self, state: State, bodies: dict[str, Evidence]) -> list[tuple[ToolCall, Evidence]]:
        entries = state.get("gathered", [])
        return [(ToolCall.model_validate(entry["call"]), bodies[entry["evidence"]]) for entry in entries]

    def _reasoner(self, port: Playing) -> Reasoner:
        return LanguageModel(
            port=port,
            budget=Budget(tokens=100_000),
            room=Room(window=128_000, output=1_000),
            seconds=60.0,
            hour=Hour(store=Counter(), limit=10**6),
            catalogue=tuple((cause, known.CAUSE.title) for cause, known in self.known.items()),
        )

    def _context(self, port: Playing, *, full_after: int | None) -> tuple[RunContext, Journal, NoApprovals]:
        journal, approvals, run = port.journal, NoApprovals(), next(self._runs)
        self.kube.journal = self.prom.journal = journal
        audit = JournalAudit(journal, full_after)
        ports = Ports(kube=self.kube, prom=self.prom, queries=self.queries, now=NOW)

        def emit(event: Event) -> None:
            self.store.append(SESSION, run, event, NOW)

        def redact(text: str) -> str:
            return self.redactor.text(text)[0]

        def drafts_of(gathered: Sequence[tuple[ToolCall, Evidence]]) -> RunDrafting:
            return RunDrafting(
                store=self.store, session=SESSION, run=run, now=NOW, asker="ada", author="model adversary",
                evidence=gathered,
                emit=emit, redact=redact,
            )  # fmt: skip

        context = RunContext(
            gate=Gate(
                policy=self.policy, audit=audit, approvals=approvals, ports=ports, redactor=self.redactor
            ),
            store=self.store, reasoner=self._reasoner(port), diagnosers=self.known, principal=self.setting.principal,
            permitted=self.setting.permitted, mode=self.setting.mode, cluster="stage", metrics=True, metrics_note="",
            team_map={}, team_label="", session=SESSION, run=run, emit=emit, requests=lambda: 0, audit=audit.append,
            redact=redact, drafts_of=drafts_of, queries={n: q.family for n, q in self.queries.items()}, reporting=OFF,
            span=Run(),
        )  # fmt: skip
        return context, journal, approvals


def _parsed(call: ModelCall) -> ToolCall | None:
    """A call as the reasoner would make it of a tool that was offered."""
    schema = ToolSchema(name=call.name, description="", parameters={})
    found = parsing.parse(call, {call.name: schema})
    return ToolCall(tool=call.name, args=found.arguments) if isinstance(found, parsing.Parsed) else None
