"""G11: every apply ends verified, undone (verified), or with a human; inconclusive is never shown as success; an undo
restores the recorded fields exactly, or stops where somebody else changed them.

Size: one case of each change in `make test`, every case of the catalogue in `make prove`; a matrix of what can go wrong
while a change is watched.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from pydantic import JsonValue

from agent.changes.applier import work
from agent.changes.applying import apply
from agent.changes.patches import SERVERS_OWN, differences
from agent.changes.plans import read
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from agent.changes.regression import regression
from agent.changes.undoing import propose_undo
from agent.changes.verifying import verify
from tests.changes.cluster import START, Site, run
from tests.changes.test_crashes import approved
from tests.tools.change_cases import TAKEN
from tests.tools.changing import Case, at, deployment
from tools import fields
from tools.types import JsonObject, ResourceRef

FIRST = {case.change: case for case in reversed(TAKEN)}
EMPTY = (("metadata", "labels"), ("metadata", "annotations"))


# --- undo --------------------------------------------------------------------------------------------------------


def _applied(case: Case) -> tuple[Site, Proposal, JsonObject]:
    site = Site()
    row = approved(case, site)
    before = copy.deepcopy(site.cluster.objects[row.target.identity])
    row = run(apply(site.engine(), row.id))
    assert row.state == "applied", row.note
    return site, row, before


def _undo(site: Site, row: Proposal) -> Proposal:
    draft = propose_undo(site.ledger, row.id, author="ada", at=site.cluster.now)
    return run(preview(site.engine(), draft.id, requester="ada"))


def _approve(site: Site, row: Proposal) -> Proposal:
    for who in ("grace", "joan"):
        if row.state == "awaiting approval":
            given = Approval(proposal=row.id, digest=row.digest, principal=who, surface="cli", at=site.cluster.now)
            row, _ = site.ledger.approve(row, given, needed=site.rules.needed.of(row.tier or "D"))
    return row


def _tidy(obj: JsonObject) -> JsonObject:
    meta = {key: value for key, value in fields.mapping(obj, "metadata").items() if value != {}}
    return {**obj, "metadata": meta}


def _undone_exactly(case: Case) -> None:
    site, row, before = _applied(case)
    back = _undo(site, row)
    assert back.state == "awaiting approval", back.note
    back = run(apply(site.engine(), _approve(site, back).id))
    assert back.state == "applied", back.note
    after = copy.deepcopy(site.cluster.objects[row.target.identity])
    fields.mapping(after, "metadata", "annotations").pop("plumbline.dev/plan", None)
    assert differences(_tidy(before), _tidy(after), ignore=SERVERS_OWN) == ()
    assert len(site.cluster.effective) == 2


def _stopped_by_a_foreign_change(case: Case) -> None:
    site, row, _ = _applied(case)
    plan = read(row.plan.encode(), digest=row.digest)
    for change in plan.dry_run:
        clone = copy.deepcopy(site)
        clone.cluster.touch(row.target, lambda obj, change=change: _set(obj, change.path, "foreign"))  # type: ignore[misc]
        back = _undo(clone, row)
        assert back.state == "refused", (change.path, back.state)
        assert "undo it by hand" in back.note
        assert len(clone.cluster.effective) == 1


def _set(obj: JsonObject, path: Sequence[str], value: JsonValue) -> None:
    for key in path[:-1]:
        inner = obj.setdefault(key, {})
        assert isinstance(inner, dict)
        obj = inner
    obj[path[-1]] = value


@pytest.mark.parametrize("change", sorted(FIRST))
def test_an_undo_restores_exactly_or_stops(change: str) -> None:
    _undone_exactly(FIRST[change])
    _stopped_by_a_foreign_change(FIRST[change])


@pytest.mark.prove
@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.change)
def test_an_undo_restores_exactly_or_stops_in_full(case: Case) -> None:
    _undone_exactly(case)
    _stopped_by_a_foreign_change(case)


def test_what_others_put_beside_it_meanwhile_stays() -> None:
    """Of labels and annotations an undo takes away its own only."""
    site, row, _ = _applied(FIRST["set_queue"])
    site.cluster.touch(row.target, lambda obj: _set(obj, ("metadata", "labels", "theirs"), "kept"))
    run(apply(site.engine(), _approve(site, _undo(site, row)).id))
    assert fields.text(site.cluster.objects[row.target.identity], "metadata", "labels", "theirs") == "kept"


# --- what is watched ---------------------------------------------------------------------------------------------

APP: JsonObject = {"name": "app", "image": "registry.example.com/app:1"}
PLAIN = Case("scale", at("Deployment", replicas=7), deployment(6, APP))
MEASURED = Case("scale", at("Deployment", replicas=7), deployment())
REF = ResourceRef(group="apps", version="v1", kind="Deployment", namespace="search", name="chat")


@dataclass(frozen=True)
class _Fleet:
    """What a fleet does after a change, as ready replicas at a moment after it, and how it ends."""

    ready: Callable[[float], int | None]
    said: str
    state: str = "needs human"
    case: Case = PLAIN
    every: float = 100.0
    disturb: Callable[[Site, float], None] = lambda _site, _since: None


def _gone(site: Site, since: float) -> None:
    if since > 500:
        site.cluster.objects.pop(REF.identity, None)


def _again(site: Site, since: float) -> None:
    if since == 600:
        site.cluster.touch(REF, lambda obj: _set(obj, ("metadata", "uid"), "made-again"))


def _foreign(site: Site, since: float) -> None:
    if since == 600:
        site.cluster.touch(REF, lambda obj: _set(obj, ("spec", "replicas"), 9))


def _dark(site: Site, since: float) -> None:
    site.cluster.dark = 1


MATRIX: dict[str, _Fleet] = {
    "all well": _Fleet(lambda since: 7 if since > 900 else 6, "the fields stand", state="verified"),
    "late but in time": _Fleet(lambda since: 7 if since >= 1800 else 0, "the fields stand", state="verified"),
    "partial rollout": _Fleet(lambda _since: 6, "verification failed: status.readyReplicas"),
    "flapping": _Fleet(lambda since: 6 if since == 2100 else 7, "verification failed: status.readyReplicas"),
    "falls at the end": _Fleet(lambda since: 6 if since == 2400 else 7, "verification failed: status.readyReplicas"),
    "nothing said": _Fleet(lambda _since: None, "verification failed: status.readyReplicas"),
    "nobody watched": _Fleet(lambda _since: 7, "verification inconclusive", every=3000.0),
    "deleted": _Fleet(lambda _since: 7, "not there any more", disturb=_gone),
    "made again": _Fleet(lambda _since: 7, "deleted and made again", disturb=_again),
    "somebody else scales": _Fleet(lambda _since: 7, "verification inconclusive: spec.replicas", disturb=_foreign),
    "cannot be read": _Fleet(lambda _since: 7, "verification inconclusive", disturb=_dark),
    "metrics missing": _Fleet(lambda _since: 7, "verification inconclusive: vllm", case=MEASURED),
}


@pytest.mark.parametrize("name", MATRIX)
def test_every_apply_ends_verified_or_with_a_human(name: str) -> None:
    fleet = MATRIX[name]
    site, row, _ = _applied(fleet.case)
    since = 0.0
    while site.ledger.rows[row.id].state == "applied" and since < 200_000.0:
        step = fleet.every if since < 6_000.0 else 20_000.0
        since += step
        site.cluster.now = START + since
        fleet.disturb(site, since)
        if REF.identity in site.cluster.objects:
            _status(site, fleet.ready(since))
        run(work(site.engine()))
    after = site.ledger.rows[row.id]
    assert after.state == fleet.state, after.note
    assert fleet.said in after.note


def _status(site: Site, ready: int | None) -> None:
    obj = site.cluster.objects[REF.identity]
    generation = fields.number(obj, "metadata", "generation") or 0.0
    counts: JsonObject = {} if ready is None else {"replicas": 7, "updatedReplicas": 7, "readyReplicas": ready}
    obj["status"] = {**counts, "observedGeneration": int(generation)}


def test_before_its_time_nothing_is_decided() -> None:
    site, row, _ = _applied(PLAIN)
    _status(site, 7)
    site.cluster.now += 60.0
    assert run(verify(site.engine(), row.id)).state == "applied"


def test_an_undo_that_was_verified_makes_the_first_undone() -> None:
    site, row, _ = _applied(PLAIN)
    back = run(apply(site.engine(), _approve(site, _undo(site, row)).id))
    for _ in range(60):
        site.cluster.now += 100.0
        obj = site.cluster.objects[REF.identity]
        _status(site, 7 if fields.number(obj, "spec", "replicas") == 7 else 6)
        run(work(site.engine()))
    assert site.ledger.rows[back.id].state == "verified", site.ledger.rows[back.id].note
    assert site.ledger.rows[row.id].state == "undone"


# --- latency -----------------------------------------------------------------------------------------------------


def _pairs(latency: float, *, count: int = 30, load: float = 900.0) -> list[tuple[float, float]]:
    return [(load + 10 * (n % 10), latency * (1 + 0.01 * (n % 7))) for n in range(count)]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (_pairs(0.5), _pairs(0.5), "held"),
        (_pairs(0.5), _pairs(0.4), "held"),
        (_pairs(0.5), _pairs(0.55), "held"),
        (_pairs(0.5), _pairs(0.7), "failed"),
        (_pairs(0.5), _pairs(0.7, count=7), "inconclusive"),
        (_pairs(0.5), _pairs(0.7, load=2000.0), "inconclusive"),
        (_pairs(0.5), [], "inconclusive"),
        ([], _pairs(0.5), "inconclusive"),
        ([], [], "inconclusive"),
    ],
)
def test_slower_at_the_same_load_is_a_failure(
    before: list[tuple[float, float]], after: list[tuple[float, float]], verdict: str
) -> None:
    assert regression(before, after)[0] == verdict
