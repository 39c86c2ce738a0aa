"""The ledger of proposals in SQL that SQLite and Postgres both speak; each of them adds how it connects and locks.

Rules: every write is one transaction that first takes the writers' lock, so that moves are ordered as they are read;
an update that finds another version than was seen changes nothing; whatever the database says that was not asked
becomes LedgerDown, and nothing is half written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from agent.changes.ledger import Held, LedgerDown, Raced
from agent.changes.records import Approval, JournalEntry, Moved, Proposal
from agent.changes.states import OPEN, Move, State, after
from tools.documents import load_json
from tools.errors import DocumentError, UnknownName
from tools.types import JsonObject, canonical

PAGE = 200
"""Rows of one page at most."""
MAX_STEPS = 10_000
"""Steps of one proposal's journal that are read; an apply that starts again five times writes some thirty."""
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS proposals (seq {serial}, id TEXT UNIQUE NOT NULL, session TEXT NOT NULL,"
    " run INTEGER NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL, cluster TEXT NOT NULL, uid TEXT NOT NULL,"
    " held INTEGER NOT NULL, body TEXT NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS one_open ON proposals (cluster, uid) WHERE held = 1",
    "CREATE TABLE IF NOT EXISTS approvals (seq {serial}, proposal TEXT NOT NULL, digest TEXT NOT NULL,"
    " principal TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (proposal, digest, principal))",
    "CREATE TABLE IF NOT EXISTS journal (seq {serial}, proposal TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS moves (seq {serial}, proposal TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, at {real} NOT NULL, body TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS journal_of ON journal (proposal, seq)",
    "CREATE INDEX IF NOT EXISTS moves_of ON moves (proposal, seq)",
)
Value = str | int | float | None
Row = tuple[Value, ...]
M = TypeVar("M", bound=BaseModel)


class Cursor(Protocol):
    """One transaction."""

    def read(self, sql: str, *values: Value) -> list[Row]:
        """The rows of a query; `?` stands for a value."""
        ...

    def write(self, sql: str, *values: Value) -> int:
        """Run a statement; returns how many rows it changed."""
        ...


class DuplicateKey(Exception):
    """A unique index refuses a row."""


class SqlLedger(ABC):
    """Implements Ledger over any database that gives transactions."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Cursor]:
        """A transaction that only reads. Raises LedgerDown."""

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Cursor]:
        """A transaction that holds the writers' lock and is on disk when it ends. Raises LedgerDown, DuplicateKey."""

    # --- proposals -----------------------------------------------------------------------------------------

    def add(self, proposal: Proposal, *, actor: str) -> Proposal:
        """Keep a new draft; one that is there already stays as it is."""
        with self._writing() as cursor:
            if (found := _row(cursor, proposal.id)) is None:
                found = proposal
                cursor.write(
                    "INSERT INTO proposals (id, session, run, state, version, cluster, uid, held, body)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    proposal.id,
                    proposal.session,
                    proposal.run,
                    *_columns(proposal),
                )
        return found

    def get(self, proposal: str) -> Proposal | None:
        """One proposal by id."""
        with self._reading() as cursor:
            return _row(cursor, proposal)

    def find(self, prefix: str, limit: int = 3) -> list[Proposal]:
        """Proposals whose id begins so."""
        if not prefix or not all(character in "0123456789abcdef" for character in prefix):
            return []
        with self._reading() as cursor:
            rows = cursor.read(
                "SELECT body FROM proposals WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", prefix, f"{prefix}g", limit
            )
        return [_proposal(row) for row in rows]

    def page(
        self,
        *,
        states: Sequence[State] = (),
        session: str = "",
        run: int | None = None,
        limit: int = 50,
        after: str = "",
    ) -> list[Proposal]:
        """Newest first, a page at a time."""
        where, values = ["1 = 1"], list[Value]()
        if states:
            where.append(f"state IN ({', '.join('?' for _ in states)})")
            values += states
        for column, value in (("session", session or None), ("run", run)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if after:
            where.append("seq < (SELECT seq FROM proposals WHERE id = ?)")
            values.append(after)
        sql = f"SELECT body FROM proposals WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"
        with self._reading() as cursor:
            return [_proposal(row) for row in cursor.read(sql, *values, min(limit, PAGE))]

    # --- moves ---------------------------------------------------------------------------------------------

    def move(self, seen: Proposal, move: Move, *, actor: str, at: float, note: str = "", **fields: object) -> Proposal:
        """One move by compare-and-set. Raises NotAllowed, Raced, Held."""
        try:
            with self._writing() as cursor:
                return _move(cursor, seen, move, actor=actor, at=at, note=note, fields=fields)
        except DuplicateKey:
            raise Held(
                f"another open proposal holds {seen.target}", hint="finish or reject that one first (proposals list)"
            ) from None

    def approve(self, seen: Proposal, approval: Approval, *, needed: int) -> tuple[Proposal, int]:
        """Keep an approval; the `needed`th principal's moves the proposal to approved. Raises Raced."""
        with self._writing() as cursor:
            row = _row(cursor, seen.id)
            if row is None or row.version != seen.version or row.state != "awaiting approval":
                raise _raced(seen)
            if not row.digest or approval.digest != row.digest or approval.proposal != row.id:
                raise Raced(f"the approval is of other bytes than proposal {seen.id}", hint="look at it again")
            cursor.write(
                "INSERT INTO approvals (proposal, digest, principal, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (proposal, digest, principal) DO NOTHING",
                approval.proposal,
                approval.digest,
                approval.principal,
                approval.model_dump_json(),
            )
            ((count,),) = cursor.read(
                "SELECT COUNT(DISTINCT principal) FROM approvals WHERE proposal = ? AND digest = ?", row.id, row.digest
            )
            given = int(count or 0)
            if given >= max(1, needed):
                note = f"approved by {given}"
                row = _move(cursor, row, "approve", actor=approval.principal, at=approval.at, note=note, fields={})
        return row, given

    def approvals(self, proposal: str) -> list[Approval]:
        """In order of giving."""
        with self._reading() as cursor:
            rows = cursor.read("SELECT body FROM approvals WHERE proposal = ? ORDER BY seq LIMIT ?", proposal, PAGE)
        return [_kept(Approval, body) for (body,) in rows]

    def moves(self, *, proposal: str = "", since: int = 0, limit: int = PAGE) -> list[Moved]:
        """Moves with seq > since, in order."""
        where, values = ("proposal = ? AND ", [proposal]) if proposal else ("", list[Value]())
        sql = f"SELECT seq, body FROM moves WHERE {where}seq > ? ORDER BY seq LIMIT ?"
        with self._reading() as cursor:
            rows = cursor.read(sql, *values, since, min(limit, PAGE))
        return [_kept(Moved, body).model_copy(update={"seq": seq}) for seq, body in rows]

    # --- journal and documents -----------------------------------------------------------------------------

    def write(self, entry: JournalEntry) -> None:
        """Append to the applier's journal; on disk when it returns."""
        with self._writing() as cursor:
            cursor.write("INSERT INTO journal (proposal, body) VALUES (?, ?)", entry.proposal, entry.model_dump_json())

    def journal(self, proposal: str) -> list[JournalEntry]:
        """In order of writing."""
        with self._reading() as cursor:
            rows = cursor.read("SELECT body FROM journal WHERE proposal = ? ORDER BY seq LIMIT ?", proposal, MAX_STEPS)
        return [_kept(JournalEntry, body) for (body,) in rows]

    def put(self, key: str, value: JsonObject, *, at: float) -> None:
        """Keep a small named document."""
        with self._writing() as cursor:
            cursor.write(
                "INSERT INTO documents (name, at, body) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET at = excluded.at, body = excluded.body",
                key,
                at,
                canonical(value).decode(),
            )

    def document(self, key: str) -> JsonObject | None:
        """A small named document."""
        with self._reading() as cursor:
            rows = cursor.read("SELECT body FROM documents WHERE name = ?", key)
        return _object(rows[0][0]) if rows else None

    @abstractmethod
    def close(self) -> None:
        """Release the database."""


def _columns(row: Proposal) -> tuple[Value, ...]:
    """state, version, cluster, uid, held, body."""
    held = int(row.state in OPEN)
    return row.state, row.version, row.cluster, row.target.uid or "", held, row.model_dump_json()


def _row(cursor: Cursor, proposal: str) -> Proposal | None:
    rows = cursor.read("SELECT body FROM proposals WHERE id = ?", proposal)
    return _proposal(rows[0]) if rows else None


def _move(
    cursor: Cursor, seen: Proposal, move: Move, *, actor: str, at: float, note: str, fields: dict[str, object]
) -> Proposal:
    row = _row(cursor, seen.id)
    if row is None:
        raise UnknownName("proposal", seen.id, ())
    if row.version != seen.version:
        raise _raced(seen)
    state = after(row.state, move)
    body = {**row.model_dump(), **fields, "state": state, "version": row.version + 1, "note": note}
    made = Proposal.model_validate(body)
    changed = cursor.write(
        "UPDATE proposals SET state = ?, version = ?, cluster = ?, uid = ?, held = ?, body = ?"
        " WHERE id = ? AND version = ?",
        *_columns(made),
        seen.id,
        seen.version,
    )
    if changed != 1:
        raise _raced(seen)
    moved = Moved(seq=0, proposal=seen.id, move=move, state=state, actor=actor, at=at, note=note)
    cursor.write("INSERT INTO moves (proposal, body) VALUES (?, ?)", seen.id, moved.model_dump_json())
    return made


def _raced(seen: Proposal) -> Raced:
    return Raced(f"proposal {seen.id} was moved by somebody else meanwhile", hint="look at it again")


def _proposal(row: Row) -> Proposal:
    return _kept(Proposal, row[0])


def _kept(model: type[M], body: Value) -> M:
    """A row as it was kept. Raises LedgerDown for one that somebody else wrote, or wrote over."""
    try:
        return model.model_validate_json(str(body))
    except ValidationError:
        raise _unreadable() from None


def _object(body: Value) -> JsonObject:
    try:
        value = load_json(str(body), name="the proposal store")
    except DocumentError:
        raise _unreadable() from None
    return value if isinstance(value, dict) else {}


def _unreadable() -> LedgerDown:
    return LedgerDown("the proposal store holds a row that is none of ours", hint="restore it from a copy")
