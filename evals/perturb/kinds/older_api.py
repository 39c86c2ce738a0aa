"""Kueue as it was before v1beta2: another version, and a cohort under its old field."""

from __future__ import annotations

from random import Random

from evals.perturb.model import Perturbation, Unfit
from evals.types import Scenario
from evals.world.model import World
from tools import fields

GROUP = "kueue.x-k8s.io"
NEW, OLD = "v1beta2", "v1beta1"
"""v1beta2 is served from Kueue 0.15 on; v1beta1 calls spec.cohortName of a ClusterQueue spec.cohort."""


def _change(world: World, scenario: Scenario, _dice: Random) -> tuple[World, Scenario]:
    kinds = [row for row in world.definitions if row.get("group") == GROUP and row.get("version") == NEW]
    if not kinds:
        raise Unfit("the world has no Kueue of v1beta2")
    for row in kinds:
        row["version"] = OLD
    for body in world.objects:
        if body.get("apiVersion") == f"{GROUP}/{NEW}":
            body["apiVersion"] = f"{GROUP}/{OLD}"
            spec = fields.mapping(body, "spec")
            if body.get("kind") == "ClusterQueue" and "cohortName" in spec:
                spec["cohort"] = spec.pop("cohortName")
    return world, scenario


PERTURBATION = Perturbation(
    description="Kueue serves v1beta1 only",
    right="stays",
    because="versions are found by discovery, and the fields in use are the same",
    traps=("API versions",),
    change=_change,
)
