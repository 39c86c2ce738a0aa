"""Latency distributions and the histograms an exporter makes of them.

A distribution is log-normal, given by its median and 95th percentile, and may change at named moments. Every
bucket is the same request counter scaled by the share of requests below its edge, so buckets, _count and _sum
always agree with each other and with the request counter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evals.world import generators as g
from evals.world.places import Place
from evals.world.series import Entry

_Z95 = 1.6448536269514722
"""95th percentile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Positive values with median `p50` and 95th percentile `p95`."""

    p50: float
    p95: float

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return math.log(self.p95 / self.p50) / _Z95

    @property
    def mean(self) -> float:
        """The mean, which is what _sum / _count shows."""
        return self.p50 * math.exp(self.sigma**2 / 2)

    def below(self, edge: float) -> float:
        """Share of values at or below `edge`."""
        if edge <= 0:
            return 0.0
        if math.isinf(edge):
            return 1.0
        if not self.sigma:
            return 1.0 if edge >= self.p50 else 0.0
        return 0.5 * (1 + math.erf(math.log(edge / self.p50) / self.sigma / math.sqrt(2)))


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution and the moments (seconds from now) at which it becomes another one."""

    before: LogNormal
    changes: tuple[tuple[float, LogNormal], ...] = ()

    def switched(self, shape: LogNormal, begin: float, end: float | None) -> Latency:
        """`shape` from `begin` on; from `end` on what held before it."""
        kept = tuple(change for change in self.changes if change[0] < begin)
        back = kept[-1][1] if kept else self.before
        return Latency(self.before, (*kept, (begin, shape), *(() if end is None else ((end, back),))))

    def scaled(self, rate: g.Generator, below: float | None) -> g.Generator:
        """`rate` × the share below an edge, or × the mean for None."""

        def part(shape: LogNormal) -> g.Generator:
            return g.Linear(rate, shape.mean if below is None else shape.below(below))

        if not self.changes:
            return part(self.before)
        return g.Steps(part(self.before), tuple((at, part(shape)) for at, shape in self.changes))


def parse_latency(place: Place) -> Latency:
    """`{p50: 0.2, p95: 0.6}`, or `{before: {…}, then: [{at: -2h, p50: …, p95: …}]}`. Raises DocumentError."""
    if "before" not in place.mapping():
        return Latency(_shape(place, ("p50", "p95")))
    place.only(("before", "then"))
    changes = tuple(
        (change.at("at").seconds(), _shape(change, ("at", "p50", "p95"))) for change in place.at("then").items()
    )
    return Latency(_shape(place.at("before"), ("p50", "p95")), changes)


def _shape(place: Place, fields: tuple[str, ...]) -> LogNormal:
    place.only(fields)
    p50, p95 = place.at("p50").number(), place.at("p95").number()
    if not 0 < p50 <= p95:
        place.fail("0 < p50 ≤ p95 is wanted here")
    return LogNormal(p50, p95)


def edge_label(edge: float) -> str:
    """The `le` value as client libraries of Python and Go print it."""
    return "+Inf" if math.isinf(edge) else str(float(edge))


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram family: the three series names and their entries for one set of labels."""

    name: str
    edges: tuple[float, ...]

    def entries(self, suffix: str, rate: g.Generator, latency: Latency, template: Entry) -> Iterator[Entry]:
        """Entries of `suffix` (_bucket, _sum or _count); `template` gives labels, seed and life."""
        if suffix == "_bucket":
            for edge in (*self.edges, math.inf):
                counter = g.Counter(latency.scaled(rate, edge), whole=True)
                yield _like(template, counter, {"le": edge_label(edge)})
        elif suffix == "_count":
            yield _like(template, g.Counter(latency.scaled(rate, math.inf), whole=True), {})
        else:
            yield _like(template, g.Counter(latency.scaled(rate, None)), {})


def _like(template: Entry, value: g.Generator, labels: Mapping[str, str]) -> Entry:
    return Entry(
        {**template.labels, **labels},
        value,
        template.seed,
        template.born,
        template.dies,
        template.gaps,
        template.dropout,
        template.signals,
    )
