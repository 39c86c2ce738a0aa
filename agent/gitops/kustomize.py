"""What a kustomization builds, as far as it decides where an object stands: resources, components, names, namespaces.

Rules: only folders of the checkout; nothing is fetched and nothing run; a generator, a replacement or a remote base
builds nothing here. Source of the fields: the kustomization API (kustomize.config.k8s.io/v1beta1).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydantic import JsonValue

from agent.gitops.checkout import Checkout, Declared
from tools import fields
from tools.types import ResourceRef

MAX_DEPTH = 16
"""Kustomizations below one another."""
_CLUSTER_SCOPED = frozenset(("Node", "Namespace", "ClusterQueue", "ResourceFlavor", "PriorityClass"))
"""Kinds we change, or read, to which `namespace:` does not apply."""


@dataclass(frozen=True, slots=True)
class Built:
    """One declared object as a kustomization builds it."""

    declared: Declared
    name: str
    namespace: str | None
    chain: tuple[str, ...]
    """Folders of kustomizations, from the top one down to the one that lists the file; empty for a plain file."""

    def is_target(self, target: ResourceRef) -> bool:
        """True where this is the object: a file that names no namespace leaves that to whoever applies it."""
        ref = self.declared.ref
        if (ref.group, ref.kind, self.name) != (target.group, target.kind, target.name):
            return False
        return self.namespace is None or self.namespace == target.namespace


def build(checkout: Checkout, folder: str, above: tuple[str, ...] = ()) -> list[Built]:
    """Everything that the kustomization of a folder builds from files of the checkout."""
    name = checkout.kustomization(folder)
    if not name or folder in above or len(above) >= MAX_DEPTH:
        return []
    here = kustomization(checkout, folder)
    found: list[Built] = []
    for entry in entries(here, folder):
        if entry in checkout.documents:
            listed = (one for one in checkout.objects if one.file == entry)
            found += [Built(one, one.ref.name, one.ref.namespace, (folder,)) for one in listed]
        else:
            below = build(checkout, entry, (*above, folder))
            found += [replace(one, chain=(folder, *one.chain)) for one in below]
    prefix, suffix = fields.text(here, "namePrefix"), fields.text(here, "nameSuffix")
    placed = fields.text(here, "namespace")
    return [
        replace(
            one,
            name=f"{prefix}{one.name}{suffix}",
            namespace=placed if placed and one.declared.ref.kind not in _CLUSTER_SCOPED else one.namespace,
        )
        for one in found
    ]


def kustomization(checkout: Checkout, folder: str) -> JsonValue:
    """The kustomization of a folder; None where it has none."""
    documents = checkout.documents.get(checkout.kustomization(folder), [])
    return documents[0] if documents else None


def entries(data: JsonValue, folder: str) -> Iterator[str]:
    """Files and folders that a kustomization lists, relative to the root; remote ones are left out."""
    for field in ("resources", "bases", "components"):
        for entry in fields.texts(data, field):
            if "://" not in entry and not entry.startswith(("git@", "github.com/")):
                path = posixpath.normpath(posixpath.join(folder, entry))
                if not path.startswith(".."):
                    yield "" if path == "." else path


def folders(checkout: Checkout) -> list[str]:
    """Every folder that has a kustomization."""
    found = {posixpath.dirname(name) for name in checkout.texts}
    return sorted(folder for folder in found if checkout.kustomization(folder))


def tops(checkout: Checkout) -> list[str]:
    """Kustomizations that no other one lists: what somebody applies."""
    every = folders(checkout)
    listed = {entry for folder in every for entry in entries(kustomization(checkout, folder), folder)}
    return [folder for folder in every if folder not in listed]


def everything(checkout: Checkout) -> list[Built]:
    """All that is built, and every object that stands in no kustomization, as it is."""
    built = [one for top in tops(checkout) for one in build(checkout, top)]
    listed = {(one.declared.file, one.declared.document) for one in built}
    plain = (one for one in checkout.objects if (one.file, one.document) not in listed)
    return built + [Built(one, one.ref.name, one.ref.namespace, ()) for one in plain]
