"""One result in a few words: what reports, comparisons and the scorecard read, without evidence or events.

Rules: a run in which the model could not be used is told apart from a wrong answer and never counts for the model;
a judge's score stands beside the verdict; nothing here holds a key, a header or the body of evidence.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from agent.types import ModelUsage
from evals.types import Grade, Judged, Result, Scenario
from tools.types import Frozen

Verdict: TypeAlias = Literal["pass", "FAIL", "error", "fallback"]


class Item(Frozen):
    """One result."""

    scenario: str
    epoch: int = 1
    engine: int = 0
    """Which of the run's engines answered."""
    verdict: Verdict
    passed: bool
    seconds: float
    grades: tuple[Grade, ...] = ()
    failure: str = ""
    fallback: str = ""
    reasoner: str = ""
    calls: int = 0
    model_calls: int = 0
    model: ModelUsage | None = None
    removed: int = 0
    marked: int = 0
    judged: Judged | None = None
    perturbations: tuple[str, ...] = ()
    """In which ways its world was made to look different."""
    attempts: int = 1
    """How often it was tried: only what the machine broke is tried again."""
    status: str = ""
    """Of the answer; "" where there is none."""
    roots: tuple[str, ...] = ()
    """Causes found as roots."""
    ranked: tuple[str, ...] = ()
    """Causes found, in the order of the answer."""
    wrong: tuple[str, ...] = ()
    """Causes found that the scenario does not allow."""
    expected: str = ""
    """The root cause that is right, or the status where no cause is."""
    tags: tuple[str, ...] = ()

    @property
    def sample(self) -> str:
        """Names the sample within a run: the same sample of two runs is the same pair."""
        return self.scenario if self.epoch == 1 else f"{self.scenario} #{self.epoch}"

    @property
    def why(self) -> str:
        """What is wrong, in one line; "" where nothing is."""
        if self.failure:
            return self.failure
        failed = [f"{grade.grader}: {grade.detail}" for grade in self.grades if not grade.passed]
        return "; ".join([*([self.fallback] if self.fallback else []), *failed])


def verdict(result: Result) -> Verdict:
    """pass; FAIL; error for what was not the answer's fault; fallback where the model could not be used."""
    if result.record.infrastructure:
        return "error"
    if result.record.fallback:
        return "fallback"
    return "pass" if result.passed else "FAIL"


def item_of(result: Result, scenario: Scenario | None = None, *, engine: int = 0, attempts: int = 1) -> Item:
    """The item of a result; what was expected is known where its scenario is."""
    record, diagnosis = result.record, result.record.diagnosis
    found = diagnosis.findings if diagnosis is not None else ()
    expect = scenario.expect if scenario is not None else None
    allowed = (
        {expect.cause, *expect.also, *expect.instead} if expect is not None else {finding.cause for finding in found}
    )
    return Item(
        scenario=record.scenario,
        epoch=record.epoch,
        engine=engine,
        verdict=verdict(result),
        passed=result.passed,
        seconds=round(record.seconds, 3),
        grades=result.grades,
        failure=record.failure,
        fallback=record.fallback,
        reasoner=record.reasoner,
        calls=record.calls,
        model_calls=record.model_calls,
        model=record.model,
        removed=record.removed,
        marked=record.marked,
        judged=record.judged,
        attempts=attempts,
        status=diagnosis.status if diagnosis is not None else "",
        ranked=tuple(dict.fromkeys(finding.cause for finding in found)),
        roots=tuple(sorted({finding.cause for finding in found if finding.role == "root"})),
        wrong=tuple(sorted({finding.cause for finding in found} - allowed)),
        expected=(expect.cause or expect.status) if expect is not None else "",
        tags=scenario.tags if scenario is not None else (),
        perturbations=record.perturbations,
    )
