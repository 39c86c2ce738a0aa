"""Series from files: CSV with a sample a row or a column a series, OpenMetrics text, answers of Prometheus's API."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from evals.promql.model import NAME
from evals.world.model import Key, RawSeries, key_of
from evals.world.openmetrics import read_labels, read_openmetrics
from tools import fields
from tools.errors import DocumentError
from tools.types import JsonObject

MAX_SAMPLES = 5_000_000
"""Of one file."""
TIMES, VALUES, NAMES = ("timestamp", "time", "ts"), ("value",), ("metric", "__name__", "name")
_LABEL = re.compile(r"[a-zA-Z_]\w*")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?(?:\{(.*)\})?")
_MISSING = frozenset({"", "null", "undefined", "-"})
Sample = tuple[Key, float, float]
"""Labels, seconds, value."""
Row = Callable[[Sequence[str], int], Iterator[Sample]]
"""Reads the samples of one row, given its line."""


def exposed(text: str, file: str) -> Iterator[RawSeries]:
    """The series of OpenMetrics text with timestamps. Raises DocumentError with file and line."""
    for name, entry in read_openmetrics(text, file=file, now=0.0):
        assert entry.points is not None
        yield RawSeries({NAME: name, **entry.labels}, *entry.points)


def is_answer(body: JsonObject) -> bool:
    """True for an answer of `/api/v1/query` or `/api/v1/query_range` with series in it."""
    return fields.text(body, "data", "resultType") in ("matrix", "vector")


def answered(body: JsonObject, file: str) -> Iterator[RawSeries]:
    """The series of an answer; those of an expression without a name are no series. Raises DocumentError."""
    for one in fields.items(body, "data", "result"):
        labels = fields.strings(one, "metric")
        if NAME not in labels:
            raise DocumentError(file, None, "data.result", "values of an expression; ask for the series by their name")
        pairs = one.get("values") or [one.get("value")]
        assert isinstance(pairs, list)
        points: dict[float, float] = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise DocumentError(file, None, "data.result", "a sample is a time and a value")
            points[_time(str(pair[0]), file, None)] = _number(str(pair[1]), file, None)
        yield RawSeries.of(labels, points)


def table(text: str, file: str) -> Iterator[RawSeries]:
    """The series of CSV, times ascending. Raises DocumentError with file and line."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    points: dict[Key, dict[float, float]] = {}
    try:
        head = [name.strip() for name in next(rows, [])]
        read = _long(head, file) if _place(head, VALUES) is not None else _wide(head, file)
        for count, row in enumerate(rows):
            if count > MAX_SAMPLES or (count % 1000 == 0 and sum(map(len, points.values())) > MAX_SAMPLES):
                raise DocumentError(file, rows.line_num, "", f"more than {MAX_SAMPLES:,} samples")
            if any(cell.strip() for cell in row):
                if len(row) != len(head):
                    raise DocumentError(file, rows.line_num, "", f"{len(row)} cells, and the head has {len(head)}")
                for key, at, value in read(row, rows.line_num):
                    points.setdefault(key, {})[at] = value
    except csv.Error as error:
        raise DocumentError(file, rows.line_num, "", f"not CSV: {error}") from None
    for key, held in points.items():
        yield RawSeries.of(dict(key), held)


def _long(head: Sequence[str], file: str) -> Row:
    """A row for each sample."""
    when, value, name = _place(head, TIMES), _place(head, VALUES), _place(head, NAMES)
    if when is None or value is None or name is None:
        raise DocumentError(file, 1, "", "the head needs a time, a metric and a value, such as: time,metric,gpu,value")
    labels = {place: text for place, text in enumerate(head) if place not in (when, value)}
    labels[name] = NAME
    odd = next((text for text in labels.values() if not _LABEL.fullmatch(text)), None)
    if odd is not None:
        raise DocumentError(file, 1, odd, "not a name of a label")

    def samples(row: Sequence[str], line: int) -> Iterator[Sample]:
        if row[value].strip() not in _MISSING:
            key = key_of({name: row[place] for place, name in labels.items() if row[place]})
            yield key, _time(row[when], file, line), _number(row[value], file, line)

    return samples


def _wide(head: Sequence[str], file: str) -> Row:
    """A column of times, and one for each series."""
    when = _place(head, TIMES)
    if when is None:
        raise DocumentError(file, 1, "", "the head needs a column time, then either metric and value, or series")
    columns: dict[int, Key] = {}
    for place, text in enumerate(head):
        if place == when:
            continue
        match = _SELECTOR.fullmatch(text)
        labels = read_labels(match[2] or "", file, 1) if match else {}
        if match and match[1]:
            labels[NAME] = match[1]
        if NAME not in labels:
            raise DocumentError(file, 1, text[:60], 'not a series such as DCGM_FI_DEV_GPU_UTIL{gpu="0"}')
        columns[place] = key_of(labels)

    def samples(row: Sequence[str], line: int) -> Iterator[Sample]:
        at = _time(row[when], file, line)
        for place, key in columns.items():
            if row[place].strip() not in _MISSING:
                yield key, at, _number(row[place], file, line)

    return samples


def _place(head: Sequence[str], names: Sequence[str]) -> int | None:
    lower = [text.lower() for text in head]
    return next((lower.index(name) for name in names if name in lower), None)


def _time(text: str, file: str, line: int | None) -> float:
    """Unix seconds of a number of seconds or milliseconds, or of an ISO 8601 text (UTC where it has no zone)."""
    try:
        value = float(text)
    except ValueError:
        pass
    else:
        if 0 <= value < 1e14:
            return round(value if value < 1e11 else value / 1000, 3)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        problem = f"{text[:40]!r} is no time: seconds, milliseconds or 2026-05-12T14:00:00Z"
        raise DocumentError(file, line, "", problem) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), 3)


def _number(text: str, file: str, line: int | None) -> float:
    try:
        return float(text)
    except ValueError:
        raise DocumentError(file, line, "", f"{text[:40]!r} is not a number") from None
