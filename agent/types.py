"""The vocabulary of conclusions: intents, causes, needs, findings, diagnoses, remedies.

Rules: a Claim without references cannot be built, so neither can a Finding; a Diagnosis may honestly be
inconclusive; a Remedy is data that another part of the program (never a model) turns into bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from tools.types import EvidenceRef, Frozen, JsonObject, KindRef, Mode, NamedQuery, ResourceRef, Scope

Family: TypeAlias = Literal["gpu", "drift"]
Severity: TypeAlias = Literal["low", "medium", "high", "critical"]
Confidence: TypeAlias = Literal["low", "medium", "high"]
Role: TypeAlias = Literal["root", "contributing"]
Verdict: TypeAlias = Literal["found", "healthy", "inconclusive"]
Topic: TypeAlias = Literal[
    "utilization", "idle", "pending", "latency", "health", "changes", "team", "object", "overview"
]

# --- what is asked -----------------------------------------------------------------------------------------


class Intent(Frozen):
    """What kind of question this is, over which window, and which families of causes can answer it."""

    question: str
    topic: Topic
    families: tuple[Family, ...]
    causes: tuple[str, ...] = ()
    """Causes to judge; empty means every cause of the families."""
    window: float = 21_600.0
    """Seconds of history that matter (default 6 h)."""
    understood: bool = True
    """False where the question is outside the grammar: the answer is an overview and what can be asked."""
    beyond: str = ""
    """What to say of a question that is read and not answered."""
    unknown: tuple[str, ...] = ()
    """What is named and does not exist here, as it is printed: `'zeta'`, `team 'zeta'`."""


# --- what a cause needs ------------------------------------------------------------------------------------


class Objects(Frozen):
    """A bulk read of one kind over the scope. A kind the cluster does not serve is simply absent."""

    kind: KindRef
    decisive: bool = False
    """True: without it the cause cannot be judged, and the answer says so."""


class Query(Frozen):
    """A named query. `decisive` as for Objects: absent series make the cause undecidable, never false."""

    query: NamedQuery
    decisive: bool = False


Need: TypeAlias = Objects | Query


class Cause(Frozen):
    """A root cause the product knows. The diagnoser's module docstring is its explanation."""

    id: str
    family: Family
    title: str
    """One line without the subject, in the field's words."""
    severity: Severity
    doc: str
    """Original source of the rule and its thresholds."""


# --- what is concluded -------------------------------------------------------------------------------------


class Claim(Frozen):
    """A statement and the evidence it quotes. At least one reference, or it cannot exist."""

    text: str
    refs: Annotated[tuple[EvidenceRef, ...], Field(min_length=1)]
    hearsay: bool = False
    """True where nothing bears it but text that others wrote: logs, events, alerts."""


class Finding(Frozen):
    """A cause found on a subject. `seen` is why; `since` is when the cause (not the symptom) began, where known."""

    cause: str
    title: str
    subject: ResourceRef
    severity: Severity
    confidence: Confidence
    seen: Annotated[tuple[Claim, ...], Field(min_length=1)]
    affects: tuple[ResourceRef, ...] = ()
    """Objects that suffer: workloads, pods, nodes; findings that share one belong to one incident."""
    since: float | None = None
    role: Role = "root"
    """Provisional until agent/verdict.py has spoken."""

    @property
    def refs(self) -> tuple[EvidenceRef, ...]:
        """All references, in the order of the claims, without repeats."""
        return _unique(self.seen)


def _unique(claims: tuple[Claim, ...]) -> tuple[EvidenceRef, ...]:
    seen: dict[tuple[str, str], EvidenceRef] = {}
    for claim in claims:
        for ref in claim.refs:
            seen.setdefault((ref.evidence, ref.path), ref)
    return tuple(seen.values())


class RuledOut(Frozen):
    """A neighbour that looks the same and is not the cause, with the test that excluded it."""

    cause: str
    subject: ResourceRef
    because: Claim


class Missing(Frozen):
    """What could not be looked at, and what to enable, grant or ask for."""

    need: str
    because: str
    causes: tuple[str, ...] = ()
    """Causes that cannot be decided without it."""


class Reading(Frozen):
    """A named signal on a subject: holds, does not hold, or cannot be told (None, `claim` absent)."""

    signal: str
    holds: bool | None
    claim: Claim | None = None
    lacks: str = ""
    """What is missing when `holds` is None."""


class Diagnosis(Frozen):
    """The answer, as data. Every surface draws this and nothing else."""

    question: str
    understood: bool = True
    """False where the question is outside the grammar: the answer is an overview."""
    beyond: str = ""
    """What is said first of a question that is read and not answered."""
    unknown: tuple[str, ...] = ()
    """What the question names and is not here, as it is printed: `'zeta'`, `team 'zeta'`."""
    status: Verdict
    reasoner: str
    mode: Mode
    cluster: str
    scope: Scope
    findings: tuple[Finding, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    checked: tuple[Claim, ...] = ()
    """What was looked at and is in order."""
    shown_as: str = ""
    """Heading of `shown`: "changes", "by team", "at a glance"; "" when the question asks for no listing."""
    shown: tuple[Claim, ...] = ()
    """What the question asked to see, beside findings."""
    missing: tuple[Missing, ...] = ()
    narrative: str = ""
    explained: tuple[Claim, ...] = ()
    """What a language model says, each statement checked against the evidence it cites."""
    disputed: tuple[Disputed, ...] = ()
    """Findings a language model disagrees with. The finding stands; a person weighs the two."""
    notes: tuple[str, ...] = ()
    """What the reader should know about how the answer was made: statements left out, budgets that ran out."""
    drafts: tuple[str, ...] = ()
    """Ids of the drafts of changes that this run stored."""
    asked: tuple[str, ...] = ()
    """Questions that can be asked next, ready to type."""
    usage: Usage

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Every cited statement of the answer, in the order of its parts."""
        return (
            *(claim for finding in self.findings for claim in finding.seen),
            *(entry.because for entry in self.ruled_out),
            *self.checked,
            *self.shown,
            *self.explained,
            *(entry.because for entry in self.disputed),
        )


class Disputed(Frozen):
    """A finding's cause, and the cited statement that speaks against it."""

    cause: str
    because: Claim


class ModelUsage(Frozen):
    """What a language model cost in one run."""

    model: str
    requests: int
    input: int
    """Tokens sent."""
    output: int
    """Tokens received."""
    counted: bool
    """True where the server reported the tokens; False where they are UTF-8 bytes / 4."""
    cost: float | None = None
    """In the currency of the price table; None where it has no price for the model."""
    removed: int = 0
    marked: int = 0
    """Statements that the citation check left out, and details of others that it took out."""


class Usage(Frozen):
    """What the answer cost."""

    calls: int
    requests: int
    seconds: float
    model: ModelUsage | None = None


# --- what could be done ------------------------------------------------------------------------------------


class LiveChange(Frozen):
    """One change of the closed catalogue with its typed arguments."""

    kind: Literal["live"] = "live"
    name: str
    args: JsonObject


class FieldEdit(Frozen):
    """One field of a source file: JSON Pointer, the value believed to stand there, the value wanted."""

    pointer: str
    before: JsonValue = None
    after: JsonValue = None


class GitPatch(Frozen):
    """A change for the owning source of truth: edits of one object's manifest, and whole files."""

    kind: Literal["git"] = "git"
    target: ResourceRef
    edits: tuple[FieldEdit, ...] = ()
    new_objects: tuple[JsonObject, ...] = ()
    removed_objects: tuple[ResourceRef, ...] = ()


class Advice(Frozen):
    """What a person should do where no typed change fits."""

    kind: Literal["advice"] = "advice"
    text: str


Remedy: TypeAlias = LiveChange | GitPatch | Advice

Diagnosis.model_rebuild()
