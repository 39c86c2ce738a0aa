"""One kind of object that cannot be read: for want of rights, or because its server is down."""

from __future__ import annotations

from random import Random

from evals.perturb.model import Perturbation, Unfit, doubted, untroubled
from evals.types import Scenario
from evals.world.manifests import identity_of, printed
from evals.world.model import World
from tools import fields
from tools.types import JsonObject

RESOURCES = {
    "Pod": "pods",
    "Node": "nodes",
    "Event": "events",
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "ReplicaSet": "replicasets",
    "Job": "jobs",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "ScaledObject": "scaledobjects",
    "Workload": "workloads",
}
STATUSES = (403, 503)


def _change(world: World, scenario: Scenario, dice: Random) -> tuple[World, Scenario]:
    if scenario.change is not None:
        raise Unfit("a change needs to read what it changes")
    untroubled(world)
    there = {fields.text(body, "kind") for body in world.objects}
    kinds = [kind for kind in RESOURCES if kind in there and not _named(world, scenario, kind)]
    if not kinds:
        raise Unfit("the question names an object of every kind there is")
    kind = dice.choice(kinds)
    world.faults = [{"server": "kube", "match": f"/{RESOURCES[kind]}", "status": dice.choice(STATUSES)}]
    scenario = doubted(scenario, f"kubectl get {kind.lower()}")
    return world, _lower(world, scenario, kind)


def _lower(world: World, scenario: Scenario, kind: str) -> Scenario:
    """Who owns an object that cannot be read nobody knows: the object itself is then the highest subject."""
    expect = scenario.expect
    owned = tuple(
        printed(identity_of(body))
        for body in world.objects
        if fields.text(body, "kind") == kind and expect.subject in _owners(body)
    )
    return scenario.model_copy(update={"expect": expect.model_copy(update={"or_subject": owned})})


def _owners(body: JsonObject) -> list[str]:
    space = fields.text(body, "metadata", "namespace")
    owners = fields.items(body, "metadata", "ownerReferences")
    return [f"{space}/{fields.text(owner, 'kind')}/{fields.text(owner, 'name')}" for owner in owners]


def _named(world: World, scenario: Scenario, kind: str) -> bool:
    """True where the question names an object of this kind: nobody could tell what it means."""
    names = {fields.text(body, "metadata", "name") for body in world.objects if fields.text(body, "kind") == kind}
    return any(word.strip("?,.") in names for word in scenario.question.replace("/", " ").split())


PERTURBATION = Perturbation(
    description="one resource is refused for good, with 403 or 503",
    right="or_inconclusive",
    because="what rests on that resource cannot be known",
    traps=("failing tools",),
    change=_change,
)
