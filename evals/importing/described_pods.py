"""Pods and their containers from the text of `kubectl describe`."""

from __future__ import annotations

import re

from evals.importing.blocks import Entries, Entry, moment
from tools.types import JsonObject

OWNERS = {
    "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Deployment": "apps/v1",
    "Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1", "Node": "v1",
    "JobSet": "jobset.x-k8s.io/v1alpha2", "TrainJob": "trainer.kubeflow.org/v1alpha1",
    "PyTorchJob": "kubeflow.org/v1", "LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1",
}  # fmt: skip
"""Kind of an owner → its API version, which describe does not print."""
_REF = re.compile(r"<set to the key '([^']*)' (?:of|in) (config map|secret) '([^']*)'>.*")
_FIELD = re.compile(r"\((v\d\w*):([\w.\[\]'/-]+)\)|(?:.*) \((limits|requests)\.([\w.-]+)\)")
_MOUNT = re.compile(r"(\S+) from (\S+) \((\w+)(?:,path=\"([^\"]*)\")?\)")
_PORT = re.compile(r"(\d+)/(\w+)(?: \(([\w-]+)\))?")
_PROBE = re.compile(r"(http-get|tcp-socket|exec|grpc) (.*?) ?delay=(\d+)s timeout=(\d+)s period=(\d+)s "
                    r"#success=(\d+) #failure=(\d+)")  # fmt: skip
_URL = re.compile(r"(?:(\w+):)?//([^:/]*):([^/]*)(/.*)?")
_TOLERATION = re.compile(r"([^\s:=]*)(?:=([^\s:]*))?(?::(\S+))?(?: op=(Exists|Equal|Lt|Gt))?(?: for (\d+)s)?")
_VOLUMES = {
    "PersistentVolumeClaim": ("persistentVolumeClaim", {"ClaimName": "claimName"}),
    "EmptyDir": ("emptyDir", {"Medium": "medium", "SizeLimit": "sizeLimit"}),
    "ConfigMap": ("configMap", {"Name": "name"}),
    "Secret": ("secret", {"SecretName": "secretName"}),
    "HostPath": ("hostPath", {"Path": "path", "HostPathType": "type"}),
}
_PROBES = (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe"))


def pod(entries: Entries) -> JsonObject:
    """spec and status of a pod."""
    spec = pod_spec(entries)
    status: JsonObject = {"phase": entries["Status"].value.partition(" ")[0]} if "Status" in entries else {}
    node, _, address = entries["Node"].value.partition("/")
    if node:
        spec["nodeName"] = node
    if address:
        status["hostIP"] = address
    for key, name in (("IP", "podIP"), ("QoS Class", "qosClass"), ("Reason", "reason"), ("Message", "message")):
        if key in entries and entries[key].value:
            status[name] = entries[key].value
    if "Start Time" in entries and (at := moment(entries["Start Time"].value)):
        status["startTime"] = at
    if "Conditions" in entries:
        status["conditions"] = [{"type": row["Type"], "status": row["Status"]} for row in entries["Conditions"].table()]
    for key, name in (("Init Containers", "initContainerStatuses"), ("Containers", "containerStatuses")):
        found = [_status(one) for one in entries[key].entries().values()] if key in entries else []
        if any(one["containerID"] or one["state"] for one in found):
            status[name] = list(found)
    return {"spec": spec, "status": status}


def owner_of(owner: str) -> JsonObject | None:
    """The owner reference of `Controlled By:  Kind/name`; None for a kind whose API version is not known."""
    kind, _, name = owner.partition("/")
    if kind not in OWNERS or not name:
        return None
    return {"apiVersion": OWNERS[kind], "kind": kind, "name": name, "controller": True}


def pod_spec(entries: Entries) -> JsonObject:
    """What a pod and a template of pods both show."""
    spec: JsonObject = {}
    for key, name in (("Init Containers", "initContainers"), ("Containers", "containers")):
        if key in entries:
            spec[name] = [_container(one) for one in entries[key].entries().values()]
    for key, name in (
        ("Service Account", "serviceAccountName"),
        ("Priority Class Name", "priorityClassName"),
        ("Runtime Class Name", "runtimeClassName"),
    ):
        if key in entries and entries[key].value:
            spec[name] = entries[key].value
    if "Priority" in entries and entries["Priority"].value.lstrip("-").isdecimal():
        spec["priority"] = int(entries["Priority"].value)
    if "Node-Selectors" in entries and (pairs := entries["Node-Selectors"].pairs("=")):
        spec["nodeSelector"] = dict(pairs)
    if "Tolerations" in entries and (found := [_toleration(text) for text in entries["Tolerations"].values()]):
        spec["tolerations"] = list(found)
    if "Volumes" in entries:
        volumes = [_volume(one) for one in entries["Volumes"].entries().values()]
        if kept := [one for one in volumes if len(one) > 1]:
            spec["volumes"] = list(kept)
    return spec


def _container(entry: Entry) -> JsonObject:
    told = entry.entries()
    made: JsonObject = {"name": entry.key}
    if "Image" in told:
        made["image"] = told["Image"].value
    for key, name in (("Command", "command"), ("Args", "args")):
        if key in told:
            made[name] = list(told[key].values())
    ports = [_PORT.fullmatch(text.strip()) for key in ("Port", "Ports") if key in told
             for text in told[key].value.split(",")]  # fmt: skip
    named = [(port, port[3]) for port in ports if port]
    if named:
        made["ports"] = [
            {"containerPort": int(port[1]), "protocol": port[2], **({"name": name} if name else {})}
            for port, name in named
        ]
    resources = {name.lower(): dict(told[name].map()) for name in ("Limits", "Requests") if name in told}
    if resources:
        made["resources"] = {name: dict(pairs) for name, pairs in resources.items()}
    for key, name in _PROBES:
        if key in told and (probe := _probe(told[key].value)):
            made[name] = probe
    if "Environment" in told and (env := [_variable(one) for one in told["Environment"].entries().values()]):
        made["env"] = list(env)
    mounts = (
        [match for text in told["Mounts"].values() if (match := _MOUNT.fullmatch(text))] if "Mounts" in told else []
    )
    if mounts:
        made["volumeMounts"] = [
            {"mountPath": m[1], "name": m[2], **({"readOnly": True} if m[3] == "ro" else {}),
             **({"subPath": m[4]} if m[4] else {})}
            for m in mounts
        ]  # fmt: skip
    return made


def _variable(entry: Entry) -> JsonObject:
    ref, field = _REF.fullmatch(entry.value), _FIELD.fullmatch(entry.value)
    if ref:
        source = "configMapKeyRef" if ref[2] == "config map" else "secretKeyRef"
        return {"name": entry.key, "valueFrom": {source: {"name": ref[3], "key": ref[1]}}}
    if field and field[1]:
        return {"name": entry.key, "valueFrom": {"fieldRef": {"apiVersion": field[1], "fieldPath": field[2]}}}
    if field:
        return {"name": entry.key, "valueFrom": {"resourceFieldRef": {"resource": f"{field[3]}.{field[4]}"}}}
    return {"name": entry.key, "value": "\n".join([entry.value, *(line.strip() for line in entry.below)])}


def _status(entry: Entry) -> JsonObject:
    told = entry.entries()
    made: JsonObject = {"name": entry.key, "containerID": "", "state": {}}
    for key, name in (("Image", "image"), ("Image ID", "imageID"), ("Container ID", "containerID")):
        if key in told:
            made[name] = told[key].value
    for key, name in (("State", "state"), ("Last State", "lastState")):
        if key in told and told[key].value:
            made[name] = {told[key].value.lower(): _state(told[key])}
    made["ready"] = told["Ready"].value == "True" if "Ready" in told else False
    restarts = told["Restart Count"].value if "Restart Count" in told else ""
    made["restartCount"] = int(restarts) if restarts.isdecimal() else 0
    return made


def _state(entry: Entry) -> JsonObject:
    made: JsonObject = {}
    for key, told in entry.entries().items():
        if key in ("Started", "Finished"):
            if at := moment(told.value):
                made["startedAt" if key == "Started" else "finishedAt"] = at
        elif key in ("Exit Code", "Signal") and told.value.lstrip("-").isdecimal():
            made["exitCode" if key == "Exit Code" else "signal"] = int(told.value)
        elif key in ("Reason", "Message"):
            made[key.lower()] = "\n".join([told.value, *(line.strip() for line in told.below)])
    return made


def _probe(text: str) -> JsonObject | None:
    match = _PROBE.fullmatch(text)
    if match is None:
        return None
    names = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    # A zero is how describe prints what is not set.
    made: JsonObject = {name: int(count) for name, count in zip(names, match.groups()[2:], strict=True) if int(count)}
    url = _URL.fullmatch(match[2])
    if match[1] == "exec":
        made["exec"] = {"command": list(match[2].strip("[]").split())}
    elif match[1] == "http-get" and url:
        scheme: JsonObject = {"scheme": url[1].upper()} if url[1] else {}
        made["httpGet"] = {"path": url[4] or "/", "port": _port(url[3]), **scheme}
    elif match[1] == "tcp-socket":
        made["tcpSocket"] = {"port": _port(match[2].rpartition(":")[2])}
    return made


def _port(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _toleration(text: str) -> JsonObject:
    match = _TOLERATION.fullmatch(text)
    if match is None:
        return {"key": text}
    key, value, effect, operator, seconds = match.groups()
    made: JsonObject = {"operator": operator or ("Equal" if value is not None else "Exists")}
    made |= {name: one for name, one in (("key", key), ("value", value), ("effect", effect)) if one}
    return made | ({"tolerationSeconds": int(seconds)} if seconds else {})


def _volume(entry: Entry) -> JsonObject:
    told = entry.map()
    kind, names = _VOLUMES.get(told.get("Type", "").partition(" ")[0], ("", {}))
    if not kind:
        return {"name": entry.key}
    return {"name": entry.key, kind: {to: told[name] for name, to in names.items() if told.get(name)}}
