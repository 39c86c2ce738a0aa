"""A question, and the model that helps with it, kept to what one question may cost."""

from __future__ import annotations

import json

from evals.types import Grade, RunRecord, Scenario
from tools import fields
from tools.limits import MODEL_BUDGET

MOST, MOST_OF_ONE = 150, 30
"""PromQL queries of all checks together, and where one workload is named: what a Prometheus stands for everybody."""

QUERIES = ("named_query", "promql")
"""Tools that ask Prometheus."""


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when the checks asked no more queries than they may, and the model made no more calls, and was sent
    nothing once its tokens were used.

    A last reply that is longer than was asked for is the endpoint's doing, and cannot be taken back.
    """
    problems = _queries(record)
    if record.model_calls > MODEL_BUDGET.calls:
        problems.append(f"{record.model_calls} calls of the model, {MODEL_BUDGET.calls} allowed")
    before = sum(_replies(record)[:-1])
    if before > record.token_limit:
        problems.append(f"asked again after {before:,} tokens, {record.token_limit:,} allowed")
    return Grade(grader="budget", passed=not problems, detail="; ".join(problems))


def _queries(record: RunRecord) -> list[str]:
    asked = sum(name in QUERIES for name in record.tools) - record.model_calls
    named = record.diagnosis is not None and record.diagnosis.scope.subject is not None
    allowed = MOST_OF_ONE if named else MOST
    return [f"{asked} queries of the checks, {allowed} allowed"] if asked > allowed else []


def _replies(record: RunRecord) -> list[int]:
    """Tokens of each request with its reply, as the audit log has them."""
    entries = [json.loads(line) for line in record.audit if "model-outcome" in line]
    outcomes = [entry for entry in entries if entry.get("kind") == "model-outcome"]
    return [int(sum(fields.number(e, "body", name) or 0 for name in ("input", "output"))) for e in outcomes]


GRADE = grade
