"""A ledger in memory with the rules of the real ones: what the engine's tests crash and race against, cheaply."""

from __future__ import annotations

from collections.abc import Sequence

from agent.changes.ledger import Held, Raced
from agent.changes.records import Approval, JournalEntry, Moved, Proposal
from agent.changes.states import OPEN, Move, State, after
from tools.types import JsonObject


class MemoryLedger:
    """Implements Ledger."""

    def __init__(self) -> None:
        self.rows: dict[str, Proposal] = {}
        self.given: list[Approval] = []
        self.steps: list[JournalEntry] = []
        self.made: list[Moved] = []
        self.documents: dict[str, JsonObject] = {}

    def add(self, proposal: Proposal, *, actor: str) -> Proposal:
        """Keep a new draft."""
        return self.rows.setdefault(proposal.id, proposal)

    def get(self, proposal: str) -> Proposal | None:
        """One proposal."""
        return self.rows.get(proposal)

    def find(self, prefix: str, limit: int = 3) -> list[Proposal]:
        """By the beginning of an id."""
        return [row for row in self.rows.values() if row.id.startswith(prefix)][:limit]

    def page(
        self,
        *,
        states: Sequence[State] = (),
        session: str = "",
        run: int | None = None,
        limit: int = 50,
        after: str = "",
    ) -> list[Proposal]:
        """Newest first."""
        rows = [row for row in reversed(self.rows.values()) if not states or row.state in states]
        start = next((n + 1 for n, row in enumerate(rows) if row.id == after), 0)
        return rows[start : start + limit]

    def move(self, seen: Proposal, move: Move, *, actor: str, at: float, note: str = "", **fields: object) -> Proposal:
        """One move by compare-and-set."""
        row = self.rows[seen.id]
        if row.version != seen.version:
            raise Raced(f"proposal {seen.id} was moved by somebody else")
        state = after(row.state, move)
        changed = {**row.model_dump(), **fields, "state": state, "version": row.version + 1, "note": note}
        made = Proposal.model_validate(changed)
        if state in OPEN and any(self._same_object(made, other) for other in self.rows.values()):
            raise Held(f"another open proposal holds {made.target}")
        self.rows[seen.id] = made
        self.made.append(
            Moved(seq=len(self.made) + 1, proposal=seen.id, move=move, state=state, actor=actor, at=at, note=note)
        )
        return made

    def _same_object(self, made: Proposal, other: Proposal) -> bool:
        same = (made.cluster, made.target.uid) == (other.cluster, other.target.uid)
        return other.id != made.id and other.state in OPEN and same

    def approve(self, seen: Proposal, approval: Approval, *, needed: int) -> tuple[Proposal, int]:
        """Keep an approval."""
        row = self.rows[seen.id]
        if (row.version, row.digest) != (seen.version, approval.digest) or row.state != "awaiting approval":
            raise Raced(f"proposal {seen.id} is not as it was seen")
        self.given.append(approval)
        count = len({one.principal for one in self.approvals(seen.id) if one.digest == row.digest})
        if count >= needed:
            row = self.move(row, "approve", actor=approval.principal, at=approval.at)
        return row, count

    def approvals(self, proposal: str) -> list[Approval]:
        """In order."""
        return [one for one in self.given if one.proposal == proposal]

    def write(self, entry: JournalEntry) -> None:
        """Append to the journal."""
        self.steps.append(entry)

    def journal(self, proposal: str) -> list[JournalEntry]:
        """In order."""
        return [one for one in self.steps if one.proposal == proposal]

    def moves(self, *, proposal: str = "", since: int = 0, limit: int = 200) -> list[Moved]:
        """Moves after a sequence number."""
        found = [one for one in self.made if one.seq > since and proposal in ("", one.proposal)]
        return found[:limit]

    def put(self, key: str, value: JsonObject, *, at: float) -> None:
        """Keep a document."""
        self.documents[key] = value

    def document(self, key: str) -> JsonObject | None:
        """A document."""
        return self.documents.get(key)

    def close(self) -> None:
        """Nothing to release."""
