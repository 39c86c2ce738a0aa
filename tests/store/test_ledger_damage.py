"""A store that was cut, written over, opened by many at once, or named by an address that cannot be read."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from agent.changes.ledger import LedgerDown
from agent.changes.records import JournalEntry
from agent.store import ledger_sqlite
from agent.store.ledger_postgres import PostgresLedger
from agent.store.ledger_sql import SCHEMA, SqlLedger, Value
from agent.store.ledger_sqlite import FILE, SqliteLedger
from tests.store.test_ledger import approval, awaiting, proposal

OPENERS, OPENINGS = 6, 6


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"state": "approved"}', "\x01", '{"a": 1, "a": 2}'])
def test_a_row_that_was_written_over_is_down_and_nothing_moves(ledger: SqlLedger, body: str) -> None:
    row = awaiting(ledger)
    ledger.approve(row, approval(row, "grace"), needed=2)
    ledger.write(JournalEntry(proposal=row.id, attempt=1, point="claimed", at=1.0, applier="a"))
    ledger.put("k", {}, at=1)
    before = ledger.moves()
    _overwrite(ledger, "proposals", body)
    for use in (
        lambda: ledger.get(row.id),
        ledger.page,
        lambda: ledger.find(row.id),
        lambda: ledger.move(row, "reject", actor="x", at=1),
        lambda: ledger.approve(row, approval(row, "alan"), needed=2),
    ):
        with pytest.raises(LedgerDown, match="none of ours"):
            use()
    assert (ledger.moves(), len(ledger.approvals(row.id))) == (before, 1)
    for table, read in (("approvals", ledger.approvals), ("journal", ledger.journal)):
        _overwrite(ledger, table, body)
        with pytest.raises(LedgerDown, match="none of ours"):
            read(row.id)


def _overwrite(ledger: SqlLedger, table: str, body: str) -> None:
    with ledger._writing() as cursor:
        assert cursor.write(f"UPDATE {table} SET body = ?", body) == 1


@pytest.mark.parametrize("left", [16, 100, 4096, 6000, 16_384])
def test_a_file_that_was_cut_is_down(tmp_path: Path, left: int) -> None:
    ledger = SqliteLedger(tmp_path)
    for number in range(1, 60):
        ledger.add(proposal(number, because="x" * 500), actor="x")
    ledger.close()
    assert (tmp_path / FILE).stat().st_size > left
    os.truncate(tmp_path / FILE, left)
    with pytest.raises(LedgerDown, match="cannot be used"):
        _use(tmp_path)


def _use(folder: Path) -> None:
    ledger = SqliteLedger(folder)
    try:
        ledger.page()
    finally:
        ledger.close()


def test_another_programs_database_keeps_every_byte(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(LedgerDown, match="another program"):
        SqliteLedger(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_what_is_committed_survives_a_power_cut_by_the_books(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
    ledger.close()


def opening(folder: Path, barrier: Barrier) -> None:
    """Open new stores at the same moment as all the others."""
    try:
        for number in range(OPENINGS):
            barrier.wait(60)
            SqliteLedger(folder / str(number)).close()
    except BaseException:
        barrier.abort()
        raise


def test_many_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes the tables; nobody meets them half made, and takes them for another program's."""
    context = multiprocessing.get_context("forkserver")
    barrier = context.Barrier(OPENERS)
    workers = [context.Process(target=opening, args=(tmp_path, barrier), daemon=True) for _ in range(OPENERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * OPENERS


def dying(folder: Path, step: int) -> None:
    """Open a new store and die by SIGKILL before its step-th statement that writes."""
    count, write = 0, ledger_sqlite._Cursor.write

    def counted(cursor: ledger_sqlite._Cursor, sql: str, *values: Value) -> int:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return write(cursor, sql, *values)

    ledger_sqlite._Cursor.write = counted  # type: ignore[method-assign,assignment]
    SqliteLedger(folder).close()


@pytest.mark.parametrize("step", [1, len(SCHEMA), len(SCHEMA) + 1])
def test_a_first_opening_that_was_killed_is_made_up_for(tmp_path: Path, step: int) -> None:
    """Tables and mark are one transaction: no half-made store is taken for another program's for ever."""
    worker = multiprocessing.get_context("forkserver").Process(target=dying, args=(tmp_path, step))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    ledger = SqliteLedger(tmp_path)
    assert ledger.get(awaiting(ledger).id) is not None
    ledger.close()


# --- Postgres ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:hun%zzter2@127.0.0.1:1/db",
        "postgresql://u:x@hunter2@127.0.0.1:1/db",
        "host=127.0.0.1 port=1 password='hunter2",
        "host=127.0.0.1 port=1 password=x hunter2",
    ],
)
def test_no_password_stands_in_what_is_said_of_an_address(address: str) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    with pytest.raises(LedgerDown) as down:
        PostgresLedger(address)
    assert "hunter2" not in str(down.value)
    assert "hun%" not in str(down.value)
    assert "changes.store" in str(down.value)
    assert "\n" not in str(down.value)


def test_a_connection_that_broke_is_down_once_and_opened_again(postgres: str) -> None:
    ledger = PostgresLedger(postgres)
    row = ledger.add(proposal(number=77), actor="x")
    killer = PostgresLedger(postgres)
    ((process,),) = ledger._db.execute("SELECT pg_backend_pid()").fetchall()
    killer._db.execute("SELECT pg_terminate_backend(%s)", (process,))
    with pytest.raises(LedgerDown, match="cannot be used"):
        ledger.move(row, "reject", actor="x", at=1)
    assert ledger.get(row.id) == row
    ledger.close()
    killer.close()
