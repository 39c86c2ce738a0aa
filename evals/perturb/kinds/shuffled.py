"""Another order: of objects, of an object's labels and annotations, and of series and their labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from evals.perturb.model import Perturbation
from evals.types import Scenario
from evals.world.model import Matcher, RawSeries, SeriesSource, World
from tools import fields


@dataclass(frozen=True, slots=True)
class Shuffled(SeriesSource):
    """Series of a source in another order; the same order each time."""

    source: SeriesSource
    seed: int

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """As the source, in another order."""
        found = [replace(one, labels=self._turned(one.labels)) for one in self.source.select(matchers, start, end)]
        Random(self.seed).shuffle(found)
        return found

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> Iterable[Mapping[str, str]]:
        """As the source, in another order."""
        found = [self._turned(labels) for labels in self.source.label_sets(matchers, start, end)]
        Random(self.seed).shuffle(found)
        return found

    def _turned(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        return dict(reversed(list(labels.items())))


def _change(world: World, scenario: Scenario, dice: Random) -> tuple[World, Scenario]:
    dice.shuffle(world.objects)
    for body in world.objects:
        meta = fields.mapping(body, "metadata")
        for name in ("labels", "annotations"):
            if isinstance(pairs := meta.get(name), dict):
                mixed = list(pairs.items())
                dice.shuffle(mixed)
                pairs.clear()
                pairs.update(mixed)
    return replace(world, series=Shuffled(world.series, dice.getrandbits(32))), scenario


PERTURBATION = Perturbation(
    description="objects, labels, annotations and series stand in another order",
    right="stays",
    because="no API promises an order of these",
    traps=("order",),
    change=_change,
    order=6,
)
