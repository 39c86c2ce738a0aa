"""dcgm-exporter of the other generation: 4.9 has other names and units for 23 fields, 4.8 the old ones."""

from __future__ import annotations

from random import Random

from evals.perturb.exporters import dcgm, dcgm_rules, with_dcgm
from evals.perturb.model import Perturbation, Unfit
from evals.world.load import Blueprint


def _plan(plan: Blueprint, _dice: Random) -> Blueprint:
    place = dcgm(plan)
    if any(True for _ in dcgm_rules(plan)):
        raise Unfit("the world changes series by the names of its own exporter version")
    return with_dcgm(plan, {"version": "4.8" if place.at("version").value == "4.9" else "4.9"})


PERTURBATION = Perturbation(
    description="GPU fields renamed, ratios for percent, hertz, bytes and joules, or the way back",
    right="stays",
    because="the same facts in the names and units of another exporter version",
    traps=("T5", "T6"),
    plan=_plan,
)
