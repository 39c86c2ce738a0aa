"""Nothing is claimed that is not so; of a healthy world nothing at all."""

from __future__ import annotations

from evals.types import Grade, RunRecord, Scenario


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when no cause is found but those that the scenario allows."""
    if record.diagnosis is None:
        return Grade(grader="alarms", passed=True, detail="no answer")
    expect = scenario.expect
    allowed = {expect.cause, *expect.also, *expect.symptoms, *expect.instead} - set(expect.must_not_claim)
    wrong = [f"{one.cause} on {one.subject}" for one in record.diagnosis.findings if one.cause not in allowed]
    what = "false alarm" if expect.status == "healthy" else "wrongly claimed"
    return Grade(grader="alarms", passed=not wrong, detail=f"{what}: {', '.join(wrong[:3])}" if wrong else "")


GRADE = grade
