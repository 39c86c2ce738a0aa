"""Kubernetes quantities (`500m`, `64Gi`, `8`) as numbers, as kube-state-metrics reports them."""

from __future__ import annotations

from pydantic import JsonValue

_SUFFIXES = {
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
}


def amount(value: JsonValue) -> float | None:
    """The number a quantity stands for; None for what is no quantity."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    for length in (2, 1):
        factor = _SUFFIXES.get(value[-length:])
        if factor is not None:
            return _number(value[:-length], factor)
    return _number(value, 1.0)


def _number(text: str, factor: float) -> float | None:
    try:
        return float(text) * factor
    except ValueError:
        return None
