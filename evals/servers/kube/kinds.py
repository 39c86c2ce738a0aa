"""Which kinds a world serves: the built-in table, the world's own definitions, and its CustomResourceDefinitions.

Rules: a kind is found by (group, version, plural) for a request and by (group, version, kind) for an object;
several versions of one kind share one storage key; nothing here knows objects or HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from evals.servers.kube.builtin import BUILTIN, GENERATION, READ_WRITE, SINCE, SUBRESOURCES
from evals.servers.kube.jsonread import as_list, as_object, as_text
from tools.types import JsonObject

CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object: `status`, `scale`, `log` …"""

    name: str
    kind: str
    api_version: str
    """`group/version` of the kind where it is not the parent's, else ""."""
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One printed column of a custom kind."""

    name: str
    type: str
    path: str
    """JSONPath below the object, such as `.spec.replicas`."""
    format: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind in one version, as discovery shows it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...] = READ_WRITE
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    custom: bool = False
    list_kind: str = ""
    columns: tuple[Column, ...] = ()
    selectable: tuple[str, ...] = ()
    """Field selectors a custom kind declares."""
    scale_paths: tuple[str, str, str] = (".spec.replicas", ".status.replicas", "")
    """JSONPaths of desired replicas, current replicas and selector (custom kinds with `scale`)."""
    schema: JsonObject = field(default_factory=dict, compare=False)
    """The OpenAPI schema of a custom kind, where its definition gives one."""

    @property
    def api_version(self) -> str:
        """`group/version`, or `version` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def storage(self) -> str:
        """Where objects of every version of this kind are kept: `group/plural`."""
        key = f"{self.group}/{self.plural}"
        return ALIASES.get(key, key)

    @property
    def qualified(self) -> str:
        """`plural.group` as error messages write it; `plural` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def counts_generation(self) -> bool:
        """True where a change outside metadata and status raises metadata.generation."""
        return self.custom or f"{self.group}/{self.plural}" in GENERATION

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, or None."""
        return next((sub for sub in self.subresources if sub.name == name), None)


ALIASES = {"events.k8s.io/events": "/events"}
"""Resources that are another view of the same stored objects."""


@dataclass(slots=True)
class Kinds:
    """All resources of one world, in discovery order."""

    by_path: dict[tuple[str, str, str], Resource] = field(default_factory=dict)
    by_kind: dict[tuple[str, str, str], Resource] = field(default_factory=dict)

    def add(self, resource: Resource) -> None:
        """Serve a resource; a later definition of the same one is ignored."""
        key = (resource.group, resource.version, resource.plural)
        if key not in self.by_path:
            self.by_path[key] = resource
            self.by_kind.setdefault((resource.group, resource.version, resource.kind), resource)

    def groups(self) -> dict[str, dict[str, list[Resource]]]:
        """group → version (most stable first) → resources, in the order of definition."""
        found: dict[str, dict[str, list[Resource]]] = {}
        for resource in self.by_path.values():
            found.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        return {
            group: dict(sorted(versions.items(), key=lambda item: version_rank(item[0]), reverse=True))
            for group, versions in found.items()
        }


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Sort key of API versions: stable before beta before alpha, higher before lower (larger is preferred)."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (0, 0, 0, version)
    stage = {None: 3, "beta": 2, "alpha": 1}[match[2]]
    return (stage, int(match[1]), int(match[3] or 0), "")


def kinds_of(*, kubernetes: str, definitions: Iterable[JsonObject], objects: Iterable[JsonObject]) -> Kinds:
    """Everything a world serves: built-in kinds of its version, its definitions, its CRD objects."""
    kinds = Kinds()
    release = release_of(kubernetes)
    for group, version, table in BUILTIN:
        if release >= SINCE.get(group, (0, 0)):
            for line in table.strip().splitlines():
                kinds.add(_builtin(group, version, line.split()))
    for definition in definitions:
        kinds.add(_defined(definition))
    for item in objects:
        if item.get("kind") == "CustomResourceDefinition":
            for resource in custom_resources(item):
                kinds.add(resource)
    return kinds


def release_of(kubernetes: str) -> tuple[int, int]:
    """(major, minor) of a version text such as "1.36" or "v1.36.2"; (1, 36) where it says nothing."""
    match = re.match(r"v?(\d+)\.(\d+)", kubernetes)
    return (int(match[1]), int(match[2])) if match else (1, 36)


def _builtin(group: str, version: str, words: list[str]) -> Resource:
    plural, kind, scope, *rest = words
    short, categories, *extra = [*rest, "-", "-"] if len(rest) < 2 else rest
    verbs: tuple[str, ...] = READ_WRITE
    subs: list[Subresource] = []
    for word in extra:
        if word.startswith("!"):
            verbs = tuple(word[1:].split(","))
        elif word != "-":
            subs.append(_subresource(word, kind))
    return Resource(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        namespaced=scope == "ns",
        verbs=verbs,
        short=() if short == "-" else tuple(short.split(",")),
        categories=() if categories == "-" else tuple(categories.split(",")),
        subresources=tuple(subs),
    )


def _subresource(name: str, parent: str) -> Subresource:
    api_version, kind, verbs = SUBRESOURCES[name]
    return Subresource(name, kind.format(parent=parent) or parent, api_version, verbs)


def _defined(definition: JsonObject) -> Resource:
    """A kind of `World.definitions`; `status` is always there, `scale` where the definition says so."""
    kind = as_text(definition.get("kind"))
    subs = [as_text(name) for name in as_list(definition.get("subresources"))] or ["status"]
    return Resource(
        group=as_text(definition.get("group")),
        version=as_text(definition.get("version")) or "v1",
        kind=kind,
        plural=as_text(definition.get("plural")) or kind.lower() + "s",
        singular=as_text(definition.get("singular")) or kind.lower(),
        namespaced=definition.get("namespaced", True) is True,
        verbs=CUSTOM_VERBS,
        short=tuple(as_text(name) for name in as_list(definition.get("shortNames"))),
        categories=tuple(as_text(name) for name in as_list(definition.get("categories"))),
        subresources=tuple(_subresource(name, kind) for name in subs if name in SUBRESOURCES),
        custom=True,
        list_kind=f"{kind}List",
        columns=_columns(as_list(definition.get("columns"))),
    )


def custom_resources(definition: JsonObject) -> Iterator[Resource]:
    """The resources a CustomResourceDefinition object serves, one a served version."""
    spec = as_object(definition.get("spec"))
    names = as_object(spec.get("names"))
    kind = as_text(names.get("kind"))
    for version in map(as_object, as_list(spec.get("versions"))):
        if version.get("served") is False:
            continue
        subs = as_object(version.get("subresources"))
        scale = as_object(subs.get("scale"))
        shape = as_object(as_object(version.get("schema")).get("openAPIV3Schema"))
        yield Resource(
            group=as_text(spec.get("group")),
            version=as_text(version.get("name")),
            kind=kind,
            plural=as_text(names.get("plural")),
            singular=as_text(names.get("singular")) or kind.lower(),
            namespaced=spec.get("scope") != "Cluster",
            verbs=CUSTOM_VERBS,
            short=tuple(as_text(name) for name in as_list(names.get("shortNames"))),
            categories=tuple(as_text(name) for name in as_list(names.get("categories"))),
            subresources=tuple(_subresource(name, kind) for name in ("status", "scale") if name in subs),
            custom=True,
            list_kind=as_text(names.get("listKind")) or f"{kind}List",
            columns=_columns(as_list(version.get("additionalPrinterColumns"))),
            selectable=tuple(
                as_text(as_object(one).get("jsonPath")).removeprefix(".")
                for one in as_list(version.get("selectableFields"))
            ),
            scale_paths=(
                as_text(scale.get("specReplicasPath")) or ".spec.replicas",
                as_text(scale.get("statusReplicasPath")) or ".status.replicas",
                as_text(scale.get("labelSelectorPath")),
            ),
            schema=shape,
        )


def _columns(raw: list[object]) -> tuple[Column, ...]:
    columns: list[Column] = []
    for one in map(as_object, raw):
        priority = one.get("priority")
        columns.append(
            Column(
                name=as_text(one.get("name")),
                type=as_text(one.get("type")) or "string",
                path=as_text(one.get("jsonPath")) or as_text(one.get("path")),
                format=as_text(one.get("format")),
                priority=priority if isinstance(priority, int) else 0,
            )
        )
    return tuple(columns)
