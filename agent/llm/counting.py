"""What requests cost in tokens: as the server reports it where that can be true, else as estimated from the bytes.

Rules: a server's count is a claim of a stranger, and budgets rest on it: it is held between bounds that follow from
what was sent and heard; every request that may have reached a server counts, also one that failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from agent.llm.types import BYTES_PER_TOKEN, NOTHING, OnSend, Spent

MAX_SENDS: Final = 6
"""HTTP requests for one reply, retries and fallbacks included."""
_SMALL: Final = 256
"""Estimated tokens up to which any low count is believed: there, the protocol's own bytes outweigh the words."""
_TEMPLATE: Final = 1024
"""Tokens that a server may add to what was sent: the chat template, its own system message."""


def counted(usage: JsonValue, *, sent: int, heard: int, max_output: int) -> Spent:
    """Tokens of one request: `usage` as the server reported it, `sent` estimated tokens, `heard` bytes of the reply.

    A report below half of the estimate, or above one token a byte (of a reply also above twice `max_output`, because
    thinking may be counted and not shown), is held to that bound and no longer passes as counted.
    """
    fields = usage if isinstance(usage, dict) else {}
    read, wrote = _whole(fields.get("prompt_tokens")), _whole(fields.get("completion_tokens"))
    said = -(-heard // BYTES_PER_TOKEN)
    if read is None or wrote is None or read == 0:
        return Spent(input=sent, output=said, counted=False)
    taken = _held(read, estimate=sent, most=sent * BYTES_PER_TOKEN + _TEMPLATE)
    given = _held(wrote, estimate=said, most=max(heard, 2 * max_output))
    return Spent(input=taken, output=given, counted=(taken, given) == (read, wrote))


def _held(reported: int, *, estimate: int, most: int) -> int:
    """A report between its bounds."""
    return min(max(reported, estimate // 2 if estimate > _SMALL else 0), most)


def _whole(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


@dataclass(slots=True)
class Tally:
    """Counts the requests of one reply as they are sent."""

    on_send: OnSend | None = None
    sends: int = 0
    done: Spent = NOTHING
    """Of requests that are over."""
    open: Spent = NOTHING
    """Of the request that is under way."""

    @property
    def left(self) -> int:
        """Requests that may still be sent."""
        return MAX_SENDS - self.sends

    @property
    def all(self) -> Spent:
        """Of every request so far."""
        return self.done.plus(self.open)

    def send(self, tokens: int) -> None:
        """Count a request that is about to be sent, once the caller was told."""
        if self.on_send is not None:
            self.on_send(tokens)
        self.sends += 1
        self.done, self.open = self.all, Spent(input=tokens, counted=False)

    def unsent(self) -> None:
        """The request under way never reached a server."""
        self.open = NOTHING
