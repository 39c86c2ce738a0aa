"""Servers that fail once and then answer, as they do while they restart or are busy."""

from __future__ import annotations

from random import Random

from evals.perturb.model import Perturbation, untroubled
from evals.types import Scenario
from evals.world.model import World
from tools.types import JsonObject

FAILURES: tuple[JsonObject, ...] = (
    {"server": "kube", "match": "/api/v1/pods", "status": 500, "count": 1},
    {"server": "kube", "match": "/api/v1/events", "status": 429, "count": 1},
    {"server": "kube", "match": "/apis/apps/v1/", "status": 503, "count": 1},
    {"server": "kube", "match": "/api/v1/nodes", "status": 504, "count": 1},
    {"server": "prom", "match": "/api/v1/query", "status": 503, "count": 1},
    {"server": "prom", "match": "/api/v1/query", "status": 429, "count": 1},
)


def _change(world: World, scenario: Scenario, dice: Random) -> tuple[World, Scenario]:
    untroubled(world)
    world.faults = [dict(dice.choice(FAILURES))]
    return world, scenario


PERTURBATION = Perturbation(
    description="one request is refused once with 429, 500, 503 or 504",
    right="stays",
    because="it is asked again",
    traps=("failing tools",),
    change=_change,
)
