"""Tables: the columns `kubectl get` shows, computed by the server.

A kind without a printer of its own shows name and age; a custom kind shows what its definition declares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_text, dig, json_path, seconds_of
from evals.servers.kube.kinds import Column, Resource
from evals.servers.kube.store import Item
from tools.types import JsonObject

Cells = Callable[[JsonObject, float], list[JsonValue]]
"""(object without kind, now) → one cell a column."""
NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"


@dataclass(frozen=True, slots=True)
class Sheet:
    """How one kind is printed."""

    columns: tuple[Column, ...]
    cells: Cells


def sheet(columns: str, cells: Cells) -> Sheet:
    """A sheet from a comma-separated list of columns: `+` marks wide ones, `:type` a type other than string."""
    parsed: list[Column] = []
    for text in columns.split(","):
        name, _, kind = text.strip().partition(":")
        wide = name.startswith("+")
        name = name.removeprefix("+")
        parsed.append(Column(name, kind or "string", "", "name" if name == "Name" else "", 1 if wide else 0))
    return Sheet(tuple(parsed), cells)


@dataclass(frozen=True, slots=True)
class Printer:
    """Prints the objects of one request at one moment. `include` is None, Metadata or Object."""

    sheet: Sheet
    now: float
    include: str = "Metadata"

    def row(self, item: Item) -> JsonObject:
        """One row of a Table."""
        row: JsonObject = {"cells": self.sheet.cells(item.body, self.now)}
        if self.include == "Metadata":
            metadata = item.metadata
            row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        elif self.include == "Object":
            resource = item.resource
            row["object"] = {"kind": resource.kind, "apiVersion": resource.api_version, **item.body}
        return row


def column_definitions(printer: Printer) -> list[JsonObject]:
    """The columnDefinitions of a Table."""
    return [
        {"name": one.name, "type": one.type, "format": one.format, "description": "", "priority": one.priority}
        for one in printer.sheet.columns
    ]


def printer_for(resource: Resource, sheets: Mapping[str, Sheet], *, now: float, include: str) -> Printer:
    """The printer of a kind; `sheets` are keyed like storage (`group/plural`)."""
    chosen = sheets.get(resource.storage)
    if chosen is None:
        chosen = _declared(resource.columns) if resource.columns else _NAME_AND_AGE
    return Printer(chosen, now, include or "Metadata")


def name_of(body: JsonObject) -> str:
    """metadata.name."""
    return as_text(dig(body, "metadata", "name"))


def age(body: JsonObject, now: float) -> str:
    """How long ago the object was made, as kubectl writes it."""
    return since(dig(body, "metadata", "creationTimestamp"), now)


def since(moment: object, now: float) -> str:
    """How long ago an RFC 3339 time is; `<unknown>` for none."""
    seconds = seconds_of(moment)
    return UNKNOWN if seconds is None else human(now - seconds)


def human(seconds: float) -> str:
    """A duration with the precision kubectl gives it (apimachinery `duration.HumanDuration`)."""
    whole = int(seconds)
    if whole < 0:
        return "<invalid>" if whole < -1 else "0s"
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 2920 else f"{days // 365}y"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def _declared(columns: tuple[Column, ...]) -> Sheet:
    def cells(body: JsonObject, now: float) -> list[JsonValue]:
        return [name_of(body), *(_cell(body, column, now) for column in columns)]

    return Sheet((Column("Name", "string", "", "name"), *columns), cells)


def _cell(body: JsonObject, column: Column, now: float) -> JsonValue:
    found = json_path(body, column.path)
    if column.type == "date":
        return since(found[0], now) if found else UNKNOWN
    if not found or found[0] is None:
        return None
    if column.type == "string":
        return " ".join(as_text(one) for one in found)
    return found[0]


_NAME_AND_AGE = sheet("Name, Age", lambda body, now: [name_of(body), age(body, now)])
