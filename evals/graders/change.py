"""The change a scenario asks for ends as it should, and leaves the object as it should."""

from __future__ import annotations

from evals.types import Grade, RunRecord, Scenario


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when the proposal reached the state expected, for the reason expected, by the patch expected, and left the
    fields as expected.
    """
    wanted, done = scenario.change, record.changed
    if wanted is None or record.diagnosis is None:
        return Grade(grader="change", passed=True)
    if done is None:
        return Grade(grader="change", passed=False, detail="nothing came of the change")
    problems = []
    if done.state != wanted.state:
        problems.append(f"the proposal is {done.state} ({done.note}), not {wanted.state}")
    if wanted.because not in done.note:
        problems.append(f"its note is {done.note!r}")
    if wanted.undo and done.undone != "undone":
        problems.append(f"after its undo it is {done.undone or 'not undone'}")
    if wanted.patch is not None and done.patch != wanted.patch:
        problems.append(f"its patch is {done.patch}")
    for path, value in wanted.after.items():
        if done.found.get(path) != value:
            problems.append(f"{path} is {done.found.get(path)!r}")
    return Grade(grader="change", passed=not problems, detail="; ".join(problems))


GRADE = grade
