"""A model that floods: a megabyte of words and a hundred calls in one reply."""

from __future__ import annotations

from collections.abc import Iterator

from evals.personas.honest import call
from evals.servers.model.script import ChatRequest, ScriptedCall, ScriptedReply

CALLS = 100
TEXT = 1 << 20
"""Characters."""
_KINDS = ("Pod", "Node", "Namespace", "Service", "ConfigMap", "PersistentVolumeClaim", "Event", "ServiceAccount")


class Chatty:
    """Floods at first; an odd seed floods with the answer too."""

    def __init__(self, seed: int = 0) -> None:
        self._always = seed % 2 == 1

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """Far too much."""
        words = ("considering every possibility " * (TEXT // 31 + 1))[:TEXT]
        pieces = [words[at : at + 65_536] for at in range(0, TEXT, 65_536)]
        first = not any(message.role == "assistant" for message in request.messages)
        calls = tuple(_reads()) if first or self._always else ()
        return ScriptedReply(text=pieces, calls=calls)


def _reads() -> Iterator[ScriptedCall]:
    for number in range(CALLS):
        yield call("list_objects", kind=_KINDS[number % len(_KINDS)], label_selector=f"app=n{number}")


PERSONA = Chatty
