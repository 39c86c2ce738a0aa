"""Recorded samples: OpenMetrics or Prometheus text with timestamps, as `promtool tsdb dump-openmetrics` writes it.

A sample line is `name{label="value"} 1.5 1778594400` (seconds, or the 13 digits of milliseconds). Lines of one
series may be anywhere in the file; comments are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from evals.world.generators import Constant
from evals.world.series import Entry
from tools.errors import DocumentError

MAX_SAMPLES = 5_000_000
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})?\s+(\S+)\s+(-?\d+(?:\.\d+)?)\s*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"\s*(?:,|$)')
_ESCAPE = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def read_openmetrics(text: str, *, file: str, now: float) -> Iterator[tuple[str, Entry]]:
    """(metric name, entry) of every series, times made relative to `now`. Raises DocumentError."""
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], dict[float, float]] = {}
    heads: dict[tuple[str, str], dict[float, float]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if number > MAX_SAMPLES:
            raise DocumentError(file, number, "", f"more than {MAX_SAMPLES:,} lines")
        match = _SAMPLE.fullmatch(line.partition(" # ")[0])
        if match is None:
            problem = 'not a sample with a timestamp, such as up{job="x"} 1 1778594400'
            raise DocumentError(file, number, "", problem)
        head = (match[1], match[2] or "")
        held = heads.get(head)
        if held is None:  # labels are read once a series: they are most of a line
            key = (head[0], tuple(sorted(read_labels(head[1], file, number).items())))
            held = heads[head] = samples.setdefault(key, {})
        held[_seconds(match[4]) - now] = _value(match[3], file, number)
    for (name, labels), points in samples.items():
        offsets = sorted(points)
        yield name, Entry(dict(labels), Constant(0.0), points=(offsets, [points[at] for at in offsets]))


def read_labels(text: str, file: str, line: int) -> dict[str, str]:
    """The labels between the braces of a series. Raises DocumentError."""
    out: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            raise DocumentError(file, line, "", f"labels cannot be read from {text[position:][:40]!r} on")
        out[match[1]] = re.sub(r"\\.", lambda m: _ESCAPE.get(m[0], m[0]), match[2])
        position = match.end()
    return out


def _value(text: str, file: str, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise DocumentError(file, line, "", f"{text[:40]!r} is not a number") from None


def _seconds(text: str) -> float:
    value = float(text)
    return value / 1000.0 if abs(value) >= 1e11 else value
