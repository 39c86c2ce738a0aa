"""What an API server may answer to the write of an approved plan, and what becomes of the proposal."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.changes.applier import work
from agent.changes.applying import apply
from agent.changes.engine import NotNow
from agent.changes.ledger import LedgerDown
from tests.changes.bench import WEB, Bench, on_world, small
from tools.errors import AuditUnavailable, CredentialsError, Denied, NotFound, Unavailable
from tools.types import JsonObject
from tools.writing import Cause as Why
from tools.writing import Conflict, Invalid, Lost, Rejected, Throttled


async def _approved(bench: Bench) -> str:
    return bench.approved(await bench.previewed(bench.draft("scale", WEB, {"replicas": 5}))).id


class _Answers:
    """The write port's patch, answered so many times otherwise; `first`: after the write took effect."""

    def __init__(self, bench: Bench, error: Exception, times: int = 1, *, written: bool = False) -> None:
        self._sent, self.error, self.times, self.written, self.asked = (
            bench.engine.writer.patch,
            error,
            times,
            written,
            0,
        )
        bench.engine.writer.patch = self.patch  # type: ignore[method-assign,assignment]

    async def patch(self, *args: object) -> JsonObject:
        """Answer, or let it through."""
        self.asked += 1
        if self.asked > self.times:
            return await self._sent(*args)  # type: ignore[arg-type]
        if self.written:
            await self._sent(*args)  # type: ignore[arg-type]
        raise self.error


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Rejected("admission webhook denied the request"), "refused"),
        (Rejected("exceeded quota"), "refused"),
        (Denied("may not patch"), "refused"),
        (Invalid("spec.replicas is invalid"), "refused"),
        (Invalid("uid", causes=(Why(field="metadata.uid", message="m"),)), "stale"),
        (NotFound("gone"), "stale"),
    ],
)
async def test_a_no_is_final_and_nothing_was_written(tmp_path: Path, error: Exception, state: str) -> None:
    async with on_world(small(), tmp_path) as bench:
        name, answers = await _approved(bench), _Answers(bench, error)
        row = await bench.applied(bench.engine.proposal(name))
        assert (row.state, answers.asked) == (state, 1)
        assert row.note
        assert bench.served.kube.effective_writes == []


async def test_a_conflict_starts_again_five_times_at_most(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        name, answers = await _approved(bench), _Answers(bench, Conflict("has been modified"), 2)
        row = await bench.applied(bench.engine.proposal(name))
        assert (row.state, answers.asked) == ("applied", 3)
    async with on_world(small(), tmp_path / "b") as bench:
        name, answers = await _approved(bench), _Answers(bench, Conflict("has been modified"), 99)
        row = await bench.applied(bench.engine.proposal(name))
        assert (row.state, answers.asked) == ("approved", 5)
        assert bench.served.kube.effective_writes == []


@pytest.mark.parametrize("error", [Throttled("429", wait=3.0), Unavailable("503"), CredentialsError("expired")])
async def test_not_now_leaves_it_approved(tmp_path: Path, error: Exception) -> None:
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        _Answers(bench, error)
        with pytest.raises((NotNow, CredentialsError)):
            await bench.applied(bench.engine.proposal(name))
        assert bench.engine.proposal(name).state == "approved"
        assert (await bench.applied(bench.engine.proposal(name))).state == "applied"
        assert len(bench.served.kube.effective_writes) == 1


@pytest.mark.parametrize(("written", "asked"), [(True, 1), (False, 2)])
async def test_an_answer_that_never_came_is_looked_up(tmp_path: Path, *, written: bool, asked: int) -> None:
    async with on_world(small(), tmp_path) as bench:
        name, answers = await _approved(bench), _Answers(bench, Lost("connection lost"), written=written)
        row = await bench.applied(bench.engine.proposal(name))
        assert (row.state, answers.asked) == ("applied", asked)
        assert len(bench.served.kube.effective_writes) == 1


async def test_lost_twice_is_for_a_human_and_found_later(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        _Answers(bench, Lost("connection lost"), 2)
        row = await bench.applied(bench.engine.proposal(name))
        assert row.state == "unknown"
        assert "look at default/Deployment/web" in row.note
        await work(bench.engine)
        assert bench.engine.proposal(name).state == "unknown"
        assert bench.served.kube.effective_writes == []


@pytest.mark.parametrize("part", ["ledger", "audit"])
async def test_what_cannot_be_written_down_does_not_start(tmp_path: Path, part: str) -> None:
    """G28."""
    async with on_world(small(), tmp_path) as bench:
        name = await _approved(bench)
        before = len(bench.served.kube.writes)

        def full(*_: object, **__: object) -> object:
            raise LedgerDown("full") if part == "ledger" else AuditUnavailable("full")

        if part == "ledger":
            for method in ("write", "move", "put"):
                setattr(bench.engine.ledger, method, full)
        else:
            bench.engine.audit.append = full  # type: ignore[method-assign,assignment]
        with pytest.raises((LedgerDown, AuditUnavailable)):
            await apply(bench.engine, name)
        assert len(bench.served.kube.writes) == before, "not even a dry run was sent"
        assert bench.engine.proposal(name).state == "approved"


async def test_every_step_stands_in_the_audit_log(tmp_path: Path) -> None:
    """G27."""
    async with on_world(small(), tmp_path) as bench:
        row = await bench.applied(bench.engine.proposal(await _approved(bench)))
        text = (tmp_path / "audit.jsonl").read_text()
        for kind in ('"change"', '"apply"', '"write"'):
            assert kind in text
        for move in bench.engine.ledger.moves(proposal=row.id):
            assert move.move == "approve" or f'"move":"{move.move}"' in text.replace(" ", "")


async def test_a_preview_with_credentials_that_may_not_write_names_the_applier(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:
        draft = bench.draft("scale", WEB, {"replicas": 5})

        async def refused(*_: object) -> JsonObject:
            raise Denied("deployments.apps is forbidden")

        bench.engine.writer.dry_run = refused  # type: ignore[method-assign,assignment]
        with pytest.raises(NotNow) as caught:
            await bench.previewed(draft)
        assert "preview with the applier's credentials, not the reader's" in str(caught.value)
        assert bench.engine.proposal(draft.id).state == "draft"


async def test_what_cannot_be_read_back_stays_a_draft(tmp_path: Path) -> None:
    async with on_world(small(), tmp_path) as bench:

        async def hidden(*_: object) -> JsonObject:
            raise Denied("deployments.apps is forbidden")

        bench.engine.writer.get = hidden  # type: ignore[method-assign,assignment]
        row = bench.draft("scale", WEB, {"replicas": 5})
        with pytest.raises(NotNow, match=r"cannot be read back.*rbac print applier"):
            await bench.previewed(row)
        assert bench.engine.proposal(row.id).state == "draft"
