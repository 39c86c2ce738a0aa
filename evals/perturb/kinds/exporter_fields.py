"""dcgm-exporter without what it needs privileges for, or with the fields that are commented out by default."""

from __future__ import annotations

from random import Random

from evals.perturb.exporters import dcgm, with_dcgm
from evals.perturb.model import Perturbation, Unfit
from evals.world.load import Blueprint
from tools.types import JsonObject

MORE: JsonObject = {"sm_active": True, "violations": True, "ecc": True}


def _plan(plan: Blueprint, _dice: Random) -> Blueprint:
    place = dcgm(plan)
    missing: JsonObject = {name: value for name, value in MORE.items() if place.at(name).value is None}
    if not missing:
        raise Unfit("the world exports the optional fields already")
    return with_dcgm(plan, missing)


PERTURBATION = Perturbation(
    description="the optional GPU fields (SM_ACTIVE, violations, ECC) are exported as well",
    right="stays",
    because="more fields say nothing else",
    traps=("T3",),
    plan=_plan,
)
