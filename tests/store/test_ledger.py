"""The store of proposals: what it keeps, what it refuses, and that both databases do the same."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from agent.changes.ledger import Held, Ledger, LedgerDown, Raced
from agent.changes.records import Approval, JournalEntry, Proposal
from agent.changes.states import OPEN, NotAllowed
from agent.store.ledger_postgres import PostgresLedger
from agent.store.ledger_sql import SqlLedger
from agent.store.ledger_sqlite import FILE, SqliteLedger
from tools.errors import UnknownName
from tools.types import ResourceRef

CHAT = ResourceRef(group="apps", version="v1", kind="Deployment", namespace="search", name="chat", uid="u1")
DIGEST = "d" * 64


def proposal(number: int = 1, **changes: object) -> Proposal:
    """A draft."""
    values: dict[str, object] = {
        "id": f"{number:012x}", "at": 10.0 + number, "change": "scale", "args": {"replicas": 5}, "target": CHAT,
        "author": "playbook", "session": "s1", "run": 1,
    }  # fmt: skip
    return Proposal.model_validate({**values, **changes})


def awaiting(ledger: Ledger, number: int = 1, **changes: object) -> Proposal:
    """A proposal that waits for its approval."""
    row = ledger.add(proposal(number, **changes), actor="playbook")
    row = ledger.move(row, "preview", actor="applier", at=11, cluster="c1", plan="{}", digest=DIGEST, tier="B")
    return ledger.move(row, "submit", actor="ada", at=12, requester="ada")


def approval(row: Proposal, who: str, **changes: object) -> Approval:
    return Approval.model_validate(
        {"proposal": row.id, "digest": row.digest, "principal": who, "surface": "cli", "at": 13.0, **changes}
    )


def test_a_draft_is_kept_once_and_found(ledger: SqlLedger) -> None:
    first = ledger.add(proposal(), actor="playbook")
    assert ledger.add(proposal(because="again"), actor="x") == first
    assert ledger.get(first.id) == first
    assert ledger.get("f" * 12) is None
    assert ledger.find("00000000") == [first]
    for nothing in ("", "%", "_", "g", "1"):
        assert ledger.find(nothing) == []


def test_pages_are_newest_first(ledger: SqlLedger) -> None:
    rows = [ledger.add(proposal(n, session="s2" if n > 6 else "s1", run=n), actor="x") for n in range(1, 9)]
    first = ledger.page(limit=3)
    assert [row.id for row in first] == [row.id for row in rows[:4:-1]]
    assert [row.id for row in ledger.page(limit=3, after=first[-1].id)] == [row.id for row in rows[4:1:-1]]
    assert ledger.page(session="s2", run=7) == [rows[6]]
    assert ledger.page(states=("approved", "claimed")) == []
    assert len(ledger.page(states=("draft",))) == 8
    assert ledger.page(after="f" * 12) == []


def test_moves_follow_the_table_and_the_version(ledger: SqlLedger) -> None:
    row = ledger.add(proposal(), actor="x")
    with pytest.raises(NotAllowed):
        ledger.move(row, "claim", actor="x", at=1)
    moved = ledger.move(row, "preview", actor="x", at=11, note="why", cluster="c1", digest=DIGEST)
    assert (moved.state, moved.version, moved.note, moved.digest) == ("previewed", 1, "why", DIGEST)
    with pytest.raises(Raced):
        ledger.move(row, "reject", actor="y", at=12)
    with pytest.raises(UnknownName):
        ledger.move(proposal(9), "preview", actor="y", at=12)
    assert ledger.get(row.id) == moved
    (told,) = ledger.moves(proposal=row.id)
    assert (told.move, told.state, told.actor, told.at, told.note) == ("preview", "previewed", "x", 11.0, "why")
    assert ledger.moves(since=told.seq) == []
    assert ledger.moves(since=told.seq - 1) == [told]


def test_an_object_has_one_open_proposal(ledger: SqlLedger) -> None:
    first = awaiting(ledger, 1)
    second = ledger.add(proposal(2), actor="x")
    with pytest.raises(Held, match="another open proposal holds search/Deployment/chat"):
        ledger.move(second, "preview", actor="x", at=11, cluster="c1", digest=DIGEST)
    assert ledger.get(second.id) == second
    assert [told.proposal for told in ledger.moves()] == [first.id, first.id]
    elsewhere = ledger.move(second, "preview", actor="x", at=11, cluster="c2", digest=DIGEST)
    assert elsewhere.state in OPEN
    ledger.move(first, "reject", actor="x", at=14)
    third = ledger.add(proposal(3), actor="x")
    assert ledger.move(third, "preview", actor="x", at=15, cluster="c1", digest=DIGEST).state == "previewed"


def test_approvals_count_principals_and_bind_bytes(ledger: SqlLedger) -> None:
    row = awaiting(ledger)
    with pytest.raises(Raced, match="other bytes"):
        ledger.approve(row, approval(row, "grace", digest="e" * 64), needed=1)
    with pytest.raises(Raced, match="other bytes"):
        ledger.approve(row, approval(row, "grace", proposal="f" * 12), needed=1)
    assert ledger.approvals(row.id) == []
    row, count = ledger.approve(row, approval(row, "grace"), needed=2)
    assert (row.state, count) == ("awaiting approval", 1)
    row, count = ledger.approve(row, approval(row, "grace", at=14.0), needed=2)
    assert (row.state, count) == ("awaiting approval", 1)
    row, count = ledger.approve(row, approval(row, "alan"), needed=2)
    assert (row.state, count) == ("approved", 2)
    assert [one.principal for one in ledger.approvals(row.id)] == ["grace", "alan"]
    with pytest.raises(Raced):
        ledger.approve(row, approval(row, "mary"), needed=2)


def test_a_draft_cannot_be_approved(ledger: SqlLedger) -> None:
    row = ledger.add(proposal(), actor="x")
    with pytest.raises(Raced):
        ledger.approve(row, approval(row, "grace"), needed=1)


def test_journal_and_documents(ledger: SqlLedger) -> None:
    for point in ("claimed", "read", "intent"):
        ledger.write(
            JournalEntry.model_validate(
                {"proposal": "1" * 12, "attempt": 1, "point": point, "at": 1.0, "applier": "a", "detail": {"x": point}}
            )
        )
    assert [step.point for step in ledger.journal("1" * 12)] == ["claimed", "read", "intent"]
    assert ledger.journal("2" * 12) == []
    assert ledger.document("k") is None
    ledger.put("k", {"a": 1}, at=1)
    ledger.put("k", {"a": [2]}, at=2)
    assert ledger.document("k") == {"a": [2]}


def test_text_of_any_kind_comes_back(ledger: SqlLedger) -> None:
    odd = "o'hara; DROP TABLE proposals; -- %s ? \u00e9 \u4e2d \\ \" \u2028"
    row = ledger.add(proposal(because=odd, session=odd), actor=odd)
    assert ledger.get(row.id) == row
    assert ledger.page(session=odd) == [row]
    moved = ledger.move(row, "reject", actor=odd, at=1, note=odd)
    assert (moved.note, ledger.moves()[0].actor) == (odd, odd)


def test_of_many_claims_at_once_one_holds(ledger: SqlLedger, tmp_path: Path) -> None:
    row, _ = ledger.approve(row := awaiting(ledger), approval(row, "grace"), needed=1)
    won: list[str] = []
    raced: list[str] = []

    def claim(name: str) -> None:
        mine = SqliteLedger(tmp_path) if isinstance(ledger, SqliteLedger) else _again(ledger)
        try:
            mine.move(row, "claim", actor=name, at=20, lease=name, lease_until=50)
            won.append(name)
        except Raced:
            raced.append(name)
        finally:
            mine.close()

    threads = [threading.Thread(target=claim, args=(f"a{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(raced)) == (1, 7)
    stored = ledger.get(row.id)
    assert stored is not None
    assert stored.lease == won[0]


def _again(ledger: SqlLedger) -> SqlLedger:
    assert isinstance(ledger, PostgresLedger)
    return PostgresLedger(ledger._address)


# --- a store that cannot be used -----------------------------------------------------------------------------------


def test_a_locked_store_is_down_and_nothing_is_written(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path, busy=0.05)
    row = awaiting(ledger)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerDown, match="locked"):
        ledger.move(row, "reject", actor="x", at=1)
    other.execute("ROLLBACK")
    assert ledger.get(row.id) == row


def test_a_full_store_is_down_and_keeps_what_it_had(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    row = ledger.add(proposal(), actor="x")
    ledger._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(LedgerDown, match="full"):
        _fill(ledger)
    assert ledger.get(row.id) == row


def _fill(ledger: SqlLedger) -> None:
    for number in range(2, 200):
        ledger.add(proposal(number, because="x" * 4000), actor="x")


def test_a_store_that_is_read_only_is_down(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    row = ledger.add(proposal(), actor="x")
    ledger._db.execute("PRAGMA query_only = ON")
    with pytest.raises(LedgerDown, match="readonly"):
        ledger.move(row, "reject", actor="x", at=1)
    assert ledger.get(row.id) == row


@pytest.mark.parametrize("body", [b"not a database at all, but long enough to look at" * 40, b"\0" * 4096])
def test_a_file_that_is_something_else_is_down(tmp_path: Path, body: bytes) -> None:
    (tmp_path / FILE).write_bytes(body)
    with pytest.raises(LedgerDown, match="cannot be used"):
        SqliteLedger(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    with pytest.raises(LedgerDown, match="another program"):
        SqliteLedger(tmp_path)


def test_a_folder_in_the_way_is_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerDown):
        SqliteLedger(tmp_path / "file")


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    SqliteLedger(tmp_path / "new").close()
    assert os.stat(tmp_path / "new" / FILE).st_mode & 0o077 == 0


def test_a_postgres_that_is_not_there_is_down(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    with pytest.raises(LedgerDown, match="in Postgres cannot be used"):
        PostgresLedger(f"host={tmp_path} user=x dbname=y")
