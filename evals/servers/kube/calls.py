"""One request, taken apart: who asks for which verb on what; and one answer, not yet bytes on the wire.

The path grammar is that of the Kubernetes API: `/api/v1/…`, `/apis/GROUP/VERSION/…`, optionally
`namespaces/NS/`, then `RESOURCE[/NAME[/SUBRESOURCE]]`. Everything else is a non-resource path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_TRUE = ("true", "1")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class User:
    """Whoever a request is made as."""

    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What a path and method ask for. `resource` "" is a non-resource path."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(slots=True)
class Call:
    """One request on its way through the server."""

    method: str
    target: Target
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: User

    @property
    def accept(self) -> str:
        """The Accept header, "" where absent."""
        return self.headers.get("Accept", "")

    @property
    def content_type(self) -> str:
        """Media type of the body, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def flag(self, name: str) -> bool:
        """A boolean query parameter; absent is False."""
        return self.query.get(name, "") in _TRUE


@dataclass(slots=True)
class Answer:
    """A whole answer."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request the server got. `user` is "" where it was refused before anybody was known."""

    method: str
    path: str
    query: str
    user: str
    status: int
    verb: str = ""
    """What was asked for, in the words of RBAC: get, list, watch, create, update, patch, delete …"""
    dry_run: bool = False
    changed: bool = False
    """True when the store moved: a write that took effect. Refusals, dry runs and patches of nothing are False."""


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One attempt to change something, whatever became of it."""

    method: str
    path: str
    query: str
    user: str
    status: int
    dry_run: bool
    content_type: str
    body: bytes
    verb: str = ""
    changed: bool = False
    """As in RequestRecord."""


def target_of(method: str, path: str, query: Mapping[str, str]) -> Target:
    """Parse a path; the verb follows from the method, the name and `watch`."""
    parts = [part for part in path.split("/") if part]
    if len(parts) > 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return Target(verb=method.lower(), path=path)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    return Target(
        verb=_verb(method, name, query),
        path=path,
        group=group,
        version=version,
        resource=rest[0],
        subresource="/".join(rest[2:]),
        namespace=namespace,
        name=name,
    )


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method in ("GET", "HEAD"):
        if query.get("watch", "") in _TRUE:
            return "watch"
        return "get" if name else "list"
    if method == "DELETE" and not name:
        return "deletecollection"
    return _VERBS.get(method, method.lower())
