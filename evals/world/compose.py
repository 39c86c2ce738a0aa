"""Layers put on each other: base objects, merge patches of overlays, `$pods` written out, metadata completed.

Rules: the same (group, kind, namespace, name) is one object; a later layer's document is a JSON merge patch of it;
`$delete: true` removes it. Work is shared: composing an overlay touches only the documents it names. Bodies are
shared between compositions and never changed after they are made; what is served is a fresh copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from evals.world.controllers import expand
from evals.world.events import EVENTS, events_of, refusals
from evals.world.layers import Document, Layer
from evals.world.managed import managed_fields
from evals.world.manifests import Identity, entries, identity_of, mapping, merge_patch, printed, text, uid_of
from evals.world.noise import seed_of
from evals.world.places import Place
from evals.world.times import relative
from tools.types import JsonObject

DELETE = "$delete"
DIRECTIVES = ("$pods", "$history", "$manager", "$edits", EVENTS, DELETE)
DEFAULT_AGE = 60 * 86_400.0
"""Age of an object that states none."""


@dataclass(frozen=True, slots=True)
class Made:
    """One finished object and its JSON text (times still relative)."""

    identity: Identity
    body: JsonObject
    text: str
    place: Place


@dataclass(slots=True)
class Composition:
    """The objects of a stack of layers. Equal stacks share one composition."""

    layers: tuple[Layer, ...]
    sources: dict[Identity, Place] = field(default_factory=dict)
    """Documents before `$pods` is written out."""
    made: dict[Identity, list[Made]] = field(default_factory=dict)
    """Source → the objects it stands for."""
    deleted: set[Identity] = field(default_factory=set)
    objects: dict[Identity, Made] = field(default_factory=dict)

    @property
    def bodies(self) -> Iterable[JsonObject]:
        """All objects, in the order they were written; times are relative, do not change them."""
        return (made.body for made in self.objects.values())

    def json(self) -> str:
        """All objects as one JSON list; times are relative."""
        return f"[{','.join(made.text for made in self.objects.values())}]"


_cache: dict[tuple[int, ...], Composition] = {}


def compose(layers: Sequence[Layer]) -> Composition:
    """The composition of a stack of layers, base first. Raises DocumentError."""
    key = tuple(id(layer) for layer in layers)
    found = _cache.get(key)
    if found is None:
        if len(_cache) > 256:
            _cache.clear()
        found = _cache[key] = _compose(layers)
    return found


def _compose(layers: Sequence[Layer]) -> Composition:
    top = layers[-1]
    base = compose(layers[:-1]) if len(layers) > 1 else Composition(())
    out = Composition((*base.layers, top), dict(base.sources), dict(base.made), set(base.deleted))
    touched: dict[Identity, Place] = {}
    for document in top.documents:
        if document.identity in touched:
            first = touched[document.identity].file
            document.place.fail(f"{printed(document.identity)} stands twice in this world (first in {first})")
        touched[document.identity] = document.place
        _merge(base, out, document)
    for identity in touched:
        place = out.sources.get(identity)
        out.made.pop(identity, None)
        if place is not None:
            out.made[identity] = _finish(place)
    _assemble(out)
    return out


def _merge(base: Composition, out: Composition, document: Document) -> None:
    identity, place = document.identity, document.place
    before = out.sources.get(identity)
    if place.at(DELETE).flag(default=False):
        if identity not in base.objects:
            place.fail(f"there is no {printed(identity)} to delete")
        out.sources.pop(identity, None)
        out.deleted.add(identity)
        return
    out.deleted.discard(identity)
    merged = merge_patch(before.value if before is not None else {}, place.value)
    out.sources[identity] = Place(place.file, place.lines, place.path, merged)


def _assemble(out: Composition) -> None:
    """Lay the made objects out in order; documents about objects that `$pods` made are patches of them."""
    generated = {entry.identity for source, made in out.made.items() for entry in made if entry.identity != source}
    for source, made in out.made.items():
        for entry in made:
            own = entry.identity == source
            if (own and source in generated) or entry.identity in out.deleted:
                continue
            patch = None if own else out.sources.get(entry.identity)
            out.objects[entry.identity] = entry if patch is None else _patched(entry, patch)


def _patched(entry: Made, patch: Place) -> Made:
    body = merge_patch(entry.body, patch.value)
    assert isinstance(body, dict)
    return _made(body, patch)


def _finish(place: Place) -> list[Made]:
    """The objects of one source document, completed."""
    body, children = expand(place)
    children += [*refusals(children), *events_of(place, body, children)]
    if not text(body, "apiVersion") or not text(body, "metadata", "name"):
        place.fail("an object needs apiVersion, kind and metadata.name; a patch needs a base that has them")
    managed = managed_fields(place, body)
    plain = {key: value for key, value in body.items() if key not in DIRECTIVES}
    for key in plain:
        if key.startswith("$"):
            place.at(key).fail(f"unknown directive; known here: {', '.join(DIRECTIVES)}, $for, $repeat")
    return [_made(plain, place, managed), *(_made(inner, place) for inner in children)]


def _made(body: JsonObject, place: Place, managed: list[JsonObject] | None = None) -> Made:
    complete = complete_metadata(body, managed or [])
    identity = identity_of(complete)
    return Made(identity, complete, json.dumps(complete, ensure_ascii=False, separators=(",", ":")), place)


def complete_metadata(body: JsonObject, managed: list[JsonObject]) -> JsonObject:
    """A copy with uid, creationTimestamp, resourceVersion, generation and the uids of owners filled in."""
    identity = identity_of(body)
    metadata = dict(mapping(body, "metadata"))
    metadata.setdefault("uid", uid_of(identity))
    metadata.setdefault("creationTimestamp", relative(-DEFAULT_AGE))
    metadata.setdefault("resourceVersion", str(100_000 + seed_of(*identity) % 900_000))
    if "spec" in body:
        metadata.setdefault("generation", 1)
    if managed and "managedFields" not in metadata:
        metadata["managedFields"] = list(managed)
    owners = entries(metadata, "ownerReferences")
    if owners:
        metadata["ownerReferences"] = [_owner(owner, identity[2]) for owner in owners]
    return {**body, "metadata": metadata}


_CLUSTER_SCOPED = {"Node", "ClusterPolicy", "ClusterQueue", "Namespace", "ClusterTrainingRuntime"}


def _owner(owner: JsonObject, namespace: str) -> JsonObject:
    if "uid" in owner:
        return owner
    kind = text(owner, "kind")
    group = text(owner, "apiVersion").rpartition("/")[0]
    where = "" if kind in _CLUSTER_SCOPED else namespace
    return {
        "controller": True,
        "blockOwnerDeletion": True,
        **owner,
        "uid": uid_of((group, kind, where, text(owner, "name"))),
    }
