"""Drafts are kept once, said once, and few of them; what an author wrote is cleaned first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.changes.drafting import MAX_DRAFTS
from agent.events import Drafted
from agent.store.sqlite import SqliteStore
from tests.agent.drafting import GPU_ROW, LOG, MANIFEST, STATUS, Desk, order
from tools.changes import DraftOrder
from tools.errors import Refused
from tools.types import Scope

CLUSTER = Scope(asked="cluster")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk on a store of its own."""
    return Desk(SqliteStore(tmp_path))


async def test_a_draft_is_kept_and_said_and_shown(desk: Desk) -> None:
    asked = order().model_copy(update={"because": "pw hunter2\x1b[31m; see https://evil.example/x?y"})
    shown = await desk.drafting.draft(asked, CLUSTER)
    (kept,) = desk.store.drafts("s1")
    assert (kept.state, kept.change, kept.target, kept.uid) == (
        "draft",
        "scale",
        "ml/Deployment/chat",
        "uid-Deployment-chat",
    )
    assert (kept.author, kept.cites, kept.run) == ("model test-1", (STATUS, GPU_ROW), 1)
    assert "hunter2" not in kept.because
    assert "evil" not in kept.because
    assert "\x1b" not in kept.because
    assert desk.said == [Drafted(proposal=kept.id)]
    assert shown == {
        "proposal": kept.id, "state": "draft", "change": "scale", "target": "ml/Deployment/chat", "namespace": "ml",
        "args": kept.args,
    }  # fmt: skip
    assert "idles" not in str(shown)


async def test_the_same_order_twice_is_one_draft_said_once(desk: Desk) -> None:
    first = await desk.drafting.draft(order(), CLUSTER)
    again = await desk.drafting.draft(order(GPU_ROW, MANIFEST), CLUSTER)
    assert first == again
    assert len(desk.store.drafts("s1")) == len(desk.said) == 1
    assert desk.store.drafts("s1")[0].cites == (STATUS, GPU_ROW)


async def test_another_run_makes_a_draft_of_its_own(desk: Desk) -> None:
    await desk.drafting.draft(order(), CLUSTER)
    desk.run = 2
    await desk.drafting.draft(order(), CLUSTER)
    assert len({row.id for row in desk.store.drafts("s1")}) == 2


async def test_a_crash_between_keeping_and_saying(desk: Desk) -> None:
    silent = desk.drafting
    silent.emit = lambda _event: None
    kept = await silent.draft(order(), CLUSTER)
    assert await desk.drafting.draft(order(), CLUSTER) == kept
    assert desk.said == [Drafted(proposal=str(kept["proposal"]))]
    assert len(desk.store.drafts()) == 1


async def test_a_run_leaves_a_few_drafts_at_most(desk: Desk) -> None:
    for replicas in range(10, 10 + MAX_DRAFTS):
        await desk.drafting.draft(order(replicas=replicas), CLUSTER)
    with pytest.raises(Refused, match="has left 5 drafts already"):
        await desk.drafting.draft(order(replicas=99), CLUSTER)
    await desk.drafting.draft(order(replicas=10), CLUSTER)  # one that is there is no new one
    assert len(desk.store.drafts("s1")) == MAX_DRAFTS
    desk.run = 2
    await desk.drafting.draft(order(replicas=99), CLUSTER)


async def test_orders_at_the_same_time_are_as_orders_one_by_one(desk: Desk) -> None:
    same = await asyncio.gather(*(desk.drafting.draft(order(), CLUSTER) for _ in range(6)))
    assert len({str(shown["proposal"]) for shown in same}) == len(desk.said) == 1
    many = (desk.drafting.draft(order(replicas=n), CLUSTER) for n in range(10, 20))
    results = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(result, Refused) for result in results) == 10 - (MAX_DRAFTS - 1)
    assert len(desk.store.drafts("s1")) == len(desk.said) == MAX_DRAFTS


@pytest.mark.parametrize(
    "asked", [order(LOG, MANIFEST), order(name="cart"), order().model_copy(update={"change": "x"})]
)
async def test_a_refused_order_leaves_nothing(desk: Desk, asked: DraftOrder) -> None:
    with pytest.raises(Refused):
        await desk.drafting.draft(asked, CLUSTER)
    assert desk.store.drafts() == []
    assert desk.said == []
