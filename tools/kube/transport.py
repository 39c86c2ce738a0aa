"""HTTP to one API server: the official client's connection and TLS handling, with our own bounds around it.

Rules: no redirect is followed, no proxy comes from the environment, every body is cut at its limit while it
streams, every call ends by its deadline, and at most eight are in flight.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from multidict import CIMultiDict
from pydantic import JsonValue
from yarl import URL

from tools.errors import BadAnswer, CredentialsError, Denied, NotFound, NotServed, PortError, Unavailable
from tools.http import (
    CONNECT_SECONDS,
    READ_SECONDS,
    RETRY_STATUS,
    Body,
    Deadline,
    backoff,
    http_date,
    parse_json,
    retry_after,
    snippet,
)
from tools.types import JsonObject

IN_FLIGHT: Final = 8
ERROR_BYTES: Final = 1 << 16
"""How much of an error's body is read for its message."""
_THREAD_BYTES: Final = 1 << 20
"""Larger bodies are parsed in a thread: json.loads of 4 MiB holds the event loop for about 30 ms."""
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the API server: its body, decoded but not parsed, and whether that body was cut."""

    status: int
    body: bytearray
    cut: bool
    content_type: str
    wait: float | None = None


class ResponseExpired(Unavailable):
    """410: the continue token is too old; a list starts again."""


class Bounded(RESTClientObject):
    """The official REST client with our session: no environment proxies, nothing inflated behind our back."""

    def _create_pool_manager(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=self._create_connector(),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=1 << 16,
        )

    def session(self) -> aiohttp.ClientSession:
        """The one session, made on first use inside the running loop."""
        if self.pool_manager is None:
            self.pool_manager = self._create_pool_manager()
        session: aiohttp.ClientSession = self.pool_manager
        return session


class Transport:
    """Sends requests to one server on behalf of one identity. `authorize` gives the headers of that identity."""

    def __init__(self, config: Configuration, authorize: Callable[[], Awaitable[CIMultiDict[str]]]) -> None:
        self._rest = Bounded(config)
        self._base = config.host.rstrip("/")
        self._extra: dict[str, Any] = {"proxy": config.proxy} if config.proxy else {}
        if config.tls_server_name:
            self._extra["server_hostname"] = config.tls_server_name
        self._authorize = authorize
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._date: tuple[float, float] | None = None
        self.requests = 0

    @property
    def address(self) -> str:
        """Base address of the API server."""
        return str(self._base)

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    def date(self, *, within: float) -> float | None:
        """The server's Date of the latest answer, if that is at most `within` seconds ago."""
        if self._date is None or time.monotonic() - self._date[1] > within:
            return None
        return self._date[0]

    async def json(
        self, path: str, *, limit: int, deadline: Deadline, body: JsonObject | None = None, accept: str = _JSON
    ) -> JsonObject:
        """GET (or POST `body` to a review) and parse an object. Raises PortError or CredentialsError."""
        answer = await self.fetch(path, limit=limit, deadline=deadline, body=body, accept=accept)
        if answer.cut:
            raise BadAnswer(f"the answer to {path.partition('?')[0]} is larger than {limit >> 10} KiB")
        parsed = await self.parse(answer.body)
        if not isinstance(parsed, dict):
            raise BadAnswer("the API server answered JSON that is not an object")
        return parsed

    async def parse(self, body: bytearray) -> JsonValue:
        """Parse a body, in a thread when it is large."""
        if len(body) <= _THREAD_BYTES:
            return parse_json(body, what="the API server")
        return await asyncio.to_thread(parse_json, body, what="the API server")

    async def fetch(
        self, path: str, *, limit: int, deadline: Deadline, body: JsonObject | None = None, accept: str = _JSON
    ) -> Answer:
        """One read, retried where that is safe and fits the deadline; only 200 and 201 come back."""
        attempt = 0
        while True:
            failure: PortError
            asked: float | None = None
            try:
                answer = await self._once(path, limit=limit, deadline=deadline, body=body, accept=accept)
                if answer.status in (200, 201):
                    return answer
                failure = error_of(answer, path)
                if answer.status not in RETRY_STATUS:
                    raise failure
                asked = answer.wait
            except _Lost as lost:
                failure = Unavailable(str(lost))
            wait = backoff(attempt, deadline=deadline, asked=asked)
            if wait is None:
                raise failure
            await asyncio.sleep(wait)
            attempt += 1

    async def _once(self, path: str, *, limit: int, deadline: Deadline, body: JsonObject | None, accept: str) -> Answer:
        try:
            async with asyncio.timeout(deadline.left()), self._slots:
                return await self._send(path, limit=limit, body=body, accept=accept)
        except aiohttp.ClientConnectorCertificateError as error:
            raise Unavailable(f"the API server's certificate is not trusted: {error.certificate_error}") from error
        except TimeoutError as error:
            raise Unavailable(f"the API server at {self._base} did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _Lost(f"no answer from the API server at {self._base}: {_reason(error)}") from error

    async def _send(self, path: str, *, limit: int, body: JsonObject | None, accept: str) -> Answer:
        headers = await self._authorize()
        headers.update({"Accept": accept, "Accept-Encoding": "gzip", "User-Agent": "plumbline"})
        data = None
        if body is not None:
            headers["Content-Type"] = _JSON
            data = json.dumps(body).encode()
        self.requests += 1
        async with self._rest.session().request(
            "GET" if body is None else "POST",
            URL(self._base + path, encoded=True),
            headers=headers,
            data=data,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS),
            **self._extra,
        ) as response:
            date = http_date(response.headers.get("Date"))
            if date is not None:
                self._date = (date, time.monotonic())
            return await _read(response, limit=limit)


class _Lost(Exception):
    """The connection failed before a whole answer was here."""


async def _read(response: aiohttp.ClientResponse, *, limit: int) -> Answer:
    good = response.status in (200, 201)
    body = Body(limit=limit if good else ERROR_BYTES, encoding=response.headers.get("Content-Encoding", ""))
    async for chunk in response.content.iter_any():
        if not body.feed(chunk):
            response.close()
            break
    return Answer(
        status=response.status,
        body=body.finish(),
        cut=body.cut,
        content_type=response.content_type,
        wait=retry_after(response.headers),
    )


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 160 else text[:160] + "…"


def message_of(answer: Answer) -> str:
    """The message of a Status body, else the start of whatever the body is."""
    message = _status(answer).get("message")
    return " ".join(message.split())[:500] if isinstance(message, str) and message else snippet(answer.body)


def _status(answer: Answer) -> JsonObject:
    """The Status in the body of an unsuccessful answer; {} when there is none."""
    try:
        parsed = parse_json(answer.body, what="the API server")
    except BadAnswer:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def error_of(answer: Answer, path: str) -> PortError:
    """The error an unsuccessful answer stands for. Raises CredentialsError on 401: no answer can follow it."""
    status, message = answer.status, message_of(answer)
    if status == 401:
        raise CredentialsError(
            "the API server does not accept the credential (expired or unknown)",
            hint="log in again, or choose another context with --context",
        )
    if 300 <= status < 400:
        return BadAnswer(f"the API server answered {path.partition('?')[0]} with a redirect, which is never followed")
    if status in RETRY_STATUS or status >= 500:
        return Unavailable(f"the API server answered {status}: {message}")
    kinds: dict[int, type[PortError]] = {403: Denied, 404: _missing(answer), 410: ResponseExpired}
    return kinds.get(status, BadAnswer)(message)


def _missing(answer: Answer) -> type[PortError]:
    """What a 404 says is missing: the object, which its Status names, or the whole kind."""
    parsed = _status(answer)
    details = parsed.get("details")
    return NotFound if isinstance(details, dict) and details.get("name") else NotServed
