"""The live write port: merge patches of the catalogue's kinds, and the few reads that applying one needs.

Rules: only main resources of the kinds of the catalogue; no verb but get and patch, and one review of ourselves. Only
the applying process imports this module: the reader's port has no way to write.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Collection
from typing import Final

from pydantic import JsonValue

from tools import registry
from tools.errors import BadAnswer, CredentialsError, Denied, NotServed, Refused, Unavailable
from tools.kube import routes
from tools.kube.connect import KubeTarget, opened, sign_in
from tools.kube.patching import WritingTransport, check_fields, encoded, failure
from tools.kube.port import CLOCK_SECONDS, OBJECT_BYTES, REVIEW_BYTES, Connected, LiveKube
from tools.types import BULK, ApiResource, JsonObject, KindRef, ResourceRef
from tools.writing import ClockJumped, Identity, Lost

WRITE_SECONDS: Final = 65.0
"""How long the answer to a patch is waited for: kube-apiserver itself gives up after 60 s (--request-timeout)."""
FRESH_SECONDS: Final = 1.0
"""How old the Date of the latest answer may be before the server is asked again."""
JUMP_SECONDS: Final = 5.0
"""How far two readings may disagree: whole seconds, the way there and back, and servers behind one address."""
DRIFT: Final = 2e-4
"""How much faster or slower than ours the server's clock may run; a free quartz clock is below 1e-4."""
NEVER_GROUPS: Final = frozenset(
    {
        "rbac.authorization.k8s.io",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
    }
)
NEVER_KINDS: Final = frozenset({"Secret", "Namespace", "ServiceAccount", "Pod", "Event"})
"""Core kinds that no catalogue may hold."""
_NAMESPACES: Final = ApiResource(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
_VERSION: Final = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")


class ServerClock:
    """Checks each reading of the server's clock against the first one, the latest one, and a clock of our own."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._marks: list[tuple[float, float]] = []
        """The first and the latest reading that were believed, each with our own clock then."""
        self._shown = 0.0

    def read(self, date: float) -> float:
        """The time to go by: `date`, or what was last given where that is later. Raises ClockJumped."""
        here = self._monotonic()
        for then, mark in self._marks:
            off = (date - then) - (here - mark)
            if abs(off) > JUMP_SECONDS + DRIFT * (here - mark):
                raise ClockJumped(
                    f"the API server's clock jumped {'back' if off < 0 else 'ahead'} by {abs(off):.0f} s",
                    hint="mend the clocks of the control plane, then start the applier again",
                )
        self._marks = [*self._marks[:1], (date, here)]
        self._shown = max(self._shown, date)
        return self._shown


class LiveWriter(Connected):
    """Write access to objects of `kinds` in one cluster, with one identity (protocol tools.writing.Writer)."""

    def __init__(
        self,
        transport: WritingTransport,
        *,
        kinds: Collection[KindRef],
        cluster: str = "",
        request_timeout: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        never = sorted(str(kind) for kind in kinds if kind.group in NEVER_GROUPS or str(kind) in NEVER_KINDS)
        if never:
            raise ValueError(f"the catalogue names kinds that are never written: {', '.join(never)}")
        super().__init__(transport, request_timeout=request_timeout, cluster=cluster)
        self._transport: WritingTransport = transport
        self._kinds = frozenset(kinds)
        self._reads = LiveKube(transport, request_timeout=request_timeout)
        self._clock = ServerClock(monotonic)
        self._monotonic = monotonic
        self._asked = monotonic()

    @property
    def writes(self) -> int:
        """Patches without dryRun that may have reached the server."""
        return self._transport.writes

    async def get(self, ref: ResourceRef) -> JsonObject:
        """The object as it stands. Raises Refused, NotFound, NotServed, Denied, Unavailable, BadAnswer."""
        resource, path = await self._place(ref)
        found = await self._transport.json(path, limit=OBJECT_BYTES, deadline=self._deadline(BULK.seconds))
        return _is_it(found, ref, resource)

    async def dry_run(self, ref: ResourceRef, patch: JsonObject) -> JsonObject:
        """What the object would become. Raises Refused, and PortErrors but Lost."""
        return await self._patch(ref, patch, dry_run=True)

    async def patch(self, ref: ResourceRef, patch: JsonObject) -> JsonObject:
        """Write a merge patch, once. Raises Refused, and PortErrors: only Lost leaves open whether it was written."""
        return await self._patch(ref, patch, dry_run=False)

    async def server_time(self) -> float:
        """The server's clock by the Date of a fresh answer. Raises ClockJumped, BadAnswer, Unavailable."""
        here = self._monotonic()
        known = self._transport.date(within=FRESH_SECONDS) if here - self._asked <= FRESH_SECONDS else None
        self._asked = here
        if known is None:
            with contextlib.suppress(Denied):  # an answer all the same, and it is dated
                deadline = self._deadline(BULK.seconds)
                await self._transport.json(routes.VERSION, limit=REVIEW_BYTES, deadline=deadline)
            known = self._transport.date(within=CLOCK_SECONDS)
        if known is None:
            raise BadAnswer("the API server's answers carry no Date header")
        return self._clock.read(known)

    async def cluster_uid(self) -> str:
        """uid of the namespace kube-system, read anew. Raises PortError."""
        path = routes.member(_NAMESPACES, None, "kube-system")
        found = await self._transport.json(path, limit=OBJECT_BYTES, deadline=self._deadline(BULK.seconds))
        uid = _metadata(found).get("uid")
        if _metadata(found).get("name") != "kube-system" or not isinstance(uid, str) or not uid:
            raise BadAnswer("the API server answered something other than the namespace kube-system")
        return uid

    async def identity(self) -> Identity:
        """Whom the server takes us for. Raises NotServed before Kubernetes 1.28."""
        user, groups = await self._reads.whoami()
        return Identity(user=user, groups=groups)

    async def _place(self, ref: ResourceRef) -> tuple[ApiResource, str]:
        """The resource and path of an object. Raises Refused, NotFound, NotServed, and what discovery raises."""
        if ref.kind_ref not in self._kinds:
            raise Refused(f"{str(ref.kind_ref)[:80]} is of no kind that the catalogue changes")
        if ref.version and not _VERSION.fullmatch(ref.version):
            raise Refused(f"{ref.version[:80]!r} is no version of an API")
        found = await self._reads.discovery()
        resource = found.find(ref.kind_ref)
        if resource is None and ref.group in found.unreachable:
            raise Unavailable(f"the API group {ref.group} does not answer")
        if resource is None:
            raise NotServed(f"the cluster does not serve {ref.kind_ref}")
        if resource.namespaced is not (ref.namespace is not None):
            raise Refused(f"{ref.kind} is {'in a namespace' if resource.namespaced else 'in no namespace'}")
        if ref.version:
            resource = resource.model_copy(update={"version": ref.version})
        return resource, routes.member(resource, ref.namespace, ref.name)

    async def _patch(self, ref: ResourceRef, patch: JsonObject, *, dry_run: bool) -> JsonObject:
        data = encoded(patch)
        check_fields(ref, patch, bound=not dry_run)
        resource, path = await self._place(ref)
        answer = await self._transport.patch(path, data, dry_run=dry_run, deadline=self._deadline(WRITE_SECONDS))
        if answer.status != 200:
            raise failure(answer, path, sent=not dry_run)
        try:
            if answer.cut:
                raise BadAnswer(f"its answer is larger than {OBJECT_BYTES >> 20} MiB")
            return _is_it(await self._transport.parse(answer.body), ref, resource)
        except BadAnswer as error:
            if dry_run:
                raise
            raise Lost(f"the patch of {ref} was accepted, but {error.message}") from error


def catalogued() -> frozenset[KindRef]:
    """The kinds that changes of the catalogue may touch."""
    return frozenset(kind for change in registry.changes().values() for kind in change.kinds)


async def connect_writer(target: KubeTarget, *, monotonic: Callable[[], float] = time.monotonic) -> LiveWriter:
    """A write port with the credentials of `target`, which are the applier's own; sends nothing yet.

    `monotonic` is the clock that the server's is checked against: a world's own, where one is served whose clock
    stands still. Raises CredentialsError (also for an identity borrowed by impersonation), UnknownName, DocumentError.
    """
    login = await sign_in(target)
    if login.as_user or login.as_groups:
        raise CredentialsError(
            f"context {login.context} impersonates {login.as_user or 'a group'}; the applier acts as itself",
            hint="give the applier a context with credentials of its own",
        )
    return LiveWriter(
        opened(login, WritingTransport),
        kinds=catalogued(),
        cluster=login.context,
        request_timeout=target.request_timeout,
        monotonic=monotonic,
    )


def _metadata(found: JsonObject) -> JsonObject:
    meta = found.get("metadata")
    return meta if isinstance(meta, dict) else {}


def _is_it(found: JsonValue, ref: ResourceRef, resource: ApiResource) -> JsonObject:
    """`found`, where it is the object asked for. Raises BadAnswer."""
    api_version = f"{resource.group}/{resource.version}" if resource.group else resource.version
    if isinstance(found, dict):
        meta = _metadata(found)
        named = (found.get("apiVersion"), found.get("kind"), meta.get("namespace"), meta.get("name"))
        if named == (api_version, ref.kind, ref.namespace, ref.name):
            return found
    raise BadAnswer(f"the API server answered something other than {ref}")
