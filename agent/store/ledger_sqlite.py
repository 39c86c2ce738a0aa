"""Proposals in one SQLite file, shared by every process of a machine.

Rules: WAL and synchronous=FULL, so that what was written survives a power cut; a writer waits at most BUSY seconds for
another; a file that is something else, locked, full or read-only is LedgerDown.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.changes.ledger import LedgerDown
from agent.store.ledger_sql import SCHEMA, Cursor, DuplicateKey, Row, SqlLedger, Value

FILE = "proposals.db"
BUSY = 5.0
"""Seconds that a writer waits for another."""
PAUSE = 0.01
"""Seconds between two attempts to switch a new file to WAL."""
APPLICATION = 0x504C4D42
"""What marks the file as ours (PRAGMA application_id)."""


class _Cursor:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def read(self, sql: str, *values: Value) -> list[Row]:
        """The rows of a query."""
        return self._db.execute(sql, values).fetchall()

    def write(self, sql: str, *values: Value) -> int:
        """Run a statement."""
        return self._db.execute(sql, values).rowcount


class SqliteLedger(SqlLedger):
    """The ledger of a state directory."""

    def __init__(self, folder: Path, *, busy: float = BUSY) -> None:
        self._path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise self._down(error.strerror or "it cannot be opened") from None
        try:
            self._db = sqlite3.connect(self._path, timeout=busy, isolation_level=None)
            self._prepare(busy)
        except sqlite3.Error as error:
            raise self._down(_problem(error)) from None

    def _prepare(self, busy: float) -> None:
        """Check whose file it is before it is touched; schema and mark are written together or not at all."""
        self._db.execute("PRAGMA synchronous = FULL")
        with self._writing() as cursor:
            ((mark,),) = cursor.read("PRAGMA application_id")
            ((tables,),) = cursor.read("SELECT COUNT(*) FROM sqlite_master")
            if mark != APPLICATION and tables:
                raise self._down("it is another program's database")
            for statement in SCHEMA:
                cursor.write(statement.format(serial="INTEGER PRIMARY KEY AUTOINCREMENT", real="REAL"))
            cursor.write(f"PRAGMA application_id = {APPLICATION}")
        self._use_wal(time.monotonic() + busy)

    def _use_wal(self, deadline: float) -> None:
        """Switch to WAL; SQLite's own busy timeout does not wait for others that switch at the same moment."""
        while True:
            try:
                ((mode,),) = self._db.execute("PRAGMA journal_mode = WAL").fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(PAUSE)
                continue
            if mode != "wal":
                raise self._down("its file system cannot hold a write-ahead log")
            return

    def _down(self, problem: str) -> LedgerDown:
        return LedgerDown(
            f"the proposals in {self._path} cannot be used: {problem}",
            hint="free space there, or choose another state directory with PLUMBLINE_STATE_DIR",
        )

    @contextmanager
    def _reading(self) -> Iterator[Cursor]:
        try:
            yield _Cursor(self._db)
        except sqlite3.Error as error:
            raise self._down(_problem(error)) from None

    @contextmanager
    def _writing(self) -> Iterator[Cursor]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield _Cursor(self._db)
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.IntegrityError:
            raise DuplicateKey from None
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._down(_problem(error)) from None

    def close(self) -> None:
        """Release the database."""
        self._db.close()


def _problem(error: sqlite3.Error) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
