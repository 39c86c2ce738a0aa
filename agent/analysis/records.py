"""Rows of evidence as things one can reason about, each value able to say where it stands.

Rule: no accessor raises on a null, a missing field or a wrong type; absent is "" or None or empty.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from tools import fields
from tools.types import EvidenceRef, JsonObject, KindRef, ResourceRef, digest_of, pointer


def quote(value: JsonValue) -> JsonValue:
    """A value as references quote it: scalars as they are, anything larger as `sha256:` and 16 hex digits."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return f"sha256:{digest_of(value)[:16]}"


@dataclass(frozen=True, slots=True)
class Record:
    """One Kubernetes object in evidence."""

    evidence: str
    key: str
    data: JsonObject
    ref: ResourceRef

    def get(self, *path: str | int) -> JsonValue:
        """The value at a path, or None."""
        return fields.dig(self.data, *path)

    def text(self, *path: str | int) -> str:
        """The string at a path, or ""."""
        return fields.text(self.data, *path)

    def num(self, *path: str | int) -> float | None:
        """The number or Kubernetes quantity at a path, or None."""
        return fields.number(self.data, *path)

    def items(self, *path: str | int) -> list[JsonObject]:
        """The objects of the list at a path; anything else in it is left out."""
        return fields.items(self.data, *path)

    def strings(self, *path: str | int) -> dict[str, str]:
        """The string map at a path."""
        return fields.strings(self.data, *path)

    def time(self, *path: str | int) -> float | None:
        """The RFC 3339 time at a path, as Unix seconds, or None."""
        return fields.timestamp(self.text(*path))

    @property
    def labels(self) -> dict[str, str]:
        """metadata.labels."""
        return self.strings("metadata", "labels")

    @property
    def annotations(self) -> dict[str, str]:
        """metadata.annotations."""
        return self.strings("metadata", "annotations")

    @property
    def created(self) -> float | None:
        """metadata.creationTimestamp, as Unix seconds."""
        return self.time("metadata", "creationTimestamp")

    def cite(self, *path: str | int) -> EvidenceRef:
        """A reference to the value at a path."""
        return EvidenceRef(evidence=self.evidence, path=pointer(self.key, *path), value=quote(self.get(*path)))


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of a metric answer: its labels and value (instant) or points (range)."""

    evidence: str
    key: str
    labels: dict[str, str]
    value: float | None
    points: tuple[tuple[float, float], ...] = ()

    def label(self, name: str) -> str:
        """A label's value, or ""."""
        return self.labels.get(name, "")

    def cite(self) -> EvidenceRef:
        """A reference to the value, or to the points of a range."""
        if self.points:
            points: JsonValue = [[t, v] for t, v in self.points]
            return EvidenceRef(evidence=self.evidence, path=pointer(self.key, "points"), value=quote(points))
        return EvidenceRef(evidence=self.evidence, path=pointer(self.key, "value"), value=self.value)


def reference_of(data: JsonObject, kind: KindRef) -> ResourceRef:
    """The reference of an object as listed under `kind` (list items may lack apiVersion and kind)."""
    api_version = fields.text(data, "apiVersion")
    version = api_version.rsplit("/", 1)[-1] if api_version else ""
    return ResourceRef.model_construct(  # every field is a string already; ten thousand validations are not free
        group=kind.group,
        version=version,
        kind=kind.kind,
        namespace=fields.text(data, "metadata", "namespace") or None,
        name=fields.text(data, "metadata", "name"),
        uid=fields.text(data, "metadata", "uid") or None,
    )


def owner_reference(data: JsonObject) -> ResourceRef | None:
    """The controller named in ownerReferences (else the first owner), or None."""
    owners = fields.items(data, "metadata", "ownerReferences")
    chosen = next((o for o in owners if o.get("controller") is True), owners[0] if owners else None)
    if chosen is None or not fields.text(chosen, "name"):
        return None
    group, _, version = fields.text(chosen, "apiVersion").rpartition("/")
    return ResourceRef.model_construct(
        group=group,
        version=version,
        kind=fields.text(chosen, "kind"),
        namespace=fields.text(data, "metadata", "namespace") or None,
        name=fields.text(chosen, "name"),
        uid=fields.text(chosen, "uid") or None,
    )
