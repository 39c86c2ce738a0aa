"""The applier's port as everybody else sees it: a protocol, and what each of its failures says about the cluster.

Rules: only the applying process holds one; a write is one merge patch of one main resource, sent once. Every error
but Lost means that nothing was written; Lost alone leaves that open, and only a fresh read can tell.

PortError
├── Conflict         409: the resourceVersion sent is not the newest
├── Invalid          422, 400 and their like: the server calls the patch wrong; a wrong uid is one of these
├── Rejected         admission (webhook, policy, quota) refuses what the identity may do
├── Denied           403: the identity may not do it
├── NotFound         404: no such object
├── NotServed        404: no such kind
├── BadAnswer        a read or a dry run was answered by something that is no Kubernetes object
├── ClockJumped      the server's clock cannot be trusted, so nothing that expires may start
├── Unavailable      nothing was written, and it may be asked again
│   └── Throttled      429, with the seconds to wait
└── Lost             a write was sent, and what became of it is not known
"""

from __future__ import annotations

from typing import Protocol

from tools.errors import BadAnswer, Denied, NotFound, NotServed, PortError, Unavailable
from tools.types import Frozen, JsonObject, ResourceRef

__all__ = [
    "BadAnswer",
    "Cause",
    "ClockJumped",
    "Conflict",
    "Denied",
    "Identity",
    "Invalid",
    "Lost",
    "NotFound",
    "NotServed",
    "Rejected",
    "Throttled",
    "Unavailable",
    "Writer",
]


class Cause(Frozen):
    """One reason of a 422, as the server lists them; `field` is "" where it names none."""

    field: str = ""
    message: str = ""


class Conflict(PortError):
    """409: somebody wrote the object after it was read. Nothing was written: read again, and start over."""


class Invalid(PortError):
    """The server calls the patch wrong: 422 with causes, or 400, 405, 413, 415. The same patch fails again."""

    def __init__(self, message: str, *, causes: tuple[Cause, ...] = ()) -> None:
        super().__init__(message)
        self.causes = causes

    @property
    def other_object(self) -> bool:
        """True where the uid sent is not that of the object: it was deleted and made again, so the plan is stale."""
        return any(cause.field == "metadata.uid" for cause in self.causes)


class Rejected(PortError):
    """An admission webhook, an admission policy or a quota refuses the patch, whoever sends it."""


class Lost(PortError):
    """A write was sent and no answer says what became of it: connection lost, no answer in time, a 5xx, a proxy.

    Never sent again by the port. The plan annotation of a fresh read tells whether it took effect.
    """


class ClockJumped(PortError):
    """The server's Date moved otherwise than time did. It stays so until both agree again."""


class Throttled(Unavailable):
    """429: not now. `wait` is the server's Retry-After in seconds, None where it gave none."""

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Identity(Frozen):
    """Whom the API server takes us for, by SelfSubjectReview."""

    user: str
    groups: tuple[str, ...] = ()


class Writer(Protocol):
    """Write access to the objects of the catalogue, in one cluster, with one identity of its own.

    Raises Refused for what is never sent, CredentialsError where the credential is not accepted, else PortError.
    """

    async def get(self, ref: ResourceRef) -> JsonObject:
        """The object as it stands now, raw. `ref.version` "" is the version the cluster prefers; uid does not count."""
        ...

    async def dry_run(self, ref: ResourceRef, patch: JsonObject) -> JsonObject:
        """What the object would become, by the server's own word. Nothing is kept; never raises Lost."""
        ...

    async def patch(self, ref: ResourceRef, patch: JsonObject) -> JsonObject:
        """Write one merge patch, once. It must carry uid, resourceVersion and the plan annotation.

        A call that is cancelled while it runs leaves open what became of the write, as Lost does.
        """
        ...

    async def server_time(self) -> float:
        """The API server's clock (Unix seconds, whole, at most two behind). Never goes back. Raises ClockJumped."""
        ...

    async def cluster_uid(self) -> str:
        """uid of the namespace kube-system, which tells one cluster from another."""
        ...

    async def identity(self) -> Identity:
        """Whom the server takes us for."""
        ...

    @property
    def address(self) -> str:
        """Base address of the API server."""
        ...

    @property
    def requests(self) -> int:
        """HTTP requests sent so far."""
        ...

    @property
    def writes(self) -> int:
        """Patches without dryRun that may have reached the server, refused ones included."""
        ...
