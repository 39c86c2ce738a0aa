"""Any order of draft, preview, approve, revoke, expire, claim, apply, crash, resume and undo keeps the promises.

Held after every step: a digest takes effect at most once, never without its quorum, never under a kill switch or after
its expiry; a state follows from its moves by the table; what has taken effect is never shown as if it had not.
Size: 60 runs of up to 40 steps in `make test`; over 50,000 steps in `make prove`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agent.changes.applier import work
from agent.changes.applying import apply
from agent.changes.approving import may_approve
from agent.changes.engine import NotNow
from agent.changes.ledger import Held, Raced
from agent.changes.plans import read
from agent.changes.preview import preview
from agent.changes.records import Approval, Proposal
from agent.changes.states import TAKES_EFFECT, TRANSITIONS, NotAllowed, State
from agent.changes.undoing import propose_undo
from tests.changes.cluster import Killed, Site, Steps, run
from tests.tools.changing import at, deployment
from tools import fields
from tools.errors import PlumblineError, UserError
from tools.types import JsonObject, Principal, ResourceRef, digest_of

PEOPLE = st.sampled_from(["ada", "grace", "joan"])
NAMES = st.sampled_from([0, 0, 0, 0, 1, 2, 5])
"""How long ago it was proposed."""
REF = ResourceRef(group="apps", version="v1", kind="Deployment", namespace="search", name="chat")


class Engines(RuleBasedStateMachine):
    """Two appliers and some people around two objects' worth of proposals."""

    steps: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        """A cluster with one Deployment."""
        self.site = Site()
        self.site.cluster.add(REF, _object())
        self.names: list[str] = []
        self.seen = 0

    def _row(self, number: int) -> Proposal | None:
        """The newest, or one some way before it."""
        return self.site.ledger.rows[self.names[-1 - number % len(self.names)]] if self.names else None

    def _run(self, doing: Coroutine[object, object, object]) -> None:
        """Something a process does; it may die, and nothing may take effect that must not."""
        before = len(self.site.cluster.effective)
        stopped = bool(self.site.brakes.reason)
        with suppress(NotNow, Raced, Held, NotAllowed, UserError, PlumblineError, Killed):
            run(doing)
        for digest in self.site.cluster.effective[before:]:
            self._check(digest, stopped=stopped)

    def _check(self, digest: str, *, stopped: bool) -> None:
        row = next(row for row in self.site.ledger.rows.values() if row.digest == digest)
        plan = read(row.plan.encode(), digest=digest)
        approvers = {one.principal for one in self.site.ledger.approvals(row.id) if one.digest == digest}
        needed = self.site.rules.needed.of(plan.tier)
        assert not stopped, "a write under the kill switch"
        assert self.site.cluster.now < plan.expires, "a write after its expiry"
        assert len(approvers) >= needed, "a write without a quorum"
        assert plan.tier == "A" or row.requester not in approvers, "a write approved by who asked for it"
        moves = [move.state for move in self.site.ledger.moves(proposal=row.id, limit=10_000)]
        assert not {"revoked", "rejected", "expired", "refused", "stale"} & set(moves[:-1]), "a write of what had ended"

    # --- people ----------------------------------------------------------------------------------------------

    @rule(more=st.sampled_from([1, 2, -1]))
    def draft(self, more: int) -> None:
        """Somebody proposes another number of replicas."""
        name = digest_of(["draft", len(self.names)])[:12]
        now = fields.number(self.site.cluster.objects[REF.identity], "spec", "replicas") or 1.0
        args: JsonObject = at("Deployment", replicas=max(1, int(now) + more))
        row = Proposal(id=name, at=self.site.cluster.now, change="scale", args=args, target=REF, author="playbook")
        self.site.ledger.add(row, actor="playbook")
        self.names.append(name)

    @rule(number=NAMES, who=PEOPLE)
    def preview(self, number: int, who: str) -> None:
        """Somebody has a plan made."""
        if row := self._row(number):
            self._run(preview(self.site.engine("previewer"), row.id, requester=who))

    @rule(more=st.sampled_from([1, 2, -1]))
    def ready(self, more: int) -> None:
        """Everything goes well up to the approval."""
        self.site.brakes.reason = ""
        self.somebody("controller")
        self.draft(more)
        self.preview(0, "ada")
        self.approve(0, "grace")

    @rule(number=NAMES, who=PEOPLE)
    def approve(self, number: int, who: str) -> None:
        """Somebody approves, where the rules let them."""
        row = self._row(number)
        person = Principal(source="cli", user=who, established="SelfSubjectReview")
        now = self.site.cluster.now
        if row is None or may_approve(row, person, row.digest, now, self.site.rules):
            return
        given = Approval(proposal=row.id, digest=row.digest, principal=who, surface="cli", at=now)
        with suppress(Raced):
            self.site.ledger.approve(row, given, needed=self.site.rules.needed.of(row.tier or "D"))

    @rule(number=NAMES, who=PEOPLE, move=st.sampled_from(["reject", "revoke"]))
    def take_back(self, number: int, who: str, move: str) -> None:
        """Somebody rejects or revokes."""
        if row := self._row(number):
            with suppress(NotAllowed, Raced):
                self.site.ledger.move(row, move, actor=who, at=self.site.cluster.now)  # type: ignore[arg-type]

    @rule(number=NAMES, who=PEOPLE)
    def undo(self, number: int, who: str) -> None:
        """Somebody wants it undone."""
        if row := self._row(number):
            with suppress(UserError):
                draft = propose_undo(self.site.ledger, row.id, author=who, at=self.site.cluster.now)
                if draft.id not in self.names:
                    self.names.append(draft.id)

    # --- processes -------------------------------------------------------------------------------------------

    @rule(number=NAMES, who=st.sampled_from(["applier-1", "applier-2"]))
    def apply(self, number: int, who: str) -> None:
        """An applier applies one."""
        if row := self._row(number):
            self._run(apply(self.site.engine(who), row.id))

    @rule(number=NAMES, who=st.sampled_from(["applier-1", "applier-2"]), fatal=st.integers(0, 45))
    def crash(self, number: int, who: str, fatal: int) -> None:
        """An applier dies on the way."""
        if row := self._row(number):
            self._run(apply(self.site.engine(who, Steps(fatal=fatal)), row.id))

    @rule(who=st.sampled_from(["applier-1", "applier-2"]), fatal=st.integers(-1, 60))
    def work(self, who: str, fatal: int) -> None:
        """An applier makes a round, and perhaps dies."""
        self._run(work(self.site.engine(who, Steps(fatal=fatal))))

    # --- the world -------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1.0, 60.0, 301.0, 3 * 3600.0, 5 * 3600.0]))
    def later(self, seconds: float) -> None:
        """Time passes."""
        self.site.cluster.now += seconds

    @rule(who=st.sampled_from(["applier-1", "applier-2"]))
    def watch(self, who: str) -> None:
        """An applier makes its rounds for as long as checks take, and the controller does its work."""
        for _ in range(28):
            self.somebody("controller")
            self.site.cluster.now += 100.0
            self._run(work(self.site.engine(who)))

    @rule(number=NAMES)
    def ready_to_undo(self, number: int) -> None:
        """Somebody has an undo made and approved."""
        self.site.brakes.reason = ""
        self.somebody("controller")
        self.undo(number, "ada")
        self.preview(0, "ada")
        self.approve(0, "grace")

    @rule(took=st.booleans(), who=st.sampled_from(["applier-1", "applier-2"]), dark=st.sampled_from([0, 0, 3]))
    def lose(self, *, took: bool, who: str, dark: int) -> None:
        """The answer to the next patch is lost, and perhaps the object cannot be looked at either."""
        self.site.cluster.lose = [took]
        if row := self._row(0):
            self.site.cluster.dark_after_write = dark
            self._run(apply(self.site.engine(who), row.id))

    @rule(reason=st.sampled_from(["", "", "the kill switch is set"]))
    def switch(self, reason: str) -> None:
        """The kill switch is set or taken back."""
        self.site.brakes.reason = reason

    @rule(what=st.sampled_from(["controller", "status", "label", "spec", "uid", "back"]))
    def somebody(self, what: str) -> None:
        """Somebody else writes the object."""
        self.site.cluster.touch(REF, _WRITES[what])

    @precondition(lambda self: self.names)
    @rule(number=NAMES)
    def tamper(self, number: int) -> None:
        """Somebody edits a stored plan."""
        row = self._row(number)
        if row is not None and row.plan and row.state in ("awaiting approval", "approved"):
            changed = row.model_copy(update={"plan": row.plan.replace('"replicas":', '"replicas": ', 1)})
            self.site.ledger.rows[row.id] = changed

    # --- what always holds -----------------------------------------------------------------------------------

    @invariant()
    def counted(self) -> None:
        """How many steps were made."""
        type(self).steps += 1

    @invariant()
    def once(self) -> None:
        """No digest takes effect twice."""
        effective = self.site.cluster.effective
        assert len(effective) == len(set(effective))

    @invariant()
    def told(self) -> None:
        """What took effect is in a state that says that it may have."""
        for row in self.site.ledger.rows.values():
            if row.digest and row.digest in self.site.cluster.effective:
                begun = any(step.point == "intent" for step in self.site.ledger.journal(row.id))
                assert begun, "written down before it was sent"
                assert row.state in TAKES_EFFECT | {"claimed", "approved", "expired", "revoked", "stale"}, row.state
            if row.state == "unknown":
                assert "look at" in row.note
            if row.state in ("applied", "verified"):
                assert row.digest in self.site.cluster.effective

    @invariant()
    def by_the_table(self) -> None:
        """Every move is one of the table, and the row is where its moves lead."""
        moves = self.site.ledger.made
        for move in moves[self.seen :]:
            earlier = [one.state for one in moves if one.proposal == move.proposal and one.seq < move.seq]
            before: State = earlier[-1] if earlier else "draft"
            assert TRANSITIONS[before, move.move] == move.state
        self.seen = len(moves)


def _object() -> JsonObject:
    """A Deployment of which nothing is measured but its status."""
    return deployment(6, {"name": "app", "image": "registry.example.com/app:1"})


def _status(obj: JsonObject) -> None:
    obj["status"] = {**fields.mapping(obj, "status"), "readyReplicas": 5}


def _controller(obj: JsonObject) -> None:
    """Its controller has caught up."""
    count = fields.number(obj, "spec", "replicas") or 1.0
    names = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")
    generation = fields.number(obj, "metadata", "generation") or 1.0
    obj["status"] = {**{name: int(count) for name in names}, "observedGeneration": int(generation)}


def _label(obj: JsonObject) -> None:
    fields.mapping(obj, "metadata")["labels"] = {"by": "another"}


def _spec(obj: JsonObject) -> None:
    obj["spec"] = {**fields.mapping(obj, "spec"), "replicas": 6, "minReadySeconds": 3}


def _uid(obj: JsonObject) -> None:
    meta = fields.mapping(obj, "metadata")
    meta["uid"] = f"{meta['uid']}x"
    meta.pop("annotations", None)


def _back(obj: JsonObject) -> None:
    """Somebody applies the manifest they have: our mark and our fields are gone."""
    fields.mapping(obj, "metadata").pop("annotations", None)
    obj["spec"] = fields.mapping(_object(), "spec")


_WRITES = {"controller": _controller, "status": _status, "label": _label, "spec": _spec, "uid": _uid, "back": _back}
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def test_in_any_order_the_promises_hold() -> None:
    slice_ = settings(
        max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, suppress_health_check=_QUIET
    )
    run_state_machine_as_test(Engines, settings=slice_)


@pytest.mark.prove
def test_in_any_order_the_promises_hold_in_full() -> None:
    full = settings(
        max_examples=1_500, stateful_step_count=100, deadline=None, derandomize=True, suppress_health_check=_QUIET
    )
    Engines.steps = 0
    run_state_machine_as_test(Engines, settings=full)
    assert Engines.steps >= 50_000
