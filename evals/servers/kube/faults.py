"""Failures a world plays to its clients: refusals, silence, half an answer, HTML where JSON belongs.

One entry of `World.faults` for server "kube":
`{server, match: substring of path?query, status, body, hang: true, count: N, retry_after: seconds,
truncate: bytes, html: true, verb: patch, dry_run: false, after: N, lost: true, delay: seconds,
webhook: NAME, message: text}`.
`count` absent plays it for ever; `truncate` cuts the real answer short, `lost` performs the request and hangs up
without an answer, `delay` performs it later. `verb` (of RBAC) and `dry_run` narrow what is matched, `after` lets N
such requests through first, and `webhook` denies like an admission webhook of that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from evals.servers.kube.calls import Answer
from evals.servers.kube.jsonread import as_text
from evals.servers.kube.status import ApiError
from evals.servers.kube.store import encode
from tools import fields
from tools.types import JsonObject

_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>"
_MESSAGES = {
    429: "Too many requests, please try again later.",
    500: "Internal error occurred: the world says so",
    503: "the server is currently unable to handle the request",
    504: "Timeout: request did not complete within the allotted timeout",
}


@dataclass(slots=True)
class Fault:
    """One failure and how often it is still to be played (None: always)."""

    match: str
    status: int
    body: object
    hang: bool
    left: int | None
    retry_after: int | None
    truncate: int | None
    html: bool
    lost: bool = False
    verb: str = ""
    dry_run: bool | None = None
    skip: int = 0
    delay: float = 0.0
    """Seconds before the request is performed."""

    @property
    def replaces(self) -> bool:
        """True where the request is never performed."""
        return self.truncate is None and not self.lost and not self.delay

    def hits(self, target: str, verb: str, *, dry_run: bool) -> bool:
        """True for a request this failure is about."""
        if self.match not in target or self.verb not in ("", verb):
            return False
        return self.dry_run in (None, dry_run)

    def answer(self) -> Answer:
        """The answer in place of the real one."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.html:
            page = self.body if isinstance(self.body, str) else _PAGE
            return Answer(page.encode(), "text/html; charset=utf-8", self.status, headers)
        if isinstance(self.body, str):
            return Answer(self.body.encode(), "text/plain; charset=utf-8", self.status, headers)
        if self.body is not None:
            return Answer(encode(self.body), status=self.status, headers=headers)
        details: JsonObject = {} if self.retry_after is None else {"retryAfterSeconds": self.retry_after}
        message = _MESSAGES.get(self.status, f"the world answers {self.status}")
        return Answer(
            encode(ApiError(self.status, message, details=details).body()), "application/json", self.status, headers
        )


class Faults:
    """The failures of one server, in the order the world lists them."""

    def __init__(self, entries: Iterable[JsonObject], server: str) -> None:
        self._faults = [_fault(entry) for entry in entries if entry.get("server") == server]

    def take(self, target: str, *, verb: str = "", dry_run: bool = False) -> Fault | None:
        """The failure to play for `path?query`, counted as played; None for none."""
        for fault in self._faults:
            if fault.hits(target, verb, dry_run=dry_run) and fault.left != 0:
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.left is not None:
                    fault.left -= 1
                return fault
        return None


def _fault(entry: JsonObject) -> Fault:
    html = entry.get("html") is True
    if webhook := as_text(entry.get("webhook")):
        entry = {**entry, **_denial(webhook, as_text(entry.get("message")))}
    only = entry.get("dry_run")
    return Fault(
        match=as_text(entry.get("match")),
        status=_whole(entry.get("status")) or (200 if html or entry.get("body") is not None else 500),
        body=entry.get("body"),
        hang=entry.get("hang") is True,
        left=_whole(entry.get("count")),
        retry_after=_whole(entry.get("retry_after")),
        truncate=_whole(entry.get("truncate")),
        html=html,
        lost=entry.get("lost") is True,
        verb=as_text(entry.get("verb")),
        dry_run=only if isinstance(only, bool) else None,
        skip=_whole(entry.get("after")) or 0,
        delay=fields.number(entry, "delay") or 0.0,
    )


def _denial(webhook: str, message: str) -> JsonObject:
    """What an admission webhook's refusal looks like."""
    said = f'admission webhook "{webhook}" denied the request: {message or "not allowed here"}'
    return {"status": 403, "body": ApiError(403, said).body()}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
