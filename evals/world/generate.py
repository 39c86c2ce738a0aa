"""A large fleet made in memory, for benchmarks: plain objects and the same exporters as written worlds.

Rules: everything follows from the seed; the fleet is healthy and ordinary (serving replicas, training jobs, web
pods), spread over teams and namespaces; no file is read and nothing is rendered that nobody asks for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from evals.world.compose import complete_metadata
from evals.world.controllers import expand
from evals.world.exporters import EXPORTERS
from evals.world.exporters.context import Context
from evals.world.metrics import read_metrics
from evals.world.model import Clock, World
from evals.world.places import Place
from evals.world.series import Families, WorldSeries
from evals.world.times import anchor_value, relative
from tools.types import JsonObject

NOW = 1_778_594_400.0
"""2026-05-12T14:00:00Z"""
TEAMS = ("search", "research", "speech", "vision", "ranking", "platform")
MODEL = "NVIDIA-H100-80GB-HBM3"
NODE_INFO: JsonObject = {
    "kubeletVersion": "v1.36.2",
    "kernelVersion": "6.8.0-64-generic",
    "osImage": "Ubuntu 24.04.3 LTS",
    "containerRuntimeVersion": "containerd://2.1.4",
    "operatingSystem": "linux",
    "architecture": "amd64",
}
SIZES = (8, 4, 2, 1, 1)
"""GPUs of a pod, in turn."""


def big_fleet(nodes: int = 1000, gpus_per_node: int = 8, pods: int = 10_000, seed: int = 1) -> World:
    """A healthy fleet of that size. GPU pods fill node after node; the rest of `pods` ask for none."""
    rng = random.Random(seed)
    bodies = [*_namespaces(), *_nodes(nodes, gpus_per_node), *_exporters(nodes)]
    left = pods - sum(body["kind"] == "Pod" for body in bodies)
    bodies += _workloads(nodes, gpus_per_node, max(0, left), rng)
    metrics = read_metrics([])
    context = Context(bodies, metrics, NOW)
    families: Families = {}
    for exporter in EXPORTERS:
        families |= exporter(context)
    clock = Clock(NOW)
    objects = [body for made in bodies if isinstance(body := anchor_value(made, NOW), dict)]
    return World(
        name=f"generated-{nodes}x{gpus_per_node}-{pods}",
        description=f"{nodes} nodes with {gpus_per_node} GPUs each and {pods} pods, healthy",
        clock=clock,
        kubernetes="1.36",
        prometheus="3.x",
        objects=objects,
        series=WorldSeries(families, clock=clock, anchor=NOW, step=30.0),
    )


def _complete(bodies: Iterator[JsonObject]) -> Iterator[JsonObject]:
    return (complete_metadata(body, []) for body in bodies)


def _made(body: JsonObject, nodes: list[str | None], created: float) -> list[JsonObject]:
    """An object and everything its controllers made of it."""
    plan: JsonObject = {"nodes": list(nodes), "created": created, "ready_after": 60}
    source, children = expand(Place("generated", {}, (), {**body, "$pods": plan}))
    return list(_complete(iter([source, *children])))


def _namespaces() -> list[JsonObject]:
    names = [(team, f"{team}-{part}") for team in TEAMS for part in ("prod", "dev")]
    names += [("platform", "gpu-operator"), ("platform", "kube-system"), ("platform", "default")]
    return list(
        _complete(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"team": team, "kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            }
            for team, name in names
        )
    )


def _nodes(count: int, gpus: int) -> list[JsonObject]:
    return list(_complete(_node(number, gpus) for number in range(count)))


def _node(number: int, gpus: int) -> JsonObject:
    name = node_name(number)
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    resources: JsonObject = {"cpu": "192", "memory": "2048Gi", "pods": "250", "nvidia.com/gpu": str(gpus)}
    healthy = {"lastHeartbeatTime": "@-90s", "lastTransitionTime": "@-60d"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "creationTimestamp": "@-60d",
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": f"dc1-r{number // 16}",
                "nvidia.com/gpu.present": "true",
                "nvidia.com/gpu.product": MODEL,
                "nvidia.com/gpu.count": str(gpus),
                "nvidia.com/gpu.replicas": "1",
                "nvidia.com/cuda.driver-version.full": "580.95.05",
                "nvidia.com/gpu-driver-upgrade-state": "upgrade-done",
            },
        },
        "spec": {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]},
        "status": {
            "capacity": resources,
            "allocatable": dict(resources),
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "nodeInfo": dict(NODE_INFO),
            "conditions": [
                {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory", **healthy},
                {"type": "Ready", "status": "True", "reason": "KubeletReady", **healthy},
            ],
        },
    }


def node_name(number: int) -> str:
    """The name of node `number`."""
    return f"gpu-{number:04d}"


def _exporters(nodes: int) -> list[JsonObject]:
    """One dcgm-exporter pod a node, without which its GPUs would not be measured."""
    labels: JsonObject = {"app": "nvidia-dcgm-exporter"}
    image = "registry.example.com/nvidia/dcgm-exporter:4.5.3-4.8.2"
    body = _controller("apps/v1", "DaemonSet", "nvidia-dcgm-exporter", "gpu-operator", labels, image, gpus=0)
    return _made(body, [node_name(number) for number in range(nodes)], -21 * 86_400.0)


def _controller(
    version: str, kind: str, name: str, namespace: str, labels: JsonObject, image: str, *, gpus: int
) -> JsonObject:
    resources: JsonObject = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    if gpus:
        amounts: JsonObject = {"memory": f"{gpus * 96}Gi", "nvidia.com/gpu": str(gpus)}
        resources = {"requests": {"cpu": str(gpus * 8), **amounts}, "limits": dict(amounts)}
    pod: JsonObject = {
        "containers": [{"name": "main", "image": image, "resources": resources}],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }
    if kind == "Job":
        pod["restartPolicy"] = "Never"
    spec: JsonObject = {"template": {"metadata": {"labels": labels}, "spec": pod}}
    if kind != "Job":
        spec["selector"] = {"matchLabels": labels}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "creationTimestamp": relative(-40 * 86_400),
        },
        "spec": spec,
    }


def _workloads(nodes: int, gpus: int, pods: int, rng: random.Random) -> list[JsonObject]:
    """GPU workloads first, as long as GPUs and pods last; then pods without GPUs."""
    free = [gpus] * nodes
    out: list[JsonObject] = []
    made = number = 0
    cursor = 0
    while made < pods and cursor < nodes:
        size = min(SIZES[number % len(SIZES)], gpus)
        wanted = min(rng.randint(2, 12), pods - made)
        places: list[str | None] = []
        while len(places) < wanted and cursor < nodes:
            if free[cursor] >= size:
                free[cursor] -= size
                places.append(node_name(cursor))
            else:
                cursor += 1
        if places:
            out += _gpu_workload(number, size, places, rng)
            made += len(places)
        number += 1
    while made < pods:
        count = min(rng.randint(2, 20), pods - made)
        spread: list[str | None] = [node_name(rng.randrange(nodes)) for _ in range(count)]
        team = TEAMS[number % len(TEAMS)]
        name = f"web-{number:04d}"
        image = "registry.example.com/web/app:1.8.2"
        body = _controller("apps/v1", "Deployment", name, f"{team}-dev", {"app": name}, image, gpus=0)
        out += _made(body, spread, -rng.randint(1, 30) * 86_400.0)
        made += count
        number += 1
    return out


def _gpu_workload(number: int, size: int, places: list[str | None], rng: random.Random) -> list[JsonObject]:
    namespace = f"{TEAMS[number % len(TEAMS)]}-prod"
    created = -rng.randint(1, 30) * 86_400.0
    if number % 3 == 2:
        name = f"train-{number:04d}"
        image = "registry.example.com/training/torch:2.9.1-cuda13.0"
        return _made(_controller("batch/v1", "Job", name, namespace, {"app": name}, image, gpus=size), places, created)
    name = f"model-{number:04d}"
    image = "registry.example.com/serving/vllm-openai:v0.19.1"
    labels: JsonObject = {"app": name}
    return _made(_controller("apps/v1", "Deployment", name, namespace, labels, image, gpus=size), places, created)
