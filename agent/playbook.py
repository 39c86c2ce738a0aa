"""The deterministic reasoner: causes declare what they need, the playbook fetches each need once.

No key, no network beyond the target, the same answer for the same evidence. It is a peer of the language model
reasoner, not a stand-in: same graph, same tools, same budgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agent.needs import needs
from agent.reasoner import Case, Ground, Step
from agent.types import Diagnosis, Intent
from tools.types import JsonObject, Scope, ToolCall


class Playbook:
    """The reasoner that needs no model."""

    name = "playbook"
    explores = False
    versions: Mapping[str, str] = MappingProxyType({})

    def plan(self, intent: Intent, scope: Scope, ground: Ground) -> list[ToolCall]:
        """Each need of the intent's causes, and of its topic, once."""
        return needs(intent, scope, ground)

    async def consult(self, case: Case, state: JsonObject) -> Step:
        """Nothing more to look at: the causes have judged."""
        return Step(state=state, done=True)

    def conclude(self, diagnosis: Diagnosis, state: JsonObject) -> Diagnosis:
        """The diagnosis as it was judged; a run that a model began and nobody named on resuming says so."""
        if diagnosis.reasoner == self.name:
            return diagnosis
        note = f"{diagnosis.reasoner} began this run; it was finished without a model, because none is named now"
        return diagnosis.model_copy(update={"reasoner": self.name, "notes": (*diagnosis.notes, note)})
