"""Every reference of the answer stands in the stored evidence; derived numbers come out again."""

from __future__ import annotations

from agent.citations import Checker
from evals.types import Grade, RunRecord, Scenario


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when all references hold and the expected signal families are among the root's."""
    diagnosis = record.diagnosis
    if diagnosis is None:
        return Grade(grader="citations", passed=False, detail="no answer")
    checker = Checker(lambda name: record.evidence[name])
    broken = [ref.path for claim in diagnosis.claims for ref in claim.refs if not checker.holds(ref)]
    families = {
        record.evidence[ref.evidence].family
        for finding in diagnosis.findings
        if finding.cause == scenario.expect.cause
        for ref in finding.refs
        if ref.evidence in record.evidence
    }
    lacking = sorted(set(scenario.expect.must_cite) - families)
    problems = [f"does not hold: {broken[0]}"] if broken else []
    problems += [f"cites no {', '.join(lacking)}"] if lacking else []
    return Grade(grader="citations", passed=not problems, detail="; ".join(problems))


GRADE = grade
