"""Neighbours are excluded by a test: by evidence that holds, and not while they are found."""

from __future__ import annotations

from agent.citations import Checker
from evals.types import Grade, RunRecord, Scenario


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when each expected neighbour is excluded with evidence, and none is found on that very subject."""
    diagnosis = record.diagnosis
    if diagnosis is None:
        return Grade(grader="ruled_out", passed=True, detail="no answer")
    checker = Checker(lambda name: record.evidence[name])
    tested = {entry.cause for entry in diagnosis.ruled_out if all(checker.holds(ref) for ref in entry.because.refs)}
    problems: list[str] = []
    if not scenario.expect.excuses(diagnosis.status):
        problems = [f"does not rule out {cause}" for cause in scenario.expect.ruled_out if cause not in tested]
    found = {(finding.cause, str(finding.subject)) for finding in diagnosis.findings}
    denied = ((entry.cause, str(entry.subject)) for entry in diagnosis.ruled_out)
    problems += [
        f"{cause} is found and ruled out on {subject}" for cause, subject in denied if (cause, subject) in found
    ]
    return Grade(grader="ruled_out", passed=not problems, detail="; ".join(problems[:3]))


GRADE = grade
