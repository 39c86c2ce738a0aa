"""Right status, right root cause, nothing else claimed."""

from __future__ import annotations

from evals.types import Grade, RunRecord, Scenario


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when status and root are as expected and no other cause is claimed.

    Where less can be seen, an inconclusive answer that claims no other cause passes as well.
    """
    diagnosis, expect = record.diagnosis, scenario.expect
    if diagnosis is None:
        return Grade(grader="cause", passed=False, detail=record.failure or "no answer")
    found = {finding.cause for finding in diagnosis.findings}
    roots = {finding.cause for finding in diagnosis.findings if finding.role == "root"}
    allowed = {expect.cause, *expect.also, *expect.instead} - {""}
    problems: list[str] = []
    excused = expect.excuses(diagnosis.status) or bool(roots & set(expect.instead))
    if diagnosis.status != expect.status and not excused:
        problems.append(f"status {diagnosis.status}, expected {expect.status}")
    if expect.cause and expect.cause not in roots and not excused:
        problems.append(f"root {expect.cause} not found (roots: {', '.join(sorted(roots)) or 'none'})")
    if wrong := sorted((found - allowed) | (found & set(expect.must_not_claim))):
        problems.append(f"wrongly claimed {', '.join(wrong)}")
    return Grade(grader="cause", passed=not problems, detail="; ".join(problems))


GRADE = grade
