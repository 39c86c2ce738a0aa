"""Undo is a proposal like any other: its plan is the inverse that was prepared before the apply.

Rule: it is previewed, approved and applied as every plan is, and refused where somebody changed the object since.
"""

from __future__ import annotations

from agent.changes.ledger import Ledger
from agent.changes.records import Proposal
from agent.changes.states import TRANSITIONS, Move
from tools.errors import UnknownName, UserError
from tools.types import digest_of

_UNDO: Move = "undo"
MAX_TRIES = 100
"""Undo proposals of one change."""


def propose_undo(ledger: Ledger, name: str, *, author: str, at: float) -> Proposal:
    """A draft that undoes an applied proposal; the one that is open where there is one already.

    Raises UnknownName, UserError for a proposal that has nothing to undo.
    """
    row = ledger.get(name)
    if row is None:
        raise UnknownName("proposal", name, ())
    if (row.state, _UNDO) not in TRANSITIONS:
        raise UserError(f"proposal {row.id} is {row.state}: there is nothing to undo")
    if row.undoes:
        raise UserError(f"proposal {row.id} is an undo itself", hint="propose the change anew")
    for number in range(MAX_TRIES):
        key = digest_of(["undo", row.id, row.digest, number])
        known = ledger.get(key[:12])
        if known is not None and known.state in ("refused", "rejected", "expired", "stale", "revoked"):
            continue
        if known is not None:
            return known
        return ledger.add(_draft(row, key, author=author, at=at), actor=author)
    raise UserError(f"{row.id} has {MAX_TRIES} undo proposals", hint="undo it by hand")


def _draft(row: Proposal, key: str, *, author: str, at: float) -> Proposal:
    return Proposal(
        id=key[:12],
        context=row.context,
        session=row.session,
        run=row.run,
        at=at,
        change=row.change,
        args=row.args,
        target=row.target,
        because=f"undoes {row.id}",
        author=author,
        order=key,
        undoes=row.id,
    )
