"""The constant route table: every path this package may ask for, and the only code that builds one.

Rules: a value enters a path only if it is a name Kubernetes itself could have accepted, so no value can add a
segment, a query, a header or another host; anything else names nothing, and is refused before a request exists.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from tools.errors import BadAnswer, NotFound
from tools.types import ApiResource

VERSION: Final = "/version"
CORE_GROUPS: Final = "/api"
NAMED_GROUPS: Final = "/apis"
ACCESS_REVIEW: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SELF_REVIEW: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

# DNS-1123 (RFC 1123 section 2.1, with Kubernetes' length limits: 63 a label, 253 a subdomain).
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Names of RBAC objects, ids of custom objects and the like are only "path segment names": anything without / and %
# that is not . or .. We take the part of it that no URL parser reads specially.
_SEGMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}")
_VERSION: Final = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")
_SELECTOR_LENGTH: Final = 4096


def group_path(group: str, version: str) -> str:
    """`/api/v1` or `/apis/GROUP/VERSION`. Raises BadAnswer: both come from discovery."""
    if not _VERSION.fullmatch(version) or (group and not _is_subdomain(group)):
        raise BadAnswer(f"discovery names an impossible API {group[:80]!r}/{version[:80]!r}")
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def collection(resource: ApiResource, namespace: str | None) -> str:
    """Path of all objects of a kind, in one namespace or in all. Raises NotFound for an impossible namespace."""
    if not _LABEL.fullmatch(resource.plural):
        raise BadAnswer(f"discovery names an impossible resource {resource.plural[:80]!r}")
    base = group_path(resource.group, resource.version)
    if namespace is None or not resource.namespaced:
        return f"{base}/{resource.plural}"
    return f"{base}/namespaces/{namespace_name(namespace)}/{resource.plural}"


def member(resource: ApiResource, namespace: str | None, name: str) -> str:
    """Path of one object. Raises NotFound where nothing can bear that name."""
    if resource.namespaced and namespace is None:
        raise NotFound(f"{resource.kind} {name[:80]!r} needs a namespace")
    return f"{collection(resource, namespace)}/{_object_name(name)}"


def log(namespace: str, pod: str) -> str:
    """Path of a pod's log. Raises NotFound where nothing can bear that name."""
    return f"/api/v1/namespaces/{namespace_name(namespace)}/pods/{_object_name(pod)}/log"


def namespace_name(namespace: str) -> str:
    """`namespace` itself. Raises NotFound when no namespace can be called that."""
    if not _LABEL.fullmatch(namespace):
        raise NotFound(f"{namespace[:80]!r} cannot be the name of a namespace")
    return namespace


def container_name(container: str) -> str:
    """`container` itself. Raises NotFound when no container can be called that."""
    if not _LABEL.fullmatch(container):
        raise NotFound(f"{container[:80]!r} cannot be the name of a container")
    return container


def query(**params: str | int) -> str:
    """A query string with every value percent-encoded; empty values are left out."""
    used = {key: str(value) for key, value in params.items() if value != ""}
    return "?" + urlencode(used) if used else ""


def selector(text: str, *, what: str) -> str:
    """A selector as it may be sent (it is percent-encoded later). Raises BadAnswer on control characters or size."""
    if len(text) > _SELECTOR_LENGTH or not text.isprintable():
        raise BadAnswer(f"not a {what} selector: {text[:80]!r}")
    return text


def _object_name(name: str) -> str:
    if not _SEGMENT.fullmatch(name):
        raise NotFound(f"{name[:80]!r} cannot be the name of an object")
    return name


def _is_subdomain(text: str) -> bool:
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None
