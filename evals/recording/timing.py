"""Absolute times of recorded objects and logs made relative to the moment of recording, so that a world can be moved.

Rules: only whole string values in the two forms Kubernetes writes (seconds, microseconds); what cannot be written
relative without loss stays absolute.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{6})?Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def relative_time(text: str, now: int) -> str:
    """`@-90s` or `@@-90.000001s` of an RFC 3339 time; anything else as it is. `now` in Unix seconds."""
    match = _STAMP.fullmatch(text)
    if match is None:
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    offset = (moment - _EPOCH) // _MICROSECOND - now * 1_000_000
    if match[2] is None:
        return f"@{offset // 1_000_000:+d}s"
    sign, (whole, rest) = "-" if offset < 0 else "+", divmod(abs(offset), 1_000_000)
    return f"@@{sign}{whole}.{rest:06d}s"


def relative_times(value: JsonValue, now: int) -> JsonValue:
    """A copy of plain data with every time made relative."""
    if isinstance(value, dict):
        return {key: relative_times(inner, now) for key, inner in value.items()}
    if isinstance(value, list):
        return [relative_times(inner, now) for inner in value]
    return relative_time(value, now) if isinstance(value, str) else value
