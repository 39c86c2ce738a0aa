"""What is asked of a world, what happened, and how it was judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, PrivateAttr

from agent.types import Diagnosis, ModelUsage
from evals.kept import Kept, KeptField
from tools.types import Frozen, JsonObject, Mode


class Expectation(Frozen):
    """What a right answer must and must not say."""

    status: Literal["found", "healthy", "inconclusive"]
    cause: str = ""
    """The root cause; "" where none is expected."""
    subject: str = ""
    """Printed reference (`namespace/Kind/name`) of the root's subject, or of an object it affects."""
    or_subject: tuple[str, ...] = ()
    """References that are right as well: what stands below the subject where it cannot be seen."""
    also: tuple[str, ...] = ()
    """Further causes that may be found without being wrong."""
    must_cite: tuple[str, ...] = ()
    """Signal families among the root's references."""
    must_not_claim: tuple[str, ...] = ()
    """Causes that would be wrong; any cause not named above already is."""
    missing: tuple[str, ...] = ()
    """Substrings that must stand among the needs or reasons of what could not be looked at."""
    ruled_out: tuple[str, ...] = ()
    """Causes that must be excluded by name."""
    or_inconclusive: bool = False
    """An inconclusive answer is right as well, if it names what is missing."""
    lacking: tuple[str, ...] = ()
    """Where it is: substrings of which one must stand among what it says is missing."""
    symptoms: tuple[str, ...] = ()
    """Causes that may be found beside the root, as its consequence, and are not roots themselves."""
    told: str = ""
    """A cause in somebody's own words that is none of ours; no answer is right until `cause` says which it is."""
    instead: tuple[str, ...] = ()
    """Causes that may be the root in place of what is expected: what a perturbation did to the world itself."""

    def excuses(self, status: str) -> bool:
        """True where an answer of this status need not say what a whole view would show."""
        return self.or_inconclusive and status == "inconclusive"


class WantedChange(Frozen):
    """A change to be made of the world once the question is answered, and what has to come of it."""

    change: str
    args: JsonObject
    watch: float = 115_000.0
    """Seconds of the world's time over which it is looked at."""
    undo: bool = False
    """Propose, approve and apply its undo afterwards."""
    state: str
    """Of the proposal in the end."""
    because: str = ""
    """What has to stand in its note."""
    after: dict[str, JsonValue] = Field(default_factory=dict)
    """Field of the object → what stands there in the end."""
    patch: JsonObject | None = None
    """What is approved and sent, to the last field; None where that is not asked."""


class Changed(Frozen):
    """What became of a change."""

    state: str
    note: str = ""
    undone: str = ""
    """State of the proposal after its undo."""
    found: dict[str, JsonValue] = Field(default_factory=dict)
    patch: JsonObject | None = None
    """What was to be sent; None where there is no plan."""
    shown: str = ""
    """The proposal as a person sees it in the end."""


class Scenario(Frozen):
    """One question about one world, with the answer we hold to be right."""

    name: str
    world: str
    """Of those that come with Plumbline, or a folder: a path with a slash, from the scenario's file."""
    overlays: tuple[str, ...] = ()
    question: str = ""
    """Empty: every cause of the families is judged (`plumbline diagnose`)."""
    families: tuple[Literal["gpu", "drift"], ...] = ()
    namespace: str = ""
    mode: Mode = "propose"
    choose: str = ""
    """The candidate taken when the run asks."""
    expect: Expectation
    forbidden_tools: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    """Secrets planted in the world; none may appear anywhere we write."""
    planted: tuple[str, ...] = ()
    """Text of others in the world, meant to steer whoever reads it; none may become an action or our own words."""
    tags: tuple[str, ...] = ()
    change: WantedChange | None = None
    _home: Path | None = PrivateAttr(default=None)

    def beside(self, folder: Path) -> Scenario:
        """The scenario of a file in that folder: worlds that are paths are looked for from there."""
        placed = self.model_copy()
        placed._home = folder
        return placed

    @property
    def layers(self) -> tuple[str, ...]:
        """The world and what is put on top: names, or paths that are good from anywhere."""
        home = self._home
        return tuple(str(home / name) if home and "/" in name else name for name in (self.world, *self.overlays))


class Judged(Frozen):
    """What a model says about the prose of an answer. It stands beside the verdict and never changes it."""

    model: str
    clarity: int | None = None
    """1 to 5; None where the judge gave no usable reply."""
    usefulness: int | None = None
    """1 to 5."""
    failure: str = ""
    """Why there is no score."""
    input: int = 0
    output: int = 0
    """Tokens of the judge itself."""


class RunRecord(Frozen):
    """Everything a grader may see of one run."""

    scenario: str
    epoch: int = 1
    """Which of several runs of the same scenario this is."""
    reasoner: str
    """What drove the run; an answer names the playbook where the model had nothing to add."""
    diagnosis: Diagnosis | None
    failure: str = ""
    """One line when there was no answer."""
    infrastructure: bool = False
    """True when the failure was ours or the machine's, not the answer's."""
    events: tuple[JsonObject, ...] = ()
    evidence: KeptField = Field(default_factory=lambda: Kept({}))
    tools: tuple[str, ...] = ()
    kube_requests: tuple[str, ...] = ()
    """`METHOD path?query` of every request the API server saw."""
    prom_requests: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()
    """Lines of the audit log."""
    seconds: float = 0.0
    model: ModelUsage | None = None
    """What the language model cost; None where none was asked, or none answered."""
    model_calls: int = 0
    """Calls that the model asked for and the gate let through."""
    token_limit: int = 0
    """Tokens one question might use; 0 where no model was asked."""
    fallback: str = ""
    """Why a model was set and the answer is the playbook's all the same; "" where it is not."""
    removed: int = 0
    """Statements of the model that were left out because nothing bears them."""
    marked: int = 0
    """Details in the model's words that were replaced by a marker."""
    versions: Annotated[dict[str, str], Field(default_factory=dict)]
    """The model, its address, the digest of each prompt, the version of the policy."""
    judged: Judged | None = None
    changed: Changed | None = None
    """What became of the change that the scenario asks for."""
    perturbations: tuple[str, ...] = ()
    """In which ways the world was made to look different."""

    @property
    def calls(self) -> int:
        """Tool calls of the whole run."""
        return self.diagnosis.usage.calls if self.diagnosis else 0


class Grade(Frozen):
    """One grader's word on one record."""

    grader: str
    passed: bool
    detail: str = ""


class Result(Frozen):
    """A record and all its grades."""

    record: RunRecord
    grades: tuple[Grade, ...]

    @property
    def passed(self) -> bool:
        """True when there was an answer and every grader agrees."""
        return not self.record.failure and all(grade.passed for grade in self.grades)
