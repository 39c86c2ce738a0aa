"""From a name to a World: layers are composed, anchored at a moment, and given their series.

Everything expensive is shared within the process: parsed folders, compositions and the entries of their series.
What a caller gets (objects, logs, clock) is its own and may be changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from evals.world.compose import Composition, compose
from evals.world.exporters import derived
from evals.world.exporters.context import Context, PodRecord
from evals.world.layers import Layer, chain, folder_of, read_text
from evals.world.living import LivingSeries
from evals.world.logs import Key, Logs, collect
from evals.world.metrics import Metrics, read_metrics
from evals.world.model import Access, Clock, World
from evals.world.openmetrics import read_openmetrics
from evals.world.places import Place
from evals.world.reactions import Reaction, read_reactions
from evals.world.responses import Responses
from evals.world.samples import read_samples
from evals.world.series import Entry, Extra, Families, Rules
from evals.world.times import anchor_json, moment_of
from tools.types import JsonObject

KUBERNETES, PROMETHEUS = "1.36", "3.x"
SAMPLE_INTERVAL = 30.0


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A composed world before it is anchored; shared by all loads of the same stack of layers."""

    layers: tuple[Layer, ...]
    composition: Composition
    metrics: Metrics
    now: float
    families: Families
    logs: Mapping[Key, tuple[bytes, PodRecord | None]]
    reactions: tuple[Reaction, ...] = ()

    @property
    def recorded(self) -> bool:
        """True where the series are those that were recorded, and none follow from the objects."""
        return _recorded(self.layers)

    def setting(self, name: str) -> Place:
        """A setting of the topmost layer that gives it."""
        for layer in reversed(self.layers):
            if name in layer.settings.mapping():
                return layer.settings.at(name)
        return self.layers[-1].settings.at(name)

    def collected(self, name: str) -> list[JsonValue]:
        """A list setting of all layers, base first."""
        return [entry.value for layer in self.layers for entry in layer.settings.at(name).items()]


_cache: dict[tuple[int, ...], Blueprint] = {}
_CACHED = 128


def load(name_or_path: str, *, anchor: float | None = None, overlays: Sequence[str] = ()) -> World:
    """The world of that name or folder, anchored at `anchor` (Unix seconds) or at its own `now`.

    `overlays` are put on top, in order; of each only what the stack does not hold yet. Raises UnknownName and
    DocumentError.
    """
    return anchored(blueprint(name_or_path, overlays=overlays), anchor)


def blueprint(name_or_path: str, *, overlays: Sequence[str] = ()) -> Blueprint:
    """As load, before anchoring."""
    folder = folder_of(name_or_path)
    layers = chain(folder)
    for overlay in overlays:
        for layer in chain(folder_of(overlay, folder)):
            if layer not in layers:
                layers.append(layer)
    key = tuple(id(layer) for layer in layers)
    found = _cache.get(key)
    if found is None:
        if len(_cache) >= _CACHED:
            _cache.clear()
        found = _blueprint(layers)
        if found.recorded:  # they hold all their samples: one at a time
            for other in [key for key, one in _cache.items() if one.recorded]:
                del _cache[other]
        _cache[key] = found
    return found


def _blueprint(layers: Sequence[Layer]) -> Blueprint:
    composition = compose(layers)
    metrics = read_metrics(place for layer in layers for place in layer.metrics)
    now = _now(layers)
    extras = tuple(
        Extra(name, entry) for layer in layers for path in layer.recordings for name, entry in _samples(path, now)
    )
    rules = Rules(metrics.rules.drops, metrics.rules.overrides, (*extras, *metrics.rules.extras))
    context = Context(composition.bodies, metrics, now)
    families: Families = {} if _recorded(layers) else derived(context)
    rules_metrics = Metrics(metrics.profiles, rules, metrics.options)
    reactions = read_reactions(place for layer in layers for place in layer.reactions)
    return Blueprint(tuple(layers), composition, rules_metrics, now, families, collect(layers, context), reactions)


def _samples(path: Path, now: float) -> Iterator[tuple[str, Entry]]:
    if path.suffix == ".om":
        return read_openmetrics(read_text(path, path.name), file=path.name, now=now)
    return read_samples(path, path.name)


def _recorded(layers: Sequence[Layer]) -> bool:
    return any(layer.settings.at("recorded").flag(default=False) for layer in layers)


def _now(layers: Sequence[Layer]) -> float:
    for layer in reversed(layers):
        place = layer.settings.at("now")
        if place.value is not None:
            try:
                return moment_of(place.text())
            except ValueError as error:
                place.fail(f"{error}; write it as 2026-05-12T14:00:00Z")
    layers[0].settings.fail("a base world needs its `now`, such as 2026-05-12T14:00:00Z")


def anchored(plan: Blueprint, anchor: float | None = None) -> World:
    """A World of a blueprint: fresh objects with absolute times, its own clock and series."""
    moment = float(math.floor(plan.now if anchor is None else anchor))
    clock = Clock(moment)
    objects = json.loads(anchor_json(plan.composition.json(), moment))
    step = plan.setting("sample_interval").seconds(SAMPLE_INTERVAL)
    series = LivingSeries(plan.families, rules=plan.metrics.rules, clock=clock, anchor=moment, step=step)
    top = plan.layers[-1]
    return World(
        name=top.name,
        description=plan.setting("description").text(""),
        clock=clock,
        kubernetes=plan.setting("kubernetes").text(KUBERNETES),
        prometheus=plan.setting("prometheus").choice(("3.x", "2.x"), PROMETHEUS),
        objects=objects,
        series=series,
        logs=Logs(plan.logs, moment),
        definitions=_rows(plan.collected("definitions")),
        responder=Responses(plan.reactions, metrics=plan.metrics, series=series, clock=clock, anchor=moment),
        access=_access(plan.setting("access")),
        sample_interval=step,
        alerts=_rows(json.loads(anchor_json(json.dumps(plan.collected("alerts")), moment))),
        faults=_rows(plan.collected("faults")),
    )


def _rows(values: Sequence[JsonValue]) -> list[JsonObject]:
    return [dict(value) for value in values if isinstance(value, dict)]


def _access(place: Place) -> Access:
    place.only(("tokens", "rules"))
    tokens: dict[str, tuple[str, tuple[str, ...]]] = {}
    for token in place.at("tokens").mapping():
        entry = place.at("tokens", token)
        entry.only(("user", "groups"))
        groups = tuple(group.text() for group in entry.at("groups").items())
        tokens[token] = (entry.at("user").text(), groups)
    rules = {who: _rows([rule.value for rule in place.at("rules", who).items()]) for who in place.at("rules").mapping()}
    return Access(tokens, rules)
