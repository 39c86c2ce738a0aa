"""Reading fields of objects that may be anything: the one place that copes with nulls and wrong types.

Rules: nothing here raises on data; what is absent, null or of another type "not there" ("", None, {}).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from pydantic import JsonValue as JsonValue

from tools.naming import JsonObject

_SUFFIXES = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}
_QUANTITY = re.compile(
    r"([+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30}))(?:([eE][+-]?\d{1,3})|([numkKMGTPE]i?)?)", re.ASCII
)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def dig(obj: JsonValue, *path: str | int) -> JsonValue:
    """The value at `path`, or None where any step of it is missing."""
    for token in path:
        if isinstance(obj, dict):
            obj = obj.get(token) if isinstance(token, str) else None
        elif isinstance(obj, list) and isinstance(token, int) and -len(obj) <= token < len(obj):
            obj = obj[token]
        else:
            return None
    return obj


def text(obj: JsonValue, *path: str | int) -> str:
    """The string at `path`; "" for anything that is not a string."""
    value = dig(obj, *path)
    return value if isinstance(value, str) else ""


def number(obj: JsonValue, *path: str | int) -> float | None:
    """The number at `path`: a finite JSON number or a Kubernetes quantity; None for anything else."""
    value = dig(obj, *path)
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return quantity(value)
    if isinstance(value, int | float):
        try:
            result = float(value)
        except OverflowError:
            return None
        return result if math.isfinite(result) else None
    return None


def flag(obj: JsonValue, *path: str | int) -> bool | None:
    """The boolean at `path`, or None for anything else."""
    value = dig(obj, *path)
    return value if isinstance(value, bool) else None


def items(obj: JsonValue, *path: str | int) -> list[JsonObject]:
    """The objects in the list at `path`; entries that are no objects are left out."""
    value = dig(obj, *path)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(obj: JsonValue, *path: str | int) -> list[str]:
    """The strings in the list at `path`; entries that are no strings are left out."""
    value = dig(obj, *path)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def mapping(obj: JsonValue, *path: str | int) -> JsonObject:
    """The object at `path`, or an empty one."""
    value = dig(obj, *path)
    return value if isinstance(value, dict) else {}


def strings(obj: JsonValue, *path: str | int) -> dict[str, str]:
    """The map at `path` with its values as text (labels, annotations); nulls are left out."""
    return {key: _as_text(value) for key, value in mapping(obj, *path).items() if value is not None}


def _as_text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def quantity(value: str) -> float | None:
    """A Kubernetes quantity ("16Gi", "500m", "1e3", "8") as a number in its base unit, or None.

    Grammar: k8s.io/apimachinery/pkg/api/resource (Quantity).
    """
    match = _QUANTITY.fullmatch(value.strip()) if len(value) <= 64 else None
    if match is None:
        return None
    digits, exponent, suffix = match.groups()
    factor = _SUFFIXES.get(suffix or "")
    if factor is None:
        return None
    result = float(digits + exponent) if exponent else float(digits) * factor
    return result if math.isfinite(result) else None


def timestamp(value: JsonValue) -> float | None:
    """An RFC 3339 time as Unix seconds, or None when it is not one."""
    if not isinstance(value, str) or len(value) > 48:
        return None
    match = _TIME.fullmatch(value)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        return None
    return moment.timestamp() + (float(fraction) if fraction else 0.0)


def rfc3339(seconds: float) -> str:
    """Unix seconds as Kubernetes writes them: UTC, whole seconds, "Z"."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
