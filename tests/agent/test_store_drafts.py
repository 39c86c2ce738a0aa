"""Drafts in the store: kept once, listed newest first, found by id, there after a restart."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from agent.store import DraftRow
from agent.store.sqlite import SqliteStore
from tools.errors import AuditUnavailable


def row(number: int, session: str = "s1", run: int = 1) -> DraftRow:
    """A draft of its own."""
    return DraftRow(
        id=f"{number:012x}", session=session, run=run, at=1_780_000_000.0, change="scale",
        args={"name": "chat", "replicas": number}, target="ml/Deployment/chat", uid="u", because="“it idles” ‹x›",
        cites=("E1", "E2/ml/chat"), author="playbook", digest=f"{number:064x}",
    )  # fmt: skip


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.draft(row(1))
    store.close()
    again = SqliteStore(tmp_path)
    assert again.draft_by_id(row(1).id) == row(1)
    assert again.drafts() == [row(1)]


def test_newest_first_by_session_by_run_and_at_most_so_many(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    for number, (session, run) in enumerate([("s1", 1), ("s2", 1), ("s1", 2), ("s1", 2)]):
        store.draft(row(number, session, run))

    def numbers(drafts: list[DraftRow]) -> list[int]:
        return [int(draft.id, 16) for draft in drafts]

    assert numbers(store.drafts()) == [3, 2, 1, 0]
    assert numbers(store.drafts("s1")) == [3, 2, 0]
    assert numbers(store.drafts("s1", run=2)) == [3, 2]
    assert numbers(store.drafts(limit=2)) == [3, 2]
    assert numbers(store.drafts("s3")) == []


def test_the_first_of_one_id_stays(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.draft(row(1))
    store.draft(row(1).model_copy(update={"because": "other"}))
    assert store.drafts() == [row(1)]


@pytest.mark.parametrize("wrong", ["", "' OR 1=1 --", "%", "0123456789AB", row(1).id + " "])
def test_an_id_that_is_none(wrong: str, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.draft(row(1))
    assert store.draft_by_id(wrong) is None


def test_two_processes_keep_one_draft(tmp_path: Path) -> None:
    first, second = SqliteStore(tmp_path), SqliteStore(tmp_path)
    first.draft(row(1))
    second.draft(row(1))
    assert first.drafts() == second.drafts() == [row(1)]


def test_a_store_of_before_gains_the_table(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "plumbline.db") as db:
        db.execute("DROP TABLE drafts")
    store = SqliteStore(tmp_path)
    store.draft(row(1))
    assert store.drafts() == [row(1)]


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with sqlite3.connect(tmp_path / "plumbline.db") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON drafts BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(AuditUnavailable, match=re.escape("cannot write")):
        store.draft(row(1))
    assert store.drafts() == []
