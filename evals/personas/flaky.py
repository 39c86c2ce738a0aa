"""An endpoint that fails now and then under a model that does its job."""

from __future__ import annotations

from evals.personas.honest import Honest
from evals.servers.model.script import ChatRequest, Script, ScriptedReply, Wire

EVERY = 2
"""Which requests fail, unless told: every second one."""
SLOW = 0.02
"""Seconds of silence before each piece of a slow reply."""


def faults(good: ScriptedReply) -> tuple[ScriptedReply, ...]:
    """The ways to fail, in turn; the slow one comes through."""
    return (
        ScriptedReply(wire=Wire(status=500)),
        ScriptedReply(wire=Wire(status=429, headers={"Retry-After": "0"})),
        ScriptedReply(text=good.text, calls=good.calls, wire=Wire(cut=90)),
        ScriptedReply(text=good.text, calls=good.calls, wire=Wire(drip=SLOW)),
        ScriptedReply(wire=Wire(body=b"data: {not json\n\n", content_type="text/event-stream")),
    )


class Flaky:
    """Wraps another persona and fails every k-th request; the seed says with which fault it begins."""

    def __init__(self, seed: int = 0, *, inner: Script | None = None, every: int = EVERY) -> None:
        self._inner = inner or Honest(seed)
        self._every, self._next, self._count = every, seed, 0

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """The wrapped reply, or a fault."""
        self._count += 1
        good = self._inner.reply(request)
        if self._count % self._every:
            return good
        ways = faults(good)
        self._next += 1
        return ways[(self._next - 1) % len(ways)]


PERSONA = Flaky
