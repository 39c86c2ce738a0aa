"""What everything is called by: objects, kinds, who asks, and how far a question reaches.

The base of tools/types.py, which gives all of it again; import it from there.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

JsonObject: TypeAlias = dict[str, JsonValue]
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Frozen(BaseModel):
    """Base of all values that cross a layer: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def canonical(value: object) -> bytes:
    """Bytes of `value` as canonical JSON: sorted keys, no spaces, UTF-8. Raises ValueError on NaN."""
    return _CANONICAL.encode(value).encode("utf-8", "surrogatepass")


def digest_of(value: object) -> str:
    """SHA-256 of the canonical JSON of `value`, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


# --- naming things -----------------------------------------------------------------------------------------


class KindRef(Frozen):
    """A kind of object without a version: discovery chooses the version the cluster prefers."""

    group: str = ""
    """API group, "" for core."""
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


class ResourceRef(Frozen):
    """One Kubernetes object. Prints as `namespace/Kind/name`, or `Kind/name` where there is no namespace."""

    group: str = ""
    version: str = ""
    kind: str
    namespace: str | None = None
    name: str
    uid: str | None = None

    @property
    def api_version(self) -> str:
        """`group/version`, or `version` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def kind_ref(self) -> KindRef:
        """The kind of this object, without version."""
        return KindRef(group=self.group, kind=self.kind)

    def same(self, other: ResourceRef) -> bool:
        """True when both name one object; version and uid do not count, absent uids least of all."""
        return self.identity == other.identity

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """(group, kind, namespace, name): what makes two references the same object."""
        return (self.group, self.kind, self.namespace or "", self.name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"


class Principal(Frozen):
    """Whoever the answer is for. Established by SelfSubjectReview, the Slack mapping, or an incident route."""

    source: Literal["cli", "tui", "slack", "incident"]
    user: str
    groups: tuple[str, ...] = ()
    established: str
    """How we know: "SelfSubjectReview", "slack mapping", "incident route", "world"."""


class Scope(Frozen):
    """What was asked about, what is read for it, and what the principal may see at all."""

    asked: str
    """The subject as printed: "cluster", "namespace search", "search/Pod/chat-0", "team search"."""
    subject: ResourceRef | None = None
    namespaces: tuple[str, ...] | None = None
    """Namespaces read; None reads every namespace."""
    permitted: tuple[str, ...] | None = None
    """Namespaces the principal may see; None means the whole cluster."""
    node: str | None = None
    selector: str = ""
    """Label selector narrowing the workloads asked about (`-l`)."""

    def admits(self, namespace: str | None) -> bool:
        """True when a row of `namespace` may be shown; rows without one need cluster read."""
        if self.permitted is None:
            return True
        return namespace is not None and namespace in self.permitted


def pointer(key: str, *path: str | int) -> str:
    """JSON Pointer (RFC 6901) to a field of the row with that key."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in (key, *path))


def tokens_of(path: str) -> list[str]:
    """The tokens of a JSON Pointer; none for the whole document."""
    return [unescaped(token) for token in path.split("/")[1:]]


def unescaped(token: str) -> str:
    """One token of a JSON Pointer as the key it stands for."""
    return token.replace("~1", "/").replace("~0", "~")
