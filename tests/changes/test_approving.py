"""Who may approve, and whether a plan still is approved."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from agent.changes.approving import Needed, Rules, lacking, may_approve
from agent.changes.plans import Plan
from agent.changes.records import Approval, Proposal
from tests.agent.test_plans import plan as some_plan
from tools.changes import Tier
from tools.types import Principal

NOW = 1_778_594_400.0


def plan(tier: Tier = "B") -> Plan:
    return some_plan().model_copy(update={"tier": tier, "expires": NOW + 3600})


def row(made: Plan, **changes: object) -> Proposal:
    values: dict[str, object] = {
        "id": made.proposal, "state": "awaiting approval", "at": NOW - 60, "change": made.change, "args": made.args,
        "target": made.target, "author": "playbook", "requester": "ada", "tier": made.tier, "plan": made.body.decode(),
        "digest": made.digest, "expires": made.expires, "cluster": made.cluster,
    }  # fmt: skip
    return Proposal.model_validate({**values, **changes})


def person(user: str, *groups: str) -> Principal:
    return Principal(source="cli", user=user, groups=groups, established="SelfSubjectReview")


def approval(made: Plan, who: str, *groups: str, **changes: object) -> Approval:
    listed: list[JsonValue] = [*groups]
    values = {"proposal": made.proposal, "digest": made.digest, "principal": who, "surface": "cli", "at": NOW}
    return Approval.model_validate({**values, "proof": {"groups": listed}, **changes})


def test_another_person_may_approve_what_they_have_seen() -> None:
    made = plan()
    assert may_approve(row(made), person("grace"), made.digest, NOW, Rules()) == ""
    assert may_approve(row(made), person("grace"), made.digest[:12].upper(), NOW, Rules()) == ""


@pytest.mark.parametrize(
    ("digest", "said"),
    [("", "not the digest"), ("d" * 64, "not the digest"), ("short", "not the digest"), ("0" * 11, "not the digest")],
)
def test_other_bytes_are_not_approved(digest: str, said: str) -> None:
    assert said in may_approve(row(plan()), person("grace"), digest, NOW, Rules())
    assert said in may_approve(row(plan()), person("grace"), plan().digest[:11], NOW, Rules())


@pytest.mark.parametrize("tier", ["B", "C", "D"])
def test_nobody_approves_their_own_risky_change(tier: Tier) -> None:
    made = plan(tier)
    assert "somebody else" in may_approve(row(made), person("ada"), made.digest, NOW, Rules())
    assert may_approve(row(made), person("ada"), made.digest, NOW, Rules(self_approval=True)) == ""


@pytest.mark.parametrize("tier", ["B", "C", "D"])
def test_nobody_approves_what_they_wrote_though_the_applier_submitted_it(tier: Tier) -> None:
    """Previews are made with the applier's credentials, so the requester may be the applier."""
    made = plan(tier)
    kept, rules = row(made, author="grace", requester="applier"), Rules(needed=Needed(C=1, D=1))
    assert "somebody else" in may_approve(kept, person("grace"), made.digest, NOW, rules)
    assert "0 of 1" in lacking(kept, made, [approval(made, "grace")], NOW, rules)
    assert may_approve(kept, person("alan"), made.digest, NOW, rules) == ""
    assert lacking(kept, made, [approval(made, "alan")], NOW, rules) == ""


def test_nobody_approves_what_was_drafted_in_their_session_even_when_the_store_forgets_it() -> None:
    """Who asked stands in the row and in the bytes: taking it out of the row alone changes nothing."""
    made = plan("B").model_copy(update={"requesters": ("grace", "playbook")})
    asked = row(made, author="playbook", requester="applier", asker="grace")
    for kept in (asked, asked.model_copy(update={"asker": ""})):
        assert "somebody else" in may_approve(kept, person("grace"), made.digest, NOW, Rules())
        assert "0 of 1" in lacking(kept, made, [approval(made, "grace")], NOW, Rules())
        assert may_approve(kept, person("alan"), made.digest, NOW, Rules()) == ""


def test_a_small_change_may_be_approved_by_who_asked() -> None:
    made = plan("A")
    assert may_approve(row(made), person("ada"), made.digest, NOW, Rules()) == ""


def test_only_approvers_where_there_is_a_list() -> None:
    made, rules = plan(), Rules(approvers=("grace", "group:oncall"))
    assert may_approve(row(made), person("grace"), made.digest, NOW, rules) == ""
    assert may_approve(row(made), person("alan", "oncall"), made.digest, NOW, rules) == ""
    assert "is no approver" in may_approve(row(made), person("alan", "dev"), made.digest, NOW, rules)
    for name in ("group:oncall2", "group:oncall"):
        assert "is no approver" in may_approve(row(made), person(name), made.digest, NOW, rules), "a user named so"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"state": "draft"}, "is draft"),
        ({"state": "approved"}, "is approved"),
        ({"plan": ""}, "no plan"),
        ({"plan": plan().body.decode()[:-9]}, "no plan"),
        ({"plan": plan().body.decode().replace("scale", "taint", 1)}, "not the one its digest names"),
        ({"id": "f" * 12}, "is not one of proposal"),
        ({"change": "restart"}, "is not one of proposal"),
        ({"tier": "A"}, "is not one of proposal"),
        ({"expires": NOW + 9e9}, "is not one of proposal"),
    ],
)
def test_a_row_that_is_not_whole_is_not_approved(changes: dict[str, object], said: str) -> None:
    assert said in may_approve(row(plan(), **changes), person("grace"), plan().digest, NOW, Rules())


def test_nothing_is_approved_after_its_end_or_by_nobody() -> None:
    made = plan()
    assert "expired" in may_approve(row(made), person("grace"), made.digest, NOW + 3600, Rules())
    for nobody in ("", "unknown"):
        assert "does not tell who you are" in may_approve(row(made), person(nobody), made.digest, NOW, Rules())


# --- at apply time -------------------------------------------------------------------------------------------------


def test_stored_approvals_are_judged_again() -> None:
    made = plan()
    assert lacking(row(made), made, [approval(made, "grace")], NOW, Rules()) == ""
    assert "0 of 1" in lacking(row(made), made, [], NOW, Rules())
    assert "0 of 1" in lacking(row(made), made, [approval(made, "ada")], NOW, Rules())
    assert "0 of 1" in lacking(row(made), made, [approval(made, "grace", digest="e" * 64)], NOW, Rules())
    assert "0 of 1" in lacking(row(made), made, [approval(made, "grace", proposal="f" * 12)], NOW, Rules())
    assert "0 of 1" in lacking(row(made), made, [approval(made, "grace", at=NOW + 3600)], NOW, Rules())
    assert "expired" in lacking(row(made), made, [approval(made, "grace")], NOW + 3600, Rules())
    assert "not one of" in lacking(row(made, tier="A"), made, [approval(made, "grace")], NOW, Rules())


def test_as_many_people_as_the_tier_asks_for() -> None:
    made, rules = plan("C"), Rules(needed=Needed(C=2))
    twice = [approval(made, "grace"), approval(made, "grace", at=NOW + 1)]
    assert "1 of 2" in lacking(row(made), made, twice, NOW, rules)
    assert lacking(row(made), made, [*twice, approval(made, "alan")], NOW, rules) == ""


def test_groups_count_as_they_were_when_the_approval_was_given() -> None:
    made, rules = plan(), Rules(approvers=("group:oncall",))
    assert lacking(row(made), made, [approval(made, "grace", "oncall")], NOW, rules) == ""
    assert "0 of 1" in lacking(row(made), made, [approval(made, "grace")], NOW, rules)
    other = approval(made, "grace", "oncall", digest="e" * 64)
    assert "0 of 1" in lacking(row(made), made, [approval(made, "grace"), other], NOW, rules)
