"""What drives a run: one protocol, whether rules or a language model stand behind it.

A reasoner may only produce ToolCalls, cited statements, and choices of scope and families; it judges nothing
(diagnosers do) and touches nothing (the gate does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel

from agent.analysis.diagnoser import Diagnoser
from agent.events import Event
from agent.types import Diagnosis, Intent
from tools.limits import Meter
from tools.types import ApiResource, Evidence, JsonObject, Mode, Scope, ToolCall, ToolSpec


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of the target before anything is read for the question."""

    served: Mapping[tuple[str, str], ApiResource]
    """(group, kind) → resource."""
    metrics: bool
    """True when a Prometheus can be asked."""
    diagnosers: Mapping[str, Diagnoser] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """What a reasoner is shown when it is consulted, and the few services it may use."""

    question: str
    intent: Intent
    scope: Scope
    mode: Mode
    now: float
    diagnosis: Diagnosis
    """As judged by the causes, every citation checked."""
    judged: bool
    """False where no cause was judged: the reasoner stands alone."""
    gathered: Sequence[tuple[ToolCall, Evidence]]
    """What was read in this run, in order."""
    derived: Sequence[Evidence]
    """The numbers that the judgement worked out."""
    tools: Sequence[ToolSpec[BaseModel]]
    """What the gate lists for this principal and mode."""
    queries: Mapping[str, str]
    """Named queries that can be asked: name → signal family."""
    earlier: str
    """What was asked and found earlier in the session, in few words; "" at its start."""
    meter: Meter
    """Calls and seconds left."""
    audit: Callable[[str, JsonObject], str]
    """Appends to the hash-chained log. Raises AuditUnavailable: nothing may be sent then."""
    redact: Callable[[str], str]
    emit: Callable[[Event], None]

    def evidence(self, name: str) -> Evidence:
        """Evidence of this run by id. Raises KeyError."""
        for evidence in (*(found for _, found in self.gathered), *self.derived):
            if evidence.id == name:
                return evidence
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Step:
    """What one consultation leads to."""

    state: JsonObject
    """The reasoner's own memory of the run, kept in the checkpoint."""
    calls: tuple[ToolCall, ...] = ()
    """Reads and drafts wanted next, all of them for the gate to decide."""
    done: bool = False


class Reasoner(Protocol):
    """Plans reads, explores beyond the causes, and adds what it has to say to the diagnosis."""

    @property
    def name(self) -> str:
        """How answers name it."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """What a run record keeps about it: the model, the digests of prompts."""
        ...

    @property
    def explores(self) -> bool:
        """True where questions outside the grammar, and names it does not know, can still be worked on."""
        ...

    def plan(self, intent: Intent, scope: Scope, ground: Ground) -> list[ToolCall]:
        """The calls that the question needs, each once. A plan may add to the needs of causes, never take away."""
        ...

    async def consult(self, case: Case, state: JsonObject) -> Step:
        """Look at what was found; ask for more, or be done. Never raises for what a model or its server does."""
        ...

    def conclude(self, diagnosis: Diagnosis, state: JsonObject) -> Diagnosis:
        """The diagnosis with what the reasoner adds. Verdicts of causes are never changed here."""
        ...
