"""A model that answers with nothing."""

from __future__ import annotations

from evals.servers.model.script import ChatRequest, ScriptedReply


class Silent:
    """Empty replies, whatever is asked."""

    def __init__(self, seed: int = 0) -> None:
        self._text = ("", " ", "\n")[seed % 3]

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """Nothing."""
        return ScriptedReply(text=self._text)


PERSONA = Silent
