"""What must survive a crash: events, evidence, sessions. One protocol, so that another database is another file.

Rules: an event is appended under (session, run, seq) and never changed; evidence is kept once per session and id;
nothing enters that has not passed the redactor.
"""

from __future__ import annotations

from typing import Protocol

from agent.events import Event
from tools.types import Evidence, Frozen


class SessionRow(Frozen):
    """One session as listings show it."""

    id: str
    cluster: str
    started: float
    runs: int
    question: str
    """The last question asked."""


class Store(Protocol):
    """Where sessions live."""

    def begin(self, session: str, cluster: str, question: str, at: float) -> int:
        """Open the next run of a session; returns its number."""
        ...

    def append(self, session: str, run: int, event: Event, at: float) -> int:
        """Append an event; returns its sequence number within the run."""
        ...

    def events(self, session: str, run: int | None = None) -> list[tuple[int, int, Event]]:
        """(run, seq, event) in order."""
        ...

    def keep(self, session: str, run: int, evidence: Evidence) -> None:
        """Keep a piece of evidence."""
        ...

    def evidence(self, session: str, run: int, evidence_id: str) -> Evidence | None:
        """A piece of evidence by id."""
        ...

    def record(self, session: str, run: int, key: str, value: str) -> None:
        """Note a fact about a run (audit head, versions, prompt hashes)."""
        ...

    def notes(self, session: str, run: int) -> dict[str, str]:
        """The noted facts of a run."""
        ...

    def sessions(self, limit: int = 50) -> list[SessionRow]:
        """Newest sessions first."""
        ...

    def last_run(self, session: str) -> int | None:
        """The newest run of a session, or None for an unknown session."""
        ...

    def cluster_of(self, session: str) -> str:
        """The cluster a session asks about; "" for an unknown session."""
        ...

    def heads(self) -> set[str]:
        """The audit heads that finished runs kept."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...
