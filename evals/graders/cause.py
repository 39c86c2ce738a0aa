"""The right status, and the cause that is expected."""

from __future__ import annotations

from evals.types import Grade, RunRecord, Scenario


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when the status is as expected and the cause is found; roles and other causes have graders of their own.

    Where less can be seen, an inconclusive answer passes as well.
    """
    diagnosis, expect = record.diagnosis, scenario.expect
    if diagnosis is None:
        return Grade(grader="cause", passed=False, detail=record.failure or "no answer")
    found = {finding.cause for finding in diagnosis.findings}
    if expect.excuses(diagnosis.status) or found & set(expect.instead):
        return Grade(grader="cause", passed=True)
    problems: list[str] = []
    if diagnosis.status != expect.status:
        problems.append(f"status {diagnosis.status}, expected {expect.status}")
    if expect.told and not expect.cause:
        problems.append(f"expected in words only ({expect.told}): say which cause that is in expect.cause")
    if expect.cause and expect.cause not in found:
        problems.append(f"{expect.cause} not found (found: {', '.join(sorted(found)) or 'none'})")
    return Grade(grader="cause", passed=not problems, detail="; ".join(problems))


GRADE = grade
