"""Recorded samples in a compact form: one line a series, runs of values on a regular grid.

`name{label="value"} @-3600/15 0.5*40 0.75 _*3 stale @-12.003/15 1`: `@START/STEP` begins a run (seconds from the
world's now, to the millisecond), `V*N` stands for N equal samples, `_` for a missing one, `stale` for Prometheus's
staleness marker. Files are `metrics/*.samples`, or gzip of it; sizes and counts are bounded before anything grows.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from evals.promql.model import NAME, STALE, escaped, is_stale
from evals.world.generators import Constant
from evals.world.model import RawSeries
from evals.world.openmetrics import read_labels
from evals.world.series import Entry
from tools.errors import DocumentError

MAX_SAMPLES = 20_000_000
"""Samples of one file; about 320 MB in memory."""
MAX_TEXT = 256 << 20
"""Bytes of one file once it is unpacked."""
_HEAD = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"\\}]|"(?:[^"\\]|\\.)*")*)\})? +(@\S.*)')
_RUN = re.compile(r"@(-?\d+(?:\.\d{1,3})?)/(\d+(?:\.\d{1,3})?)")
_MAX_HOLE = 10_000


def read_samples(path: Path, name: str) -> Iterator[tuple[str, Entry]]:
    """(metric name, entry) of every line of a file. Raises DocumentError."""
    total = 0
    for number, line in enumerate(_text(path, name).split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        match = _HEAD.fullmatch(line)
        if match is None:
            raise DocumentError(name, number, "", 'not a series such as up{job="x"} @-60/30 1 1 1')
        try:
            points = _points(match[3].split(), MAX_SAMPLES - total)
        except ValueError as error:
            raise DocumentError(name, number, "", str(error)) from None
        total += len(points[0])
        labels = dict(sorted(read_labels(match[2] or "", name, number).items()))
        yield match[1], Entry(labels, Constant(0.0), points=points)


def _text(path: Path, name: str) -> str:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            raw = stream.read(MAX_TEXT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DocumentError(name, None, "", f"cannot be read: {error}") from None
    if len(raw) > MAX_TEXT:
        raise DocumentError(name, None, "", f"larger than {MAX_TEXT:,} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(name, None, "", f"not UTF-8 at byte {error.start}") from None


def _points(tokens: Iterable[str], room: int) -> tuple[list[float], list[float]]:
    """(offsets, values) of a line. Raises ValueError."""
    offsets: list[float] = []
    values: list[float] = []
    at = step = 0
    for token in tokens:
        if token.startswith("@"):
            run = _RUN.fullmatch(token)
            if run is None:
                raise ValueError(f"{token[:40]!r} does not begin a run, such as @-3600/15")
            at, step = round(float(run[1]) * 1000), round(float(run[2]) * 1000)
            if offsets and at <= offsets[-1] * 1000:
                raise ValueError(f"{token[:40]!r} lies before the samples it follows")
            continue
        text, _, repeats = token.partition("*")
        count = int(repeats) if repeats.isdecimal() and len(repeats) < 9 else 1 if not repeats else 0
        if not 0 < count <= room or (count > 1 and not step):
            raise ValueError(f"{token[:40]!r} stands for no or too many samples (at most {MAX_SAMPLES:,} a file)")
        if text != "_":
            room -= count
            values += [_value(text)] * count
            offsets += [(at + step * number) / 1000 for number in range(count)]
        at += step * count
    if any(later <= earlier for earlier, later in pairwise(offsets)):
        raise ValueError("the samples are not in order of time")
    return offsets, values


def _value(text: str) -> float:
    if text == "stale":
        return STALE
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number") from None


def written(series: Iterable[RawSeries], now: float) -> Iterator[str]:
    """A line of each series, sorted by name and labels; times become relative to `now`."""
    lines = ((_head(one.labels), one) for one in series if len(one.times))
    for head, one in sorted(lines, key=lambda pair: pair[0]):
        yield f"{head} {' '.join(_runs([round((at - now) * 1000) for at in one.times], one.values))}\n"


def _head(labels: Mapping[str, str]) -> str:
    pairs = (f'{label}="{escaped(value)}"' for label, value in sorted(labels.items()) if label != NAME)
    return f"{labels[NAME]}{{{','.join(pairs)}}}"


def _runs(times: Sequence[int], values: Sequence[float]) -> Iterator[str]:
    """The tokens of one series; `times` in milliseconds, ascending."""
    step = step_of(times)
    held, count, due = "", 0, None
    for at, value in zip(times, values, strict=True):
        text = _shown(value)
        missed, off = divmod(at - due, step) if due is not None and step else (0, 1)
        on_grid = due is not None and off == 0 and 0 <= missed <= _MAX_HOLE
        if on_grid and not missed and text == held:
            count += 1
        else:
            if count:
                yield _repeated(held, count)
            if not on_grid:
                yield f"@{_seconds(at)}/{_seconds(step)}"
            elif missed:
                yield _repeated("_", missed)
            held, count = text, 1
        due = at + step
    yield _repeated(held, count)


def step_of(times: Sequence[int]) -> int:
    """The commonest distance of neighbours, the shortest of equally common ones; 0 for a single sample."""
    gaps = Counter(later - earlier for earlier, later in pairwise(times))
    return min(gaps, key=lambda gap: (-gaps[gap], gap)) if gaps else 0


def commonest_step(series: Iterable[Sequence[float]]) -> float:
    """The commonest of the steps of several series, in seconds, each given by its times; 0 where none has two."""
    steps = Counter(step for times in series if (step := step_of([round(at * 1000) for at in times])))
    return min(steps, key=lambda step: (-steps[step], step)) / 1000 if steps else 0.0


def _repeated(text: str, count: int) -> str:
    return text if count == 1 else f"{text}*{count}"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")


def _shown(value: float) -> str:
    if is_stale(value):
        return "stale"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 and value else repr(value)
