"""A world's samples written as OpenMetrics text, family by family, never more than a slice in memory.

Rules: a family is named once, histograms as wholes; times ascend within a series; staleness markers cannot be
written in this format and are left out, so an ended series is visible for the lookback after its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TextIO

from evals.promql.model import NAME, escaped, is_stale
from evals.promql.numbers import INF, total
from evals.servers.prom.families import family_of
from evals.world.model import Matcher, RawSeries, SeriesSource
from tools.errors import UserError

MAX_SAMPLES = 5_000_000
"""Samples one world may bring along; promtool needs about a minute and 1 GiB for them."""
SLICE_SAMPLES = 100_000
"""Samples held at a time while writing."""
_EVERYTHING = (Matcher(NAME, "=~", ".+"),)


def check_size(source: SeriesSource, *, start: float, end: float, interval: float, limit: int = MAX_SAMPLES) -> None:
    """Raises UserError when the series of [start, end], sampled every `interval` seconds, exceed `limit` samples."""
    series = sum(1 for _ in source.label_sets(_EVERYTHING, start, end))
    if series * (int((end - start) / interval) + 1) > limit:
        raise too_many(f"{series:,} series over {(end - start) / 3600:g} h", limit)


def too_many(what: str, limit: int) -> UserError:
    """The one line that says why these samples are refused."""
    return UserError(
        f"{what} are more than the {limit:,} samples one Prometheus is given", hint="use a shorter --history"
    )


def write_openmetrics(
    source: SeriesSource, out: TextIO, *, start: float, end: float, interval: float, limit: int = MAX_SAMPLES
) -> int:
    """Write all samples in [start, end]; returns how many. Raises UserError when they are more than `limit`.

    `interval` is the usual distance of samples in seconds; the size of a slice follows from it.
    """
    sizes: dict[str, int] = {}
    for labels in source.label_sets(_EVERYTHING, start, end):
        sizes[labels[NAME]] = sizes.get(labels[NAME], 0) + 1
    names = frozenset(sizes)
    families: dict[str, list[str]] = {}
    for name in sorted(names):
        families.setdefault(family_of(name, names)[0], []).append(name)
    written = 0
    for family, members in families.items():
        kind = family_of(members[0], names)[1]
        out.write(f"# TYPE {family.removesuffix('_total') if kind == 'counter' else family} {kind}\n")
        for name in members:
            width = max(interval, SLICE_SAMPLES // sizes[name] * interval)
            for series in _slices(source, name, start, end, width):
                written += _write_series(out, name, series)
                if written > limit:
                    raise too_many("the world's samples", limit)
    out.write("# EOF\n")
    return written


def _slices(source: SeriesSource, name: str, start: float, end: float, width: float) -> Iterator[RawSeries]:
    matchers = (Matcher(NAME, "=", name),)
    begin = start
    while begin <= end:
        # Sample times are whole milliseconds, and both ends of a selection belong to it.
        yield from source.select(matchers, begin, min(end, begin + width - 0.001))
        begin += width


def _write_series(out: TextIO, name: str, series: RawSeries) -> int:
    head = name + _labels(series.labels)
    values = series.values
    # A sum is finite when all values are: then there is neither a marker nor a special spelling.
    if math.isfinite(total(values)):
        lines = [f"{head} {value!r} {_moment(at)}\n" for at, value in zip(series.times, values)]
    else:
        kept = [(at, value) for at, value in zip(series.times, values) if not is_stale(value)]
        lines = [f"{head} {_number(value)} {_moment(at)}\n" for at, value in kept]
    out.write("".join(lines))
    return len(lines)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = (f'{label}="{escaped(value)}"' for label, value in labels.items() if label != NAME)
    return f"{{{','.join(pairs)}}}"


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (INF, -INF):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


@lru_cache(maxsize=4096)
def _moment(at: float) -> str:
    """Seconds; a fraction gets a little on top, because Prometheus cuts to milliseconds instead of rounding."""
    milliseconds = round(at * 1000)
    return str(milliseconds // 1000) if milliseconds % 1000 == 0 else f"{milliseconds / 1000:.3f}2"
