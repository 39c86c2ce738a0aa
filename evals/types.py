"""What is asked of a world, what happened, and how it was judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agent.types import Diagnosis
from tools.types import Evidence, Frozen, JsonObject, Mode


class Expectation(Frozen):
    """What a right answer must and must not say."""

    status: Literal["found", "healthy", "inconclusive"]
    cause: str = ""
    """The root cause; "" where none is expected."""
    subject: str = ""
    """Printed reference (`namespace/Kind/name`) of the root's subject, or of an object it affects."""
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


class Scenario(Frozen):
    """One question about one world, with the answer we hold to be right."""

    name: str
    world: str
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
    tags: tuple[str, ...] = ()


class RunRecord(Frozen):
    """Everything a grader may see of one run."""

    scenario: str
    reasoner: str
    diagnosis: Diagnosis | None
    failure: str = ""
    """One line when there was no answer."""
    infrastructure: bool = False
    """True when the failure was ours or the machine's, not the answer's."""
    events: tuple[JsonObject, ...] = ()
    evidence: Annotated[dict[str, Evidence], Field(default_factory=dict)]
    tools: tuple[str, ...] = ()
    kube_requests: tuple[str, ...] = ()
    """`METHOD path?query` of every request the API server saw."""
    prom_requests: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()
    """Lines of the audit log."""
    seconds: float = 0.0


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
