"""From the bytes of an answer to chunks: server-sent events or one JSON body, whatever the content type says.

Rules: pure; bytes that are not UTF-8 are replaced; no event and no body grows beyond the size of a reply.
"""

from __future__ import annotations

import contextlib
from typing import Final

from agent.llm.types import ModelError
from agent.llm.wire import REPLY_BYTES, Broken, Gather

_BLANK: Final = b" \t\r\n\xef\xbb\xbf"
_LINES: Final = 10_000
"""Lines of one event: servers send one, or as many as its JSON was written on."""


class Events:
    """Splits a stream of server-sent events into the data of each event. Source: WHATWG HTML, section 9.2."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._seen = 0
        self._data: list[str] = []
        self._size = 0
        """Characters of the event under way, line ends included."""

    def feed(self, chunk: bytes) -> list[str]:
        """Data of the events that this chunk completes. Raises ModelError where one event grows too large."""
        self._held += chunk
        done: list[str] = []
        while (end := self._held.find(b"\n", self._seen)) >= 0:
            line = self._held[:end].decode("utf-8", "replace")
            del self._held[: end + 1]
            self._seen = 0
            self._line(line.removesuffix("\r"), done)
        self._seen = len(self._held)
        if self._seen + self._size > REPLY_BYTES or len(self._data) > _LINES:
            raise ModelError("too-large", f"one event of the reply is larger than {REPLY_BYTES >> 20} MiB")
        return done

    def rest(self) -> list[str]:
        """What the stream ended in: an event without its closing blank line."""
        done: list[str] = []
        self._line(self._held.decode("utf-8", "replace").strip("\r"), done)
        self._line("", done)
        return done

    def _line(self, line: str, done: list[str]) -> None:
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
            self._size += len(self._data[-1]) + 1
        elif not line and self._data:
            done.append("\n".join(self._data))
            self._data, self._size = [], 0


class Intake:
    """Feeds the bytes of an answer to a Gather, as events or as one body: the first byte says which, because content
    types are not to be relied on."""

    def __init__(self, gather: Gather) -> None:
        self._gather, self._events = gather, Events()
        self._held = bytearray()
        self._streamed: bool | None = None

    def feed(self, chunk: bytes) -> None:
        """Take bytes as they come. Raises ModelError (unreadable, server, too-large)."""
        if self._streamed:
            self._feed_events(self._events.feed(chunk))
            return
        self._held += chunk
        if self._streamed is None and (start := chunk.lstrip(_BLANK)[:1]):
            self._streamed = start not in b'{[<"'
        if self._streamed:
            self._feed_events(self._events.feed(bytes(self._held)))
        elif len(self._held) > REPLY_BYTES:
            raise ModelError("too-large", f"the reply is larger than {REPLY_BYTES >> 20} MiB")

    def end(self) -> None:
        """Take what is left once the bytes end. Raises as `feed` does."""
        if self._streamed:
            with contextlib.suppress(Broken):  # an event cut in the middle: what is missing shows in the reply
                self._feed_events(self._events.rest())
        else:
            self._gather.body(bytes(self._held).strip(_BLANK))

    def _feed_events(self, events: list[str]) -> None:
        for data in events:
            self._gather.event(data)
