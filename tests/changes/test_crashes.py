"""A process that dies before or after any step, whatever the change and whatever happens to its object meanwhile.

Size: every change at every step with the object unchanged, changed or made again, in memory, so that the kinds count
too that a plain API server does not have; a third of the steps in `make test`. Real kills are in G7.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from agent.changes.applier import work
from agent.changes.applying import apply
from agent.changes.engine import NotNow
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from tests.changes.cluster import START, Killed, Site, Steps, run
from tests.tools.change_cases import TAKEN
from tests.tools.changing import Case
from tools import fields, registry
from tools.types import JsonObject, ResourceRef

MOST = 200
Meanwhile = Callable[[Site, ResourceRef], None]


def _unchanged(_site: Site, _ref: ResourceRef) -> None:
    pass


def _changed(site: Site, ref: ResourceRef) -> None:
    """Another manager writes the whole object as it knows it: our mark is gone with our change."""

    def write(obj: JsonObject) -> None:
        fields.mapping(obj, "metadata")["annotations"] = {"by": "another"}
        obj["spec"] = {**fields.mapping(obj, "spec"), "another": True}

    site.cluster.touch(ref, write)


def _relabelled(site: Site, ref: ResourceRef) -> None:
    """Another manager adds a label: nothing that the plan depends on."""

    def write(obj: JsonObject) -> None:
        meta = fields.mapping(obj, "metadata")
        meta["labels"] = {**fields.mapping(meta, "labels"), "by": "another"}

    site.cluster.touch(ref, write)


def _recreated(site: Site, ref: ResourceRef) -> None:
    def write(obj: JsonObject) -> None:
        meta = fields.mapping(obj, "metadata")
        meta["uid"] = "made-again"
        meta.pop("annotations", None)

    site.cluster.touch(ref, write)


def _gone(site: Site, ref: ResourceRef) -> None:
    del site.cluster.objects[ref.identity]


MEANWHILE: tuple[Meanwhile, ...] = (_unchanged, _changed, _relabelled, _recreated, _gone)


def approved(case: Case, site: Site) -> Proposal:
    """The case as an approved proposal."""
    spec = registry.changes()[case.change]
    args = spec.parse(case.args)
    target = args.ref
    site.cluster.add(target, case.obj)
    engine = site.engine("previewer")
    plain: JsonObject = args.model_dump(mode="json")
    row = Proposal(id="0" * 12, at=START, change=case.change, args=plain, target=target, author="test")
    engine.ledger.add(row, actor="test")
    row = run(preview(engine, row.id, requester="ada"))
    assert row.state == "awaiting approval", row.note
    for who in ("grace", "joan"):
        if row.state == "awaiting approval":
            given = Approval(proposal=row.id, digest=row.digest, principal=who, surface="cli", at=START)
            row, _ = site.ledger.approve(row, given, needed=site.rules.needed.of(row.tier or "D"))
    return row


def crash(case: Case, step: int, meanwhile: Meanwhile) -> bool:
    """One run that dies at a step, and the next process; returns whether it died at all."""
    site = Site()
    row = approved(case, site)
    try:
        run(apply(site.engine(steps=Steps(fatal=step)), row.id))
    except Killed:
        died = True
    else:
        died = False
    before = len(site.cluster.effective)
    meanwhile(site, row.target)
    for seconds in (1.0, 1.0, 400.0, 1.0):  # the claim lives, then it is over
        site.cluster.now += seconds
        with suppress(NotNow):
            run(work(site.engine()))
    count = len(site.cluster.effective)
    assert count <= 1, "never twice"
    after = site.ledger.rows[row.id]
    told = (step, meanwhile.__name__, after.state, before, count, after.note)
    if meanwhile is _unchanged or (meanwhile is _relabelled and after.state not in ("unknown", "stale")):
        assert after.state in ("applied", "needs human", "verified"), told
        assert count == 1, told
    elif after.state in ("stale", "refused", "expired", "revoked", "approved"):
        assert count == 0, told
    else:
        assert after.state in ("unknown", "applied", "needs human"), told
        assert after.state == "unknown" or count == 1, told
        assert after.state == "applied" or after.note, "a human is told why"
    return died


def _all_steps(case: Case, *, every: int = 1) -> None:
    for step in range(0, MOST, every):
        died = [crash(case, step, meanwhile) for meanwhile in MEANWHILE]
        if not any(died):
            assert step > 10, "an apply has many steps"
            return
    pytest.fail("an apply has more steps than were tried")


_FIRST = {case.change: case for case in reversed(TAKEN)}


@pytest.mark.parametrize("change", sorted(_FIRST))
def test_wherever_it_dies_it_is_applied_once_or_told(change: str) -> None:
    _all_steps(_FIRST[change], every=3)


@pytest.mark.prove
@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.change)
def test_wherever_it_dies_it_is_applied_once_or_told_in_full(case: Case) -> None:
    _all_steps(case)
