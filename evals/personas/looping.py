"""A model that goes round in circles: the same reads again and again, and never an answer, not even when told to."""

from __future__ import annotations

from evals.personas.honest import SHOW, call
from evals.servers.model.script import ChatRequest, ScriptedReply


class Looping:
    """Asks for the same three things. An odd seed also hides the repetition behind arguments that change nothing."""

    def __init__(self, seed: int = 0) -> None:
        self._varied = seed % 2 == 1
        self._count = 0

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """The same once more."""
        self._count += 1
        match = f"row {self._count}" if self._varied else ""
        return ScriptedReply(calls=(call("list_events"), call("capabilities"), call(SHOW, id="E1", match=match)))


PERSONA = Looping
