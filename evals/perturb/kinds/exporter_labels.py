"""dcgm-exporter labels as another cluster has them: honorLabels the other way, the node's label spelled otherwise."""

from __future__ import annotations

from random import Random

from evals.perturb.exporters import dcgm, dcgm_rules, with_dcgm
from evals.perturb.model import Perturbation, Unfit
from evals.world.load import Blueprint
from tools.types import JsonObject

TURNED = frozenset({"Hostname", "hostname", "namespace", "pod", "exported_namespace", "exported_pod"})
"""Labels that these options spell otherwise."""


def _plan(plan: Blueprint, dice: Random) -> Blueprint:
    place = dcgm(plan)
    if any(labels & TURNED for labels in dcgm_rules(plan)):
        raise Unfit("the world changes series by the labels of its own exporter")
    fallback = "hostname" if place.at("version").value == "4.9" else "Hostname"
    spelled = place.at("hostname_label").value or fallback
    turned: JsonObject = {
        "honor_labels": place.at("honor_labels").value is not True,
        "hostname_label": "Hostname" if spelled == "hostname" else "hostname",
    }
    kept = dice.choice([("honor_labels",), ("hostname_label",), ("honor_labels", "hostname_label")])
    return with_dcgm(plan, {name: turned[name] for name in kept})


PERTURBATION = Perturbation(
    description="GPU series with pod or exported_pod, Hostname or hostname, the other way round",
    right="stays",
    because="the same facts under the labels of another scrape or exporter version",
    traps=("T4", "T5"),
    plan=_plan,
)
