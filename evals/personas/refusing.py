"""A model that will not help: in the field made for it, or in words."""

from __future__ import annotations

from evals.servers.model.script import ChatRequest, ScriptedReply

WORDS = "I'm sorry, but I can't help with that."


class Refusing:
    """Refuses every request; an odd seed does so in plain words."""

    def __init__(self, seed: int = 0) -> None:
        self._plain = seed % 2 == 1

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """A refusal."""
        return ScriptedReply(text=WORDS) if self._plain else ScriptedReply(refusal=WORDS)


PERSONA = Refusing
