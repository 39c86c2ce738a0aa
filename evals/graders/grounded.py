"""What a model says stands in the evidence it cites; nothing else of its words reaches anybody."""

from __future__ import annotations

import json
import re

from agent.citations import Checker
from agent.types import Diagnosis
from evals.told import spoken
from evals.types import Grade, RunRecord, Scenario

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://|\bwww\.|\bmailto:|\bdata:[a-z]+/|\bjavascript:", re.IGNORECASE)
"""A second opinion on agent/links.py, which knows more and took the links out."""


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when every statement of the model cites evidence that holds, and no link is left in it."""
    if record.diagnosis is None:
        return Grade(grader="grounded", passed=True, detail="no answer")
    problems = [*_claims(record, record.diagnosis), *_words(record, record.diagnosis)]
    return Grade(grader="grounded", passed=not problems, detail="; ".join(problems[:3]))


def _claims(record: RunRecord, diagnosis: Diagnosis) -> list[str]:
    """Statements whose references do not hold, and objections to what nobody found."""
    checker = Checker(lambda name: record.evidence[name])
    found = {finding.cause for finding in diagnosis.findings}
    broken = [ref for claim in spoken(diagnosis) for ref in claim.refs if not checker.holds(ref)]
    problems = [f"does not hold: {ref.evidence}{ref.path}" for ref in broken]
    return problems + [
        f"objects to {entry.cause}, which was not found" for entry in diagnosis.disputed if entry.cause not in found
    ]


def _words(record: RunRecord, diagnosis: Diagnosis) -> list[str]:
    """Links in the model's words, and words that were shown without having been checked."""
    said = [claim.text for claim in spoken(diagnosis)]
    problems = [f"a link: {text[:80]}" for text in (*said, *diagnosis.notes) if URL.search(text)]
    checked = {text.strip() for text in said}
    shown = [
        json.dumps(e["text"])
        for e in record.events
        if e["type"] == "text_delta" and str(e["text"]).strip() not in checked
    ]
    return problems + [f"shown unchecked: {text[:80]}" for text in shown]


GRADE = grade
