"""From what a run or a person wants to a proposal in the ledger: one rule for a model's draft and for a typed one."""

from __future__ import annotations

from agent.changes.ledger import Ledger
from agent.changes.records import Proposal
from agent.store import DraftRow
from tools import registry
from tools.errors import Refused, UnknownName, UserError
from tools.types import JsonObject, digest_of


def adopted(ledger: Ledger, draft: DraftRow, *, cluster: str = "") -> Proposal:
    """The draft of a run, kept as a proposal, for one cluster where its uid is given. Raises as `as_proposal` does."""
    return ledger.add(as_proposal(draft).model_copy(update={"cluster": cluster}), actor=draft.author)


def as_proposal(draft: DraftRow) -> Proposal:
    """The proposal of a draft that a run has left. Raises UserError where the catalogue does not have it any more."""
    spec = registry.changes().get(draft.change)
    if spec is None:
        raise UnknownName("change", draft.change, registry.changes())
    target = spec.parse(draft.args).ref
    return Proposal(
        id=draft.id,
        session=draft.session,
        run=draft.run,
        at=draft.at,
        change=draft.change,
        args=draft.args,
        target=target.model_copy(update={"uid": draft.uid or None}),
        because=draft.because,
        cites=draft.cites,
        author=draft.author,
        asker=draft.asker,
        order=draft.digest,
    )


def typed(ledger: Ledger, change: str, args: JsonObject, *, author: str, because: str, at: float) -> Proposal:
    """The proposal that a person types. Raises UnknownName, UserError."""
    spec = registry.changes().get(change)
    if spec is None:
        raise UnknownName("change", change, registry.changes())
    try:
        parsed = spec.parse(args)
    except Refused as refused:
        raise UserError(refused.message, hint=f"it is {spec.call}") from None
    plain: JsonObject = parsed.model_dump(mode="json")
    order = digest_of({"change": change, "args": plain, "author": author, "at": at})
    row = Proposal(
        id=order[:12], at=at, change=change, args=plain, target=parsed.ref, because=because, author=author,
        order=order,
    )  # fmt: skip
    return ledger.add(row, actor=author)
