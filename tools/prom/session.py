"""One blocking HTTP session for prometheus-api-client, with the bounds that client lacks.

Rules: parameters travel in the POST body, every request has a timeout, no redirect, no environment proxy or netrc,
the body is cut while it streams, the last answer is kept for its warnings, and `abort` ends it all from outside.
"""

from __future__ import annotations

import contextlib
import socket
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util.retry import Retry

from tools.errors import BadAnswer, CredentialsError, Denied, PortError, Unavailable
from tools.http import (
    CONNECT_SECONDS,
    READ_SECONDS,
    RETRY_STATUS,
    Body,
    Deadline,
    parse_json,
    retry_after,
    snippet,
)
from tools.types import JsonObject

if TYPE_CHECKING:  # protocols that urllib3 itself declares for type checkers only
    from urllib3._base_connection import BaseHTTPConnection, BaseHTTPSConnection

ANSWER_BYTES: Final = 16 << 20
"""Most bytes of one answer, decoded: 8,000 GPUs at 600 B a series are 5 MB."""
_CHUNK: Final = 1 << 16


class Failed(Exception):
    """A request that failed in a way that may pass: the error to show, and the server's wish for a pause."""

    def __init__(self, error: PortError, *, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.wait = error, wait


class _Plain(HTTPConnectionPool):
    """A pool that keeps hold of the connections it made."""

    made: weakref.WeakSet[BaseHTTPConnection]

    def _new_conn(self) -> BaseHTTPConnection:
        connection = super()._new_conn()
        self.made.add(connection)
        return connection


class _Tls(HTTPSConnectionPool):
    """The same for https."""

    made: weakref.WeakSet[BaseHTTPConnection]

    def _new_conn(self) -> BaseHTTPSConnection:
        connection = super()._new_conn()
        self.made.add(connection)
        return connection


class _Connections(HTTPAdapter):
    """An adapter that knows its connections, so that another thread can shut them down."""

    def __init__(self) -> None:
        self.made: weakref.WeakSet[BaseHTTPConnection] = weakref.WeakSet()
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=Retry(total=0, redirect=0))
        # One class per session: the pools are made deep inside urllib3, where nothing else can be handed in.
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("_Plain", (_Plain,), {"made": self.made}),
            "https": type("_Tls", (_Tls,), {"made": self.made}),
        }

    def abort(self) -> None:
        """Shut every open socket: a thread that waits on one wakes up with an error."""
        for connection in list(self.made):
            sock = getattr(connection, "sock", None)
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


class Session(requests.Session):
    """The session handed to PrometheusConnect. Used by one thread at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.adapter = _Connections()
        self.last: JsonObject = {}
        self.limit = ANSWER_BYTES
        self.deadline = Deadline.after(0.0)
        self.aborted = False

    def abort(self) -> None:
        """Called from another thread: end the request under way, and every later one."""
        self.aborted = True
        self.adapter.abort()

    def request(  # type: ignore[override]  # the client passes keywords only
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> requests.Response:
        """Send one request and read its whole, bounded answer. Raises Failed (may be retried) or BadAnswer."""
        self.last = {}
        form = {"data": params} if method == "POST" else {"params": params}
        try:
            if self.aborted:
                raise Unavailable("the query was given up")
            left = self.deadline.left()
            response = super().request(
                method,
                url,
                headers={**(headers or {}), "Accept": "application/json", "Accept-Encoding": "gzip"},
                timeout=(min(CONNECT_SECONDS, left), min(READ_SECONDS, left)),
                allow_redirects=False,
                stream=True,
                **form,  # type: ignore[arg-type]
            )
            with response:
                body = self._read(response)
        except requests.exceptions.SSLError as error:
            raise BadAnswer("the TLS certificate of Prometheus is not trusted") from error
        except (requests.exceptions.Timeout, ReadTimeoutError) as error:
            raise Unavailable("Prometheus did not answer in time") from error
        except (requests.exceptions.RequestException, HTTPError, OSError) as error:
            raise Failed(Unavailable(f"no answer from Prometheus: {_reason(error)}")) from error
        self.last = _checked(response, body)
        response.json = lambda **_: self.last  # type: ignore[method-assign]  # parsed once, here
        return response

    def _read(self, response: requests.Response) -> Body:
        body = Body(limit=self.limit, encoding=response.headers.get("Content-Encoding", ""))
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            self.deadline.left()
            if not body.feed(chunk):
                break
        return body


def _checked(response: requests.Response, body: Body) -> JsonObject:
    """The parsed answer of a 200. Raises Failed or BadAnswer for everything else."""
    status = response.status_code
    if 300 <= status < 400:
        raise BadAnswer("Prometheus answered with a redirect, which is never followed")
    if body.cut:
        raise BadAnswer("the answer of Prometheus is larger than this call may read; aggregate it or narrow it")
    held = body.finish()
    if status in RETRY_STATUS:
        error = Unavailable(f"Prometheus answered {status}: {_message(held)}")
        raise Failed(error, wait=retry_after(response.headers))
    if status >= 500:
        raise Unavailable(f"Prometheus answered {status}: {_message(held)}")
    if status == 401:
        raise CredentialsError("Prometheus wants a credential", hint="give it an Authorization header in the settings")
    if status == 403:
        raise Denied(f"Prometheus answered 403: {_message(held)}")
    if held.lstrip()[:1] == b"<":
        raise BadAnswer(f"this is not a Prometheus: it answered {status} with HTML: {snippet(held)}")
    if status != 200:
        raise BadAnswer(f"Prometheus answered {status}: {_message(held)}")
    parsed = parse_json(held, what="Prometheus")
    if not isinstance(parsed, dict) or "data" not in parsed or parsed.get("status") != "success":
        raise BadAnswer(f"this is not a Prometheus: it answered {snippet(held)}")
    return parsed


def _message(held: bytearray) -> str:
    try:
        parsed = parse_json(held, what="Prometheus")
    except BadAnswer:
        return snippet(held)
    message = parsed.get("error") if isinstance(parsed, dict) else None
    return " ".join(message.split())[:400] if isinstance(message, str) else snippet(held)


def _reason(error: Exception) -> str:
    """The innermost cause in a few words: requests wraps urllib3, which wraps the socket's error."""
    cause: BaseException = error
    while cause.__cause__ is not None or cause.__context__ is not None:
        cause = cause.__cause__ or cause.__context__ or cause
    return (str(cause) or type(cause).__name__)[:160]
