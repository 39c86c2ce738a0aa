"""The columns of a pod: the one word that says what is wrong with it, readiness and restarts.

The rules are those of Kubernetes' pod printer (pkg/printers/internalversion): init containers first, the first
one not done decides; then containers, the first with a reason decides; deletion overrules both.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from evals.servers.kube.jsonread import as_int, as_object, as_text, dig, objects_at, seconds_of
from evals.servers.kube.tables import NONE, age, human, name_of
from tools.types import JsonObject


@dataclass(slots=True)
class _Tally:
    reason: str
    ready: int = 0
    restarts: int = 0
    sidecar_restarts: int = 0
    last_restart: float = 0.0
    initializing: bool = False

    def count(self, status: JsonObject, *, sidecar: bool) -> None:
        """Add the restarts of one container."""
        restarts = as_int(status.get("restartCount"))
        self.restarts += restarts
        if sidecar:
            self.sidecar_restarts += restarts
        ended = seconds_of(dig(status, "lastState", "terminated", "finishedAt"))
        self.last_restart = max(self.last_restart, ended or 0.0)


def pod_cells(body: JsonObject, now: float) -> list[JsonValue]:
    """The cells of one pod."""
    sidecars = {
        as_text(one.get("name"))
        for one in objects_at(body, "spec", "initContainers")
        if one.get("restartPolicy") == "Always"
    }
    tally = _Tally(_first_reason(body))
    _init_containers(body, sidecars, tally)
    if not tally.initializing or _condition(body, "Initialized"):
        _main_containers(body, tally)
    total = len(objects_at(body, "spec", "containers")) + len(sidecars)
    ips = objects_at(body, "status", "podIPs")
    return [
        name_of(body),
        f"{tally.ready}/{total}",
        _deleted(body) or tally.reason,
        _restarts(tally, now),
        age(body, now),
        as_text(ips[0].get("ip") if ips else dig(body, "status", "podIP")) or NONE,
        as_text(dig(body, "spec", "nodeName")) or NONE,
        as_text(dig(body, "status", "nominatedNodeName")) or NONE,
        _gates(body),
    ]


def _first_reason(body: JsonObject) -> str:
    for one in objects_at(body, "status", "conditions"):
        if one.get("type") == "PodScheduled" and one.get("reason") == "SchedulingGated":
            return "SchedulingGated"
    return as_text(dig(body, "status", "reason")) or as_text(dig(body, "status", "phase"))


def _init_containers(body: JsonObject, sidecars: set[str], tally: _Tally) -> None:
    total = len(objects_at(body, "spec", "initContainers"))
    for index, status in enumerate(objects_at(body, "status", "initContainerStatuses")):
        sidecar = as_text(status.get("name")) in sidecars
        tally.count(status, sidecar=sidecar)
        ended = as_object(dig(status, "state", "terminated"))
        if ended and as_int(ended.get("exitCode")) == 0:
            continue
        if sidecar and status.get("started") is True:
            tally.ready += status.get("ready") is True
            continue
        waiting = as_text(dig(status, "state", "waiting", "reason"))
        if ended:
            tally.reason = f"Init:{_ended(ended)}"
        elif waiting and waiting != "PodInitializing":
            tally.reason = f"Init:{waiting}"
        else:
            tally.reason = f"Init:{index}/{total}"
        tally.initializing = True
        return


def _main_containers(body: JsonObject, tally: _Tally) -> None:
    tally.restarts = tally.sidecar_restarts
    running = False
    for status in reversed(objects_at(body, "status", "containerStatuses")):
        tally.count(status, sidecar=False)
        waiting = as_text(dig(status, "state", "waiting", "reason"))
        ended = as_object(dig(status, "state", "terminated"))
        if waiting:
            tally.reason = waiting
        elif ended:
            tally.reason = _ended(ended)
        elif status.get("ready") is True and dig(status, "state", "running") is not None:
            running = True
            tally.ready += 1
    if tally.reason == "Completed" and running:
        tally.reason = "Running" if _condition(body, "Ready") else "NotReady"


def _ended(ended: JsonObject) -> str:
    if reason := as_text(ended.get("reason")):
        return reason
    signal = as_int(ended.get("signal"))
    return f"Signal:{signal}" if signal else f"ExitCode:{as_int(ended.get('exitCode'))}"


def _deleted(body: JsonObject) -> str:
    if not dig(body, "metadata", "deletionTimestamp"):
        return ""
    if dig(body, "status", "reason") == "NodeLost":
        return "Unknown"
    return "" if dig(body, "status", "phase") in ("Succeeded", "Failed") else "Terminating"


def _condition(body: JsonObject, kind: str) -> bool:
    return any(
        one.get("type") == kind and one.get("status") == "True" for one in objects_at(body, "status", "conditions")
    )


def _restarts(tally: _Tally, now: float) -> str:
    if tally.restarts and tally.last_restart:
        return f"{tally.restarts} ({human(now - tally.last_restart)} ago)"
    return str(tally.restarts)


def _gates(body: JsonObject) -> str:
    gates = [as_text(one.get("conditionType")) for one in objects_at(body, "spec", "readinessGates")]
    return f"{sum(_condition(body, gate) for gate in gates)}/{len(gates)}" if gates else NONE
