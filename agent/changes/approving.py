"""Who may approve a plan, and whether it still is approved: pure decisions on stored rows, made again at apply time.

Rules: an approval is of one digest of one proposal, by a principal that the API server named; on risky tiers (B and
above) nobody approves what they wrote or submitted, and as many people are needed as the settings say; everything
ends with the plan. Between two accounts that one person holds no rule can tell: on one machine this is advisory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from agent.changes.plans import BadPlan, Plan, read
from agent.changes.records import Approval, Proposal
from tools.changes import Tier
from tools.types import Frozen, Principal

RISKY: tuple[Tier, ...] = ("B", "C", "D")
GROUP = "group:"
SHORTEST = 12
"""Characters of a digest that an approver has to give at least: 48 bits, which nobody meets by chance."""
UNKNOWN = "unknown"
"""The principal where an API server does not tell who asks: nobody."""


class Needed(Frozen):
    """How many people approve a plan of each tier."""

    A: int = Field(default=1, ge=1, le=9)
    B: int = Field(default=1, ge=1, le=9)
    C: int = Field(default=2, ge=1, le=9)
    D: int = Field(default=2, ge=1, le=9)

    def of(self, tier: Tier) -> int:
        """For one tier."""
        return {"A": self.A, "B": self.B, "C": self.C, "D": self.D}[tier]


class Rules(Frozen):
    """What an installation asks of approvals."""

    needed: Needed = Needed()
    approvers: tuple[str, ...] = ()
    """Users, and `group:NAME`; empty: whoever can sign in."""
    self_approval: bool = False
    """Let people approve what they asked for on risky tiers too: gives the guarantee up."""


def may_approve(row: Proposal, principal: Principal, digest: str, at: float, rules: Rules) -> str:
    """Why this person may not approve those bytes now, in one line; "" where they may. `at`: the API server's time."""
    if row.state != "awaiting approval":
        return f"proposal {row.id} is {row.state}, so it cannot be approved"
    if len(digest) < SHORTEST or not row.digest.startswith(digest.lower()):
        return f"that is not the digest of proposal {row.id}: look at it again, and give what stands there"
    try:
        plan = read(row.plan.encode(), digest=row.digest)
    except BadPlan as bad:
        return bad.message
    if reason := _forged(row, plan):
        return reason
    if at >= plan.expires:
        return f"proposal {row.id} has expired: propose it anew"
    return _person(principal.user, principal.groups, row, plan, rules)


def _forged(row: Proposal, plan: Plan) -> str:
    """Where a row says other than its plan: somebody edited the store."""
    same = (
        plan.proposal == row.id
        and plan.change == row.change
        and plan.target.same(row.target)
        and plan.tier == row.tier
        and plan.expires == row.expires
    )
    return "" if same else f"the stored plan is not one of proposal {row.id}: propose it anew"


def _person(user: str, groups: Iterable[str], row: Proposal, plan: Plan, rules: Rules) -> str:
    if not user or user == UNKNOWN:
        return "the API server does not tell who you are, so you cannot approve"
    known = {f"{GROUP}{group}" for group in groups} | ({user} if not user.startswith(GROUP) else set())
    if rules.approvers and known.isdisjoint(rules.approvers):
        return f"{user} is no approver (setting changes.approvers)"
    if (
        plan.tier in RISKY
        and user in {row.author, row.asker, row.requester, *plan.requesters}
        and not rules.self_approval
    ):
        return f"{user} asked for this tier {plan.tier} change: somebody else has to approve it"
    return ""


def lacking(row: Proposal, plan: Plan, approvals: Sequence[Approval], at: float, rules: Rules) -> str:
    """Why a plan is not approved now, in one line; "" while it is. Nothing but the stored approvals counts."""
    if reason := _forged(row, plan):
        return reason
    if at >= plan.expires:
        return "its approval expired"
    valid = {
        approval.principal
        for approval in approvals
        if approval.proposal == row.id
        and approval.digest == row.digest == plan.digest
        and approval.at < plan.expires
        and not _person(approval.principal, _groups(approval), row, plan, rules)
    }
    needed = rules.needed.of(plan.tier)
    if len(valid) < needed:
        return f"{len(valid)} of {needed} approvals it needs are valid"
    return ""


def _groups(approval: Approval) -> list[str]:
    """The groups that the API server gave with an approval."""
    listed = approval.proof.get("groups")
    return [group for group in listed if isinstance(group, str)] if isinstance(listed, list) else []
