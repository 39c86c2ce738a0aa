"""A session: questions in, typed events out. Surfaces see this and nothing of the graph behind it.

Rules: one run at a time per session, across processes; every event is in the store before a surface hears it; an
interrupted run keeps its checkpoint and is resumed, never repeated.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from langgraph.types import Command

from agent.context import RunContext
from agent.events import Answered, Asked, Cancelled, Event, Failed
from agent.graph import advance, peek
from agent.nodes import ask_event
from agent.state import State
from agent.types import Family
from tools.errors import AuditUnavailable, UserError
from tools.types import JsonObject, Mode

if TYPE_CHECKING:
    from agent.app import App

Emit: TypeAlias = Callable[[Event], None]
MAX_QUESTION = 4096
"""Characters of a question that are read."""


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
        """Answer a question. Ends with Answered, Asked, Failed or Cancelled."""
        text, _ = self.app.redactor.text(question[:MAX_QUESTION])
        async for event in self._start(text, self.flags):
            yield event

    async def diagnose(self, families: tuple[Family, ...]) -> AsyncIterator[Event]:
        """Judge every cause of the families over the scope."""
        async for event in self._start("", {**self.flags, "families": list(families)}):
            yield event

    async def answer(self, choice: str) -> AsyncIterator[Event]:
        """Go on with the candidate the user chose."""
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

    # --- running -------------------------------------------------------------------------------------------

    async def _start(self, question: str, flags: JsonObject) -> AsyncIterator[Event]:
        app = self.app
        with self._alone():
            run = app.store.begin(self.id, app.target.cluster, question, app.now)
            state: State = {"question": question, "run": run, "now": app.now, "flags": flags}
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
        _, unfinished = await peek(app.graph, thread)
        if start is None and not unfinished:
            self._again(emit)
            return
        await advance(app.graph, thread, start, self._context(run, emit))
        state, unfinished = await peek(app.graph, thread)
        if unfinished and state.get("choice"):
            emit(ask_event(state["choice"]))
        head = app.audit.append("answered", {"session": self.id, "run": run})
        app.store.record(self.id, run, "audit_head", head)
        app.store.record(self.id, run, "reasoner", app.reasoner.name)
        app.store.record(self.id, run, "policy", app.gate.policy.version)

    def _again(self, emit: Emit) -> None:
        """A resume of a finished run: its stored answer, or a plain error."""
        events = self.app.store.events(self.id, self.app.store.last_run(self.id))
        last = next((event for _, _, event in reversed(events) if isinstance(event, Answered | Asked)), None)
        if last is None:
            raise UserError(f"session {self.id} has nothing to resume", hint="ask a question first")
        emit(last)

    def _context(self, run: int, emit: Emit) -> RunContext:
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
