"""What both live ports need from HTTP, kept in one place so that the bounds are the same on both.

Rules: a body is cut while it streams, counted after decompression; a deadline always wins over a retry;
only idempotent reads are retried, at most twice, without jitter, and never on 400, 401, 403 or 404.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from pydantic import JsonValue

from tools.errors import BadAnswer, Unavailable

CONNECT_SECONDS: Final = 3.0
"""Longest wait for a TCP and TLS handshake."""
READ_SECONDS: Final = 10.0
"""Longest silence between two reads of one answer."""
MAX_RETRIES: Final = 2
RETRY_STATUS: Final = frozenset({429, 500, 502, 503, 504})
BACKOFF_SECONDS: Final = (0.1, 0.4)
"""Pause before the first and the second retry."""
_CHUNK: Final = 1 << 16
_SNIPPET: Final = 200


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock; the wall clock is never read."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds that remain. Raises Unavailable when none do."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise Unavailable("no answer before the deadline")
        return left


class Body:
    """Gathers a body chunk by chunk; stops taking once `limit` decoded bytes are held.

    `encoding` is the Content-Encoding of the answer. Raises BadAnswer for one that was never asked for, or
    for a broken gzip stream.
    """

    def __init__(self, *, limit: int, encoding: str = "") -> None:
        self._limit = limit
        self._held = bytearray()
        self.cut = False
        self._gzip = None
        if encoding.strip().lower() in ("gzip", "x-gzip"):
            self._gzip = zlib.decompressobj(wbits=31)
        elif encoding.strip().lower() not in ("", "identity"):
            raise BadAnswer(f"answer in the encoding {encoding[:20]!r}, which was not asked for")

    def feed(self, chunk: bytes) -> bool:
        """Take one chunk off the wire. False once the limit is reached: read no further."""
        while chunk and not self.cut:
            piece, chunk = self._decode(chunk)
            room = self._limit - len(self._held)
            self.cut = len(piece) > room
            self._held += piece[:room]
        return not self.cut

    def _decode(self, chunk: bytes) -> tuple[bytes, bytes]:
        if self._gzip is None:
            return chunk, b""
        try:
            piece = self._gzip.decompress(chunk, _CHUNK)
        except zlib.error as error:
            raise BadAnswer("the compressed answer is broken") from error
        return piece, self._gzip.unconsumed_tail

    def finish(self) -> bytearray:
        """The bytes held, not copied. Raises BadAnswer when a gzip stream ended early."""
        if self._gzip is not None and self._held and not self.cut and not self._gzip.eof:
            raise BadAnswer("the compressed answer ends early")
        return self._held


def parse_json(body: bytes | bytearray, *, what: str) -> JsonValue:
    """Parse an answer. `what` names the server's role in the one-line error. Raises BadAnswer."""
    try:
        parsed: JsonValue = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"{what} answered something that is not JSON: {snippet(body)}") from error
    return parsed


def snippet(body: bytes | bytearray) -> str:
    """The start of a body, printable and short, for an error line."""
    text = body[: _SNIPPET * 4].decode("utf-8", "replace")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return repr(text[:_SNIPPET] + ("…" if len(text) > _SNIPPET else "")) if text else "an empty body"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header given as a number; a date form is ignored (it needs the wall clock)."""
    value = headers.get("Retry-After", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 8 else None


def backoff(attempt: int, *, deadline: Deadline, asked: float | None = None) -> float | None:
    """Seconds to wait before retry number `attempt` (0, 1, …); None when no retry fits."""
    if attempt >= MAX_RETRIES:
        return None
    wait = max(BACKOFF_SECONDS[attempt], asked or 0.0)
    return wait if time.monotonic() + wait < deadline.at else None


def http_date(value: str | None) -> float | None:
    """Unix seconds of a Date header, or None where it is missing or malformed."""
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, OverflowError):
        return None
