"""Discovery: which groups, versions and resources there are, in the legacy and the aggregated form."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from evals.servers.kube.kinds import Kinds, Resource, Subresource, release_of
from tools.types import JsonObject

AGGREGATED = "APIGroupDiscoveryList"
_CLIENT_CIDR = "0.0.0.0/0"


def version_info(kubernetes: str) -> JsonObject:
    """The body of /version."""
    major, minor = release_of(kubernetes)
    text = kubernetes.removeprefix("v")
    git = f"v{text}" if text.count(".") > 1 else f"v{major}.{minor}.0"
    return {
        "major": str(major),
        "minor": str(minor),
        "emulationMajor": str(major),
        "emulationMinor": str(minor),
        "minCompatibilityMajor": str(major),
        "minCompatibilityMinor": str(minor - 1),
        "gitVersion": git,
        "gitCommit": hashlib.sha1(git.encode(), usedforsecurity=False).hexdigest(),
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.26.0",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def core_versions(address: str) -> JsonObject:
    """The body of /api; `address` is host:port of this server."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": _CLIENT_CIDR, "serverAddress": address}],
    }


def group_list(kinds: Kinds) -> JsonObject:
    """The body of /apis."""
    groups = [_group(name, versions) for name, versions in kinds.groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(groups)}


def group(kinds: Kinds, name: str) -> JsonObject | None:
    """The body of /apis/NAME, or None where there is no such group."""
    versions = kinds.groups().get(name) if name else None
    return None if versions is None else {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: Iterable[str]) -> JsonObject:
    entries: list[JsonObject] = [{"groupVersion": f"{name}/{one}", "version": one} for one in versions]
    return {"name": name, "versions": list(entries), "preferredVersion": entries[0]}


def resource_list(kinds: Kinds, group_name: str, version: str) -> JsonObject | None:
    """The body of /api/v1 or /apis/GROUP/VERSION, or None where it is not served."""
    resources = kinds.groups().get(group_name, {}).get(version)
    if resources is None:
        return None
    lines: list[JsonObject] = []
    for one in sorted(resources, key=lambda resource: resource.plural):
        lines.append(_line(one))
        lines.extend(_sub_line(one, sub) for sub in one.subresources)
    head: JsonObject = {"kind": "APIResourceList"}
    if group_name:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": resources[0].api_version, "resources": list(lines)}


def _line(resource: Resource) -> JsonObject:
    line: JsonObject = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short:
        line["shortNames"] = list(resource.short)
    if resource.categories:
        line["categories"] = list(resource.categories)
    if "watch" in resource.verbs:
        line["storageVersionHash"] = _storage_hash(resource)
    return line


def _sub_line(resource: Resource, sub: Subresource) -> JsonObject:
    line: JsonObject = {
        "name": f"{resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if sub.api_version:
        line["group"], _, line["version"] = sub.api_version.rpartition("/")
    return {**line, "kind": sub.kind, "verbs": list(sub.verbs)}


def _storage_hash(resource: Resource) -> str:
    """First 8 bytes of SHA-256 over group/version/kind of the stored form (apimachinery `StorageVersionHash`)."""
    group_name, version = resource.group, resource.version
    if group_name == "events.k8s.io":
        group_name = ""
    if group_name == "autoscaling":
        version = "v2"
    text = f"{group_name}/{version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def aggregated(kinds: Kinds, *, core: bool) -> JsonObject:
    """The APIGroupDiscoveryList of /api (core) or /apis."""
    items: list[JsonObject] = []
    for name, versions in kinds.groups().items():
        if (name == "") == core:
            shown = [_aggregated_version(version, resources) for version, resources in versions.items()]
            items.append({"metadata": {"name": name} if name else {}, "versions": list(shown)})
    return {"kind": AGGREGATED, "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": list(items)}


def _aggregated_version(version: str, resources: Iterable[Resource]) -> JsonObject:
    shown = [_aggregated(one) for one in sorted(resources, key=lambda resource: resource.plural)]
    return {"version": version, "resources": list(shown), "freshness": "Current"}


def _aggregated(resource: Resource) -> JsonObject:
    group_name, version = (resource.group, resource.version) if resource.custom else ("", "")
    entry: JsonObject = {
        "resource": resource.plural,
        "responseKind": {"group": group_name, "version": version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short:
        entry["shortNames"] = list(resource.short)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_aggregated_sub(sub, group_name, version) for sub in resource.subresources]
    return entry


def _aggregated_sub(sub: Subresource, group_name: str, version: str) -> JsonObject:
    if sub.api_version:
        group_name, _, version = sub.api_version.rpartition("/")
    kind: JsonObject = {"group": group_name, "version": version, "kind": sub.kind}
    return {"subresource": sub.name, "responseKind": kind, "verbs": list(sub.verbs)}
