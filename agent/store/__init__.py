"""What must survive a crash: events, evidence, sessions. One protocol, so that another database is another file.

Rules: an event is appended under (session, run, seq) and never changed; evidence is kept once per session and id;
nothing enters that has not passed the redactor.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import StringConstraints

from agent.events import Event
from tools.types import Evidence, Frozen, JsonObject

ASKED_AT = "asked_at"
"""Note of a run: when it was asked, in Unix seconds by the clock of the host that asked."""


class SessionRow(Frozen):
    """One session as listings show it."""

    id: str
    cluster: str
    started: float
    runs: int
    question: str
    """The last question asked."""
    first: str = ""
    """The first question asked; "" where every cause was judged."""
    asked: float | None = None
    """When the first question was asked by the clock of the host that asked, which a world's time is not; None for
    sessions of versions that did not keep it."""


class DraftRow(Frozen):
    """A draft of a change: what was proposed, on which object, by whom, and on what grounds. It changes nothing."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    """Made from session, run and digest: the same order in one run is one draft, also after a crash."""
    session: str
    run: int
    at: float
    state: Literal["draft"] = "draft"
    change: str
    args: JsonObject
    target: str
    """The object as printed: `namespace/Kind/name`."""
    uid: str
    """The uid of the target as it was read."""
    because: str
    """Prose of the author, redacted and without links. Counts for nothing."""
    cites: tuple[str, ...]
    author: str
    """`model NAME` or `playbook`."""
    asker: str = ""
    """The principal in whose session it was drafted."""
    digest: str
    """SHA-256 of the canonical JSON {change, args, uid}."""


class RunRow(Frozen):
    """One run of a session: its question, and when it was asked (in the target's time)."""

    run: int
    question: str
    at: float


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

    def runs(self, session: str) -> list[RunRow]:
        """The runs of a session, in order."""
        ...

    def ending(self, session: str, run: int) -> Event | None:
        """The newest event of a run; None before its first."""
        ...

    def newest(self, cluster: str) -> str | None:
        """The session of that cluster in which a question was asked last, by the order of asking."""
        ...

    def cluster_of(self, session: str) -> str:
        """The cluster a session asks about; "" for an unknown session."""
        ...

    def heads(self) -> set[str]:
        """The audit heads that finished runs kept."""
        ...

    def spend(self, at: float, tokens: int) -> None:
        """Count tokens of a language model."""
        ...

    def spent_since(self, at: float) -> int:
        """Tokens counted since a moment, over all sessions."""
        ...

    def draft(self, row: DraftRow) -> None:
        """Keep a draft. One that is there already stays as it is."""
        ...

    def drafts(self, session: str | None = None, limit: int = 50, *, run: int | None = None) -> list[DraftRow]:
        """Newest drafts first, of one session (and run) or of all."""
        ...

    def draft_by_id(self, draft: str) -> DraftRow | None:
        """A draft by id."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...
