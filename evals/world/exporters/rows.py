"""What the smaller exporters share: rows of labels and values, and questions to conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from evals.world import generators as g
from evals.world.exporters.context import Context
from evals.world.manifests import entries, text
from tools.types import JsonObject

ONE, ZERO = g.Constant(1.0), g.Constant(0.0)
Row = tuple[Mapping[str, str], g.Generator]
Rows = Callable[[Context], Iterable[Row]]


def name_of(body: JsonObject) -> str:
    """metadata.name."""
    return text(body, "metadata", "name")


def conditions(body: JsonObject) -> list[JsonObject]:
    """status.conditions."""
    return entries(body, "status", "conditions")


def holds(body: JsonObject, kind: str) -> bool:
    """True when the condition of that type is True."""
    return any(text(c, "type") == kind and text(c, "status") == "True" for c in conditions(body))
