"""G27, G28: wherever the audit log fills up, every move that was made stands in it, and no write is unannounced."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.changes.applying import apply
from tests.changes.bench import WEB, Bench, on_world, small
from tools.audit import entries, verify
from tools.errors import AuditUnavailable
from tools.types import JsonObject

ENOUGH = 99
"""Entries that no apply writes."""


async def _until_full(bench: Bench, room: int) -> tuple[int, bool]:
    """From a draft to an applied change, with room for that many entries: how many were written, and whether all."""
    written, append = 0, bench.engine.audit.append

    def bounded(kind: str, body: JsonObject) -> str:
        nonlocal written
        if written == room:
            raise AuditUnavailable("the audit log cannot be written: no space left on device")
        written += 1
        return append(kind, body)

    bench.engine.audit.append = bounded  # type: ignore[method-assign]
    try:
        row = await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))
        await apply(bench.engine, bench.approved(row).id)
    except AuditUnavailable:
        return written, False
    return written, True


def _unannounced(bench: Bench, log: Path) -> list[str]:
    """Moves of the engine and writes to the cluster that the log does not announce."""
    bodies = [(entry["kind"], entry["body"]) for entry in entries(log)] if log.exists() else []
    told = [(kind, body) for kind, body in bodies if isinstance(body, dict)]
    moves = [(body["proposal"], body["move"]) for kind, body in told if kind == "change"]
    missing = []
    for made in bench.engine.ledger.moves():
        if made.actor == bench.engine.name and (made.proposal, made.move) not in moves:
            missing.append(f"{made.move} of {made.proposal}")
    announced = sum(kind == "write" for kind, _ in told)
    return missing + [record.path for record in bench.served.kube.effective_writes[announced:]]


async def _whole(folder: Path) -> int:
    async with on_world(small(), folder) as bench:
        written, done = await _until_full(bench, ENOUGH)
        assert done
        assert _unannounced(bench, folder / "audit.jsonl") == []
        assert len(bench.served.kube.effective_writes) == 1
        return written


async def test_a_log_that_is_full_after_any_entry(tmp_path: Path) -> None:
    whole = await _whole(tmp_path / "whole")
    assert whole > 5
    for room in range(whole):
        folder = tmp_path / str(room)
        async with on_world(small(), folder) as bench:
            assert await _until_full(bench, room) == (room, False)
            assert _unannounced(bench, folder / "audit.jsonl") == []
            assert verify(folder / "audit.jsonl").ok


@pytest.mark.parametrize("lost", ["change", "write"])
async def test_a_move_or_a_write_without_its_entry_would_be_seen(tmp_path: Path, lost: str) -> None:
    async with on_world(small(), tmp_path) as bench:
        append = bench.engine.audit.append

        def losing(kind: str, body: JsonObject) -> str:
            return "0" * 64 if kind == lost else append(kind, body)

        bench.engine.audit.append = losing  # type: ignore[method-assign]
        await _until_full(bench, ENOUGH)
        assert _unannounced(bench, tmp_path / "audit.jsonl")
