"""Small worlds for single questions, and pods to put into them."""

from __future__ import annotations

from collections.abc import Sequence

from evals.world.model import Access, Clock, Matcher, RawSeries, World
from tools.types import JsonObject

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""


class NoSeries:
    """A world without metrics."""

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """Nothing."""
        return []

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> list[dict[str, str]]:
        """Nothing."""
        return []


def small_world(
    objects: Sequence[JsonObject] = (),
    *,
    access: Access | None = None,
    logs: dict[tuple[str, str, str], bytes] | None = None,
    definitions: Sequence[JsonObject] = (),
    faults: Sequence[JsonObject] = (),
    kubernetes: str = "1.36",
) -> World:
    """A world of these objects, open to everybody unless `access` says otherwise."""
    return World(
        name="small",
        description="made for one test",
        clock=Clock(NOW),
        kubernetes=kubernetes,
        prometheus="3.x",
        objects=list(objects),
        series=NoSeries(),
        logs=logs or {},
        definitions=list(definitions),
        access=access or Access(),
        faults=list(faults),
    )


def thing(api_version: str, kind: str, name: str, namespace: str = "", **fields: JsonObject) -> JsonObject:
    """Any object; keyword arguments are its other fields."""
    metadata: JsonObject = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def pod(
    name: str, namespace: str = "default", *, labels: JsonObject | None = None, node: str = "n1", phase: str = "Running"
) -> JsonObject:
    """A pod of one container `main`."""
    spec: JsonObject = {"containers": [{"name": "main", "image": "example/app:1"}]}
    if node:
        spec["nodeName"] = node
    metadata: JsonObject = {"name": name, "namespace": namespace}
    if labels is not None:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": phase}}
