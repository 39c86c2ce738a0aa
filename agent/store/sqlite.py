"""The store in one SQLite file (WAL), enough for one host."""

from __future__ import annotations

import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.events import EVENT, Event
from agent.store import ASKED_AT, DraftRow, RunRow, SessionRow
from tools.errors import AuditUnavailable
from tools.types import Evidence

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs(
  session TEXT NOT NULL, run INTEGER NOT NULL, cluster TEXT NOT NULL, question TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY(session, run));
CREATE TABLE IF NOT EXISTS events(
  session TEXT NOT NULL, run INTEGER NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(session, run, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS evidence(
  session TEXT NOT NULL, run INTEGER NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(session, run, id));
CREATE TABLE IF NOT EXISTS notes(
  session TEXT NOT NULL, run INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY(session, run, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spending(at REAL NOT NULL, tokens INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS drafts(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, session TEXT NOT NULL, run INTEGER NOT NULL,
  body BLOB NOT NULL);
"""
COMPRESS_OVER = 4096
"""Bytes from which an evidence body is deflated."""


class SqliteStore:
    """A Store in a state directory. Raises AuditUnavailable with one line when the file cannot be written."""

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.path = directory / "plumbline.db"
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(self.path, timeout=10.0, isolation_level=None)
            os.chmod(self.path, 0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise AuditUnavailable(
                f"cannot write the state directory {directory}: {error}",
                hint="free space there or choose another with PLUMBLINE_STATE_DIR",
            ) from None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise AuditUnavailable(
                f"cannot write {self.path}: {error}", hint="free space or choose another state directory"
            ) from None

    def begin(self, session: str, cluster: str, question: str, at: float) -> int:
        """Open the next run of a session; returns its number."""
        with self._writing() as db:
            (last,) = db.execute("SELECT COALESCE(MAX(run), 0) FROM runs WHERE session=?", (session,)).fetchone()
            db.execute("INSERT INTO runs VALUES(?,?,?,?,?)", (session, last + 1, cluster, question, at))
            db.execute("INSERT INTO notes VALUES(?,?,?,?)", (session, last + 1, ASKED_AT, repr(self._clock())))
        return int(last) + 1

    def append(self, session: str, run: int, event: Event, at: float) -> int:
        """Append an event; returns its sequence number within the run."""
        body = EVENT.dump_json(event)
        with self._writing() as db:
            row = db.execute("SELECT COALESCE(MAX(seq), 0) FROM events WHERE session=? AND run=?", (session, run))
            (last,) = row.fetchone()
            db.execute("INSERT INTO events VALUES(?,?,?,?,?)", (session, run, last + 1, at, body))
        return int(last) + 1

    def events(self, session: str, run: int | None = None) -> list[tuple[int, int, Event]]:
        """(run, seq, event) in order."""
        rows = self._db.execute(
            "SELECT run, seq, body FROM events WHERE session=? AND (? IS NULL OR run=?) ORDER BY run, seq",
            (session, run, run),
        )
        return [(int(r), int(s), EVENT.validate_json(body)) for r, s, body in rows]

    def keep(self, session: str, run: int, evidence: Evidence) -> None:
        """Keep a piece of evidence."""
        body = evidence.model_dump_json().encode()
        if len(body) > COMPRESS_OVER:
            body = b"z" + zlib.compress(body, 1)
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO evidence VALUES(?,?,?,?,?)",
                (session, run, evidence.id, evidence.digest, body),
            )

    def evidence(self, session: str, run: int, evidence_id: str) -> Evidence | None:
        """A piece of evidence by id."""
        row = self._db.execute(
            "SELECT body FROM evidence WHERE session=? AND run=? AND id=?", (session, run, evidence_id)
        ).fetchone()
        if row is None:
            return None
        body: bytes = row[0]
        return Evidence.model_validate_json(zlib.decompress(body[1:]) if body[:1] == b"z" else body)

    def record(self, session: str, run: int, key: str, value: str) -> None:
        """Note a fact about a run."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO notes VALUES(?,?,?,?)", (session, run, key, value))

    def notes(self, session: str, run: int) -> dict[str, str]:
        """The noted facts of a run."""
        rows = self._db.execute("SELECT key, value FROM notes WHERE session=? AND run=?", (session, run))
        return {str(key): str(value) for key, value in rows}

    def sessions(self, limit: int = 50) -> list[SessionRow]:
        """Sessions by when they were asked last, newest first; times of different worlds cannot be compared."""
        rows = self._db.execute(
            "SELECT f.session, f.cluster, f.at, l.run, l.question, f.question, n.value FROM runs f"
            " JOIN (SELECT session, MIN(run) AS first, MAX(run) AS last, MAX(rowid) AS seat FROM runs GROUP BY session)"
            " s ON s.session=f.session AND s.first=f.run"
            " JOIN runs l ON l.session=s.session AND l.run=s.last"
            " LEFT JOIN notes n ON n.session=f.session AND n.run=f.run AND n.key=?"
            " ORDER BY s.seat DESC LIMIT ?",
            (ASKED_AT, limit),
        )
        return [
            SessionRow(
                id=name, cluster=cluster, started=at, runs=last, question=question, first=first,
                asked=float(asked) if asked else None,
            )
            for name, cluster, at, last, question, first, asked in rows
        ]  # fmt: skip

    def last_run(self, session: str) -> int | None:
        """The newest run of a session, or None for an unknown session."""
        (last,) = self._db.execute("SELECT MAX(run) FROM runs WHERE session=?", (session,)).fetchone()
        return None if last is None else int(last)

    def runs(self, session: str) -> list[RunRow]:
        """The runs of a session, in order."""
        rows = self._db.execute("SELECT run, question, at FROM runs WHERE session=? ORDER BY run", (session,))
        return [RunRow(run=r, question=q, at=a) for r, q, a in rows]

    def ending(self, session: str, run: int) -> Event | None:
        """The newest event of a run; None before its first."""
        row = self._db.execute(
            "SELECT body FROM events WHERE session=? AND run=? ORDER BY seq DESC LIMIT 1", (session, run)
        ).fetchone()
        return None if row is None else EVENT.validate_json(row[0])

    def newest(self, cluster: str) -> str | None:
        """The session of that cluster in which a question was asked last, by the order of asking."""
        row = self._db.execute(
            "SELECT session FROM runs WHERE cluster=? ORDER BY rowid DESC LIMIT 1", (cluster,)
        ).fetchone()
        return None if row is None else str(row[0])

    def cluster_of(self, session: str) -> str:
        """The cluster a session asks about; "" for an unknown session."""
        row = self._db.execute("SELECT cluster FROM runs WHERE session=? ORDER BY run LIMIT 1", (session,)).fetchone()
        return str(row[0]) if row else ""

    def heads(self) -> set[str]:
        """The audit heads that finished runs kept."""
        return {str(head) for (head,) in self._db.execute("SELECT value FROM notes WHERE key='audit_head'")}

    def spend(self, at: float, tokens: int) -> None:
        """Count tokens of a language model; what is older than a day is forgotten."""
        with self._writing() as db:
            db.execute("DELETE FROM spending WHERE at < ?", (at - 86_400.0,))
            db.execute("INSERT INTO spending VALUES(?,?)", (at, tokens))

    def spent_since(self, at: float) -> int:
        """Tokens counted since a moment, over all sessions."""
        (total,) = self._db.execute("SELECT COALESCE(SUM(tokens), 0) FROM spending WHERE at > ?", (at,)).fetchone()
        return int(total)

    def draft(self, row: DraftRow) -> None:
        """Keep a draft. One that is there already stays as it is."""
        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO drafts(id, session, run, body) VALUES(?,?,?,?)",
                (row.id, row.session, row.run, row.model_dump_json().encode()),
            )

    def drafts(self, session: str | None = None, limit: int = 50, *, run: int | None = None) -> list[DraftRow]:
        """Newest drafts first, of one session (and run) or of all."""
        rows = self._db.execute(
            "SELECT body FROM drafts WHERE (? IS NULL OR session=?) AND (? IS NULL OR run=?)"
            " ORDER BY number DESC LIMIT ?",
            (session, session, run, run, limit),
        )
        return [DraftRow.model_validate_json(body) for (body,) in rows]

    def draft_by_id(self, draft: str) -> DraftRow | None:
        """A draft by id."""
        row = self._db.execute("SELECT body FROM drafts WHERE id=?", (draft,)).fetchone()
        return DraftRow.model_validate_json(row[0]) if row else None

    def close(self) -> None:
        """Release the database."""
        self._db.close()
