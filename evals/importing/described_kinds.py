"""Nodes, workloads and other kinds from the text of `kubectl describe`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import JsonValue

from evals.importing.blocks import Entries, Entry, moment, read
from evals.importing.described_pods import pod_spec
from tools.types import JsonObject

_COUNT = re.compile(r"(\d+) (desired|updated|total|available|unavailable|current)")
_HEAD = re.compile(r"[A-Z][^:]*:(?:\s.*)?|\S+:(?:\s.*)?")
_RESOURCE = re.compile(r"resource (\S+) on pods\s*(\(as a percentage of request\))?")
_SYSTEM = {
    "Machine ID": "machineID", "System UUID": "systemUUID", "Boot ID": "bootID", "Kernel Version": "kernelVersion",
    "OS Image": "osImage", "Operating System": "operatingSystem", "Architecture": "architecture",
    "Container Runtime Version": "containerRuntimeVersion", "Kubelet Version": "kubeletVersion",
    "Kube-Proxy Version": "kubeProxyVersion",
}  # fmt: skip
_TIMES = {"LastHeartbeatTime": "lastHeartbeatTime", "LastTransitionTime": "lastTransitionTime"}


def node(entries: Entries) -> JsonObject:
    """spec and status of a node."""
    spec: JsonObject = {}
    taints = [_taint(text) for text in entries["Taints"].values()] if "Taints" in entries else []
    if taints:
        spec["taints"] = list(taints)
    if "Unschedulable" in entries and entries["Unschedulable"].value == "true":
        spec["unschedulable"] = True
    for key, name in (("PodCIDR", "podCIDR"), ("ProviderID", "providerID")):
        if key in entries and entries[key].value:
            spec[name] = entries[key].value
    status: JsonObject = {
        name: dict(entries[key].map())
        for key, name in (("Capacity", "capacity"), ("Allocatable", "allocatable"))
        if key in entries
    }
    if "Addresses" in entries:
        status["addresses"] = [{"type": key, "address": value} for key, value in entries["Addresses"].map().items()]
    if "System Info" in entries:
        told = entries["System Info"].map()
        status["nodeInfo"] = {name: told[key] for key, name in _SYSTEM.items() if key in told}
    return {"spec": spec, "status": status | _conditions(entries)}


def deployment(entries: Entries) -> JsonObject:
    """spec and status of a deployment."""
    counts = _counts(entries)
    spec = _template(entries) | {"replicas": counts.get("desired", 0)}
    if entries["StrategyType"].value:
        spec["strategy"] = {"type": entries["StrategyType"].value}
    names = {"updated": "updatedReplicas", "total": "replicas", "available": "availableReplicas",
             "unavailable": "unavailableReplicas"}  # fmt: skip
    status: JsonObject = {name: counts[key] for key, name in names.items() if counts.get(key)}
    return {"spec": spec, "status": status | _conditions(entries)}


def replicated(entries: Entries) -> JsonObject:
    """spec and status of a set of replicas or a stateful set."""
    counts = _counts(entries)
    spec = _template(entries) | {"replicas": counts.get("desired", 0)}
    total = counts.get("total", counts.get("current"))
    status: JsonObject = {} if total is None else {"replicas": total}
    return {"spec": spec, "status": status | _conditions(entries)}


def daemon_set(entries: Entries) -> JsonObject:
    """spec and status of a daemon set."""
    names = {
        "Desired Number of Nodes Scheduled": "desiredNumberScheduled",
        "Current Number of Nodes Scheduled": "currentNumberScheduled",
        "Number of Nodes Scheduled with Up-to-date Pods": "updatedNumberScheduled",
        "Number of Nodes Scheduled with Available Pods": "numberAvailable",
        "Number of Nodes Misscheduled": "numberMisscheduled",
    }
    status: JsonObject = {
        name: int(entries[key].value)
        for key, name in names.items()
        if key in entries and entries[key].value.isdecimal()
    }
    return {"spec": _template(entries), "status": status}


def job(entries: Entries) -> JsonObject:
    """spec and status of a job."""
    spec = _template(entries)
    for key, name in (
        ("Parallelism", "parallelism"),
        ("Completions", "completions"),
        ("Backoff Limit", "backoffLimit"),
    ):
        if key in entries and entries[key].value.isdecimal():
            spec[name] = int(entries[key].value)
    if "Suspend" in entries:
        spec["suspend"] = entries["Suspend"].value == "true"
    status: JsonObject = {}
    for key, name in (("Start Time", "startTime"), ("Completed At", "completionTime")):
        if key in entries and (at := moment(entries[key].value)):
            status[name] = at
    if "Pods Statuses" in entries:
        for count, word in re.findall(r"(\d+) (Active|Succeeded|Failed)", entries["Pods Statuses"].value):
            status[word.lower()] = int(count)
    return {"spec": spec, "status": status | _conditions(entries)}


def cron_job(entries: Entries) -> JsonObject:
    """spec of a cron job."""
    suspended = "Suspend" in entries and entries["Suspend"].value == "True"
    inner: JsonObject = {"spec": pod_spec(entries["Pod Template"].entries())} if "Pod Template" in entries else {}
    return {
        "spec": {
            "schedule": entries["Schedule"].value,
            "concurrencyPolicy": entries["Concurrency Policy"].value,
            "suspend": suspended,
            "jobTemplate": {"spec": {"template": inner}},
        }
    }


def autoscaler(entries: Entries) -> JsonObject:
    """spec and status of a horizontal pod autoscaler."""
    kind, _, name = entries["Reference"].value.partition("/") if "Reference" in entries else ("", "", "")
    versions = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "ReplicaSet": "apps/v1"}
    target: JsonObject = {"kind": kind, "name": name}
    if kind in versions:
        target["apiVersion"] = versions[kind]
    spec: JsonObject = {"scaleTargetRef": target}
    for key, field in (("Min replicas", "minReplicas"), ("Max replicas", "maxReplicas")):
        if entries[key].value.isdecimal():
            spec[field] = int(entries[key].value)
    metrics = [made for one in read(entries["Metrics"].below) if (made := _metric(one))] if "Metrics" in entries else []
    if metrics:
        spec["metrics"] = list(metrics)
    status: JsonObject = {}
    counted = next((one for key, one in entries.items() if key.endswith(" pods")), None)
    if counted is not None:
        for count, word in re.findall(r"(\d+) (current|desired)", counted.value):
            status[f"{word}Replicas"] = int(count)
    return {"spec": spec, "status": status | _conditions(entries)}


def claim(entries: Entries) -> JsonObject:
    """spec and status of a claim of a volume."""
    spec: JsonObject = {"storageClassName": entries["StorageClass"].value}
    if entries["Volume"].value:
        spec["volumeName"] = entries["Volume"].value
    status: JsonObject = {"phase": entries["Status"].value} if "Status" in entries else {}
    if "Capacity" in entries and entries["Capacity"].value:
        status["capacity"] = {"storage": entries["Capacity"].value}
    return {"spec": spec, "status": status}


def service(entries: Entries) -> JsonObject:
    """spec of a service."""
    return {"spec": {"type": entries["Type"].value, "selector": dict(_selector(entries["Selector"].value))}}


def generic(entries: Entries) -> JsonObject:
    """An object of another kind: describe prints all its fields, with their names in words."""
    words = {
        key: one for key, one in entries.items() if key not in ("Name", "Namespace", "Labels", "Annotations", "Events")
    }
    body: JsonObject = {_field(key): _value(one) for key, one in words.items()}
    metadata = body.get("metadata")
    found: JsonObject = metadata if isinstance(metadata, dict) else {}
    return body | {"metadata": found | names(entries)}


def names(entries: Entries) -> JsonObject:
    """The metadata that describe prints in one form of every kind."""
    found: JsonObject = {"name": entries["Name"].value}
    if "Namespace" in entries and entries["Namespace"].value:
        found["namespace"] = entries["Namespace"].value
    for key, separator in (("Labels", "="), ("Annotations", ":")):
        if key in entries and (pairs := entries[key].pairs(separator)):
            found[key.lower()] = dict(pairs)
    return found


def _field(words: str) -> str:
    """`Owner References` → ownerReferences, `API Version` → apiVersion, `UID` → uid; anything else as it stands."""
    parts = words.split(" ")
    if not all(part[:1].isupper() for part in parts):
        return words
    return "".join([parts[0].lower() if parts[0].isupper() else parts[0][0].lower() + parts[0][1:], *parts[1:]])


def _value(entry: Entry) -> JsonValue:
    """A mapping, a list (whose items begin anew where a key comes again), or a plain value."""
    if entry.value or not entry.below:
        return _plain(entry.value)
    if not all(_HEAD.fullmatch(line.strip()) for line in entry.below if _indented(entry.below, line)):
        return list(line.strip() for line in entry.below)
    items: list[JsonObject] = [{}]
    for one in read(entry.below):
        key = _field(one.key)
        if key in items[-1]:
            items.append({})
        items[-1][key] = _value(one)
    return items[0] if len(items) == 1 else list(items)


def _indented(lines: Sequence[str], line: str) -> bool:
    """True for a line at the block's own indentation."""
    base = min(len(one) - len(one.lstrip(" ")) for one in lines if one.strip())
    return bool(line.strip()) and len(line) - len(line.lstrip(" ")) == base


def _plain(text: str) -> str | int | bool:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?(?:0|[1-9]\d{0,17})", text) else text


def _template(entries: Entries) -> JsonObject:
    """selector and template of a workload."""
    spec: JsonObject = {}
    if "Selector" in entries and (pairs := _selector(entries["Selector"].value)):
        spec["selector"] = {"matchLabels": dict(pairs)}
    if "Pod Template" in entries:
        told = entries["Pod Template"].entries()
        labels = dict(told["Labels"].pairs("=")) if "Labels" in told else {}
        spec["template"] = {"metadata": {"labels": dict(labels)}, "spec": pod_spec(told)}
    return spec


def _selector(text: str) -> dict[str, str]:
    """Equalities of a selector; sets are left out."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part and "!=" not in part)
    return {key.strip(): value for key, _, value in pairs}


def _counts(entries: Entries) -> dict[str, int]:
    text = entries["Replicas"].value if "Replicas" in entries else ""
    return {word: int(count) for count, word in _COUNT.findall(text)}


def _conditions(entries: Entries) -> JsonObject:
    if "Conditions" not in entries:
        return {}
    rows = []
    for row in entries["Conditions"].table():
        made: JsonObject = {"type": row.get("Type", ""), "status": row.get("Status", "")}
        made |= {name.lower(): row[name] for name in ("Reason", "Message") if row.get(name)}
        rows.append(made | {to: at for name, to in _TIMES.items() if (at := moment(row.get(name, "")))})
    return {"conditions": list(rows)}


def _taint(text: str) -> JsonObject:
    left, _, effect = text.rpartition(":")
    key, _, value = left.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


def _metric(entry: Entry) -> JsonObject | None:
    """A metric of an autoscaler, where its form says all of it."""
    target = entry.value.rpartition("/")[2].strip()
    resource = _RESOURCE.fullmatch(entry.key)
    if resource and resource[2] and target.endswith("%") and target[:-1].isdecimal():
        wanted: JsonObject = {"type": "Utilization", "averageUtilization": int(target[:-1])}
        return {"type": "Resource", "resource": {"name": resource[1], "target": wanted}}
    if resource and not resource[2]:
        wanted = {"type": "AverageValue", "averageValue": target}
        return {"type": "Resource", "resource": {"name": resource[1], "target": wanted}}
    if match := re.fullmatch(r'"([^"]+)" on pods', entry.key):
        return {
            "type": "Pods",
            "pods": {"metric": {"name": match[1]}, "target": {"type": "AverageValue", "averageValue": target}},
        }
    return None
