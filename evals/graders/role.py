"""Root and symptom are told apart."""

from __future__ import annotations

from evals.types import Grade, RunRecord, Scenario


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when the expected cause, where it is found, is a root, and none of the known symptoms is one."""
    if record.diagnosis is None:
        return Grade(grader="role", passed=True, detail="no answer")
    expect = scenario.expect
    roots = {finding.cause for finding in record.diagnosis.findings if finding.role == "root"}
    others = {finding.cause for finding in record.diagnosis.findings} - roots
    problems = [f"{cause} is a symptom, and is called the root" for cause in sorted(roots & set(expect.symptoms))]
    if expect.cause in others and not roots & set(expect.instead):
        problems.append(f"{expect.cause} is the root, and {', '.join(sorted(roots)) or 'nothing'} is called so")
    return Grade(grader="role", passed=not problems, detail="; ".join(problems))


GRADE = grade
