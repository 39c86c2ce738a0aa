"""`$pods` as it is read: which pods a controller has made, where, when, and how each differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evals.world.manifests import identity_of, text, uid_of
from evals.world.places import Place
from evals.world.pods import PodPlan, owner_reference, pod
from tools.types import JsonObject

MAX_PODS = 20_000
"""Of one object."""
_FIELDS = ("nodes", "created", "ready_after", "pending", "finished", "each")


@dataclass(frozen=True, slots=True)
class Plan:
    """`$pods`, read and checked."""

    nodes: tuple[str | None, ...]
    created: float
    ready_after: float
    pending: str
    finished: float | None
    each: dict[int, tuple[float | None, JsonObject]]
    """Index → (its own time of creation, merge patch)."""

    def pod(self, owner: JsonObject, template: JsonObject, index: int, name: str, labels: JsonObject) -> JsonObject:
        """Pod number `index`, with its own time and patch."""
        created, patch = self.each.get(index, (None, {}))
        return pod(
            PodPlan(
                name=name,
                namespace=text(owner, "metadata", "namespace"),
                owner=owner_reference(owner, uid_of(identity_of(owner))),
                labels=labels,
                template=template,
                node=self.nodes[index],
                created=self.created if created is None else created,
                ready_after=self.ready_after,
                pending=self.pending,
                finished=self.finished,
                patch=patch,
            )
        )

    @property
    def placed(self) -> int:
        """Pods that have a node."""
        return sum(node is not None for node in self.nodes)


def read_plan(place: Place) -> Plan:
    """The `$pods` of an object. Raises DocumentError."""
    place.only(_FIELDS)
    nodes = tuple(name for entry in place.at("nodes").items() for name in _node_names(entry))
    each = dict(_each(entry, len(nodes)) for entry in _entries(place.at("each")))
    finished = place.at("finished")
    return Plan(
        nodes=nodes,
        created=place.at("created").seconds(-9 * 86_400.0),
        ready_after=place.at("ready_after").seconds(20.0),
        pending=place.at("pending").text(""),
        finished=None if finished.value is None else finished.seconds(),
        each=each,
    )


def _node_names(entry: Place) -> Iterator[str | None]:
    """A name, null, or `{from: n, count: 100, start: 0}` for n0 to n99. Raises DocumentError."""
    if not isinstance(entry.value, dict):
        yield None if entry.value is None else entry.text()
        return
    entry.only(("from", "start", "count"))
    start, count = int(entry.at("start").number(0)), int(entry.at("count").number())
    if not 0 <= count <= MAX_PODS:
        entry.at("count").fail(f"0 to {MAX_PODS:,} pods are wanted")
    yield from (f"{entry.at('from').text()}{start + number}" for number in range(count))


def _entries(place: Place) -> list[tuple[int, Place]]:
    """`{1: {…}}`, which overlays can add to, or `[{index: 1, …}]`, which they replace."""
    if isinstance(place.value, list):
        return [(int(entry.at("index").number()), entry) for entry in place.items()]
    out = []
    for key in place.mapping():
        if not key.isdigit():
            place.at(key).fail("the index of a pod is wanted here, counted from 0")
        out.append((int(key), place.at(key)))
    return out


def _each(numbered: tuple[int, Place], count: int) -> tuple[int, tuple[float | None, JsonObject]]:
    index, entry = numbered
    entry.only(("index", "patch", "created"))
    if not 0 <= index < count:
        entry.fail(f"there are {count} pods, counted from 0")
    created = None if entry.at("created").value is None else entry.at("created").seconds()
    return index, (created, entry.at("patch").mapping())
