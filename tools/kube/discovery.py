"""What a cluster serves: two requests where it knows aggregated discovery, else one document per group version.

Rules: of each kind the version the cluster prefers wins; a group that cannot be read is named, and costs no other
group; nothing of a document enters the result before its shape was checked.
Format: kubernetes.io/docs/concepts/overview/kubernetes-api, "Discovery API".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import JsonValue

from tools.errors import Denied, PortError
from tools.http import Deadline
from tools.kube import routes
from tools.kube.transport import Transport
from tools.types import ApiResource, Discovery, JsonObject

DOCUMENT_BYTES: Final = 8 << 20
SECONDS: Final = 20.0
MAX_DOCUMENTS: Final = 400
"""Most group versions read one by one; a cluster with every add-on we know serves below 120."""
AGGREGATED: Final = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)


class _Found:
    """Resources by (group, kind); the first version that names a kind keeps it."""

    def __init__(self) -> None:
        self.resources: dict[tuple[str, str], ApiResource] = {}
        self.unreachable: set[str] = set()

    def add(self, resources: Iterable[ApiResource]) -> None:
        """Take the resources of one group version."""
        for resource in resources:
            self.resources.setdefault((resource.group, resource.kind), resource)


async def discover(transport: Transport) -> Discovery:
    """Read what the cluster serves. Raises the port's errors when not even the list of groups can be read."""
    deadline = Deadline.after(SECONDS)
    found = _Found()
    version, core, named = await asyncio.gather(
        _version(transport, deadline),
        transport.json(routes.CORE_GROUPS, limit=DOCUMENT_BYTES, deadline=deadline, accept=AGGREGATED),
        transport.json(routes.NAMED_GROUPS, limit=DOCUMENT_BYTES, deadline=deadline, accept=AGGREGATED),
    )
    single: list[tuple[str, str]] = []
    for document in (core, named):
        if document.get("kind") == "APIGroupDiscoveryList":
            _read_aggregated(document, found)
        else:
            single.extend(_group_versions(document))
    await _read_singly(transport, single[:MAX_DOCUMENTS], deadline, found)
    found.unreachable.update(group for group, _ in single[MAX_DOCUMENTS:])
    return Discovery(
        server_version=version,
        resources=tuple(found.resources.values()),
        unreachable=tuple(sorted(found.unreachable)),
    )


async def _version(transport: Transport, deadline: Deadline) -> str:
    try:
        return _text((await transport.json(routes.VERSION, limit=1 << 16, deadline=deadline)).get("gitVersion"))
    except Denied:
        return ""


def _read_aggregated(document: JsonObject, found: _Found) -> None:
    for group in _objects(document.get("items")):
        name = _text(_object(group.get("metadata")).get("name"))
        for version in _objects(group.get("versions")):
            if version.get("freshness") == "Stale":
                found.unreachable.add(name)
            found.add(_aggregated_resources(name, version))


def _aggregated_resources(group: str, version: JsonObject) -> Iterator[ApiResource]:
    for entry in _objects(version.get("resources")):
        kind = _object(entry.get("responseKind"))
        if not _text(kind.get("kind")) or not _text(entry.get("resource")):
            continue
        yield ApiResource(
            group=group,
            version=_text(version.get("version")),
            kind=_text(kind.get("kind")),
            plural=_text(entry.get("resource")),
            namespaced=entry.get("scope") == "Namespaced",
            verbs=_texts(entry.get("verbs")),
        )


def _group_versions(document: JsonObject) -> Iterator[tuple[str, str]]:
    """(group, version) of an APIVersions or APIGroupList document, the preferred version of a group first."""
    for version in _texts(document.get("versions")):
        yield "", version
    for group in _objects(document.get("groups")):
        preferred = _text(_object(group.get("preferredVersion")).get("version"))
        versions = [_text(v.get("version")) for v in _objects(group.get("versions"))]
        for version in sorted(filter(None, versions), key=lambda v: v != preferred):
            yield _text(group.get("name")), version


async def _read_singly(transport: Transport, wanted: list[tuple[str, str]], deadline: Deadline, found: _Found) -> None:
    documents = await asyncio.gather(*(_document(transport, g, v, deadline) for g, v in wanted))
    for (group, version), document in zip(wanted, documents, strict=True):
        if document is None:
            found.unreachable.add(group)
        else:
            found.add(_document_resources(group, version, document))


async def _document(transport: Transport, group: str, version: str, deadline: Deadline) -> JsonObject | None:
    try:
        path = routes.group_path(group, version)
        return await transport.json(path, limit=DOCUMENT_BYTES, deadline=deadline)
    except PortError:
        return None


def _document_resources(group: str, version: str, document: JsonObject) -> Iterator[ApiResource]:
    for entry in _objects(document.get("resources")):
        plural, kind = _text(entry.get("name")), _text(entry.get("kind"))
        if not kind or not plural or "/" in plural:
            continue
        yield ApiResource(
            group=group,
            version=version,
            kind=kind,
            plural=plural,
            namespaced=entry.get("namespaced") is True,
            verbs=_texts(entry.get("verbs")),
        )


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue) -> Iterator[JsonObject]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
