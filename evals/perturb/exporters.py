"""The same world with its exporters set otherwise: series are made anew by the same code that made them before."""

from __future__ import annotations

from dataclasses import replace

from evals.world.exporters import EXPORTERS
from evals.world.exporters.context import Context
from evals.world.load import Blueprint
from evals.world.metrics import Metrics
from evals.world.places import Place
from evals.world.series import Families
from tools.types import JsonObject


def option(plan: Blueprint, exporter: str) -> Place:
    """The options of an exporter as the world has them."""
    return plan.metrics.option(exporter)


def with_options(plan: Blueprint, exporter: str, changed: JsonObject) -> Blueprint:
    """The plan with other options of an exporter; what was recorded or written out stays as it is."""
    before = plan.metrics.option(exporter)
    place = Place(before.file, before.lines, before.path, {**before.mapping(), **changed})
    metrics = Metrics(plan.metrics.profiles, plan.metrics.rules, {**plan.metrics.options, exporter: place})
    context = Context(plan.composition.bodies, metrics, plan.now)
    families: Families = {}
    for make in EXPORTERS:
        families |= make(context)
    return replace(plan, metrics=metrics, families=families)
