"""The store as a world's reactions change it: whole objects in, whole objects out, watches told as of any write."""

from __future__ import annotations

from dataclasses import dataclass

from evals.servers.kube.convert import stored_form
from evals.servers.kube.jsonread import as_int, as_object, as_text
from evals.servers.kube.kinds import Kinds, Resource
from evals.servers.kube.store import Item, Store
from tools.types import JsonObject


def whole_body(item: Item) -> JsonObject:
    """An object with its kind and apiVersion, as it is stored."""
    return {"apiVersion": item.resource.api_version, "kind": item.resource.kind, **item.body}


@dataclass(frozen=True, slots=True)
class StoredObjects:
    """Implements ObjectStore on a server's store."""

    store: Store
    kinds: Kinds

    def put(self, body: JsonObject) -> None:
        """Make or replace an object; generation rises with the desired state, as for any controller's write."""
        resource = self._resource(body)
        metadata = as_object(body["metadata"])
        namespace = as_text(metadata.get("namespace")) if resource.namespaced else ""
        have = self.store.get(resource, namespace, as_text(metadata["name"]))
        if have is not None and resource.counts_generation and have.body.get("spec") != body.get("spec"):
            metadata = {**metadata, "generation": as_int(have.metadata.get("generation")) + 1}
        kept_as, stored = stored_form(resource, {**body, "metadata": metadata}, self.kinds)
        self.store.put(kept_as, stored)

    def remove(self, body: JsonObject) -> None:
        """Remove an object, if it is there."""
        resource = self._resource(body)
        metadata = as_object(body["metadata"])
        namespace = as_text(metadata.get("namespace")) if resource.namespaced else ""
        item = self.store.get(resource, namespace, as_text(metadata["name"]))
        if item is not None:
            self.store.remove(item)

    def _resource(self, body: JsonObject) -> Resource:
        group, _, version = as_text(body.get("apiVersion")).rpartition("/")
        return self.kinds.by_kind[(group, version, as_text(body.get("kind")))]
