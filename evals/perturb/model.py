"""What a perturbation is: a pure function of a world, a scenario and chance, with its effect on the right answer.

Rules: it reads the world and the expectation, never a scenario's name; what it cannot do it says with `Unfit`, as one
line; a world it is given is its own and may be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

from evals.types import Scenario
from evals.world.load import Blueprint
from evals.world.model import World

Right: TypeAlias = Literal["stays", "or_inconclusive"]


class Unfit(Exception):
    """A perturbation does not fit a scenario; the text says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario with the world it is asked of."""

    world: World
    scenario: Scenario
    names: tuple[str, ...] = ()
    """Perturbations that were applied, in order."""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One way in which a world may look different. Exactly one of `plan` and `change` is given."""

    description: str
    right: Right
    """stays: the right answer is the same. or_inconclusive: or an inconclusive one that names what is missing."""
    because: str
    """Why, in one line."""
    traps: tuple[str, ...] = ()
    """What it is about: traps of telemetry, or a word for anything else."""
    plan: Callable[[Blueprint, Random], Blueprint] | None = None
    """Changes how the world is made. Raises Unfit."""
    change: Callable[[World, Scenario, Random], tuple[World, Scenario]] | None = None
    """Changes the world that was made, and the scenario with it. Raises Unfit."""
    order: int = 0
    """Lower ones come first: what renames comes after what adds."""


def untroubled(world: World) -> None:
    """Raises Unfit where the world's servers fail in a way of their own."""
    if world.faults:
        raise Unfit("the world's servers fail in a way of their own")


def doubted(scenario: Scenario, *lacking: str) -> Scenario:
    """The scenario, to which an inconclusive answer is right as well if it names one of `lacking`.

    What cannot be seen can neither be cited nor exclude a neighbour, so that is no longer asked for.
    """
    expect = scenario.expect
    return scenario.model_copy(
        update={
            "expect": expect.model_copy(
                update={
                    "or_inconclusive": True,
                    "lacking": (*expect.lacking, *lacking),
                    "instead": (*expect.instead, *expect.also),
                    "must_cite": (),
                    "ruled_out": (),
                }
            )
        }
    )
