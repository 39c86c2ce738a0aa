"""What a patch may hold, how it is sent, and what an answer to it says about the object.

Rules: a patch is sent once, on a connection of its own, and never again by us; what no change touches is refused before
a request exists; a write without uid, resourceVersion and plan annotation is none. Once a connection is open, only a
Status of the API server counts as "not written".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import aiohttp
from aiohttp.tracing import Trace
from kubernetes.aio.client.configuration import Configuration
from multidict import CIMultiDict
from pydantic import JsonValue
from yarl import URL

from tools.changes import PLAN_ANNOTATION
from tools.errors import BadAnswer, Denied, PlumblineError, Refused, Unavailable
from tools.http import CONNECT_SECONDS, Deadline, http_date, parse_json
from tools.kube import routes
from tools.kube.port import OBJECT_BYTES
from tools.kube.transport import Answer, Bounded, Transport, _read, error_of, message_of
from tools.types import JsonObject, ResourceRef
from tools.writing import Cause, Conflict, Invalid, Lost, Rejected, Throttled

PATCH_BYTES: Final = 64 << 10
PATCH_DEPTH: Final = 32
MANAGER: Final = "plumbline"
_QUOTED: Final = re.compile(r'Invalid value: "(?:[^"\\]|\\.)*": ')
_REVISION: Final = re.compile(r"[1-9][0-9]{0,19}")
"""A resourceVersion that is a precondition: "" and "0" would be none (Kubernetes API concepts, "Resource versions")."""
_BY_ROLE: Final = re.compile(r'(\S+ ("[^"]*" )?is )?forbidden: User "')
_BY_ADMISSION: Final = re.compile(r'admission webhook "[^"]*" denied |\S+ "[^"]*" is forbidden: (?!User ")')
"""How the two begin (k8s.io/apiserver: endpoints/handlers/responsewriters and admission/errors.go)."""


class WritingTransport(Transport):
    """The reader's transport, and one way to send a patch."""

    def __init__(self, config: Configuration, authorize: Callable[[], Awaitable[CIMultiDict[str]]]) -> None:
        super().__init__(config, authorize)
        self._single = _Single(config)
        self.writes = 0

    async def patch(self, path: str, data: bytes, *, dry_run: bool, deadline: Deadline) -> Answer:
        """Send a merge patch, once; whatever was answered comes back.

        Raises Unavailable while nothing can have been written (for a dry run: ever), and Lost from there on.
        """
        params = {"dryRun": "All"} if dry_run else {}
        url = self._base + path + routes.query(**params, fieldManager=MANAGER, fieldValidation="Strict")
        connector, session = self._single.fresh()
        try:
            async with session, asyncio.timeout(deadline.left()), self._slots:
                return await self._exchange(session, URL(url, encoded=True), data)
        except (TimeoutError, aiohttp.ClientError, OSError, BadAnswer) as error:
            what = str(error)[:160] or "no answer in time"
            if connector.opened and not dry_run:
                raise Lost(f"a patch was sent to {self._base}, and its answer is lost: {what}") from error
            raise Unavailable(f"no answer from the API server at {self._base}: {what}") from error
        finally:
            self.writes += connector.opened and not dry_run

    async def _exchange(self, session: aiohttp.ClientSession, url: URL, data: bytes) -> Answer:
        headers = await self._authorize()
        headers.update({"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "plumbline"})
        headers["Content-Type"] = "application/merge-patch+json"
        self.requests += 1
        async with session.request(
            "PATCH",
            url,
            headers=headers,
            data=data,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            **self._extra,
        ) as response:
            date = http_date(response.headers.get("Date"))
            if date is not None:
                self._date = (date, time.monotonic())
            return await _read(response, limit=OBJECT_BYTES)

    async def _send(self, path: str, *, limit: int, body: JsonObject | None, accept: str) -> Answer:
        if body is not None and path != routes.SELF_REVIEW:
            raise Refused("the applier posts nothing but SelfSubjectReview")
        return await super()._send(path, limit=limit, body=body, accept=accept)


class _Single(Bounded):
    """Sessions of one connection each, which is opened for them and closed after them: none can go stale meanwhile."""

    def _create_connector(self) -> _Noting:
        return _Noting(limit=1, ssl=self.ssl_context)

    def fresh(self) -> tuple[_Noting, aiohttp.ClientSession]:
        """A session, and the connector that tells whether a connection was ever open."""
        session = self._create_pool_manager()
        assert isinstance(session.connector, _Noting)
        return session.connector, session


class _Noting(aiohttp.TCPConnector):
    """Until `opened`, no byte of a request can have left."""

    opened = False

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        """A connection, as the base class makes it."""
        made = await super().connect(req, traces, timeout)
        self.opened = True
        return made


# --- what may be sent --------------------------------------------------------------------------------------


def encoded(patch: JsonValue) -> bytes:
    """The bytes of a patch. Raises Refused for what is empty, too large, too deep, or no JSON."""
    if not isinstance(patch, dict) or not patch:
        raise Refused("an empty patch changes nothing")
    for count, (value, depth) in enumerate(_nodes(patch)):
        if depth > PATCH_DEPTH or count > PATCH_BYTES:
            raise Refused(f"a patch has at most {PATCH_DEPTH} levels and {PATCH_BYTES >> 10} KiB")
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            raise Refused("a patch is JSON: its keys are strings")
    try:
        data = json.dumps(patch, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise Refused("a patch is JSON: text, whole or finite numbers, true, false, null") from error
    if len(data) > PATCH_BYTES:
        raise Refused(f"a patch has at most {PATCH_BYTES >> 10} KiB")
    return data


def _nodes(value: JsonValue) -> Iterator[tuple[JsonValue, int]]:
    """Every value of a document with its depth, without recursion: a document may be deep on purpose."""
    left: list[tuple[JsonValue, int]] = [(value, 1)]
    while left:
        here, depth = left.pop()
        yield here, depth
        inner = here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
        left.extend((one, depth + 1) for one in inner)


def check_fields(ref: ResourceRef, patch: JsonObject, *, bound: bool) -> None:
    """Raises Refused for a field that no change touches; where `bound`, also for a precondition that is missing."""
    for key in ("apiVersion", "kind", "status"):
        if key in patch:
            raise Refused(f"a patch never touches {key}")
    metadata = patch.get("metadata", {})
    if not isinstance(metadata, dict) or any(value is None for value in patch.values()):
        raise Refused("a patch changes fields of metadata and spec, it never removes them whole")
    if other := sorted(metadata.keys() - {"annotations", "labels", "uid", "resourceVersion"}):
        raise Refused(f"a patch never touches metadata.{other[0][:80]}")
    for key in ("annotations", "labels"):
        held = metadata.get(key, {})
        if not isinstance(held, dict) or not all(value is None or isinstance(value, str) for value in held.values()):
            raise Refused(f"metadata.{key} of a patch is an object of texts and nulls")
    _check_preconditions(ref, metadata, bound=bound)


def _check_preconditions(ref: ResourceRef, metadata: JsonObject, *, bound: bool) -> None:
    annotations = metadata.get("annotations")
    mark = annotations.get(PLAN_ANNOTATION) if isinstance(annotations, dict) else None
    uid, revision = metadata.get("uid"), metadata.get("resourceVersion")
    if ("uid" in metadata or bound) and (not isinstance(uid, str) or not uid or ref.uid not in (None, uid)):
        raise Refused("a write names the uid of the object it was approved for")
    if ("resourceVersion" in metadata or bound) and not (isinstance(revision, str) and _REVISION.fullmatch(revision)):
        raise Refused("a write names the resourceVersion that was read")
    if bound and not mark:
        raise Refused(f"a write carries its plan in {PLAN_ANNOTATION}")


# --- what came back ----------------------------------------------------------------------------------------


def failure(answer: Answer, path: str, *, sent: bool) -> PlumblineError:
    """The error of an answer to a patch. Raises CredentialsError on 401."""
    body = _status_of(answer)
    status, message = answer.status, _short(_text(body.get("message"))) or message_of(answer)
    if status == 429:
        return Throttled(message, wait=answer.wait)
    if status == 401:
        return error_of(answer, path)
    if sent and (not 400 <= status < 500 or not body):
        return Lost(f"a patch was answered {status}, which does not say what became of it: {message}")
    if not 400 <= status < 500:
        return error_of(answer, path)
    if _BY_ADMISSION.match(message) or (status == 403 and not _BY_ROLE.match(message)):
        return Rejected(message)
    if status == 403:
        return Denied(message, hint="previews and writes need the applier's own credentials")
    if status == 404:
        return error_of(answer, path)
    return Conflict(message) if status == 409 else Invalid(message, causes=_causes(body))


def _short(message: str) -> str:
    """What a server says, without the whole object that some of its messages quote."""
    return _QUOTED.sub("Invalid value: ", " ".join(message.split()))[:500]


def _status_of(answer: Answer) -> JsonObject:
    """The Status in a body; {} where the answer is not the API server's."""
    with contextlib.suppress(BadAnswer):
        parsed = parse_json(answer.body, what="the API server")
        if isinstance(parsed, dict) and parsed.get("kind") == "Status":
            return parsed
    return {}


def _causes(status: JsonObject) -> tuple[Cause, ...]:
    details = status.get("details")
    listed = details.get("causes") if isinstance(details, dict) else None
    return tuple(
        Cause(field=_text(one.get("field")), message=_text(one.get("message"))[:500])
        for one in (listed if isinstance(listed, list) else [])[:20]
        if isinstance(one, dict)
    )


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
