"""What a model adds to a judged diagnosis: checked statements, disputes, drafts, notes, cost. Never another verdict.

Only where no cause judged at all (`--no-diagnosers`) does the model's own verdict stand, and it says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.llm.budget import Budget
from agent.llm.memory import Alone, Memory
from agent.types import Diagnosis, Finding, ModelUsage

ALONE = {
    "found": "The model alone finds a cause in {scope}.",
    "healthy": "The model alone finds nothing wrong in {scope}.",
    "inconclusive": "The model alone cannot tell.",
}
"""Headlines of a verdict that no check stands behind."""
UNJUDGED = "no check judged this: the verdict is the model's alone"


def concluded(
    diagnosis: Diagnosis, memory: Memory, *, model: str, budget: Budget, titles: Mapping[str, str]
) -> Diagnosis:
    """The diagnosis with what the model adds. `titles`: of every cause, by its id."""
    usage = diagnosis.usage
    if memory.requests:
        cost = ModelUsage(
            model=model,
            requests=memory.requests,
            input=memory.spent.input,
            output=memory.spent.output,
            counted=memory.spent.counted,
            cost=budget.cost(memory.spent),
            removed=memory.removed,
            marked=memory.marked,
        )
        usage = usage.model_copy(update={"model": cost})
    told = bool(memory.claims or memory.disputed)
    added = diagnosis.model_copy(
        update={
            "reasoner": diagnosis.reasoner if told else "playbook",
            "explained": memory.claims,
            "disputed": memory.disputed,
            "drafts": memory.drafts,
            "notes": (*diagnosis.notes, *memory.notes),
            "understood": diagnosis.understood or bool(memory.claims),
            "usage": usage,
        }
    )
    return _alone(added, memory.alone, titles) if memory.alone is not None else added


def _alone(diagnosis: Diagnosis, alone: Alone, titles: Mapping[str, str]) -> Diagnosis:
    """The verdict of a model alone. It needs a cause of the catalogue, an object, and a statement that holds."""
    status = alone.status if diagnosis.explained else "inconclusive"
    update: dict[str, object] = {"notes": (*diagnosis.notes, UNJUDGED), "status": status}
    if status == "found":
        if alone.cause in titles and alone.subject is not None:
            finding = Finding(
                cause=alone.cause,
                title=titles[alone.cause],
                subject=alone.subject,
                severity="medium",
                confidence="low",
                seen=diagnosis.explained,
            )
            update["findings"] = (finding,)
        else:
            update["status"] = "inconclusive"
    update["narrative"] = ALONE[str(update["status"])].format(scope=diagnosis.scope.asked)
    return diagnosis.model_copy(update=update)
