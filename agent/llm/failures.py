"""Why an endpoint gave no reply, in one line for a person.

Rules: one line, at most 300 characters; never the key or another secret of the settings, never a link: what a server
writes is text of a stranger.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import JsonValue

from agent.llm.types import FailureKind, ModelError
from agent.llm.wire import error_words

MESSAGE: Final = 300
"""Longest error text in characters."""
_WORDS: Final = 160
"""Of the server's own words."""
_LINK: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+|(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?:[/:?#]\S*)?")
_MARKUP: Final = re.compile(r"[<>\[\]`|*]+")
_WINDOW: Final = re.compile(
    r"context.?(length|window|size)|maximum context|too many tokens|prompt is too long|exceeds? .{0,40}(context|n_ctx)",
    re.IGNORECASE,
)
_NO_MODEL: Final = re.compile(
    r"model_not_found|(unknown|invalid|no such|not a valid) model"
    r"|\bmodel\b.{0,120}(not found|not exist|doesn't exist|not available)"
    r"|no model (named|called)",
    re.IGNORECASE | re.DOTALL,
)
_FILTERED: Final = re.compile(r"content_filter|content management policy|content_policy|safety system", re.IGNORECASE)
_CUT_KEY: Final = 8
"""Characters of a key from which on even its beginning is taken out."""


class Words:
    """Makes server text fit to be shown: without `secrets`, links, markup and line breaks."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({s for secret in secrets for s in _forms(secret)}, key=len, reverse=True)

    def plain(self, text: str, *, limit: int = _WORDS) -> str:
        """One line of at most `limit` characters."""
        text = text[: limit * 20]
        for secret in self._secrets:
            text = text.replace(secret, "(key)")
        text = "".join(c if c.isprintable() else " " for c in text)
        text = " ".join(_MARKUP.sub(" ", _LINK.sub("(link)", text)).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def error(self, kind: FailureKind, message: str, *, hint: str = "") -> ModelError:
        """A ModelError whose message and hint together keep to the length."""
        message = self._short(message, MESSAGE)
        hint = hint if len(message) + len(hint) + 3 <= MESSAGE else ""
        return ModelError(kind, message, hint=hint)

    def again(self, error: ModelError) -> ModelError:
        """The same error, to the length and without secrets."""
        return self.error(error.kind, error.message, hint=error.hint)

    def _short(self, text: str, limit: int) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "(key)")
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"


def _forms(secret: str) -> Iterator[str]:
    """A secret, and its beginning: servers that hide a key often show the first half of it."""
    if len(secret) >= 4:
        yield secret
    if len(secret) > 2 * _CUT_KEY:
        yield secret[: len(secret) // 2]


def status(code: int, body: str, value: JsonValue, *, words: Words, model: str, address: str) -> ModelError:
    """The error for an answer that is no success. `value` is its body as JSON, None where it is none."""
    raw = error_words(value) or (body if value is not None else "")
    said = words.plain(raw)
    tail = f": {said}" if said else ""
    if 300 <= code < 400:
        return words.error("address", f"{address} redirects (status {code}), which is not followed", hint=_BASE)
    if code in (401, 403):
        return words.error("credentials", f"{address} refuses the key (status {code}){tail}", hint=_KEY)
    if code == 429:
        return words.error("limit", f"{address} asks to slow down (status 429){tail}")
    if code == 413 or (400 <= code < 500 and _WINDOW.search(body)):
        return words.error("too-large", f"the request is too large for {model} (status {code}){tail}", hint=_SMALL)
    if code in (400, 404, 422) and _NO_MODEL.search(body):
        return words.error("model", f"{address} has no model {model!r}{tail}", hint=_MODEL)
    if code == 400 and _FILTERED.search(body):
        return words.error("refused", f"the content filter of {address} refused the request{tail}")
    if code in (404, 405):
        return words.error("address", f"{address} serves no chat completions (status {code}){tail}", hint=_BASE)
    if value is None and body.lstrip()[:9].lower().startswith(("<!doctype", "<html")):
        return words.error("unreadable", f"{address} answered status {code} with an HTML page", hint=_BASE)
    return words.error("server", f"{address} answered status {code}{tail}")


_BASE: Final = "check the base URL; it usually ends in /v1"
_KEY: Final = "check the key of the model endpoint"
_MODEL: Final = "check the model's name against the list the endpoint serves"
_SMALL: Final = "ask about fewer namespaces, or use a model with a larger window"


def connection(error: BaseException, *, words: Words, address: str) -> ModelError:
    """The error for a request that never got an answer, from its chain of causes."""
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(link):
            why = words.plain(str(getattr(link, "verify_message", "") or "it cannot be verified"))
            return words.error("address", f"certificate problem at {address}: {why}", hint=_CA)
    for link in chain:
        if isinstance(link, ssl.SSLError):
            why = words.plain(link.reason or "handshake failed")
            return words.error("address", f"TLS failed at {address}: {why}", hint=_TLS)
        if isinstance(link, socket.gaierror):
            return words.error("address", f"the name of {address} does not resolve", hint=_RESOLVES)
        if isinstance(link, ConnectionRefusedError) or "refused" in str(link).lower():
            return words.error("address", f"{address} refuses connections", hint="is the endpoint running?")
    if any("Timeout" in type(link).__name__ for link in chain):
        return words.error("address", f"no connection to {address} in time", hint="check the base URL and the network")
    if any("connect" in type(link).__name__.lower() for link in chain[:2]):
        return words.error("address", f"no connection to {address}", hint="check the base URL and the network")
    return words.error("cut", f"{address} closed the connection without an answer")


_CA: Final = "name the CA that signed it in SSL_CERT_FILE"
_TLS: Final = "is the endpoint plain HTTP?"
_RESOLVES: Final = "check the base URL"
LASTING: Final = frozenset({_CA, _TLS, _RESOLVES})
"""Hints of failures that asking again does not mend."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it, and what those were made of; bounded."""
    waiting: list[BaseException | None] = [error]
    for _ in range(32):
        if not waiting:
            return
        link = waiting.pop(0)
        if link is None:
            continue
        yield link
        waiting += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            waiting += list(link.exceptions)
