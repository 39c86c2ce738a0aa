"""metrics/*.yaml read and checked: profiles, exporter options, overrides, extra series and drops."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evals.world.noise import seed_of
from evals.world.places import Place
from evals.world.profiles import Profile, Profiles, parse_profile, pattern
from evals.world.series import Drop, Entry, Extra, Override, Pattern, Rules
from evals.world.specs import parse, signals_of
from tools.types import JsonObject

SECTIONS = ("profiles", "exporters", "override", "series", "drop")
EXPORTERS: dict[str, tuple[str, ...]] = {
    "dcgm": [
        "off",
        "profiling",
        "sm_active",
        "violations",
        "ecc",
        "honor_labels",
        "hostname_label",
        "version",
        "missing_nodes",
        "gaps",
        "kubernetes",
        "virtual_gpus",
        "dra",
        "extra",
        "assign",
        "namespace",
    ],  # type: ignore[dict-item]
    "ksm": ("off", "gaps"),
    "vllm": ("off", "gaps"),
    "cadvisor": ("off", "gaps", "pressure"),
    "kueue": ("off", "gaps", "resources", "follower"),
    "keda": ("off", "gaps", "honor_labels"),
    "epp": ("off", "gaps"),
    "gateway": ("off", "gaps"),
    "node": ("off", "gaps", "infiniband"),
    "argocd": ("off", "gaps"),
    "operator": ("off", "gaps"),
    "scheduler": ("off", "gaps"),
}


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything the metric files of a stack of layers say."""

    profiles: Profiles
    rules: Rules
    options: Mapping[str, Place] = field(default_factory=dict)
    """Exporter → its options, later layers winning field by field."""

    def option(self, exporter: str) -> Place:
        """The options of an exporter; an empty mapping where none are given."""
        return self.options.get(exporter, _NOTHING)


_NOTHING = Place("", {}, (), {})


def read_metrics(places: Iterable[Place]) -> Metrics:
    """The metric documents of all layers, base first. Raises DocumentError."""
    profiles: list[Profile] = []
    drops: list[Drop] = []
    overrides: list[Override] = []
    extras: list[Extra] = []
    options: dict[str, Place] = {}
    for place in places:
        place.only(SECTIONS)
        profiles += [parse_profile(entry) for entry in place.at("profiles").items()]
        drops += [_drop(entry) for entry in place.at("drop").items()]
        overrides += [_override(entry) for entry in place.at("override").items()]
        extras += [_extra(entry) for entry in place.at("series").items()]
        _take_options(options, place.at("exporters"))
    rules = Rules(tuple(drops), tuple(overrides), tuple(extras))
    return Metrics(Profiles(tuple(profiles)), rules, options)


def _take_options(options: dict[str, Place], place: Place) -> None:
    place.only(EXPORTERS)
    for name in place.mapping():
        written = place.at(name)
        written.only(EXPORTERS[name])
        before = options[name].mapping() if name in options else {}
        merged: JsonObject = {**before, **written.mapping()}
        options[name] = Place(written.file, written.lines, written.path, merged)


def _pattern(place: Place) -> Pattern:
    mapping = place.mapping()
    if "name" not in mapping:
        place.fail("name a metric: `name: DCGM_FI_DEV_.*`")
    labels = tuple((label, pattern(place.at(label))) for label in mapping if label != "name")
    return Pattern(pattern(place.at("name")), labels)


def _drop(place: Place) -> Drop:
    place.only(("match", "from", "until", "share"))
    share = place.at("share").number(1.0)
    if not 0 < share <= 1:
        place.at("share").fail("a share between 0 and 1 is wanted here")
    return Drop(
        _pattern(place.at("match")),
        place.at("from").seconds(-math.inf),
        place.at("until").seconds(math.inf),
        share,
    )


def _override(place: Place) -> Override:
    place.only(("match", "value"))
    value = parse(place.at("value"), "override")
    _no_signals(place, signals_of(value))
    return Override(_pattern(place.at("match")), value)


def _extra(place: Place) -> Extra:
    place.only(("name", "labels", "value", "from", "until", "gaps"))
    name, labels = place.at("name").text(), place.at("labels").strings()
    value = parse(place.at("value"), name)
    _no_signals(place, signals_of(value))
    born = place.at("from").seconds() if place.at("from").value is not None else None
    dies = place.at("until").seconds() if place.at("until").value is not None else None
    seed = seed_of(name, *sorted(labels.items()))
    return Extra(name, Entry(labels, value, seed, born, dies, place.at("gaps").windows()))


def _no_signals(place: Place, names: set[str]) -> None:
    if names:
        place.at("value").fail("`of` works in profiles only; a series written out has no other signals")
