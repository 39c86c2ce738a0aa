"""Failures a world's Prometheus plays: silence, HTML, overload, half an answer, partial data with warnings.

One entry of `World.faults` for server "prom":
`{server, match: substring of path or query, status, html: true, hang: true, warnings: [...], body, count: N,
retry_after: seconds, truncate: bytes, delay: seconds, after: N}`. `count` absent plays it for ever, `after` lets N
such requests through first; `warnings`, `truncate` and `delay` change the real answer, the others stand in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from evals.servers.prom.answers import api_error
from tools import fields
from tools.types import JsonObject

_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>"
_TYPES = {
    400: ("bad_data", "the world calls this request wrong"),
    422: ("execution", "the world cannot evaluate this query"),
    503: ("timeout", "query timed out in expression evaluation"),
}


@dataclass(slots=True)
class Fault:
    """One failure and how often it is still to be played (None: always)."""

    entry: JsonObject
    left: int | None
    skip: int = 0

    @property
    def hangs(self) -> bool:
        """True when no answer is to come at all."""
        return fields.flag(self.entry, "hang") is True

    @property
    def delay(self) -> float:
        """Seconds before anything is answered."""
        return fields.number(self.entry, "delay") or 0.0

    @property
    def warnings(self) -> list[str]:
        """What the real answer is to be accompanied by."""
        return fields.texts(self.entry, "warnings")

    @property
    def truncate(self) -> int | None:
        """Bytes after which the real answer is to end."""
        cut = fields.number(self.entry, "truncate")
        return None if cut is None else int(cut)

    def response(self) -> web.Response | None:
        """The answer in place of the real one; None where the real one is only changed."""
        status, body = fields.number(self.entry, "status"), fields.text(self.entry, "body")
        if fields.flag(self.entry, "html"):
            made = web.Response(status=int(status or 200), text=body or _PAGE, content_type="text/html")
        elif body:
            made = web.Response(status=int(status or 200), text=body, content_type="application/json")
        elif status is not None:
            kind, message = _TYPES.get(int(status), ("unavailable", f"the world answers {int(status)}"))
            made = api_error(int(status), kind, message)
        else:
            return None
        after = fields.number(self.entry, "retry_after")
        if after is not None:
            made.headers["Retry-After"] = str(int(after))
        return made


class Faults:
    """The failures of the Prometheus server, in the order the world lists them."""

    def __init__(self, entries: Iterable[JsonObject]) -> None:
        self._faults = [_fault(entry) for entry in entries if fields.text(entry, "server") == "prom"]

    def take(self, target: str) -> Fault | None:
        """The failure to play for a path and its query, counted as played; None for none."""
        for fault in self._faults:
            if fault.left != 0 and fields.text(fault.entry, "match") in target:
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.left is not None:
                    fault.left -= 1
                return fault
        return None


def _fault(entry: JsonObject) -> Fault:
    count, after = fields.number(entry, "count"), fields.number(entry, "after")
    return Fault(entry, None if count is None else int(count), int(after or 0))
