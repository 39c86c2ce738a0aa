"""The Kubernetes world server: one aiohttp server on a loopback port that answers for one world.

Rules: nothing but loopback unless a host is given; the Date header is the world's clock; every request and every
attempt to write is recorded; every refusal is an ApiError, and anything else that escapes is a bug (500).
"""

from __future__ import annotations

import asyncio
import logging
from email.utils import formatdate
from urllib.parse import unquote

from aiohttp import web

from evals.servers.kube import discovery, reads
from evals.servers.kube.access import Authority
from evals.servers.kube.admission import Admission
from evals.servers.kube.calls import Answer, Call, RequestRecord, Target, User, WriteRecord, target_of
from evals.servers.kube.faults import Fault, Faults
from evals.servers.kube.kinds import Resource, kinds_of
from evals.servers.kube.logs import read_log
from evals.servers.kube.negotiate import wanted
from evals.servers.kube.reacting import StoredObjects, whole_body
from evals.servers.kube.reviews import REVIEWS, Reviewer
from evals.servers.kube.status import ApiError, PlainError, not_allowed, unknown_path, unknown_resource
from evals.servers.kube.store import Store, encode
from evals.servers.kube.views import answer
from evals.servers.kube.watch import Watch
from evals.servers.kube.writes import Writer
from evals.servers.kube.writing import Desk
from evals.world.model import World
from tools.errors import UnknownName
from tools.types import JsonObject

_LOG = logging.getLogger(__name__)
_TEXT = "text/plain; charset=utf-8"
_HEALTH = ("/healthz", "/livez", "/readyz")
_BODY_LIMIT = 3 << 20
"""Largest request body (bytes) kube-apiserver accepts."""


class KubeServer:
    """Serves one world. Raises DocumentError at once for an object whose kind the world does not define."""

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world, self.host, self.port = world, host, port
        self.kinds = kinds_of(kubernetes=world.kubernetes, definitions=world.definitions, objects=world.objects)
        self.store = Store(world, self.kinds)
        self.requests: list[RequestRecord] = []
        self.writes: list[WriteRecord] = []
        self.skew = 0.0
        """Seconds by which the Date header runs ahead of the world's clock; a test may move it."""
        self._authority = Authority(world, self.kinds, self.store)
        self._reviewer = Reviewer(world, self._authority)
        admission = Admission(self.kinds, self.store)
        self._writer = Writer(Desk(world, self.kinds, self.store, admission, self._authority))
        self._faults = Faults(world.faults, "kube")
        self._seen = 0
        """How many of the store's changes the world has been told of."""
        if world.responder is not None:
            world.responder.attach(world.objects, StoredObjects(self.store, self.kinds))
        self._closing = asyncio.Event()
        self._web: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen; returns the base URL."""
        self._closing.clear()
        self._web = web.Server(self._handle, handler_cancellation=True, access_log=None)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._web, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self.url

    async def stop(self) -> None:
        """End every watch and hanging request, then close. Stopping twice is harmless."""
        self._closing.set()
        self.store.notify()
        if self._listener is not None and self._web is not None:
            self._listener.close()
            self._web.pre_shutdown()
            await self._web.shutdown(1.0)
            await self._listener.wait_closed()
        self._listener = self._web = None

    @property
    def url(self) -> str:
        """Base URL, such as http://127.0.0.1:41234."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def effective_writes(self) -> list[WriteRecord]:
        """The writes that took effect: no refusals, no dry runs, no patches of nothing."""
        return [one for one in self.writes if one.changed]

    def kubeconfig(self, user: str = "") -> JsonObject:
        """A kubeconfig with one context, named after the world: as `user`, or as the world's first token.

        Raises UnknownName for a user without a token.
        """
        name, tokens = self.world.name, self.world.access.tokens
        known = {who: token for token, (who, _) in reversed(list(tokens.items()))}
        if user and user not in known:
            raise UnknownName("user", user, sorted(known))
        token = known[user] if user else next(iter(tokens), f"world-{name}")
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": self.url}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
            "current-context": name,
        }

    # --- one request -----------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        call = Call(request.method, _target(request), dict(request.query), request.headers, b"", User("", ()))
        fault = self._faults.take(unquote(request.path_qs), verb=call.target.verb, dry_run="dryRun" in call.query)
        if fault is not None and fault.hang:
            self._record(call, request, 0)
            await self._closing.wait()
            return self._response(fault.answer())
        if fault is not None and fault.delay:
            await asyncio.sleep(fault.delay)
        self._settle()
        before = self.store.revision
        result = await self._result(call, request, fault)
        status = 200 if isinstance(result, Watch) else result.status
        self._record(call, request, status, changed=self.store.revision != before)
        if fault is not None and fault.lost:
            return _hang_up(request)
        if isinstance(result, Watch):
            return await result.play(request, self._headers(), self._closing)
        response = self._response(result)
        cut = None if fault is None else fault.truncate
        return response if cut is None else await _cut(request, response, cut)

    async def _result(self, call: Call, request: web.BaseRequest, fault: Fault | None) -> Answer | Watch:
        try:
            call.body = await _body(request)
            if fault is not None and fault.replaces:
                return fault.answer()
            call.user = self._authority.user_of(request.headers, request.headers.getall("Impersonate-Group", []))
            self._authority.require(call.user, call.target)
            result = self._answer(call)
            self._react()
            return result
        except ApiError as error:
            return Answer(encode(error.body()), status=error.code)
        except PlainError as error:
            return Answer(error.text.encode(), _TEXT, error.code)
        except Exception:
            _LOG.exception("the world server failed on %s %s", request.method, request.path_qs)
            return Answer(encode(ApiError(500, "Internal error occurred").body()), status=500)

    def _settle(self) -> None:
        """Let happen what the clock has brought about."""
        if self.world.responder is not None:
            self.world.responder.settle()
        self._seen = len(self.store.changes)

    def _react(self) -> None:
        """Tell the world what a client changed; its reactions change more."""
        responder = self.world.responder
        if responder is None:
            return
        for change in self.store.changes[self._seen :]:
            old, new = (None if item is None else whole_body(item) for item in (change.old, change.new))
            responder.noticed(old, new)
        self._seen = len(self.store.changes)

    def _answer(self, call: Call) -> Answer | Watch:
        target = call.target
        if not target.resource:
            return self._document(call)
        resource = self.kinds.by_path.get((target.group, target.version, target.resource))
        if resource is None:
            known = target.version in self.kinds.groups().get(target.group, {})
            raise unknown_resource() if known else unknown_path()
        if not _fits(target, resource):
            raise unknown_resource()
        if target.subresource and resource.subresource(target.subresource) is None:
            raise unknown_resource()
        if target.verb in ("get", "list", "watch"):
            return self._read(call, resource)
        return self._change(call, resource)

    def _read(self, call: Call, resource: Resource) -> Answer | Watch:
        verb, now = call.target.verb, self.world.clock.now
        if verb not in resource.verbs:
            raise not_allowed()
        if verb == "watch" and not call.target.subresource:
            return Watch(call, resource, self.store, now)
        if verb == "list":
            return reads.list_objects(call, resource, self.store, now)
        if call.target.subresource == "log":
            return read_log(call, reads.find(call, resource, self.store), self.world)
        reader = reads.SUBRESOURCE_READS.get(call.target.subresource, reads.get_other)
        return reader(call, resource, self.store, now)

    def _change(self, call: Call, resource: Resource) -> Answer:
        review = REVIEWS.get(resource.plural) if resource.group in _REVIEW_GROUPS else None
        if review is not None and call.target.verb == "create":
            return review(self._reviewer, call)
        if call.target.verb not in ("create", "update", "patch", "delete", "deletecollection"):
            raise not_allowed()
        return self._writer.write(call, resource)

    # --- documents that are no objects -----------------------------------------------------------------

    def _document(self, call: Call) -> Answer:
        if call.method not in ("GET", "HEAD"):
            raise unknown_path()
        path = call.target.path.rstrip("/")
        if path.startswith(_HEALTH):
            return _healthy(path, verbose="verbose" in call.query)
        if path in ("/api", "/apis"):
            return self._index(call, core=path == "/api")
        want = wanted(call.accept, kinds=())
        parts = path.strip("/").split("/")
        found: JsonObject | None = None
        match parts:
            case ["version"]:
                found = discovery.version_info(self.world.kubernetes)
            case ["openapi", "v3"]:
                found = {"paths": {}}
            case ["api", version]:
                found = discovery.resource_list(self.kinds, "", version)
            case ["apis", name]:
                found = discovery.group(self.kinds, name)
            case ["apis", name, version]:
                found = discovery.resource_list(self.kinds, name, version)
        if found is None:
            raise unknown_path()
        return answer(found, want)

    def _index(self, call: Call, *, core: bool) -> Answer:
        want = wanted(call.accept, kinds=(discovery.AGGREGATED,))
        if want.kind:
            return answer(discovery.aggregated(self.kinds, core=core), want)
        body = discovery.core_versions(f"{self.host}:{self.port}") if core else discovery.group_list(self.kinds)
        return answer(body, want)

    # --- the wire --------------------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        return {
            "Date": formatdate(self.world.clock.now + self.skew, usegmt=True),
            "Cache-Control": "no-cache, private",
            "Server": "plumbline-world",
        }

    def _response(self, result: Answer) -> web.Response:
        headers = {**self._headers(), **result.headers}
        if result.content_type:
            headers["Content-Type"] = result.content_type
        return web.Response(body=result.body, status=result.status, headers=headers)

    def _record(self, call: Call, request: web.BaseRequest, status: int, *, changed: bool = False) -> None:
        method, path, query = request.method, request.path, request.query_string
        verb, dry_run = call.target.verb, "dryRun" in call.query
        self.requests.append(RequestRecord(method, path, query, call.user.name, status, verb, dry_run, changed))
        if method in ("GET", "HEAD") or call.target.group in _REVIEW_GROUPS:
            return
        self.writes.append(
            WriteRecord(
                method=method,
                path=path,
                query=query,
                user=call.user.name,
                status=status,
                dry_run=dry_run,
                content_type=call.content_type,
                body=call.body,
                verb=verb,
                changed=changed,
            )
        )


_REVIEW_GROUPS = ("authentication.k8s.io", "authorization.k8s.io")


def _target(request: web.BaseRequest) -> Target:
    return target_of(request.method, unquote(request.rel_url.raw_path), request.query)


def _fits(target: Target, resource: Resource) -> bool:
    """False for a path that puts a cluster-wide kind into a namespace, or names a namespaced object without one."""
    if resource.namespaced:
        return bool(target.namespace) or not target.name
    return not target.namespace or resource.plural == "namespaces"


async def _body(request: web.BaseRequest) -> bytes:
    """The whole body. Raises ApiError 413."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _BODY_LIMIT:
            problem = f"Request entity too large: limit is {_BODY_LIMIT}"
            raise ApiError(413, problem, reason="RequestEntityTooLarge")
    return bytes(body)


def _healthy(path: str, *, verbose: bool) -> Answer:
    if not verbose:
        return Answer(b"ok", _TEXT)
    lines = [f"[+]{check} ok" for check in ("ping", "log", "etcd")]
    return Answer("\n".join([*lines, f"{path.strip('/')} check passed", ""]).encode(), _TEXT)


def _hang_up(request: web.BaseRequest) -> web.Response:
    """Close the connection without a word: the client cannot know what became of its request."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut(request: web.BaseRequest, response: web.Response, size: int) -> web.StreamResponse:
    """Promise the whole answer, send the first `size` bytes, and hang up."""
    whole = bytes(response.body) if isinstance(response.body, bytes) else b""
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(whole)
    await stream.prepare(request)
    await stream.write(whole[:size])
    if request.transport is not None:
        request.transport.close()
    return stream
