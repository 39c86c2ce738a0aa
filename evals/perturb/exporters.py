"""The same world with its GPU exporter set otherwise: series are made anew by the same code that made them before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from evals.perturb.model import Unfit
from evals.world.exporters import derived
from evals.world.exporters.context import Context
from evals.world.load import Blueprint
from evals.world.metrics import Metrics
from evals.world.places import Place
from tools.types import JsonObject

_DCGM = "dcgm"


def dcgm(plan: Blueprint) -> Place:
    """The options of dcgm-exporter as the world has them. Raises Unfit where none of its series come from it."""
    if plan.recorded:
        raise Unfit("the world's series were recorded")
    place = plan.metrics.option(_DCGM)
    if place.at("off").value is True:
        raise Unfit("the world has no dcgm-exporter")
    return place


def dcgm_rules(plan: Blueprint) -> Iterator[frozenset[str]]:
    """Labels by which each rule of the world finds series of dcgm-exporter: it would miss them under other labels."""
    rules = plan.metrics.rules
    for pattern in (*(rule.pattern for rule in rules.overrides), *(rule.pattern for rule in rules.drops)):
        if "DCGM" in pattern.name.pattern:
            yield frozenset(label for label, _ in pattern.labels)
    yield from (frozenset(extra.entry.labels) for extra in rules.extras if extra.name.startswith("DCGM"))


def with_dcgm(plan: Blueprint, changed: JsonObject) -> Blueprint:
    """The plan with other options of dcgm-exporter; what was written out stays as it is."""
    before = plan.metrics.option(_DCGM)
    place = Place(before.file, before.lines, before.path, {**before.mapping(), **changed})
    metrics = Metrics(plan.metrics.profiles, plan.metrics.rules, {**plan.metrics.options, _DCGM: place})
    context = Context(plan.composition.bodies, metrics, plan.now)
    return replace(plan, metrics=metrics, families=derived(context))
