"""The live Kubernetes port: one generic reader over discovery, raw JSON in and out, never typed models.

Rules: a list is paged without resourceVersion, and every page says what it leaves out; Secrets cannot be named;
whatever cannot be read completely is an error or a truncated page, never a shorter answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final, Self

from tools.errors import BadAnswer, Denied, NotFound, NotServed, PortError, Refused, Unavailable
from tools.http import Deadline
from tools.kube import routes
from tools.kube.discovery import discover
from tools.kube.pages import read_pages
from tools.kube.transport import Transport
from tools.types import (
    BULK,
    AccessCheck,
    ApiResource,
    Discovery,
    JsonObject,
    KindRef,
    LogChunk,
    Page,
    WireLimits,
)

OBJECT_BYTES: Final = 4 << 20
"""Largest single object; etcd refuses objects above 1.5 MiB by default (etcd.io, "System limits")."""
REVIEW_BYTES: Final = 1 << 18
CLOCK_SECONDS: Final = 5.0
"""How old the Date of the latest answer may be before the server is asked again."""
_SECRET: Final = KindRef(kind="Secret")


class Connected:
    """What stands on one transport: closed with it, and bounded by the user's own timeout. Close it when done."""

    def __init__(self, transport: Transport, *, request_timeout: float | None = None, cluster: str = "") -> None:
        self.cluster = cluster
        """The kubeconfig context, or how else the cluster was found."""
        self._transport = transport
        self._timeout = request_timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.close()

    @property
    def address(self) -> str:
        """Base address of the API server."""
        return self._transport.address

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, retries included."""
        return self._transport.requests

    def _deadline(self, seconds: float) -> Deadline:
        return Deadline.after(min(seconds, self._timeout) if self._timeout else seconds)


class LiveKube(Connected):
    """Read access to one cluster with one identity."""

    def __init__(self, transport: Transport, *, request_timeout: float | None = None, cluster: str = "") -> None:
        super().__init__(transport, request_timeout=request_timeout, cluster=cluster)
        self._found: Discovery | None = None
        self._finding = asyncio.Lock()

    async def discovery(self) -> Discovery:
        """What the cluster serves; read once and kept. A failed reading is not kept."""
        async with self._finding:
            if self._found is None:
                self._found = await discover(self._transport)
            return self._found

    async def pages(
        self,
        kind: KindRef,
        *,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        wire: WireLimits = BULK,
    ) -> AsyncIterator[Page]:
        """All objects of a kind, page by page. Raises NotServed, Denied, NotFound, Unavailable, BadAnswer."""
        deadline = self._deadline(wire.seconds)
        resource = await self._resource(kind)
        params = {
            "labelSelector": routes.selector(label_selector, what="label"),
            "fieldSelector": routes.selector(field_selector, what="field"),
        }
        path = routes.collection(resource, namespace)
        async for page in read_pages(self._transport, path, params, resource=resource, wire=wire, deadline=deadline):
            yield page

    async def get(self, kind: KindRef, *, namespace: str | None, name: str) -> JsonObject:
        """One object. Raises NotFound, NotServed, Denied, Unavailable, BadAnswer."""
        deadline = self._deadline(BULK.seconds)
        resource = await self._resource(kind)
        path = routes.member(resource, namespace, name)
        found = await self._transport.json(path, limit=OBJECT_BYTES, deadline=deadline)
        meta = found.get("metadata")
        if not isinstance(meta, dict) or meta.get("name") != name:
            raise BadAnswer(f"the API server answered something other than {kind.kind} {name}")
        return found

    async def logs(
        self, *, namespace: str, pod: str, container: str, tail_lines: int, limit_bytes: int, previous: bool
    ) -> LogChunk:
        """The end of a container's log, at most `limit_bytes` of it. Raises PortError."""
        if tail_lines < 1 or limit_bytes < 1:
            raise Refused("a log needs at least one line and one byte", hint="give positive limits")
        # One byte more than wanted, so that a log of exactly the limit is not called truncated.
        path = routes.log(namespace, pod) + routes.query(
            container=routes.container_name(container) if container else "",
            tailLines=tail_lines,
            limitBytes=limit_bytes + 1,
            previous="true" if previous else "",
        )
        answer = await self._transport.fetch(
            path, limit=limit_bytes, deadline=self._deadline(BULK.seconds), accept="text/plain, application/json, */*"
        )
        return LogChunk(body=bytes(answer.body), truncated=answer.cut)

    async def allowed(self, checks: Sequence[AccessCheck]) -> list[bool | None]:
        """SelfSubjectAccessReview answers, in order; None where the server would not say."""
        deadline = self._deadline(BULK.seconds)
        return list(await asyncio.gather(*(self._allowed(check, deadline) for check in checks)))

    async def whoami(self) -> tuple[str, tuple[str, ...]]:
        """(user, groups) by SelfSubjectReview. Raises NotServed before Kubernetes 1.28."""
        body: JsonObject = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        deadline = self._deadline(BULK.seconds)
        try:
            answer = await self._transport.json(routes.SELF_REVIEW, limit=REVIEW_BYTES, deadline=deadline, body=body)
        except (NotFound, NotServed) as error:
            raise NotServed("the cluster does not serve SelfSubjectReview (it came with Kubernetes 1.28)") from error
        status = answer.get("status")
        info = status.get("userInfo") if isinstance(status, dict) else None
        user = info.get("username") if isinstance(info, dict) else None
        if not isinstance(info, dict) or not isinstance(user, str):
            raise BadAnswer("the answer to SelfSubjectReview names no user")
        groups = info.get("groups")
        return user, tuple(g for g in groups if isinstance(g, str)) if isinstance(groups, list) else ()

    async def server_time(self) -> float:
        """The API server's own clock (Unix seconds, whole), from the Date header of an answer just received."""
        known = self._transport.date(within=CLOCK_SECONDS)
        if known is None:
            with contextlib.suppress(Denied):  # an answer all the same, and it is dated
                await self._transport.json(routes.VERSION, limit=REVIEW_BYTES, deadline=self._deadline(BULK.seconds))
            known = self._transport.date(within=CLOCK_SECONDS)
        if known is None:
            raise BadAnswer("the API server's answers carry no Date header")
        return known

    async def _resource(self, kind: KindRef) -> ApiResource:
        if kind == _SECRET:
            raise Refused("Secrets are never read")
        found = await self.discovery()
        resource = found.find(kind)
        if resource is not None:
            return resource
        if kind.group in found.unreachable:
            raise Unavailable(f"the API group {kind.group} does not answer, so {kind.kind} cannot be read")
        raise NotServed(f"the cluster does not serve {kind}")

    async def _allowed(self, check: AccessCheck, deadline: Deadline) -> bool | None:
        attributes: JsonObject = {key: value for key, value in check.model_dump().items() if value}
        body: JsonObject = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        try:
            answer = await self._transport.json(routes.ACCESS_REVIEW, limit=REVIEW_BYTES, deadline=deadline, body=body)
        except PortError:
            return None
        status = answer.get("status")
        value = status.get("allowed") if isinstance(status, dict) else None
        return value if isinstance(value, bool) else None
