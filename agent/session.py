"""A session: questions in, typed events out. Surfaces see this and nothing of the graph behind it.

Rules: one run at a time per session, across processes; every event is in the store before a surface hears it; an
interrupted run keeps its checkpoint and is resumed, never repeated.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from langgraph.types import Command

from agent import commands, conversation, history
from agent.carrying import carry
from agent.changes.drafting import RunDrafting
from agent.context import RunContext
from agent.events import Answered, Asked, Cancelled, Event, EvidenceAdded, Failed, Told
from agent.followups import ASK_FIRST, NO_PAST, Followup, follow, namespaces_in_play
from agent.graph import advance, peek
from agent.history import Past
from agent.nodes import ask_event
from agent.render.terminal import draw
from agent.state import State, Used
from agent.telemetry import Run
from agent.types import Family
from tools.errors import AuditUnavailable, UserError
from tools.limits import MODEL_BUDGET, Meter
from tools.types import JsonObject, Mode

if TYPE_CHECKING:
    from agent.app import App

Emit: TypeAlias = Callable[[Event], None]
MAX_QUESTION = 4096
"""Characters of a question that are read."""
PLAIN_WIDTH = 100
"""Columns of what a command says where it is heard as an event."""


@dataclass(slots=True)
class Session:
    """One conversation with one target."""

    app: App
    id: str
    mode: Mode
    permitted: tuple[str, ...] | None
    flags: JsonObject
    _task: asyncio.Task[None] | None = field(default=None)

    async def ask(self, question: str) -> AsyncIterator[Event]:
        """Answer a question, a follow-up or a command. Ends with Answered, Asked, Failed, Cancelled or Told."""
        text, _ = self.app.redactor.text(question[:MAX_QUESTION])
        if commands.is_command(text):
            stream = self._commanded(text)
        else:
            earlier = conversation.earlier(self.app, self.id, self.permitted)
            past = earlier[0] if earlier else None
            found = follow(text, past, self.app.diagnosers)
            if found is None:
                stream = self._start(text, self.flags)
            elif found.stored or past is None:
                stream = self._recalled(text, found, past)
            else:
                stream = self._start(text, self.flags | carry(found, past, namespaces_in_play(earlier)))
        async for event in stream:
            yield event

    async def command(self, text: str) -> commands.Outcome:
        """Run a `/` command. Raises UserError with one line; `again` is left to `ask`."""
        line, _ = self.app.redactor.text(text[:MAX_QUESTION])
        flags = conversation.kept_flags(self.app, self.id, self.flags)
        outcome = commands.run(conversation.desk(self.app, self.id, self.permitted, flags), line)
        if outcome.set:
            self.flags = self.flags | outcome.set
            commands.keep(self.app.store, self.id, outcome.set)
        if outcome.new:
            self.id = uuid.uuid4().hex[:12]
        return outcome

    async def diagnose(self, families: tuple[Family, ...]) -> AsyncIterator[Event]:
        """Judge every cause of the families over the scope."""
        async for event in self._start("", {**self.flags, "families": list(families)}):
            yield event

    async def answer(self, choice: str) -> AsyncIterator[Event]:
        """Go on with the candidate the user chose. Raises UserError where no choice is open."""
        run = self.app.store.last_run(self.id)
        if run is not None and not isinstance(self.app.store.ending(self.id, run), Asked):
            raise UserError(
                f"session {self.id} waits for no choice", hint="ask in it with --session, or resume it without words"
            )
        async for event in self._continue(Command(resume=choice)):
            yield event

    async def resume(self) -> AsyncIterator[Event]:
        """Go on with the last run from its checkpoint; a finished run gives its answer again."""
        async for event in self._continue(None):
            yield event

    async def cancel(self) -> None:
        """Stop the run under way; its checkpoint stays."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    # --- conversation ----------------------------------------------------------------------------------------

    async def _commanded(self, text: str) -> AsyncIterator[Event]:
        """A command heard as a question: what it says, or the last question again."""
        try:
            outcome = await self.command(text)
        except UserError as error:
            yield Failed(message=error.message, hint=error.hint)
            return
        if not outcome.again:
            yield Told(text=outcome.export or draw(outcome.document, width=PLAIN_WIDTH, color=False))
            return
        (past,) = conversation.earlier(self.app, self.id, self.permitted)[:1]
        again = carry(Followup(kind="again", text=""), past, ())
        async for event in self._start(past.question, self.flags | again):
            yield event

    async def _recalled(self, text: str, found: Followup, past: Past | None) -> AsyncIterator[Event]:
        """Answer from the store, as a run of its own; a follow-up without anything to follow is none."""
        if found.kind == "alone":
            yield Failed(message=NO_PAST, hint=ASK_FIRST)
            return
        app = self.app
        with self._alone():
            run = app.store.begin(self.id, app.target.cluster, text, app.now)
            conversation.hand_on_flags(app, self.id, run)
            app.audit.append(
                "run", {"session": self.id, "run": run, "principal": app.principal.user, "mode": self.mode}
            )
            events: list[Event] = []
            try:
                answered, evidence = await conversation.recalled(app, self.id, found, past, text, mode=self.mode)
            except UserError as error:
                events.append(Failed(message=error.message, hint=error.hint))
            else:
                for item in evidence:
                    app.store.keep(self.id, run, item)
                    events.append(EvidenceAdded(evidence=item.id, query=item.query, rows=len(item.rows)))
                events.append(Answered(diagnosis=answered))
            if past is not None:
                app.store.record(self.id, run, history.FROM_RUN, str(past.run))
            for event in events:
                app.store.append(self.id, run, event, app.now)
                yield event
            self._noted(run)

    # --- running -------------------------------------------------------------------------------------------

    async def _start(self, question: str, flags: JsonObject) -> AsyncIterator[Event]:
        app = self.app
        with self._alone():
            kept = conversation.kept_flags(app, self.id, flags)
            run = app.store.begin(self.id, app.target.cluster, question, app.now)
            conversation.hand_on_flags(app, self.id, run)
            state: State = {"question": question, "run": run, "now": app.now, "flags": kept}
            async for event in self._drive(run, state):
                yield event

    async def _continue(self, command: Command[str] | None) -> AsyncIterator[Event]:
        run = self.app.store.last_run(self.id)
        if run is None:
            raise UserError(f"session {self.id} has nothing to resume", hint="ask a question first")
        with self._alone():
            async for event in self._drive(run, command):
                yield event

    async def _drive(self, run: int, start: State | Command[str] | None) -> AsyncIterator[Event]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()

        def emit(event: Event) -> None:
            self.app.store.append(self.id, run, event, self.app.now)
            queue.put_nowait(event)

        self._task = asyncio.create_task(self._execute(run, start, emit, queue))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()  # a bug in the run is the surface's to report
        finally:
            if not self._task.done():
                self._task.cancel()
                with suppress(asyncio.CancelledError):
                    await self._task

    async def _execute(
        self, run: int, start: State | Command[str] | None, emit: Emit, queue: asyncio.Queue[Event | None]
    ) -> None:
        try:
            await self._run_graph(run, start, emit)
        except asyncio.CancelledError:
            with suppress(AuditUnavailable):
                emit(Cancelled(run=f"{self.id}/{run}"))
            raise
        except (UserError, AuditUnavailable) as error:
            queue.put_nowait(Failed(message=error.message, hint=error.hint))
            with suppress(AuditUnavailable):
                self.app.store.append(self.id, run, Failed(message=error.message, hint=error.hint), self.app.now)
        finally:
            queue.put_nowait(None)

    async def _run_graph(self, run: int, start: State | Command[str] | None, emit: Emit) -> None:
        app = self.app
        thread = f"{self.id}/{run}"
        app.audit.append("run", {"session": self.id, "run": run, "principal": app.principal.user, "mode": self.mode})
        before, unfinished = await peek(app.graph, thread)
        if start is None and not unfinished:
            self._again(emit)
            return
        asked = str(start["question"]) if isinstance(start, dict) else ""
        with app.reporting.run(session=self.id, cluster=app.target.cluster, question=asked) as span:
            await advance(app.graph, thread, start, self._context(run, emit, span, before.get("used")))
        state, unfinished = await peek(app.graph, thread)
        if unfinished and state.get("choice"):
            emit(ask_event(state["choice"]))
        self._noted(run)

    def _noted(self, run: int) -> None:
        """Note under which audit head, reasoner and policy a run ended."""
        app = self.app
        head = app.audit.append("answered", {"session": self.id, "run": run})
        app.store.record(self.id, run, "audit_head", head)
        for name, value in {"reasoner": app.reasoner.name, **app.reasoner.versions}.items():
            app.store.record(self.id, run, name, value)
        app.store.record(self.id, run, "policy", app.gate.policy.version)

    def _again(self, emit: Emit) -> None:
        """A resume of a finished run: its stored answer, or a plain error."""
        events = self.app.store.events(self.id, self.app.store.last_run(self.id))
        last = next((event for _, _, event in reversed(events) if isinstance(event, Answered | Asked)), None)
        if last is None:
            raise UserError(f"session {self.id} has nothing to resume", hint="ask a question first")
        emit(last)

    def _context(self, run: int, emit: Emit, span: Run, used: Used | None) -> RunContext:
        app = self.app
        before = app.requests()
        return RunContext(
            gate=app.gate,
            store=app.store,
            reasoner=app.reasoner,
            diagnosers=app.diagnosers,
            principal=app.principal,
            permitted=self.permitted,
            mode=self.mode,
            cluster=app.target.cluster,
            metrics=app.target.prom is not None,
            metrics_note=app.target.prom_note or "no Prometheus was given or found",
            team_map=app.settings.teams,
            team_label=app.settings.team_label,
            session=self.id,
            run=run,
            emit=emit,
            requests=lambda: app.requests() - before,
            audit=app.audit.append,
            redact=lambda text: app.redactor.text(text)[0],
            drafts_of=lambda gathered: RunDrafting(
                store=app.store,
                session=self.id,
                run=run,
                now=app.now,
                author=app.reasoner.name,
                asker=app.principal.user,
                evidence=gathered,
                emit=emit,
                redact=lambda text: app.redactor.text(text)[0],
            ),
            queries=app.queries,
            reporting=app.reporting,
            span=span,
            meter=Meter(calls=used["calls"]) if used else Meter(),
            model_meter=Meter(
                MODEL_BUDGET,
                calls=used["model_calls"] if used else 0,
                seconds=used["model_seconds"] if used else 0.0,
                waiting=True,
            ),
            earlier=history.summary(conversation.earlier(app, self.id, self.permitted)),
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the session's lock file. Raises UserError while another run, in any process, holds it."""
        folder = self.app.settings.state_dir / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / f"{self.id}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise AuditUnavailable(
                f"cannot write the state directory {folder}: {error.strerror}",
                hint="free space there or choose another with PLUMBLINE_STATE_DIR",
            ) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(
                    f"session {self.id} is busy with another run", hint="wait for it, or start a new session"
                ) from None
            yield
        finally:
            os.close(descriptor)
