"""Durations and times as people write them on a command line."""

from __future__ import annotations

import re

from agent.settings import seconds
from tools.errors import SettingsError
from tools.fields import timestamp

LONGEST = 31 * 86_400.0
"""Seconds a duration may cover."""


def duration(text: str, flag: str) -> float:
    """Seconds of `90s`, `6h`, `1d12h` or a bare number. Raises SettingsError naming the flag."""
    try:
        found = seconds(text)
    except ValueError as error:
        raise SettingsError(f"{flag}: {error}") from None
    if not 0 < found <= LONGEST:
        raise SettingsError(f"{flag}: {text} is out of range", hint="between 1s and 31d")
    return found


def moment(text: str, flag: str) -> float:
    """Unix seconds of an RFC 3339 time or a bare number. Raises SettingsError naming the flag."""
    found = float(text) if re.fullmatch(r"\d{9,11}(\.\d+)?", text) else timestamp(text)
    if found is None:
        raise SettingsError(f"{flag}: {text!r} is not a time", hint="write 2026-03-02T14:05:00Z or Unix seconds")
    return found
