"""Why an endpoint gave no reply, in one line for a person.

Rules: one line, at most 300 characters; never the key or another secret of the settings, nor a part of one; never a
link or a mention: what a server writes is text of a stranger.
"""

from __future__ import annotations

import re
import socket
import ssl
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import JsonValue

from agent import links
from agent.llm.types import NOTHING, FailureKind, ModelError, Spent
from agent.llm.wire import error_words

MESSAGE: Final = 300
"""Longest error text in characters."""
_WORDS: Final = 160
"""Of the server's own words."""
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
_WINDOW_OF_KEY: Final = 8
"""Letters and digits of a key in a row that are taken out wherever they stand."""
_SHORT: Final = 4
"""Characters below which nothing can be told to be a secret."""


class Words:
    """Makes server text fit to be shown: without links, mentions, markup, line breaks, and parts of `secrets`.

    `values` are taken out where they stand whole: other headers of the settings, which may be ordinary words.
    """

    def __init__(self, secrets: Iterable[str], values: Iterable[str] = ()) -> None:
        secrets = [secret for secret in secrets if len(secret) >= _SHORT]
        self._secrets = sorted({*secrets, *values}, key=len, reverse=True)
        self._parts = {part for secret in secrets for part in _windows(_letters(secret)[0])}

    def plain(self, text: str, *, limit: int = _WORDS) -> str:
        """One line of at most `limit` characters."""
        text = self._without_parts(self._without_secrets(text[: limit * 20]))
        text = _MARKUP.sub(" ", "".join(c if c.isprintable() else " " for c in text))
        text = " ".join(links.strip(text)[0].replace(links.REMOVED, "(link)").split())
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def error(self, kind: FailureKind, message: str, *, hint: str = "", spent: Spent = NOTHING) -> ModelError:
        """A ModelError whose message and hint together keep to the length."""
        message = self._short(message, MESSAGE)
        hint = hint if len(message) + len(hint) + 3 <= MESSAGE else ""
        return ModelError(kind, message, hint=hint, spent=spent)

    def again(self, error: ModelError, *, spent: Spent) -> ModelError:
        """The same error, to the length and without secrets, and with what was spent."""
        return self.error(error.kind, error.message, hint=error.hint, spent=spent)

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "(key)")
        return text

    def _without_parts(self, text: str) -> str:
        """Without runs of a secret's letters and digits, in any case and whatever stands between them."""
        folded, places = _letters(text)
        gone: set[int] = set()
        for size in {len(part) for part in self._parts}:
            for at in range(len(folded) - size + 1):
                if folded[at : at + size] in self._parts:
                    gone.update(range(places[at], places[at + size - 1] + 1))
        return "".join("" if n in gone and n - 1 in gone else "(key)" if n in gone else c for n, c in enumerate(text))

    def _short(self, text: str, limit: int) -> str:
        text = self._without_secrets(text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= limit else text[: limit - 1] + "…"


def _letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of a text, folded, and where in the text each of them is."""
    found = [
        (letter, place)
        for place, character in enumerate(text)
        for letter in unicodedata.normalize("NFKD", character).casefold()
        if letter.isalnum()
    ]
    return "".join(letter for letter, _ in found), [place for _, place in found]


def _windows(letters: str) -> Iterator[str]:
    """Every run of a secret's letters that is long enough to tell; a short secret as a whole."""
    if len(letters) < _SHORT:
        return
    size = min(_WINDOW_OF_KEY, len(letters))
    for at in range(len(letters) - size + 1):
        yield letters[at : at + size]


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
