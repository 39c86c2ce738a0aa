"""Reading sloppy JSON: objects of a world may have null lists, missing fields or wrong types, and still be served.

Each reader returns an empty value of the right type instead of failing. JSONPath here is the subset that
printer columns use: fields, `[n]`, `[*]` and `[?(@.field=="value")]`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import JsonValue

from tools.types import JsonObject


def as_object(value: object) -> JsonObject:
    """The value if it is a JSON object, else {}."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """The value if it is a JSON array, else []."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """The value as text: "" for null and missing, true/false and numbers as JSON writes them."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def as_int(value: object) -> int:
    """The value if it is a whole number, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def dig(value: object, *path: str) -> JsonValue:
    """The value at a path of field names, or None."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value  # type: ignore[return-value]  # JSON in, JSON out


def objects_at(value: object, *path: str) -> list[JsonObject]:
    """The JSON objects of the array at a path; anything else in it is left out."""
    return [one for one in as_list(dig(value, *path)) if isinstance(one, dict)]


def seconds_of(value: object) -> float | None:
    """Unix seconds of an RFC 3339 time, or None where there is none (or not one)."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(_trim_fraction(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _trim_fraction(text: str) -> str:
    # Kubernetes writes nanoseconds; datetime reads microseconds.
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def rfc3339(seconds: float) -> str:
    """RFC 3339 UTC with whole seconds, as Kubernetes writes metadata times."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_STEP = re.compile(
    r"""\.?(?P<name>[A-Za-z_$][\w$-]*(?:\\\.[\w$-]+)*) | \[(?P<index>-?\d+)\] | \[(?P<all>\*)\]
    | \[['"](?P<quoted>[^'"]+)['"]\]
    | \[\?\(@(?P<field>(?:\.[\w-]+)+)\s*==\s*['"](?P<equals>[^'"]*)['"]\)\]""",
    re.VERBOSE,
)


@functools.lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[re.Match[str], ...]:
    steps: list[re.Match[str]] = []
    at = 0
    path = path.strip().removeprefix("{").removesuffix("}")
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return ()
        steps.append(match)
        at = match.end()
    return tuple(steps)


def json_path(value: object, path: str) -> list[JsonValue]:
    """All values at a JSONPath; [] for none and for a path outside the subset."""
    steps = _steps(path)
    found: list[object] = [value] if steps else []
    for step in steps:
        found = [result for one in found for result in _follow(one, step)]
    return found  # type: ignore[return-value]  # JSON in, JSON out


def _follow(value: object, step: re.Match[str]) -> Iterable[object]:
    name = (step["name"] or step["quoted"] or "").replace("\\.", ".")
    if name:
        return [value[name]] if isinstance(value, dict) and name in value else []
    if not isinstance(value, list):
        return []
    if step["all"]:
        return value
    if step["index"] is not None:
        index = int(step["index"])
        return value[index : index + 1] if index >= 0 else value[index:][:1]
    return [one for one in value if as_text(dig(one, *step["field"].strip(".").split("."))) == step["equals"]]
