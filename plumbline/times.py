"""Durations and times as people write them on a command line."""

from __future__ import annotations

import re

from tools.errors import SettingsError
from tools.fields import timestamp

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
LONGEST = 31 * 86_400.0
"""Seconds a duration may cover."""


def duration(text: str, flag: str) -> float:
    """Seconds of `90s`, `6h`, `1d12h` or a bare number. Raises SettingsError naming the flag."""
    bare = re.fullmatch(r"\d{1,9}(\.\d+)?", text)
    parts = re.fullmatch(r"(?:\d{1,6}[smhdw])+", text)
    if bare:
        seconds = float(text)
    elif parts:
        seconds = sum(float(n) * UNITS[u] for n, u in re.findall(r"(\d+)([smhdw])", text))
    else:
        raise SettingsError(f"{flag}: {text!r} is not a duration", hint="write 30s, 15m, 6h or 7d")
    if not 0 < seconds <= LONGEST:
        raise SettingsError(f"{flag}: {text} is out of range", hint="between 1s and 31d")
    return seconds


def moment(text: str, flag: str) -> float:
    """Unix seconds of an RFC 3339 time or a bare number. Raises SettingsError naming the flag."""
    found = float(text) if re.fullmatch(r"\d{9,11}(\.\d+)?", text) else timestamp(text)
    if found is None:
        raise SettingsError(f"{flag}: {text!r} is not a time", hint="write 2026-03-02T14:05:00Z or Unix seconds")
    return found
