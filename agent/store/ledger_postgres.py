"""Proposals in Postgres, for surfaces and appliers on different machines.

Rules: writers take one advisory lock, so that moves commit in the order of their numbers; a connection that broke is
opened again once, before a transaction and never within one; every statement has a time limit.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, cast

from agent.changes.ledger import LedgerDown
from agent.store.ledger_sql import SCHEMA, Cursor, DuplicateKey, Row, SqlLedger, Value
from tools.errors import SettingsError

LOCK = 0x504C4D42
"""Number of the writers' advisory lock."""
SECONDS = 10
"""Longest wait to connect, and for one statement."""
_USER = re.compile(r"[^\s'\"]*@")
"""What stands before a host in an address that was misread: part of a password, it may be."""


class _Result(Protocol):
    rowcount: int

    def fetchall(self) -> list[Row]:
        """Every row."""
        ...


class _Connection(Protocol):
    """What is used of a psycopg connection."""

    closed: bool
    broken: bool

    def execute(self, query: str, params: Sequence[Value] = ...) -> _Result:
        """Run a statement."""
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """A transaction, committed where its block ends well."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class _Driver(Protocol):
    """What is used of psycopg."""

    Error: type[Exception]
    IntegrityError: type[Exception]
    ProgrammingError: type[Exception]

    def connect(self, conninfo: str, **options: object) -> _Connection:
        """A connection."""
        ...


class _Cursor:
    def __init__(self, db: _Connection) -> None:
        self._db = db

    def read(self, sql: str, *values: Value) -> list[Row]:
        """The rows of a query."""
        return self._db.execute(sql.replace("?", "%s"), values).fetchall()

    def write(self, sql: str, *values: Value) -> int:
        """Run a statement."""
        return self._db.execute(sql.replace("?", "%s"), values).rowcount


class PostgresLedger(SqlLedger):
    """The ledger of a database. Raises SettingsError where the driver is missing, LedgerDown where it is not there."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._driver = _driver()
        self._db = self._connect()
        with self._writing() as cursor:
            for statement in SCHEMA:
                cursor.write(statement.format(serial="BIGSERIAL PRIMARY KEY", real="DOUBLE PRECISION"))

    def _connect(self) -> _Connection:
        try:
            return self._driver.connect(
                self._address,
                autocommit=True,
                connect_timeout=SECONDS,
                options=f"-c statement_timeout={SECONDS}s -c lock_timeout={SECONDS}s -c synchronous_commit=on",
                application_name="plumbline",
            )
        except self._driver.ProgrammingError:  # what it says may quote the address, and so a password
            raise LedgerDown(
                "the address of the proposals in Postgres cannot be read",
                hint="write changes.store as postgresql://user@host/database, with %40 for an @ in a password",
            ) from None
        except self._driver.Error as error:
            raise _down(error) from None

    def _ready(self) -> _Connection:
        if self._db.closed or self._db.broken:
            self._db = self._connect()
        return self._db

    @contextmanager
    def _reading(self) -> Iterator[Cursor]:
        try:
            yield _Cursor(self._ready())
        except self._driver.Error as error:
            raise _down(error) from None

    @contextmanager
    def _writing(self) -> Iterator[Cursor]:
        try:
            db = self._ready()
            with db.transaction():
                db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
                yield _Cursor(db)
        except self._driver.IntegrityError:
            raise DuplicateKey from None
        except self._driver.Error as error:
            raise _down(error) from None

    def close(self) -> None:
        """Release the connection."""
        self._db.close()


def _driver() -> _Driver:
    try:
        return cast(_Driver, importlib.import_module("psycopg"))
    except ImportError:
        raise SettingsError(
            "proposals in Postgres need the psycopg driver", hint="install the extra `postgres` (README)"
        ) from None


def _down(error: Exception) -> LedgerDown:
    said = _USER.sub("…@", " ".join(str(error).split()))[:200] or type(error).__name__
    return LedgerDown(f"the proposals in Postgres cannot be used: {said}", hint="see the setting changes.store")
