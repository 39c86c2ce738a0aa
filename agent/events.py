"""All that a surface ever hears: one tagged union, appended with (session, run, seq) to the store's event log."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from agent.types import Diagnosis, Finding, Intent
from tools.types import Frozen, Scope, Status


class Planned(Frozen):
    """What will be read, for which families, in which scope."""

    type: Literal["planned"] = "planned"
    intent: Intent
    scope: Scope
    calls: int
    round: int = 1


class CallStarted(Frozen):
    """A tool call passed the gate's checks and runs."""

    type: Literal["call_started"] = "call_started"
    call: str
    tool: str
    query: str


class CallFinished(Frozen):
    """A tool call ended, well or not."""

    type: Literal["call_finished"] = "call_finished"
    call: str
    evidence: str
    status: Status
    rows: int
    seconds: float


class EvidenceAdded(Frozen):
    """Evidence stands in the store under this id."""

    type: Literal["evidence_added"] = "evidence_added"
    evidence: str
    query: str
    rows: int


class FindingMade(Frozen):
    """A finding, as soon as it is judged; its role is final only in Answered."""

    type: Literal["finding_made"] = "finding_made"
    finding: Finding


class ModelAsked(Frozen):
    """A language model is asked; nothing it says is shown before it was checked."""

    type: Literal["model_asked"] = "model_asked"
    model: str
    request: int
    """Number of the request within the run."""
    tokens: int
    """Estimated size of the request."""


class TextDelta(Frozen):
    """A piece of prose from a language model, checked against the evidence it cites."""

    type: Literal["text_delta"] = "text_delta"
    text: str


class Answered(Frozen):
    """The run's answer."""

    type: Literal["answered"] = "answered"
    diagnosis: Diagnosis


class Told(Frozen):
    """What a `/` command says. It belongs to no run, so it stands in no event log."""

    type: Literal["told"] = "told"
    text: str
    """Plain lines, without colour."""


class Asked(Frozen):
    """The run waits for the user to choose between candidates."""

    type: Literal["asked"] = "asked"
    prompt: str
    candidates: tuple[str, ...]


class Drafted(Frozen):
    """A draft of a proposal was stored."""

    type: Literal["drafted"] = "drafted"
    proposal: str


class ProposalChanged(Frozen):
    """A proposal moved to another state."""

    type: Literal["proposal_changed"] = "proposal_changed"
    proposal: str
    state: str


class Degraded(Frozen):
    """Something is less than it should be, and the answer goes on without it."""

    type: Literal["degraded"] = "degraded"
    what: str
    because: str


class Cancelled(Frozen):
    """The user stopped the run; it can be resumed."""

    type: Literal["cancelled"] = "cancelled"
    run: str


class Failed(Frozen):
    """The run ended without an answer; the message is one line for the user."""

    type: Literal["failed"] = "failed"
    message: str
    hint: str = ""


Event: TypeAlias = Annotated[
    Planned
    | CallStarted
    | CallFinished
    | EvidenceAdded
    | FindingMade
    | ModelAsked
    | TextDelta
    | Answered
    | Told
    | Asked
    | Drafted
    | ProposalChanged
    | Degraded
    | Cancelled
    | Failed,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Parses one event from JSON by its `type`."""
