"""What is kept of a proposal: the row itself, who approved it, what the applier wrote down, and who moved it.

Rules: a row holds redacted text only; the plan stands as the exact bytes that were shown; nothing here is deleted.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from agent.changes.states import Move, State
from tools.changes import Tier
from tools.types import Frozen, JsonObject, ResourceRef

ProposalId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Point: TypeAlias = Literal["claimed", "read", "checked", "intent", "sent", "answered", "done", "adopted", "released"]
"""Steps of an apply that are written down before the next one starts; `intent` is on disk before a PATCH leaves."""


class Proposal(Frozen):
    """One proposed change, from draft to outcome."""

    id: ProposalId
    state: State = "draft"
    version: int = 0
    """Counts its moves: what compare-and-set compares."""
    cluster: str = ""
    """uid of kube-system; "" until it is previewed."""
    context: str = ""
    """The cluster as the session that proposed it names it."""
    session: str = ""
    run: int = 0
    at: float
    """When it was proposed, Unix seconds."""
    change: str
    args: JsonObject
    target: ResourceRef
    """With the uid that was read."""
    because: str = ""
    """Prose of the author, redacted and without links. Counts for nothing."""
    cites: tuple[str, ...] = ()
    author: str
    """`model NAME`, `playbook`, or the principal who wrote it by hand."""
    order: str = ""
    """SHA-256 of the canonical JSON {change, args, uid}: the same order of one run is one proposal."""
    asker: str = ""
    """The principal in whose session it was drafted; "" where it was written by hand."""
    requester: str = ""
    """The principal who submitted it for approval."""
    tier: Tier | None = None
    plan: str = ""
    """The plan's canonical bytes (UTF-8); "" before the preview."""
    digest: str = ""
    expires: float | None = None
    """When plan and approvals end, on the API server's clock."""
    lease: str = ""
    """Which applier holds it."""
    lease_until: float = 0.0
    """On the API server's clock."""
    undoes: str = ""
    note: str = ""
    """Why it is in this state, in one line."""


class Approval(Frozen):
    """One person's word on one digest."""

    proposal: ProposalId
    digest: str
    principal: str
    surface: str
    """`cli`, `tui`, `slack`."""
    at: float
    proof: JsonObject = Field(default_factory=dict)
    """What lets somebody else check it again: of Slack over HTTP, the raw signed request."""


class JournalEntry(Frozen):
    """One step of the applier."""

    proposal: ProposalId
    attempt: int
    point: Point
    at: float
    applier: str
    detail: JsonObject = Field(default_factory=dict)


class Moved(Frozen):
    """One move of a proposal; `seq` orders all moves of a ledger."""

    seq: int
    proposal: ProposalId
    move: Move
    state: State
    """The state it led to."""
    actor: str
    at: float
    note: str = ""
