"""Writes whose answer never came, claims that ran out, and servers that would now do something else."""

from __future__ import annotations

from contextlib import suppress

import pytest

from agent.changes.applier import work
from agent.changes.applying import apply
from agent.changes.engine import NotNow
from agent.changes.ledger import Raced
from agent.changes.records import Proposal
from tests.changes.cluster import Killed, Site, Steps, run
from tests.changes.test_crashes import approved
from tests.tools.change_cases import TAKEN
from tools import fields
from tools.changes import PLAN_ANNOTATION
from tools.types import JsonObject

FIRST = {case.change: case for case in reversed(TAKEN)}


def _ready(change: str = "scale") -> tuple[Site, Proposal]:
    site = Site()
    return site, approved(FIRST[change], site)


def test_a_write_that_was_lost_on_the_way_is_sent_once_more_and_no_third_time() -> None:
    site, row = _ready()
    site.cluster.lose = [False]
    assert run(apply(site.engine(), row.id)).state == "applied"
    assert (site.cluster.writes, site.cluster.effective) == (2, [row.digest])
    site, row = _ready()
    site.cluster.lose = [False, False]
    after = run(apply(site.engine(), row.id))
    assert after.state == "unknown"
    assert "look at search/Deployment/chat" in after.note
    assert (site.cluster.writes, site.cluster.effective) == (2, [])


def test_a_write_whose_answer_was_lost_is_adopted() -> None:
    site, row = _ready()
    site.cluster.lose = [True]
    after = run(apply(site.engine(), row.id))
    assert (after.state, after.note) == ("applied", "found applied")
    assert (site.cluster.writes, site.cluster.effective) == (1, [row.digest])


def test_what_was_not_seen_to_land_may_have_and_been_set_back() -> None:
    """A label counts no generation up: only the resourceVersion that was sent proves that nothing was written."""
    site, row = _ready("set_queue")
    before = site.cluster.objects[row.target.identity]

    def set_back() -> None:
        site.cluster.touch(row.target, lambda obj: fields.mapping(obj, "metadata").update(_map_of(before)))

    site.cluster.lose = [True]
    site.cluster.next_get = [lambda: None, lambda: None, set_back]  # two reads before the write, one after it
    assert run(apply(site.engine(), row.id)).state == "unknown"
    assert (site.cluster.writes, site.cluster.effective) == (1, [row.digest])


def _map_of(obj: JsonObject) -> JsonObject:
    meta = fields.mapping(obj, "metadata")
    return {name: dict(fields.mapping(meta, name)) for name in ("labels", "annotations")}


def test_a_write_that_lands_late_is_adopted_and_its_second_copy_has_no_effect() -> None:
    site, row = _ready()
    site.cluster.lose = [False]
    late: list[JsonObject] = []
    sent = site.cluster.patch

    async def patch(ref: object, body: JsonObject) -> JsonObject:
        late.append(body)
        return await sent(row.target, body)

    def land() -> None:
        run(sent(row.target, late[0]))

    site.cluster.patch = patch  # type: ignore[method-assign,assignment]
    site.cluster.next_get = [lambda: None, lambda: None, land]  # read, looked up, and only then it arrives
    after = run(apply(site.engine(), row.id))
    assert (after.state, after.note) == ("applied", "found applied")
    assert site.cluster.effective == [row.digest]


def test_a_write_that_is_found_later_leaves_unknown() -> None:
    site, row = _ready()
    site.cluster.lose = [True]
    site.cluster.dark_after_write = 3
    assert run(apply(site.engine(), row.id)).state == "unknown"
    run(work(site.engine("applier-2")))
    assert site.ledger.rows[row.id].state == "applied"
    assert site.cluster.effective == [row.digest]


# --- claims ------------------------------------------------------------------------------------------------------


def test_a_claim_that_lives_is_left_to_whoever_has_it() -> None:
    site, row = _ready()
    with suppress(Killed):
        run(apply(site.engine("applier-1", Steps(fatal=14)), row.id))
    held = site.ledger.rows[row.id]
    assert held.state == "claimed"
    run(work(site.engine("applier-2")))
    assert site.ledger.rows[row.id] == held
    site.cluster.now += 301.0
    for _ in range(2):
        run(work(site.engine("applier-2")))
    assert site.ledger.rows[row.id].state == "applied"
    assert site.cluster.effective == [row.digest]


class _Sleepy(Steps):
    """A process that sleeps through its claim as soon as it has written down that it writes."""

    site: Site
    slept = False

    def tick(self) -> None:
        if not self.slept and self.site.ledger.rows["0" * 12].state == "applying":
            self.site.cluster.now += 301.0
            self.slept = True


def test_a_claim_that_ran_out_right_before_the_write_ends_it() -> None:
    site, row = _ready()
    steps = _Sleepy()
    steps.site = site
    after = run(apply(site.engine(steps=steps), row.id))
    assert steps.slept
    assert (after.state, after.note) == ("approved", "the claim on it ran out")
    assert site.cluster.writes == 0


class _Meanwhile(Steps):
    """A process that sleeps through its claim at one boundary, while another one makes its round."""

    site: Site

    def tick(self) -> None:
        if self.count == self.fatal:
            self.site.cluster.now += 301.0
            run(work(self.site.engine("applier-2")))
        self.count += 1


def _overtaken(step: int, lose: list[bool]) -> bool:
    """One apply that another applier overtakes at a step; returns whether it got that far."""
    site, row = _ready()
    site.cluster.lose = lose
    steps = _Meanwhile(fatal=step)
    steps.site = site
    with suppress(NotNow, Raced):
        run(apply(site.engine(steps=steps), row.id))
    for _ in range(3):
        site.cluster.now += 301.0
        run(work(site.engine("applier-2")))
    after = site.ledger.rows[row.id]
    count = len(site.cluster.effective)
    assert count <= 1, "never twice"
    told = (step, lose, after.state, count, after.note)
    assert after.state in ("applied", "verified", "needs human") if count else after.state == "unknown", told
    return steps.count > step


@pytest.mark.parametrize("lose", [[], [True], [False], [False, False]])
def test_an_applier_that_slept_through_its_claim_is_overtaken_and_writes_nothing_twice(lose: list[bool]) -> None:
    for step in range(5, 200):
        if not _overtaken(step, [*lose]):
            break
    assert step > 20


# --- the dry run -------------------------------------------------------------------------------------------------


def test_a_server_that_would_now_do_something_else_makes_a_plan_stale() -> None:
    """G5: a webhook that was installed after the approval adds what nobody has seen."""
    site, row = _ready()
    site.cluster.admit = lambda obj: fields.mapping(obj, "spec").update(injected="by a webhook")
    after = run(apply(site.engine(), row.id))
    assert (after.state, site.cluster.effective) == ("stale", [])
    assert "another change than was approved" in after.note


def test_what_only_the_mark_adds_is_no_other_change() -> None:
    site, row = _ready()
    assert run(apply(site.engine(), row.id)).state == "applied"
    assert fields.text(site.cluster.objects[row.target.identity], "metadata", "annotations", PLAN_ANNOTATION)


@pytest.mark.parametrize("change", sorted(FIRST))
def test_every_change_bears_its_mark(change: str) -> None:
    site, row = _ready(change)
    run(apply(site.engine(), row.id))
    mark = fields.text(site.cluster.objects[row.target.identity], "metadata", "annotations", PLAN_ANNOTATION)
    assert mark.partition(" ")[0] == row.digest
