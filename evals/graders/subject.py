"""The root is found on the right object."""

from __future__ import annotations

from evals.types import Grade, RunRecord, Scenario


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when a finding of the expected cause names the expected subject, or affects it."""
    expect = scenario.expect
    if not expect.subject or record.diagnosis is None:
        return Grade(grader="subject", passed=record.diagnosis is not None or not expect.subject)
    roots = {finding.cause for finding in record.diagnosis.findings if finding.role == "root"}
    if expect.excuses(record.diagnosis.status) or roots & set(expect.instead):
        return Grade(grader="subject", passed=True)
    named = [
        str(ref)
        for finding in record.diagnosis.findings
        if finding.cause == expect.cause
        for ref in (finding.subject, *finding.affects)
    ]
    passed = bool({expect.subject, *expect.or_subject} & set(named))
    return Grade(grader="subject", passed=passed, detail="" if passed else f"{expect.subject} is not among {named[:4]}")


GRADE = grade
