"""Times in worlds: written relative to the world's now, rendered absolute when a world is anchored.

`@-3d2h` is a whole string value; rendered as RFC 3339 in seconds. `@@-3d2h` renders with microseconds, as
Kubernetes writes MicroTime fields (Event.eventTime, Lease.renewTime). `@0s` is the world's now itself.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pydantic import JsonValue

_UNITS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[wdhms])")
_DURATION = r"[-+]?(?:\d+(?:\.\d+)?(?:ms|[wdhms]))+"
_RELATIVE = re.compile(rf"(@@?)({_DURATION})")
_QUOTED = re.compile(rf'"(@@?)({_DURATION})"')
_LOG_LINE = re.compile(rf"^@({_DURATION})(?= )", re.MULTILINE)


def seconds_of(text: str) -> float:
    """Seconds in a duration such as `-3d2h`, `90s`, `1.5h`, `250ms`. Raises ValueError."""
    body = text.removeprefix("-").removeprefix("+")
    if not body or not re.fullmatch(_DURATION, text):
        raise ValueError(f"{text!r} is not a duration such as 90s, 30m, 2h, 3d or 1d12h")
    total = 0.0
    for number, unit in _PART.findall(body):
        total += float(number) * (0.001 if unit == "ms" else _UNITS[unit])
    return -total if text.startswith("-") else total


def offset_of(value: object) -> float | None:
    """Seconds relative to now of a string `@-3d2h` or `@@-3d2h`; None for anything else."""
    if not isinstance(value, str) or not value.startswith("@"):
        return None
    match = _RELATIVE.fullmatch(value)
    return seconds_of(match[2]) if match else None


def stamp(moment: float, *, micro: bool = False) -> str:
    """A Unix time as RFC 3339 in UTC, in whole seconds or with microseconds."""
    when = datetime.fromtimestamp(moment, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> float:
    """Unix seconds of an RFC 3339 time. Raises ValueError."""
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; end it with Z")
    return when.timestamp()


def relative(seconds: float) -> str:
    """The `@` form of an offset in seconds, such as `@-90s`."""
    return f"@{seconds:+.0f}s"


def shift(value: object, seconds: float) -> str:
    """A relative time moved by `seconds`; absolute RFC 3339 times move too. Raises ValueError."""
    offset = offset_of(value)
    if offset is not None:
        return relative(offset + seconds)
    return stamp(moment_of(str(value)) + seconds)


def anchor_json(text: str, anchor: float) -> str:
    """JSON text with every relative time string replaced by the absolute one."""
    cache: dict[str, str] = {}

    def absolute(match: re.Match[str]) -> str:
        found = cache.get(match[0])
        if found is None:
            found = f'"{stamp(anchor + seconds_of(match[2]), micro=match[1] == "@@")}"'
            cache[match[0]] = found
        return found

    return _QUOTED.sub(absolute, text)


def anchor_log(text: str, anchor: float) -> str:
    """A log whose lines may begin with `@-5m `: that becomes the kubelet's RFC 3339 timestamp of the line."""
    return _LOG_LINE.sub(lambda match: stamp(anchor + seconds_of(match[1]), micro=True), text)


def anchor_value(value: JsonValue, anchor: float) -> JsonValue:
    """A copy of plain data with every relative time string made absolute."""
    if isinstance(value, dict):
        return {key: anchor_value(inner, anchor) for key, inner in value.items()}
    if isinstance(value, list):
        return [anchor_value(inner, anchor) for inner in value]
    offset = offset_of(value)
    if offset is None or not isinstance(value, str):
        return value
    return stamp(anchor + offset, micro=value.startswith("@@"))
