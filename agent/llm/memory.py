"""What a consultation remembers between its steps: domain facts and evidence ids, never a chat transcript.

Rules: everything is plain data that a checkpoint can hold; tables are rendered anew from stored evidence for each
request; what the model wrote is kept only as parsed arguments, redacted, or as statements that were checked.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from agent.llm.types import Spent
from agent.types import Claim, Disputed
from tools.types import Frozen, ResourceRef

MAX_HYPOTHESES = 6
UNUSABLE = "the model could not be used"
NOTHING_HELD = "the model said nothing that the evidence holds"
_Words = Annotated[str, StringConstraints(max_length=300)]


def _listed(value: object) -> object:
    """A lone string where a list is wanted, as small models send it."""
    return [value] if isinstance(value, str) else value


Cites = Annotated[tuple[Annotated[str, StringConstraints(max_length=300)], ...], Field(max_length=12)]


class Hypothesis(Frozen):
    """A possible cause under test."""

    cause: _Words
    supports: Annotated[Cites, BeforeValidator(_listed)] = ()
    against: Annotated[Cites, BeforeValidator(_listed)] = ()
    next_test: _Words = ""
    state: Literal["open", "confirmed", "excluded"] = "open"


class Asked(Frozen):
    """One call of the model and what became of it."""

    id: str
    name: str
    arguments: str
    """Canonical JSON of the parsed arguments, redacted; "{}" where they could not be read."""
    digest: str = ""
    """Digest of the ToolCall, where the call went to the gate."""
    evidence: str = ""
    """Evidence that answers it, once there is some."""
    match: str = ""
    after: str = ""
    """How the evidence is to be shown."""
    reply: str = ""
    """Our answer, where no evidence is one."""
    again: bool = False
    """True where the same was asked before: the evidence is not shown in full a second time."""


class Turn(Frozen):
    """One reply of the model."""

    asked: tuple[Asked, ...]


class Alone(Frozen):
    """The verdict of a model that stands alone, without causes that judge."""

    status: Literal["found", "healthy", "inconclusive"]
    cause: Annotated[str, StringConstraints(max_length=8)] = ""
    subject: ResourceRef | None = None
    """An object that a read listed."""


class Memory(Frozen):
    """The state of a consultation."""

    turns: tuple[Turn, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    claims: tuple[Claim, ...] = ()
    disputed: tuple[Disputed, ...] = ()
    alone: Alone | None = None
    drafts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    spent: Spent = Spent()
    requests: int = 0
    reasked: int = 0
    """Times the model was asked again for a reply that could not be used."""
    barren: int = 0
    """Replies in a row that brought nothing new."""
    nudge: str = ""
    """Why the model is asked for its answer again; "" when it is not."""
    closing: bool = False
    """True once only an answer is wanted."""
    answered: bool = False
    ended: str = ""
    """Why the consultation is over; "" while it goes on."""
    removed: int = 0
    marked: int = 0
    """Statements that the citation check left out, and details of others that it took out."""

    def with_note(self, note: str) -> Memory:
        """The memory with a remark for the reader of the answer, each once."""
        return self if not note or note in self.notes else self.model_copy(update={"notes": (*self.notes, note)})


class SaidArgs(Frozen):
    """One statement."""

    text: Annotated[str, StringConstraints(max_length=1_200)]
    cites: Annotated[Cites, BeforeValidator(_listed)] = ()


class DisagreeArgs(SaidArgs):
    """A statement against a finding."""

    cause: Annotated[str, StringConstraints(max_length=8)]


class AnswerArgs(Frozen):
    """Arguments of `answer`."""

    claims: Annotated[tuple[SaidArgs, ...], Field(max_length=20)] = ()
    disagrees: Annotated[tuple[DisagreeArgs, ...], Field(max_length=6)] = ()
    status: Literal["found", "healthy", "inconclusive"] | None = None
    cause: Annotated[str, StringConstraints(max_length=8)] = ""
    subject: Annotated[str, StringConstraints(max_length=400)] = ""


class HypothesesArgs(Frozen):
    """Arguments of `hypotheses`: the whole list, which replaces the one before."""

    list: Annotated[tuple[Hypothesis, ...], Field(max_length=MAX_HYPOTHESES)]


class ShowArgs(Frozen):
    """Arguments of `show_evidence`."""

    id: Annotated[str, StringConstraints(pattern=r"^E[0-9]{1,4}$")]
    match: Annotated[str, StringConstraints(max_length=300)] = ""
    after: Annotated[str, StringConstraints(max_length=300)] = ""
