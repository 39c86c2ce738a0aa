"""What a model adds to a judged diagnosis: checked statements, disputes, drafts, notes, cost. Never another verdict.

Only where no cause judged at all (`--no-diagnosers`) does the model's own verdict stand, and it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.llm.budget import Budget
from agent.llm.memory import Alone, Memory
from agent.llm.types import ChatPort
from agent.types import Diagnosis, Finding, ModelUsage

ALONE = {
    "found": "The model alone finds a cause in {scope}.",
    "healthy": "The model alone finds nothing wrong in {scope}.",
    "inconclusive": "The model alone cannot tell.",
}
"""Headlines of a verdict that no check stands behind."""
UNJUDGED = "no check judged this: the verdict is the model's alone"


class Concluder(Protocol):
    """What is needed of a reasoner."""

    @property
    def port(self) -> ChatPort:
        """The endpoint."""
        ...

    @property
    def budget(self) -> Budget:
        """Limits and price."""
        ...

    @property
    def catalogue(self) -> Sequence[tuple[str, str]]:
        """(id, title) of every cause."""
        ...


def concluded(diagnosis: Diagnosis, memory: Memory, by: Concluder) -> Diagnosis:
    """The diagnosis with what the model adds."""
    usage = diagnosis.usage
    if memory.requests:
        cost = ModelUsage(
            model=by.port.model,
            requests=memory.requests,
            input=memory.spent.input,
            output=memory.spent.output,
            counted=memory.spent.counted,
            cost=by.budget.cost(memory.spent),
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
    return _alone(added, memory.alone, by) if memory.alone is not None else added


def _alone(diagnosis: Diagnosis, alone: Alone, by: Concluder) -> Diagnosis:
    """The verdict of a model alone. It needs a cause of the catalogue, an object, and a statement that holds."""
    titles = dict(by.catalogue)
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
