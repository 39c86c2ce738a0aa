"""Servers that answer late: within the time every request has, and not in the order they were asked."""

from __future__ import annotations

from random import Random

from evals.perturb.model import Perturbation, untroubled
from evals.types import Scenario
from evals.world.model import World

SLOWED = 4
"""Requests of each server; more would only cost time."""
LATEST = 0.08
"""Seconds of the longest delay."""


def _change(world: World, scenario: Scenario, dice: Random) -> tuple[World, Scenario]:
    untroubled(world)
    for server in ("kube", "prom"):
        for _ in range(SLOWED):
            delay = round(dice.uniform(0.005, LATEST), 3)
            world.faults.append({"server": server, "delay": delay, "after": dice.randrange(20), "count": 1})
    return world, scenario


PERTURBATION = Perturbation(
    description="some requests are answered late and out of order",
    right="stays",
    because="the answers are the same",
    traps=("delayed tools",),
    change=_change,
)
