"""The objects of a world as the API server keeps them: complete metadata, one order, one growing resourceVersion.

Rules: the world's own objects are never changed, a write puts a new Item in place of the old one; an Item is
completed and serialised only when somebody asks, and only once; every write is remembered, so that a state of
the past can be listed (paging) and watched until it is compacted.
"""

from __future__ import annotations

import json
import uuid
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evals.servers.kube.convert import stored_form
from evals.servers.kube.jsonread import as_object, as_text, rfc3339
from evals.servers.kube.kinds import Kinds, Resource
from evals.world.model import World
from tools.errors import DocumentError
from tools.types import JsonObject

NAMES = uuid.uuid5(uuid.NAMESPACE_DNS, "objects.plumbline.dev")
"""Namespace of the uids given to objects whose author left the uid out."""
AGE_WITHOUT_DATE = 86_400.0
"""Seconds before the world's now at which an object without creationTimestamp was made."""
FIRST_REVISION = 1000


def encode(value: object) -> bytes:
    """Compact JSON as UTF-8; lone surrogates, which UTF-8 cannot carry, become `?`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class Item:
    """One version of one object. `raw` is what the world's author (or a write) gave; revision 0 was never stored."""

    __slots__ = ("_body", "_bytes", "created", "name", "namespace", "raw", "resource", "revision")

    def __init__(self, resource: Resource, raw: JsonObject, revision: int, created: float) -> None:
        metadata = as_object(raw.get("metadata"))
        self.resource, self.raw, self.revision, self.created = resource, raw, revision, created
        self.name = as_text(metadata.get("name"))
        self.namespace = (as_text(metadata.get("namespace")) or "default") if resource.namespaced else ""
        self._body: JsonObject | None = None
        self._bytes: bytes | None = None

    @property
    def key(self) -> str:
        """`namespace/name`, or `name`: the order of lists is the byte order of these."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def body(self) -> JsonObject:
        """The object without kind and apiVersion, metadata complete. Not to be changed."""
        if self._body is None:
            rest = {key: value for key, value in self.raw.items() if key not in ("kind", "apiVersion", "metadata")}
            self._body = {"metadata": self._metadata(), **rest}
        return self._body

    @property
    def metadata(self) -> JsonObject:
        """Complete metadata. Not to be changed."""
        return as_object(self.body["metadata"])

    @property
    def json(self) -> bytes:
        """`body` as JSON."""
        if self._bytes is None:
            self._bytes = encode(self.body)
        return self._bytes

    def _metadata(self) -> JsonObject:
        given = as_object(self.raw.get("metadata"))
        head: JsonObject = {"name": self.name}
        if "generateName" in given:
            head["generateName"] = given["generateName"]
        if self.resource.namespaced:
            head["namespace"] = self.namespace
        identity = f"{self.resource.group}/{self.resource.kind}/{self.namespace}/{self.name}"
        head["uid"] = given.get("uid") or str(uuid.uuid5(NAMES, identity))
        if version := as_text(given.get("resourceVersion")) or (str(self.revision) if self.revision else ""):
            head["resourceVersion"] = version
        if given.get("generation") is None and self.resource.counts_generation:
            head["generation"] = 1
        head["creationTimestamp"] = given.get("creationTimestamp") or rfc3339(self.created)
        return {**head, **{key: value for key, value in given.items() if key not in head}}


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `old` None is a creation, `new` None a deletion."""

    revision: int
    storage: str
    key: str
    old: Item | None
    new: Item | None


class Store:
    """Everything one world server serves. Raises DocumentError for an object of unknown kind or a repeated one."""

    def __init__(self, world: World, kinds: Kinds) -> None:
        self._world, self._kinds = world, kinds
        self._items: dict[str, dict[str, Item]] = {}
        self._order: dict[str, tuple[Sequence[str], Sequence[Item]]] = {}
        self.changes: list[Change] = []
        self.compacted = 0
        self._listeners: list[Callable[[], None]] = []
        self.revision = self._load(world.objects)

    def _load(self, objects: Sequence[JsonObject]) -> int:
        explicit = [_revision_of(one) for one in objects]
        revision = max(FIRST_REVISION, *explicit) if explicit else FIRST_REVISION
        created = self._world.clock.now - AGE_WITHOUT_DATE
        for raw, given in zip(objects, explicit):
            if not given:
                revision += 1
            resource, stored = stored_form(self._resource_of(raw), raw, self._kinds)
            item = Item(resource, stored, given or revision, created)
            bucket = self._items.setdefault(item.resource.storage, {})
            if not item.name or item.key in bucket:
                problem = "appears twice" if item.name else "has no metadata.name"
                raise DocumentError(self._world.name, None, describe(raw), problem)
            bucket[item.key] = item
        return revision

    def _resource_of(self, raw: JsonObject) -> Resource:
        group, _, version = as_text(raw.get("apiVersion")).rpartition("/")
        kind = as_text(raw.get("kind"))
        resource = self._kinds.by_kind.get((group, version, kind))
        if resource is None:
            api_version = as_text(raw.get("apiVersion")) or "no apiVersion"
            problem = (
                f"unknown kind {kind or '(none)'} in {api_version}: add it to the world's definitions "
                "or include its CustomResourceDefinition"
            )
            raise DocumentError(self._world.name, None, describe(raw), problem)
        return resource

    # --- reading ---------------------------------------------------------------------------------------

    def get(self, resource: Resource, namespace: str, name: str) -> Item | None:
        """The object, or None."""
        return self._items.get(resource.storage, {}).get(f"{namespace}/{name}" if namespace else name)

    def select(self, resource: Resource, namespace: str = "", *, at: int | None = None) -> Sequence[Item]:
        """Objects in the server's order; `namespace` "" means all; `at` is a revision of the past."""
        if at is not None and at < self.revision:
            return [item for item in self._at(resource.storage, at) if namespace in ("", item.namespace)]
        keys, items = self._sorted(resource.storage)
        if not namespace:
            return items
        return items[bisect_left(keys, f"{namespace}/") : bisect_left(keys, f"{namespace}0")]

    def _sorted(self, storage: str) -> tuple[Sequence[str], Sequence[Item]]:
        order = self._order.get(storage)
        if order is None:
            bucket = self._items.get(storage, {})
            keys = sorted(bucket)
            order = self._order[storage] = (keys, [bucket[key] for key in keys])
        return order

    def _at(self, storage: str, revision: int) -> list[Item]:
        state: dict[str, Item] = dict(self._items.get(storage, {}))
        for change in reversed(self.changes):
            if change.revision <= revision:
                break
            if change.storage == storage:
                if change.old is None:
                    state.pop(change.key, None)
                else:
                    state[change.key] = change.old
        return [state[key] for key in sorted(state) if state[key].revision <= revision]

    def since(self, resource: Resource, revision: int) -> Sequence[Change]:
        """What happened to a resource after a revision, oldest first; objects the world began with count as made."""
        storage = resource.storage
        later = [change for change in self.changes if change.revision > revision and change.storage == storage]
        made = [
            Change(item.revision, storage, item.key, None, item)
            for item in self._at(storage, self.changes[0].revision - 1 if self.changes else self.revision)
            if item.revision > revision
        ]
        return sorted(made, key=lambda change: change.revision) + later

    # --- writing ---------------------------------------------------------------------------------------

    def put(self, resource: Resource, raw: JsonObject) -> Item:
        """Make or replace an object at the next resourceVersion; everybody who watches is told."""
        metadata = {**as_object(raw.get("metadata")), "resourceVersion": str(self.revision + 1)}
        item = Item(resource, {**raw, "metadata": metadata}, self.revision + 1, self._world.clock.now)
        bucket = self._items.setdefault(resource.storage, {})
        self._record(Change(self.revision + 1, resource.storage, item.key, bucket.get(item.key), item))
        bucket[item.key] = item
        return item

    def remove(self, item: Item) -> None:
        """Delete an object at the next resourceVersion."""
        self._record(Change(self.revision + 1, item.resource.storage, item.key, item, None))
        del self._items[item.resource.storage][item.key]

    def compact(self) -> None:
        """Forget the past: older resourceVersions and continue tokens are expired from now on."""
        self.revision += 1
        self.compacted = self.revision

    def _record(self, change: Change) -> None:
        self.revision = change.revision
        self.changes.append(change)
        self._order.pop(change.storage, None)
        self.notify()

    def notify(self) -> None:
        """Wake everybody who listens."""
        for listener in tuple(self._listeners):
            listener()

    @property
    def listeners(self) -> int:
        """How many watches are open."""
        return len(self._listeners)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every write; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def _revision_of(raw: JsonObject) -> int:
    text = as_text(as_object(raw.get("metadata")).get("resourceVersion"))
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def describe(raw: JsonObject) -> str:
    """An object as error messages name it: `namespace/Kind/name`."""
    metadata = as_object(raw.get("metadata"))
    parts = [as_text(metadata.get("namespace")), as_text(raw.get("kind")), as_text(metadata.get("name"))]
    return "/".join(part for part in parts if part) or "an object"
