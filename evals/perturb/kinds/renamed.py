"""Other names for everything that has one, and for nothing that is vocabulary."""

from __future__ import annotations

from random import Random

from evals.perturb.model import Perturbation, Unfit
from evals.perturb.renaming import Names, renamed_scenario, renamed_world
from evals.types import Scenario
from evals.world.model import World

STEMS = ("quartz", "amber", "basalt", "cobalt", "garnet", "marble", "onyx", "slate", "topaz", "zircon")


def _change(world: World, scenario: Scenario, dice: Random) -> tuple[World, Scenario]:
    if scenario.change is not None:
        raise Unfit("its change and the reactions to it know the old names")
    names = Names(world, stem=dice.choice(STEMS))
    return renamed_world(world, names), renamed_scenario(scenario, names)


PERTURBATION = Perturbation(
    description="namespaces, workloads, bare pods and nodes have other names, everywhere they stand",
    right="stays",
    because="an answer rests on what things are, not on what they are called",
    traps=("names",),
    change=_change,
    order=5,
)
