"""A world under other names: whatever an answer rests on, it must not be what things are called.

Namespaces that hold GPU pods, all workloads, bare pods and nodes in them get new names, in objects, series and logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from pydantic import JsonValue

from evals.types import Expectation, Scenario
from evals.world.model import Matcher, RawSeries, SeriesSource, World
from tools import fields
from tools.types import JsonObject

RENAMED_KINDS = frozenset(
    {
        "Deployment",
        "StatefulSet",
        "Job",
        "JobSet",
        "TrainJob",
        "PyTorchJob",
        "Notebook",
        "ScaledObject",
        "InferencePool",
    }
    | {"HorizontalPodAutoscaler"}
)
KEPT_KEYS = frozenset({"apiVersion", "kind", "group", "apiGroup"})
"""Fields whose values are vocabulary, not names."""


class Names:
    """The new names, and the way back."""

    def __init__(self, world: World, stem: str = "quartz") -> None:
        olds = sorted(set(_names(world)), key=lambda name: (-len(name), name))
        self.new = {old: f"{stem}-{number}x" for number, old in enumerate(olds)}
        self._old = {new: old for old, new in self.new.items()}
        self._forward = _pattern(self.new)
        self._back = _pattern(self._old)
        self.text = cache(self._text)

    def _text(self, text: str) -> str:
        return self._forward.sub(lambda match: self.new[match[0]], text)

    def back(self, text: str) -> str:
        """The old form of a text with new names."""
        return self._back.sub(lambda match: self._old[match[0]], text)

    def value(self, value: JsonValue) -> JsonValue:
        """A copy of a JSON value under the new names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if isinstance(value, dict):
            return {key: inner if key in KEPT_KEYS else self.value(inner) for key, inner in value.items()}
        return value

    def body(self, body: JsonObject) -> JsonObject:
        """A copy of an object under the new names."""
        renamed = self.value(body)
        assert isinstance(renamed, dict)
        return renamed


def _pattern(names: Mapping[str, str]) -> re.Pattern[str]:
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])")


def _names(world: World) -> Iterator[str]:
    pods = [body for body in world.objects if fields.text(body, "kind") == "Pod"]
    tenants = {fields.text(pod, "metadata", "namespace") for pod in pods if "nvidia.com/gpu" in str(pod.get("spec"))}
    tenants = {name for name in tenants if "operator" not in name and not name.startswith("kube-")}
    yield from tenants
    for body in world.objects:
        kind, name = fields.text(body, "kind"), fields.text(body, "metadata", "name")
        bare = kind == "Pod" and not fields.items(body, "metadata", "ownerReferences")
        inside = fields.text(body, "metadata", "namespace") in tenants and (kind in RENAMED_KINDS or bare)
        if kind == "Node" or inside:
            yield name


@dataclass(frozen=True, slots=True)
class Renamed(SeriesSource):
    """Series under new names: matchers are translated back, labels forth."""

    source: SeriesSource
    names: Names

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """As the source, under the new names."""
        found = self.source.select(self._old(matchers), start, end)
        return [replace(series, labels=self._new(series.labels)) for series in found]

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> Iterable[Mapping[str, str]]:
        """As the source, under the new names."""
        return [self._new(labels) for labels in self.source.label_sets(self._old(matchers), start, end)]

    def _old(self, matchers: Sequence[Matcher]) -> list[Matcher]:
        return [replace(m, value=self.names.back(m.value)) if m.label != "__name__" else m for m in matchers]

    def _new(self, labels: Mapping[str, str]) -> dict[str, str]:
        return {label: value if label == "__name__" else self.names.text(value) for label, value in labels.items()}


def renamed_world(world: World, names: Names) -> World:
    """The world under new names; its clock is shared."""
    return replace(
        world,
        objects=[names.body(body) for body in world.objects],
        series=Renamed(world.series, names),
        logs={tuple_of(names, key): body for key, body in world.logs.items()},
        alerts=[names.body(alert) for alert in world.alerts],
    )


def tuple_of(names: Names, key: tuple[str, str, str]) -> tuple[str, str, str]:
    """A log's key under the new names."""
    namespace, pod, container = key
    return names.text(namespace), names.text(pod), names.text(container)


def renamed_scenario(scenario: Scenario, names: Names) -> Scenario:
    """The same question and expectation under new names; without its change, as reactions know the old ones."""
    expect = scenario.expect
    return scenario.model_copy(
        update={
            "question": names.text(scenario.question),
            "namespace": names.text(scenario.namespace),
            "change": None,
            "expect": Expectation.model_validate(
                expect.model_dump()
                | {"subject": names.text(expect.subject), "missing": tuple(map(names.text, expect.missing))}
            ),
        }
    )
