"""What a client wants back: JSON or YAML, and as which kind (Table, PartialObjectMetadata, discovery lists).

Protobuf is never spoken: a client that offers it always offers JSON as well, and gets that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evals.servers.kube.status import ApiError

Encoding = Literal["json", "yaml"]

_OFFERED = (
    "application/json, application/yaml, application/vnd.kubernetes.protobuf, "
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
)
_ENCODINGS: dict[str, Encoding] = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/*": "json",
    "*/*": "json",
}
_GROUPS = {"meta.k8s.io": "v1", "apidiscovery.k8s.io": "v2"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The representation agreed on. `kind` "" is the object's own kind."""

    encoding: Encoding = "json"
    kind: str = ""

    @property
    def content_type(self) -> str:
        """Content-Type of the answer (discovery lists name their kind)."""
        if self.kind == "APIGroupDiscoveryList":
            return "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        return f"application/{self.encoding}"


def wanted(accept: str, *, kinds: tuple[str, ...]) -> Wanted:
    """The best representation of an Accept header among those on offer. Raises ApiError 406."""
    if not accept.strip():
        return Wanted()
    for media, parameters in sorted(map(_parse, accept.split(",")), key=lambda entry: -_quality(entry[1])):
        encoding = _ENCODINGS.get(media)
        kind = parameters.get("as", "")
        if encoding is None or (kind and not _offered(kind, parameters, kinds)):
            continue
        return Wanted(encoding, kind)
    raise ApiError(406, f"406: Not Acceptable\n\nAvailable representations: {_OFFERED}", details={})


def _parse(entry: str) -> tuple[str, dict[str, str]]:
    media, *rest = (part.strip() for part in entry.split(";"))
    pairs = (part.partition("=") for part in rest)
    return media.lower(), {name.strip(): value.strip() for name, _, value in pairs}


def _quality(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 1.0


def _offered(kind: str, parameters: dict[str, str], kinds: tuple[str, ...]) -> bool:
    return kind in kinds and _GROUPS.get(parameters.get("g", "")) == parameters.get("v")
