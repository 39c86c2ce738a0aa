"""Fetches the raw samples behind selectors, exactly: range selectors, in pieces that fit, with what ended marked.

Rules: nothing is interpolated; what does not fit or does not answer is left out and said; a range selector hides
Prometheus's staleness markers, so where a series has a hole, one range query finds when it was gone.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from evals.promql.selecting import LOOKBACK, touched
from evals.recording.writer import LeftOut
from evals.world.model import Key, RawSeries, key_of
from evals.world.samples import commonest_step, step_of
from evals.world.series import STALE
from tools.errors import BadAnswer, PlumblineError, Unavailable
from tools.types import MetricsPort, Series

MAX_SAMPLES = 5_000_000
"""Samples of one recording."""
MAX_SELECTORS = 1_000
EXPORTERS = ("DCGM_FI_", "vllm:", "sglang:", "trtllm_", "nv_inference_", "gpu_", "amd_gpu_")
"""How names of series begin that GPU exporters and model servers give (NVIDIA DCGM, vLLM, SGLang, TensorRT-LLM, Triton,
AMD device metrics exporter)."""
_NAME = re.compile(r"([a-zA-Z_:][\w:]*)\{")
_SPLITS = 10
"""Times a window is halved before a selector is given up."""
_UNANSWERED = 32
"""Queries in a row without an answer after which no window is halved for want of one."""
_HOLE = 1.5
"""Scrape intervals without a sample from which on a series may have ended."""
_STEPS = 2_000
"""Points of one range query that looks for the end of series."""


@dataclass(slots=True)
class Sampling:
    """Raw samples on their way in."""

    port: MetricsPort
    now: float
    points: dict[Key, dict[float, float]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    total: int = 0
    _unanswered: int = 0
    """Queries in a row that had no answer."""
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fetch(self, windows: Mapping[str, float]) -> None:
        """Read every selector from its window's start to now."""
        chosen = sorted(windows.items())
        self.left_out += [LeftOut(text, f"more than {MAX_SELECTORS} selectors") for text, _ in chosen[MAX_SELECTORS:]]
        await asyncio.gather(*(self._selector(text, start) for text, start in chosen[:MAX_SELECTORS]))

    async def _selector(self, text: str, start: float) -> None:
        try:
            names = await self._window(text, start, self.now, _SPLITS)
            await self._ends(text, names)
        except PlumblineError as error:
            self.left_out.append(LeftOut(f"series {text}", error.message))

    async def _window(self, text: str, start: float, end: float, splits: int) -> set[Key]:
        """Read [start, end], in halves where the answer is too large."""
        if self.total >= MAX_SAMPLES:
            self.left_out.append(LeftOut(f"series {text}", f"the recording has its {MAX_SAMPLES:,} samples"))
            return set()
        length = math.ceil((end - start) * 1000) + 1  # newer servers leave the left end out
        try:
            answer = await self.port.instant(f"{text}[{length}ms]", at=end)
        except (BadAnswer, Unavailable) as error:
            late = isinstance(error, Unavailable)
            self._unanswered += late
            if splits == 0 or end - start < 60 or self._unanswered > _UNANSWERED:
                raise
            if late and splits == _SPLITS:
                async with self._alone:  # what a busy server did not answer it is asked once more, by itself
                    return await self._halves(text, start, end, splits)
            return await self._halves(text, start, end, splits)
        self._unanswered = 0
        return {self._take(one) for one in answer.series}

    async def _halves(self, text: str, start: float, end: float, splits: int) -> set[Key]:
        middle = math.floor((start + end) / 2)
        later = await self._window(text, middle, end, splits - 1)
        return later | await self._window(text, start, middle, splits - 1)

    def _take(self, one: Series) -> Key:
        key = key_of(one.labels)
        held = self.points.setdefault(key, {})
        before = len(held)
        held.update(one.points)
        self.total += len(held) - before
        return key

    async def _ends(self, text: str, names: set[Key]) -> None:
        """Mark where series ended: the first moment after a sample at which they are not seen."""
        holes = {key: found for key in names if (found := list(_holes(self.points[key], self.now)))}
        if not holes:
            return
        step = min(gap for found in holes.values() for _, _, gap in found)
        wanted = [(at, min(after, at + LOOKBACK + gap)) for found in holes.values() for at, after, gap in found]
        seen: dict[Key, set[float]] = {key: set() for key in holes}
        for start, end in _merged(wanted, self.now, step):
            answer = await self.port.range(text, start=start, end=end, step=step)
            for one in answer.series:
                if (key := key_of(one.labels)) in seen:
                    seen[key].update(at for at, _ in one.points)
        for key, found in holes.items():
            for at, after, _ in found:
                gone = self._gone(seen[key], at, min(after, at + LOOKBACK), step)
                if gone is not None:
                    self.points[key][gone] = STALE

    def _gone(self, seen: set[float], at: float, until: float, step: float) -> float | None:
        """The first moment of the grid in (at, until) at which a series is not seen."""
        moment = self.now - math.floor((self.now - at) / step) * step
        while moment < until or moment == until == self.now:
            if moment > at and moment not in seen:
                return moment
            moment += step
        return None

    def series(self) -> Iterator[RawSeries]:
        """Everything read, by name and labels."""
        for key, held in sorted(self.points.items()):
            yield RawSeries.of(dict(key), held)

    def interval(self) -> float:
        """The commonest distance of samples in seconds; 30 where there are none."""
        return commonest_step(sorted(held) for held in self.points.values()) or 30.0


def _step(times: list[float]) -> float:
    return step_of([round(at * 1000) for at in times]) / 1000


def _holes(held: Mapping[float, float], now: float) -> Iterator[tuple[float, float, float]]:
    """(last sample, next sample or now, usual distance) wherever a series may have ended."""
    times = sorted(held)
    step = _step(times) or 30.0
    for at, after in pairwise([*times, now]):
        if after - at > step * _HOLE or (after == now and after - at >= step and after != times[-1]):
            yield at, after, step


def _merged(windows: Iterable[tuple[float, float]], now: float, step: float) -> Iterator[tuple[float, float]]:
    """Windows on the grid that ends at `now`, overlapping ones joined, none with too many points."""
    joined: list[list[float]] = []
    for start, end in sorted(windows):
        if joined and start <= joined[-1][1] + step:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    for start, end in joined:
        first = now - math.floor((now - start) / step) * step
        while first <= min(end, now):
            yield first, min(first + step * _STEPS, end, now)
            first += step * (_STEPS + 1)


def neighbours(windows: Mapping[str, float], *, start: float) -> dict[str, float]:
    """What stands beside the selectors read, from `start` on: the series that their labels kept out, and all that the
    GPU exporters and model servers among them say."""
    names = {match[1] for text in windows if (match := _NAME.match(text))}
    beside = {f"{name}{{}}" for name in names}
    beside |= {f'{{__name__=~"{prefix}.*"}}' for prefix in EXPORTERS if any(map(re.compile(prefix).match, names))}
    return {text: start for text in sorted(beside) if windows.get(text, math.inf) > start}


def windows_of(
    queries: Iterable[tuple[str, float, float]], *, now: float, since: float
) -> tuple[dict[str, float], list[LeftOut]]:
    """Selector → the earliest moment it is needed from, at least `since` seconds back; and what cannot be read."""
    found: dict[str, float] = {}
    left_out: list[LeftOut] = []
    for query, start, end in queries:
        try:
            for text, begin, _ in touched(query, start, end):
                found[text] = min(begin, now - since, found.get(text, now))
        except PlumblineError as error:
            left_out.append(LeftOut(f"query {query[:80]}", error.message))
    return found, left_out
