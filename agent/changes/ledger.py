"""Where proposals live: one small protocol, so that SQLite on one machine and Postgres for many are two files.

Rules: a state changes only by a move of the table in agent/changes/states.py and only by compare-and-set on `version`;
an object has at most one open proposal; what was written is on disk before a call returns; any doubt about the store
raises, and nothing is applied then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.changes.records import Approval, JournalEntry, Moved, Proposal
from agent.changes.states import Move, State
from tools.errors import UserError
from tools.types import JsonObject


class Raced(UserError):
    """Somebody else moved the proposal first."""


class Held(UserError):
    """Another open proposal holds the object."""


class LedgerDown(UserError):
    """The store cannot be read or written: locked, full, read-only, gone. Nothing may be applied."""


class Ledger(Protocol):
    """Proposals, approvals, moves and the applier's journal. Every method raises LedgerDown."""

    def add(self, proposal: Proposal, *, actor: str) -> Proposal:
        """Keep a new draft. The same id again returns what is there already."""
        ...

    def get(self, proposal: str) -> Proposal | None:
        """One proposal by id."""
        ...

    def find(self, prefix: str, limit: int = 3) -> list[Proposal]:
        """Proposals whose id begins so, for people who type only the first characters."""
        ...

    def page(
        self,
        *,
        states: Sequence[State] = (),
        session: str = "",
        run: int | None = None,
        limit: int = 50,
        after: str = "",
    ) -> list[Proposal]:
        """Newest first, a page at a time; `after` is the last id of the page before."""
        ...

    def move(self, seen: Proposal, move: Move, *, actor: str, at: float, note: str = "", **fields: object) -> Proposal:
        """Make one move and set fields of the row in the same transaction.

        Raises NotAllowed for a move the table does not have, Raced where the row is not at `seen.version`, Held where
        the new state is open and another open proposal has the same cluster and object uid.
        """
        ...

    def approve(self, seen: Proposal, approval: Approval, *, needed: int) -> tuple[Proposal, int]:
        """Keep an approval; the `needed`th different principal moves the proposal to approved, in one transaction.

        Returns the row and how many have approved. Raises Raced where digest, state or version are not as seen.
        """
        ...

    def approvals(self, proposal: str) -> list[Approval]:
        """In order of giving."""
        ...

    def write(self, entry: JournalEntry) -> None:
        """Append to the applier's journal; on disk when it returns."""
        ...

    def journal(self, proposal: str) -> list[JournalEntry]:
        """In order of writing."""
        ...

    def moves(self, *, proposal: str = "", since: int = 0, limit: int = 200) -> list[Moved]:
        """Moves with seq > since, in order: how surfaces follow a proposal in whatever process it moves."""
        ...

    def put(self, key: str, value: JsonObject, *, at: float) -> None:
        """Keep a small named document (an applier's sign of life, counters of an hour)."""
        ...

    def document(self, key: str) -> JsonObject | None:
        """A small named document."""
        ...

    def close(self) -> None:
        """Release the database."""
        ...
