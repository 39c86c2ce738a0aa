"""G27: every call and decision is in a hash chain; any edit, deletion, reorder or cut tail is detected.

Size: every byte of a 6-entry log is changed in `make prove`; every 7th in `make test`.
"""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from tests.tools.fakes import Bench, FakeKube, named
from tools.audit import GENESIS, AuditLog, entries, verify
from tools.errors import AuditUnavailable
from tools.types import JsonObject

KINDS = ("run_start", "call", "outcome", "decision", "run_end", "call")


def written(path: Path) -> str:
    """A log of six entries; returns its head."""
    log = AuditLog(path, clock=lambda: 1_790_000_000.25, durable=False)
    for number, kind in enumerate(KINDS):
        log.append(kind, {"n": number, "text": "käse \u2028 line", "nested": {"a": [1, None, True, 1.5]}})
    log.close()
    return log.head


def test_a_whole_log(tmp_path: Path) -> None:
    head = written(tmp_path / "a")
    found = verify(tmp_path / "a", head=head)
    assert (found.ok, found.entries, found.head, found.line) == (True, 6, head, None)
    kinds = [entry["kind"] for entry in entries(tmp_path / "a")]
    assert kinds == list(KINDS)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def survivors(path: Path, step: int) -> list[int]:
    """Places where a changed byte goes unnoticed."""
    head = written(path)
    whole = path.read_bytes()
    missed = []
    for place in range(0, len(whole), step):
        for flip in (0x01, 0x20, 0x80):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            if verify(path, head=head).ok:
                missed.append(place)
    return missed


def test_any_changed_byte(tmp_path: Path) -> None:
    assert survivors(tmp_path / "a", step=7) == []


@pytest.mark.prove
def test_any_changed_byte_in_full(tmp_path: Path) -> None:
    assert survivors(tmp_path / "a", step=1) == []


@pytest.mark.parametrize("at", range(6))
def test_a_deleted_line_is_found_where_it_was(tmp_path: Path, at: int) -> None:
    head = written(tmp_path / "a")
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    (tmp_path / "a").write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
    found = verify(tmp_path / "a", head=head)
    assert not found.ok
    assert found.line == at + 1


@pytest.mark.parametrize("at", range(5))
def test_swapped_lines_are_found(tmp_path: Path, at: int) -> None:
    written(tmp_path / "a")
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    (tmp_path / "a").write_bytes(b"".join(lines))
    assert verify(tmp_path / "a").line == at + 1


@pytest.mark.parametrize("left", range(6))
def test_a_cut_tail_shows_against_the_head(tmp_path: Path, left: int) -> None:
    head = written(tmp_path / "a")
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    (tmp_path / "a").write_bytes(b"".join(lines[:left]))
    assert verify(tmp_path / "a").ok, "without a head a cut tail cannot show; docs/limits.md says so"
    found = verify(tmp_path / "a", head=head)
    assert not found.ok
    assert "cut" in found.problem


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_half_a_line_is_found(tmp_path: Path, cut: int) -> None:
    written(tmp_path / "a")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-cut])
    assert verify(tmp_path / "a").line == 6


def test_a_repeated_or_foreign_line_is_found(tmp_path: Path) -> None:
    written(tmp_path / "a")
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    for extra in (lines[-1], lines[0], b"\n", b"{}\n", b"[1]\n", b"\xff\n", b"[" * 100_000):
        (tmp_path / "a").write_bytes(b"".join(lines) + extra)
        assert verify(tmp_path / "a").line == 7


def test_a_forged_line_with_a_right_digest_of_its_own_breaks_the_chain(tmp_path: Path) -> None:
    head = written(tmp_path / "a")
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    other = tmp_path / "b"
    log = AuditLog(other, clock=lambda: 1_790_000_000.25, durable=False)
    log.append(KINDS[0], {"n": "forged"})
    log.close()
    (tmp_path / "a").write_bytes(other.read_bytes() + b"".join(lines[1:]))
    found = verify(tmp_path / "a", head=head)
    assert found.line == 2


def test_later_entries_do_not_hide_an_anchored_head(tmp_path: Path) -> None:
    head = written(tmp_path / "a")
    log = AuditLog(tmp_path / "a", durable=False)
    log.append("call", {})
    log.close()
    assert verify(tmp_path / "a", head=head).ok
    assert verify(tmp_path / "a", head=GENESIS).ok
    assert not verify(tmp_path / "a", head="f" * 64).ok


def test_a_damaged_end_stops_appending(tmp_path: Path) -> None:
    written(tmp_path / "a")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes() + b"half an entr")
    with pytest.raises(AuditUnavailable, match="audit verify"):
        AuditLog(tmp_path / "a")


def _append_many(path: str, count: int) -> None:
    log = AuditLog(Path(path), durable=False)
    for number in range(count):
        log.append("call", {"n": number})
    log.close()


def test_two_processes_keep_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append_many, args=(str(tmp_path / "a"), 40)) for _ in range(2)]
    mine = AuditLog(tmp_path / "a", durable=False)
    for worker in workers:
        worker.start()
    for number in range(40):
        mine.append("mine", {"n": number})
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    found = verify(tmp_path / "a")
    assert (found.ok, found.entries) == (True, 120)
    mine.close()


async def test_every_call_leaves_its_intent_and_outcome(tmp_path: Path) -> None:
    bench = Bench(kube=FakeKube(objects={"Pod": [named("Pod", "a", "search")]}))
    log = AuditLog(tmp_path / "a", durable=False)
    bench.audit = log  # type: ignore[assignment]
    await bench.run("list_objects", kind="Pod")
    await bench.run("list_objects", kind="Secret")
    await bench.run("no_such_tool")
    log.close()
    told: list[tuple[str, JsonObject]] = [
        (str(e["kind"]), dict(json.loads(json.dumps(e["body"])))) for e in entries(tmp_path / "a")
    ]
    assert [kind for kind, _ in told] == ["call", "outcome", "decision", "decision"]
    assert [body.get("rule") for _, body in told] == ["read-objects", None, "never-secrets", "unknown-tool"]
    assert told[1][1]["rows"] == 1
    assert verify(tmp_path / "a", head=log.head).ok
