"""The words of an answer that need no model: what was found, that nothing was, or what is lacking; what to ask next."""

from __future__ import annotations

from collections.abc import Sequence

from agent.types import Diagnosis

WHY = "the reason why "
"""Opens what is missing of a workload that waits for a reason no cause knows."""
QUESTIONS = (
    "why are our GPUs idle?",
    "why is my job pending?",
    "why is time to first token up?",
    "what changed in the last 6 hours?",
    "who wastes what?",
    "do all replicas run the same image?",
    "is everything all right?",
)
"""What can be asked, when a question was not understood."""


def narrate(diagnosis: Diagnosis) -> str:
    """One to three sentences: what was found, or that nothing was, or what is lacking."""
    if diagnosis.shown_as == "changes":
        count = len(diagnosis.shown)
        return f"{count or 'No'} change{'' if count == 1 else 's'} in {diagnosis.scope.asked} in that time."
    roots = [finding for finding in diagnosis.findings if finding.role == "root"]
    if roots:
        first = roots[0]
        more = f" {len(roots) - 1} more found besides." if len(roots) > 1 else ""
        return f"{first.title} ({first.cause}, {first.confidence} confidence).{more}"
    if diagnosis.status == "inconclusive":
        waits = [m for m in diagnosis.missing if m.need.startswith(WHY)]
        if len(waits) == 1:
            because = waits[0].because.partition(";")[0]
            return f"{waits[0].need.removeprefix(WHY)}, and no cause that is known here explains it: {because}."
        needs = "; ".join(sorted({missing.need for missing in diagnosis.missing})[:3])
        return f"This cannot be told from here. Open: {needs or 'any evidence about it'}."
    return f"Nothing that Plumbline knows is wrong in {diagnosis.scope.asked}."


def suggest(diagnosis: Diagnosis) -> Sequence[str]:
    """Next questions about what was found, else what can be asked at all."""
    out: list[str] = []
    for finding in diagnosis.findings[:2]:
        subject = finding.affects[0] if finding.affects else finding.subject
        where = f"{subject.namespace}/{subject.kind}/{subject.name}" if subject.namespace else str(subject)
        out.append(f"what changed on {where}?")
    return [*out, *QUESTIONS][:4] if out else QUESTIONS[:4]
