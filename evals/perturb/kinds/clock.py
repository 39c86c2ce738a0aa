"""Another date: a world is the same at any moment, over the ends of years and where clocks change."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from evals.perturb.model import Perturbation
from evals.world.load import Blueprint

FIRST, LAST = 1_704_067_200, 1_893_456_000
"""2024-01-01 and 2030-01-01, UTC."""


def _plan(plan: Blueprint, dice: Random) -> Blueprint:
    return replace(plan, now=float(dice.randrange(FIRST, LAST)))


PERTURBATION = Perturbation(
    description="everything happens on another date",
    right="stays",
    because="every time moves along",
    traps=("clock",),
    plan=_plan,
    order=9,
)
