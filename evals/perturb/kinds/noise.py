"""Another team's trouble: restarts, failed pulls and their events in a namespace of its own that holds no GPU."""

from __future__ import annotations

from random import Random

from evals.perturb.model import Perturbation
from evals.types import Scenario
from evals.world.manifests import identity_of, uid_of
from evals.world.model import World
from tools.fields import rfc3339
from tools.types import JsonObject

TEAMS = ("billing", "newsletter", "intranet", "archive-web", "timesheets")
TROUBLES = (
    ("CrashLoopBackOff", "BackOff", "Back-off restarting failed container app in pod {pod}"),
    ("ImagePullBackOff", "Failed", 'Failed to pull image "registry.example.com/{team}/app:7": not found'),
    ("CreateContainerConfigError", "Failed", 'Error: configmap "{team}-settings" not found'),
)


def _change(world: World, scenario: Scenario, dice: Random) -> tuple[World, Scenario]:
    team = dice.choice(TEAMS)
    begun = rfc3339(world.clock.now - dice.randrange(3600, 400_000))
    world.objects.append(_object("v1", "Namespace", {"name": team}, begun, {"status": {"phase": "Active"}}))
    for number in range(dice.randint(2, 6)):
        pod, (waiting, reason, message) = f"app-{number}", dice.choice(TROUBLES)
        restarts = dice.randrange(1, 90) if waiting == "CrashLoopBackOff" else 0
        world.objects.append(_pod(team, pod, begun, waiting, restarts))
        world.objects.append(_event(world, team, pod, reason, message.format(pod=pod, team=team), dice))
    return world, scenario


def _object(version: str, kind: str, meta: JsonObject, begun: str, rest: JsonObject) -> JsonObject:
    body: JsonObject = {"apiVersion": version, "kind": kind, "metadata": meta, **rest}
    meta |= {"uid": uid_of(identity_of(body)), "creationTimestamp": begun, "resourceVersion": "1"}
    return body


def _pod(team: str, name: str, begun: str, waiting: str, restarts: int) -> JsonObject:
    image = f"registry.example.com/{team}/app:7"
    status: JsonObject = {
        "name": "app",
        "image": image,
        "imageID": "",
        "ready": False,
        "restartCount": restarts,
        "state": {"waiting": {"reason": waiting}},
    }
    return _object(
        "v1",
        "Pod",
        {"namespace": team, "name": name, "labels": {"app": team}},
        begun,
        {
            "spec": {"containers": [{"name": "app", "image": image, "resources": {"requests": {"cpu": "50m"}}}]},
            "status": {"phase": "Pending" if not restarts else "Running", "containerStatuses": [status]},
        },
    )


def _event(world: World, team: str, pod: str, reason: str, message: str, dice: Random) -> JsonObject:
    last = rfc3339(world.clock.now - dice.randrange(5, 1800))
    return _object(
        "v1",
        "Event",
        {"namespace": team, "name": f"{pod}.{dice.getrandbits(64):016x}"},
        last,
        {
            "type": "Warning",
            "reason": reason,
            "message": message,
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": team, "name": pod},
            "source": {"component": "kubelet"},
            "firstTimestamp": last,
            "lastTimestamp": last,
            "count": dice.randrange(1, 400),
        },
    )


PERTURBATION = Perturbation(
    description="another team's pods restart, cannot be pulled or configured, and say so in events",
    right="stays",
    because="they hold no GPU and share no node with those that do",
    traps=("noise",),
    change=_change,
)
