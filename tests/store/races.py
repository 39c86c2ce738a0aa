"""People who approve and appliers that claim, each a process with a connection of its own, all at the same moment."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from contextlib import suppress
from multiprocessing.synchronize import Barrier
from pathlib import Path

from pydantic import SecretStr

from agent.changes.ledger import Raced
from agent.changes.records import Approval
from agent.changes.states import NotAllowed
from agent.store.ledger import open_ledger
from agent.store.ledger_sql import SqlLedger
from tests.store.test_ledger import CHAT, DIGEST, proposal

WAIT = 300
"""Seconds in which all processes have to come to a moment."""


def needed(number: int) -> int:
    """How many approvals the number-th proposal needs: one, two or three."""
    return 1 + number % 3


def racing(folder: Path, address: str, who: str, barrier: Barrier, trials: int) -> None:
    """Approve every proposal and then claim it, each time together with all the others."""
    try:
        ledger = open_ledger(folder, SecretStr(address))
        for number in range(trials):
            row = ledger.get(proposal(number).id)
            assert row is not None
            given = Approval(proposal=row.id, digest=DIGEST, principal=who, surface="cli", at=13.0)
            barrier.wait(WAIT)
            with suppress(Raced):
                ledger.approve(row, given, needed=needed(number))
            barrier.wait(WAIT)
            row = ledger.get(row.id)
            assert row is not None
            with suppress(Raced, NotAllowed):
                ledger.move(row, "claim", actor=who, at=20.0, lease=who, lease_until=50.0)
        ledger.close()
    except BaseException:
        barrier.abort()
        raise


def race(folder: Path, address: str, *, processes: int, trials: int) -> None:
    """Fails unless each proposal got the approvals it needs, was approved once and claimed once."""
    ledger = open_ledger(folder, SecretStr(address))
    for number in range(trials):
        row = ledger.add(proposal(number, target=CHAT.model_copy(update={"uid": f"u{number}"})), actor="x")
        row = ledger.move(row, "preview", actor="x", at=11, cluster="c1", plan="{}", digest=DIGEST, tier="B")
        ledger.move(row, "submit", actor="ada", at=12, requester="ada")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.store.races"])
    barrier = context.Barrier(processes)
    workers = [
        context.Process(target=racing, args=(folder, address, f"p{n}", barrier, trials), daemon=True)
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(3_000)
    assert [worker.exitcode for worker in workers] == [0] * processes
    winners = Counter(_outcome(ledger, number) for number in range(trials))
    print(f"{trials} proposals, {processes} processes; claims held by {dict(sorted(winners.items()))}")
    ledger.close()


def _outcome(ledger: SqlLedger, number: int) -> str:
    """Who holds the claim on a proposal that went as it should."""
    row = ledger.get(proposal(number).id)
    assert row is not None
    made = [(told.move, told.actor) for told in ledger.moves(proposal=row.id)]
    assert [move for move, _ in made] == ["preview", "submit", "approve", "claim"]
    assert (row.state, row.version, row.lease) == ("claimed", 4, made[-1][1])
    given = [one.principal for one in ledger.approvals(row.id)]
    assert len(given) == len(set(given)) == needed(number), "a late approval is none"
    assert made[2][1] == given[-1], "the last one that was needed approved it"
    return row.lease
