"""Where a model is asked: the settings of an endpoint, and which of them are refused before anything is sent.

Rules: the address is the user's alone, plain and whole; evidence and key travel encrypted unless they stay on this
machine or the user says otherwise; no header of the settings can change what a request is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from agent.llm.capabilities import Capabilities
from agent.llm.transport import forbidden, literal
from tools.errors import SettingsError

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE: Final = re.compile(r"[\x20-\x7e\t]{0,4096}")
_RESERVED: Final = frozenset(
    {"authorization", "host", "connection", "transfer-encoding", "accept", "accept-encoding", "te", "upgrade"}
)
_SECRET: Final = re.compile(r"key|token|auth|secret|password|credential|cookie", re.IGNORECASE)
"""Names of headers whose values are secrets."""
_WORD: Final = 8
"""Characters from which on the value of another header is not shown either."""
_EXAMPLE: Final = "for example https://api.openai.com/v1 or http://localhost:11434/v1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is asked."""

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent in addition; a gateway's own key may be among them, so they are as secret as the key."""
    allow_plain_http: bool = False
    """Allow http:// to a host other than this one: the key and all evidence would travel unprotected."""
    connect_seconds: float = 3.0
    idle_seconds: float = 20.0
    """Longest silence inside a reply once it has begun; until then only the deadline counts."""
    capabilities: Capabilities | None = None
    """What is known already; None starts with everything and learns."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key, and the values of headers whose names say that they are secret."""
        return (self.key.strip(), *(value for name, value in self.headers.items() if _SECRET.search(name)))

    @property
    def private(self) -> tuple[str, ...]:
        """Values of the other headers (a team, a region) that are long enough to tell from ordinary words."""
        return tuple(v for name, v in self.headers.items() if not _SECRET.search(name) and len(v) >= _WORD)


def check(endpoint: Endpoint) -> None:
    """Raise SettingsError, with what to do, for an endpoint that cannot or must not be asked."""
    if not endpoint.model.strip() or not endpoint.model.isprintable():
        raise SettingsError("no model is named", hint="name the model as the endpoint lists it")
    _check_url(endpoint)
    if endpoint.key and not _VALUE.fullmatch(endpoint.key.strip()):
        raise SettingsError("the key holds characters no header can carry", hint="check for line breaks in the key")
    for name, value in endpoint.headers.items():
        if not _TOKEN.fullmatch(name):
            raise SettingsError(f"{name[:40]!r} is not a header name", hint="letters, digits and hyphens only")
        if name.lower() in _RESERVED or name.lower().startswith("content-"):
            raise SettingsError(f"the header {name} cannot be set", hint="the key has a setting of its own")
        if not _VALUE.fullmatch(value):
            raise SettingsError(f"the value of the header {name} holds line breaks or other control characters")


def _check_url(endpoint: Endpoint) -> None:
    url = endpoint.base_url
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url or "\\" in url:
        raise SettingsError("the model's base URL is not an http:// or https:// URL with a host", hint=_EXAMPLE)
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise SettingsError("the model's base URL holds a user name or password", hint="give the key by its setting")
    if "?" in url or "#" in url:
        raise SettingsError("the model's base URL holds a query or a fragment", hint=_EXAMPLE)
    address = literal(host)
    if address is not None and forbidden(address):
        raise SettingsError(f"{host} is a link-local or metadata address, which is never asked", hint=_EXAMPLE)
    local = host == "localhost" or (address is not None and address.is_loopback)
    if parts.scheme == "http" and not local and not endpoint.allow_plain_http:
        raise SettingsError(
            f"plain HTTP to {host} would send the key and all evidence unprotected",
            hint="use https://, or allow plain HTTP in the settings if the network is trusted",
        )
