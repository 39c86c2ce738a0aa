"""Which stretch of time a question is about: "in the last 3 hours", "for 7d", "since yesterday".

Rules: no clock here; what needs one stays symbolic (`since`) until `Span.seconds(now)` is asked. Day names are
UTC days, and a day part reaches back at least 12 hours, so that no reader's time zone falls outside it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tools import fields
from tools.types import Frozen

SHORTEST = 60.0
LONGEST = 30 * 86_400.0
"""Bounds of a window, in seconds (30 days is more history than most Prometheus servers keep)."""
_HALF_DAY = 43_200.0
_UNITS: tuple[tuple[str, float], ...] = (
    ("s|secs?|seconds?", 1.0),
    ("m|mins?|minutes?", 60.0),
    ("h|hrs?|hours?", 3_600.0),
    ("d|days?", 86_400.0),
    ("w|wks?|weeks?", 604_800.0),
    ("months?", 2_592_000.0),
)
_WORDS = {
    "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "couple of": 2.0, "a couple of": 2.0, "three": 3.0, "few": 3.0,
    "a few": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "ten": 10.0, "twelve": 12.0,
    "half an": 0.5, "half a": 0.5,
}  # fmt: skip
_UNIT = "|".join(pattern for pattern, _ in _UNITS)
_COUNT = r"\d{1,6}(?:\.\d{1,3})?|" + "|".join(sorted(_WORDS, key=len, reverse=True))
_AMOUNT = rf"(?P<count>{_COUNT}) ?(?P<unit>{_UNIT})"
_RELATIVE = (
    re.compile(rf"\b(?:last|past|previous|recent) {_AMOUNT}\b"),
    re.compile(rf"\b(?:in|during|within|for|since)(?: the)? {_AMOUNT}\b"),
    re.compile(rf"\b{_AMOUNT} ago\b"),
    re.compile(r"\b(?:last|past|previous|this) (?P<count>)(?P<unit>minute|hour|day|week|month)\b"),
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SYMBOLIC = re.compile(
    r"\b(?P<word>this morning|this afternoon|this evening|tonight|today|midnight|last night|overnight|yesterday"
    rf"|(?:since|on|last) (?:{'|'.join(_WEEKDAYS)}))\b"
    r"|\b(?:since|after|at|from) (?P<date>\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d)?z?)?)"
    r"|\b(?:since|after|at|from) (?P<clock>\d{1,2}:\d\d)\b"
    r"|\b(?:since|after|at|from) (?P<hour>\d{1,2}) ?(?P<half>am|pm)\b"
)


class Span(Frozen):
    """A window as the text gives it: a length, or a symbolic start ("yesterday", "14:30", "2026-11-20t10:00")."""

    length: float | None = None
    since: str = ""

    def seconds(self, now: float) -> float | None:
        """Length of the window that ends at `now`, within the bounds of this module; None where none was named."""
        if self.length is not None:
            return _bounded(self.length)
        start = _start(self.since, datetime.fromtimestamp(now, UTC)) if self.since else None
        return None if start is None else _bounded(now - start.timestamp())


def read(text: str) -> Span:
    """The window a lower-case text names; the empty Span where it names none."""
    for pattern in _RELATIVE:
        match = pattern.search(text)
        length = _number(match["count"] or "one") * _unit(match["unit"]) if match else 0.0
        if length >= SHORTEST:
            return Span(length=length)
    match = _SYMBOLIC.search(text)
    if match is None:
        return Span()
    if match["hour"]:
        hour = int(match["hour"]) % 12 + (12 if match["half"] == "pm" else 0)
        return Span(since=f"{hour:02d}:00")
    return Span(since=match["date"] or match["clock"] or match["word"].removeprefix("since ").removeprefix("on "))


def _number(text: str) -> float:
    return _WORDS[text] if text in _WORDS else float(text)


def _unit(text: str) -> float:
    return next(seconds for pattern, seconds in _UNITS if re.fullmatch(pattern, text))


def _bounded(seconds: float) -> float:
    return min(LONGEST, max(SHORTEST, seconds))


def _start(word: str, now: datetime) -> datetime | None:
    """The moment a symbolic start means, or None for a time that does not exist or has not come."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day = word.removeprefix("last ")
    if day in _WEEKDAYS:
        back = (midnight.weekday() - _WEEKDAYS.index(day)) % 7
        return midnight - timedelta(days=back or 7 * (word != day))
    if word == "yesterday":
        return midnight - timedelta(days=1)
    if word in ("last night", "overnight"):
        return midnight - timedelta(hours=6)
    if word[:1].isdigit():
        return _moment(word, now, midnight)
    return min(midnight, now - timedelta(seconds=_HALF_DAY))


def _moment(word: str, now: datetime, midnight: datetime) -> datetime | None:
    if "-" in word:
        clock = (word[11:].removesuffix("z") or "00:00") + ("" if word.count(":") == 2 else ":00")
        at = fields.timestamp(f"{word[:10]}T{clock}Z")
        return datetime.fromtimestamp(at, UTC) if at is not None and at <= now.timestamp() else None
    hour, minute = (int(part) for part in word.split(":"))
    if hour > 23 or minute > 59:
        return None
    start = midnight + timedelta(hours=hour, minutes=minute)
    return start if start <= now else start - timedelta(days=1)
