"""What goes into and comes out of a query: errors, results, label sets, the staleness marker.

Rules: a label set never holds an empty value; values are never changed in place once shared; times inside the
engine are whole milliseconds, as in Prometheus, and seconds only at its edges.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from tools.errors import BadAnswer

Labels: TypeAlias = dict[str, str]
Row: TypeAlias = list[float | None]
"""One value a step; None where the series is absent."""
Vector: TypeAlias = list[tuple[Labels, Row]]
"""Series by steps: the form in which every instant vector is computed."""
Semantics: TypeAlias = Literal["2.x", "3.x"]
ResultType: TypeAlias = Literal["vector", "matrix", "scalar", "string"]

NAME = "__name__"
STALE_BITS = struct.pack("<Q", 0x7FF0000000000002)
STALE: float = struct.unpack("<d", STALE_BITS)[0]
"""Prometheus's staleness marker: one particular NaN, told apart from others by its bits."""

MAX_POINTS = 11_000
"""Points a series of a range query (Prometheus, web/api/v1, "maximum resolution")."""
MAX_SAMPLES = 50_000_000
"""Samples a query (Prometheus's default of --query.max-samples)."""
MAX_DEPTH = 150
"""Nesting of an expression; ours, so that no query can exhaust the stack."""


class BadData(BadAnswer):
    """The query cannot be answered: malformed, unsupported, or against a rule of the language."""

    kind: ClassVar[str] = "bad_data"


class ExecutionError(BadData):
    """A query that parses but fails on this data, as many-to-many matches do; Prometheus answers 422."""

    kind: ClassVar[str] = "execution"


@dataclass(slots=True)
class Result:
    """An answer: series as (labels, [(seconds, value), …]); a scalar is one series without labels."""

    type: ResultType
    series: list[tuple[Labels, list[tuple[float, float]]]] = field(default_factory=list)
    text: str = ""
    """The value of a string result."""


def is_stale(value: float) -> bool:
    """True for the staleness marker only."""
    return value != value and struct.pack("<d", value) == STALE_BITS


def show(labels: Labels) -> str:
    """A label set as Prometheus prints it in its errors: {__name__="a", b="c"}."""
    return "{" + ", ".join(f'{name}="{escaped(labels[name])}"' for name in sorted(labels)) + "}"


def escaped(value: str) -> str:
    """A label value as it stands between quotes, in PromQL and in OpenMetrics."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
