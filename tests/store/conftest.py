"""A ledger of each kind, empty at the start of every test."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store.ledger_postgres import PostgresLedger
from agent.store.ledger_sql import SqlLedger
from agent.store.ledger_sqlite import SqliteLedger
from tests.store.postgres import binaries, running

TABLES = "proposals, approvals, journal, moves, documents"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a running Postgres. Skips where there is none."""
    programs = binaries()
    if programs is None:
        pytest.skip("no Postgres of the distribution is installed (apt-get install postgresql)")
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("the extra `postgres` is not installed")
    with running(programs) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlLedger]:
    """An empty ledger of each kind."""
    if request.param == "sqlite":
        made: SqlLedger = SqliteLedger(tmp_path)
    else:
        made = PostgresLedger(request.getfixturevalue("postgres"))
        with made._writing() as cursor:
            cursor.write(f"TRUNCATE {TABLES} RESTART IDENTITY")
    try:
        yield made
    finally:
        made.close()
