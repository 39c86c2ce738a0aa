"""The linter: each check finds its mistake and names where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.world.lint import lint
from tests.world.writing import NODE, SERVER, write

POD = """
apiVersion: v1
kind: Pod
metadata: {name: lone, namespace: team}
spec: {nodeName: gpu-0, containers: [{name: c, image: i}]}
status: {phase: Running, startTime: "@-1h"}
"""


def problems(root: Path, files: dict[str, str]) -> list[str]:
    base = {"objects/node.yaml": NODE, "objects/server.yaml": SERVER}
    return [str(error) for error in lint(write(root, "w", {**base, **files}))]


def test_a_sound_world_has_no_mistakes(tmp_path: Path) -> None:
    assert problems(tmp_path, {"objects/pod.yaml": POD}) == []


@pytest.mark.parametrize(
    ("name", "files", "problem"),
    [
        (
            "owner",
            {
                "objects/x.yaml": POD.replace(
                    "namespace: team}",
                    "namespace: team, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: gone}]}",
                )
            },
            "objects/x.yaml:4: metadata.ownerReferences[0]: team/Pod/lone is owned by ReplicaSet/gone",
        ),
        (
            "owner with the uid of another",
            {
                "objects/x.yaml": "{apiVersion: v1, kind: Namespace, metadata: {name: other, uid: u1}}",
                "objects/y.yaml": POD.replace(
                    "namespace: team}",
                    "namespace: team, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u1}]}",
                ),
            },
            "whose uid belongs to Namespace/other",
        ),
        ("node", {"objects/x.yaml": POD.replace("gpu-0", "gpu-9")}, "runs on node gpu-9, which does not exist"),
        ("namespace", {"objects/x.yaml": POD.replace("team", "tema")}, "lies in namespace tema, which does not exist"),
        (
            "too many GPUs",
            {"objects/x.yaml": POD.replace("image: i", 'image: i, resources: {requests: {nvidia.com/gpu: "5"}}')},
            "asks for 5 nvidia.com/gpu on gpu-0: 9 of 8 would be taken",
        ),
        (
            "template",
            {
                "objects/x.yaml": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: team},"
                " spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}}}}"
            },
            "has a selector that its own template does not match",
        ),
        (
            "service",
            {
                "objects/x.yaml": "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: team},"
                " spec: {selector: {app: modle}}}"
            },
            "team/Service/s selects no pod",
        ),
        ("future", {"objects/x.yaml": POD.replace("@-1h", "@+1h")}, "status.startTime: team/Pod/lone says it happened"),
        (
            "event",
            {
                "objects/x.yaml": "{apiVersion: v1, kind: Event, metadata: {name: e, namespace: team},"
                " involvedObject: {apiVersion: v1, kind: Node, name: gpu-0, uid: wrong}}"
            },
            "is about Node/gpu-0, but with another uid",
        ),
        ("directive", {"objects/x.yaml": POD.replace("phase: Running", "$phase: Running")}, "still holds $phase"),
        (
            "patch of nothing",
            {"objects/x.yaml": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: modle, namespace: team}}"},
            "team/Deployment/modle has no spec: is it a patch",
        ),
        (
            "profile",
            {"metrics/m.yaml": "profiles:\n- match: {workload: modle}\n  busy: 1\n"},
            "w/metrics/m.yaml:2: profiles[0].match: matches nothing in this world",
        ),
        ("drop", {"metrics/m.yaml": "drop: [{match: {name: DCGM_FI_NO}}]\n"}, "no series is named 'DCGM_FI_NO'"),
        (
            "signal",
            {"metrics/m.yaml": "profiles: [{match: {workload: model}, sm: {of: bsuy}}]\n"},
            "`of: bsuy` names no signal here",
        ),
        (
            "circle of signals",
            {"metrics/m.yaml": "profiles: [{match: {workload: model}, sm: {of: dram}, dram: {of: sm}}]\n"},
            "signals refer to each other in a circle",
        ),
        ("log of nobody", {"logs/team/modle/vllm.log": "x\n"}, "there is no pod or controller modle"),
        ("log of no container", {"logs/team/model/vlm.log": "x\n"}, "has no container vlm; it has vllm"),
        ("name", {"world.yaml": "name: v\ndescription: d\nnow: '2026-05-12T14:00:00Z'\n"}, "the folder is called w"),
        ("description", {"world.yaml": "name: w\nnow: '2026-05-12T14:00:00Z'\n"}, "add a description"),
        ("unreadable", {"world.yaml": "name: [w\n"}, "not YAML"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else None,
)
def test_a_mistake_is_found_and_named(tmp_path: Path, name: str, files: dict[str, str], problem: str) -> None:
    found = problems(tmp_path, files)
    assert any(problem in each for each in found), found


def test_a_missing_world_is_one_mistake() -> None:
    assert next(str(error) for error in lint("fleeet")).startswith("fleeet: no world named 'fleeet'")
