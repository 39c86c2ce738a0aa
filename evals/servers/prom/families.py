"""Metric families by the naming conventions of exporters: our sources hold samples, not metadata."""

from __future__ import annotations

from typing import Literal, TypeAlias

MetricType: TypeAlias = Literal["counter", "gauge", "histogram"]
_PARTS: tuple[tuple[str, MetricType], ...] = (
    ("_bucket", "histogram"),
    ("_count", "histogram"),
    ("_sum", "histogram"),
)


def family_of(name: str, names: frozenset[str]) -> tuple[str, MetricType]:
    """(family, type) of a metric among all `names`: `_bucket` makes a histogram, `_total` a counter."""
    for suffix, kind in _PARTS:
        base = name.removesuffix(suffix)
        if base != name and f"{base}_bucket" in names:
            return base, kind
    return name, "counter" if name.endswith("_total") else "gauge"
