"""Small worlds written into a folder, and short ways to look at their series."""

from __future__ import annotations

from pathlib import Path

from evals.world.load import load
from evals.world.model import Matcher, RawSeries, World

NOW = 1_778_594_400.0
SETTINGS = "name: {name}\ndescription: a world of a test\nnow: '2026-05-12T14:00:00Z'\n"

NODE = """
apiVersion: v1
kind: Node
metadata: {name: gpu-0, labels: {nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3}}
spec: {taints: [{key: nvidia.com/gpu, value: present, effect: NoSchedule}]}
status:
  capacity: {nvidia.com/gpu: "8", cpu: "96"}
  allocatable: {nvidia.com/gpu: "8", cpu: "96"}
  addresses: [{type: InternalIP, address: 192.0.2.7}]
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
status: {phase: Active}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: dcgm-exporter, namespace: team}
spec:
  selector: {matchLabels: {app: exporter}}
  template: {metadata: {labels: {app: exporter}}, spec: {containers: [{name: exporter, image: dcgm}]}}
$pods: {nodes: [gpu-0], created: -20d}
"""
SERVER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: model, namespace: team}
spec:
  selector: {matchLabels: {app: model}}
  template:
    metadata: {labels: {app: model}}
    spec:
      containers:
      - name: vllm
        image: registry.example.com/vllm-openai:v1
        args: [--model, example/chat, --served-model-name, chat]
        resources: {limits: {nvidia.com/gpu: "2", cpu: "8"}}
$pods: {nodes: [gpu-0, gpu-0], created: -2d, ready_after: 60s}
"""


def write(root: Path, name: str, files: dict[str, str], *, extends: str = "") -> Path:
    """A world's folder; `files` maps paths below it to their text."""
    settings = SETTINGS.format(name=name)
    if extends:
        settings = f"name: {name}\ndescription: an overlay of a test\nextends: {extends}\n"
    folder = root / name
    for path, text in {"world.yaml": settings, **files}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return folder


def world(root: Path, files: dict[str, str], name: str = "base") -> World:
    """A world of a node, an exporter and a model server, with `files` on top."""
    return load(str(write(root, name, {"objects/node.yaml": NODE, "objects/server.yaml": SERVER, **files})))


def series(of: World, name: str, *, seconds: float = 300.0, **labels: str) -> list[RawSeries]:
    """The series of that name with those labels, over the last `seconds`."""
    matchers = [Matcher("__name__", "=", name), *(Matcher(key, "=", value) for key, value in labels.items())]
    return of.series.select(matchers, of.clock.now - seconds, of.clock.now)


def one(of: World, name: str, *, seconds: float = 300.0, **labels: str) -> RawSeries:
    """The only such series."""
    found = series(of, name, seconds=seconds, **labels)
    assert len(found) == 1, [dict(each.labels) for each in found]
    return found[0]


def last(of: World, name: str, **labels: str) -> float:
    """The newest sample of the only such series."""
    return one(of, name, seconds=0.0, **labels).values[-1]


def kinds(of: World, kind: str) -> dict[str, dict[str, object]]:
    """Objects of a kind by name."""
    out: dict[str, dict[str, object]] = {}
    for body in of.objects:
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        if body["kind"] == kind:
            out[str(metadata["name"])] = dict(body)
    return out
