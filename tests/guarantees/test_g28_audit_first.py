"""G28: if the audit log cannot be written (disk full, read-only), no call runs, and one line says so."""

from __future__ import annotations

import multiprocessing
import os
import resource
from pathlib import Path

import pytest

from tests.tools.fakes import Bench, FakeKube, MemoryAudit, named
from tools.audit import AuditLog, verify
from tools.errors import AuditUnavailable


def one_line(error: BaseException) -> bool:
    """True for a message that is one line and says what to do."""
    return "\n" not in str(error) and "audit" in str(error)


@pytest.mark.parametrize("full_after", [0, 1])
async def test_nothing_is_read_before_its_intent_is_written(full_after: int) -> None:
    bench = Bench(
        kube=FakeKube(objects={"Pod": [named("Pod", "a", "search")]}), audit=MemoryAudit(full_after=full_after)
    )
    with pytest.raises(AuditUnavailable):
        await bench.run("list_objects", kind="Pod")
    assert bench.kube.requests == full_after, "the intent is written before the first request"
    assert len(bench.kept) == full_after


async def test_a_refusal_that_cannot_be_written_is_no_answer_either() -> None:
    bench = Bench(audit=MemoryAudit(full_after=0))
    with pytest.raises(AuditUnavailable):
        await bench.run("list_objects", kind="Secret")


def test_a_state_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(AuditUnavailable) as refused:
        AuditLog(tmp_path / "state" / "audit.jsonl")
    assert one_line(refused.value)


def test_a_log_that_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(AuditUnavailable) as refused:
        AuditLog(tmp_path / "audit.jsonl")
    assert one_line(refused.value)


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditUnavailable):
        AuditLog(tmp_path / "audit.jsonl")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(AuditUnavailable) as refused:
            AuditLog(tmp_path / "audit.jsonl")
        assert one_line(refused.value)
    finally:
        tmp_path.chmod(0o700)


def test_a_closed_log(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "a", durable=False)
    log.close()
    with pytest.raises(AuditUnavailable) as refused:
        log.append("call", {})
    assert one_line(refused.value)


def test_an_entry_too_long_to_be_an_entry(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "a", durable=False)
    with pytest.raises(AuditUnavailable):
        log.append("call", {"x": "y" * (5 << 20)})
    log.append("call", {})
    log.close()
    assert verify(tmp_path / "a").entries == 1


def _fill(path: str, limit: int) -> None:
    """Append under a file size limit until it is refused, then check what is left. Exit code 0: as it must be."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    log = AuditLog(Path(path))
    appended = 0
    try:
        while appended < 1000:
            log.append("call", {"n": appended, "pad": "x" * 50})
            appended += 1
    except AuditUnavailable as error:
        whole = verify(Path(path), head=log.head)
        os._exit(0 if one_line(error) and whole.ok and whole.entries == appended else 3)
    os._exit(4)


@pytest.mark.parametrize("limit", [1, 700, 1500, 4096, 4097])
def test_a_full_disk_leaves_the_chain_whole(tmp_path: Path, limit: int) -> None:
    worker = multiprocessing.get_context("fork").Process(target=_fill, args=(str(tmp_path / "a"), limit))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0
