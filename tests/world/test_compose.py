"""Composition: overlays patch, delete and add; controllers' work is written out and hangs together."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from evals.world.load import load
from evals.world.manifests import merge_patch
from tests.world.writing import NODE, NOW, SERVER, kinds, world, write
from tools.errors import DocumentError, UnknownName
from tools.types import JsonObject


def overlaid(root: Path, files: dict[str, str]) -> dict[str, dict[str, object]]:
    write(root, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    over = write(root, "over", files, extends="base")
    return kinds(load(str(over)), "Deployment")


def spec(body: dict[str, object]) -> JsonObject:
    return cast(JsonObject, body["spec"])


def test_an_overlay_is_a_merge_patch_and_keeps_the_rest(tmp_path: Path) -> None:
    patch = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: model, namespace: team}, spec: {paused: true}}"
    body = overlaid(tmp_path, {"objects/patch.yaml": patch})["model"]
    assert spec(body)["paused"] is True
    assert spec(body)["replicas"] == 2


def test_lists_can_be_patched_by_a_field_of_their_items() -> None:
    base = {"containers": [{"name": "a", "image": "x"}, {"name": "b"}], "args": ["1"]}
    patch: JsonObject = {
        "containers": {"$name": {"a": {"image": "y"}, "b": None, "c": {"image": "z"}}},
        "args": {"$append": ["2"]},
    }
    assert merge_patch(cast(JsonObject, base), patch) == {
        "containers": [{"name": "a", "image": "y"}, {"name": "c", "image": "z"}],
        "args": ["1", "2"],
    }
    assert base["containers"] == [{"name": "a", "image": "x"}, {"name": "b"}]


def test_delete_takes_an_object_and_what_its_controller_made(tmp_path: Path) -> None:
    gone = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: model, namespace: team}, $delete: true}"
    write(tmp_path, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    over = load(str(write(tmp_path, "over", {"objects/gone.yaml": gone}, extends="base")))
    assert "model" not in kinds(over, "Deployment")
    assert not kinds(over, "ReplicaSet")
    assert all(not name.startswith("model") for name in kinds(over, "Pod"))


def test_deleting_what_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    gone = "{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: team}, $delete: true}"
    with pytest.raises(DocumentError, match="there is no team/Pod/x to delete"):
        overlaid(tmp_path, {"objects/gone.yaml": gone})


def test_the_same_object_twice_in_one_world_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="stands twice in this world"):
        overlaid(tmp_path, {"objects/a.yaml": SERVER, "objects/b.yaml": SERVER})


def test_a_generated_pod_can_be_patched_or_deleted_by_name(tmp_path: Path) -> None:
    names = sorted(kinds(world(tmp_path, {}), "Pod"))
    mine = [name for name in names if name.startswith("model")]
    patch = f"""
apiVersion: v1
kind: Pod
metadata: {{name: {mine[0]}, namespace: team, labels: {{seen: by-overlay}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {mine[1]}, namespace: team}}
$delete: true
"""
    over = write(tmp_path, "over", {"objects/patch.yaml": patch}, extends="base")
    pods = kinds(load(str(over)), "Pod")
    assert mine[1] not in pods
    labels = cast(JsonObject, cast(JsonObject, pods[mine[0]]["metadata"])["labels"])
    assert labels["seen"] == "by-overlay"
    assert labels["app"] == "model"


def test_a_deployment_gets_replica_sets_and_pods_that_point_at_each_other(tmp_path: Path) -> None:
    of = world(tmp_path, {})
    (replica_set,) = kinds(of, "ReplicaSet").values()
    deployment = kinds(of, "Deployment")["model"]
    metadata = cast(JsonObject, replica_set["metadata"])
    (owner,) = cast(list[JsonObject], metadata["ownerReferences"])
    assert owner["uid"] == cast(JsonObject, deployment["metadata"])["uid"]
    pods = [body for name, body in kinds(of, "Pod").items() if name.startswith(f"{metadata['name']}-")]
    assert len(pods) == 2
    for pod in pods:
        (above,) = cast(list[JsonObject], cast(JsonObject, pod["metadata"])["ownerReferences"])
        assert above["uid"] == metadata["uid"]
        (status,) = cast(list[JsonObject], cast(JsonObject, pod["status"])["containerStatuses"])
        assert str(status["imageID"]).startswith("registry.example.com/vllm-openai@sha256:")


def test_history_adds_older_replica_sets_and_counts_revisions(tmp_path: Path) -> None:
    patch = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: model, namespace: team}
$history: [{created: -9d, patch: {spec: {containers: [{name: vllm, image: "vllm:v0"}]}}}]
"""
    write(tmp_path, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    over = load(str(write(tmp_path, "over", {"objects/p.yaml": patch}, extends="base")))
    sets = {
        cast(JsonObject, cast(JsonObject, body["metadata"])["annotations"])["deployment.kubernetes.io/revision"]: body
        for body in kinds(over, "ReplicaSet").values()
    }
    assert {key: spec(body)["replicas"] for key, body in sets.items()} == {"1": 0, "2": 2}


@pytest.mark.parametrize("each", ["{1: {patch: {spec: {priority: 7}}}}", "[{index: 1, patch: {spec: {priority: 7}}}]"])
def test_one_pod_of_several_can_differ(tmp_path: Path, each: str) -> None:
    head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: model, namespace: team}\n"
    patch = f"{head}$pods: {{each: {each}}}\n"
    write(tmp_path, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    over = load(str(write(tmp_path, "over", {"objects/p.yaml": patch}, extends="base")))
    pods = [body for name, body in kinds(over, "Pod").items() if name.startswith("model")]
    assert [spec(pod)["priority"] for pod in pods] == [0, 7]


def test_a_pod_without_a_node_waits_and_says_why(tmp_path: Path) -> None:
    patch = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: model, namespace: team}
$pods: {nodes: [gpu-0, null], pending: "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."}
"""
    write(tmp_path, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    over = load(str(write(tmp_path, "over", {"objects/p.yaml": patch}, extends="base")))
    status = [cast(JsonObject, body["status"]) for name, body in kinds(over, "Pod").items() if name.startswith("model")]
    assert [each["phase"] for each in status] == ["Running", "Pending"]
    (condition,) = cast(list[JsonObject], status[1]["conditions"])
    assert (condition["type"], condition["reason"]) == ("PodScheduled", "Unschedulable")
    deployment = cast(JsonObject, kinds(over, "Deployment")["model"]["status"])
    assert (deployment["replicas"], deployment["readyReplicas"], deployment["unavailableReplicas"]) == (2, 1, 1)


def test_the_scheduler_has_said_so_in_an_event(tmp_path: Path) -> None:
    patch = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: model, namespace: team}
$pods: {nodes: [gpu-0, null], created: -40m, pending: "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."}
"""
    write(tmp_path, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    over = load(str(write(tmp_path, "over", {"objects/p.yaml": patch}, extends="base")))
    (event,) = [one for one in over.objects if one["kind"] == "Event" and one["reason"] == "FailedScheduling"]
    (pod,) = [one for one in over.objects if one["kind"] == "Pod" and "nodeName" not in cast(JsonObject, one["spec"])]
    involved = cast(JsonObject, event["involvedObject"])
    assert involved["uid"] == cast(JsonObject, pod["metadata"])["uid"]
    assert event["message"] == "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    assert cast(JsonObject, event["series"])["count"] == 8, "tried again every five minutes"


def test_many_nodes_are_written_as_one_and_no_two_pods_share_a_name(tmp_path: Path) -> None:
    patch = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: dcgm-exporter, namespace: team}
$pods: {nodes: [gpu-0, {from: n, start: 7, count: 2000}]}
"""
    write(tmp_path, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    over = load(str(write(tmp_path, "over", {"objects/p.yaml": patch}, extends="base")))
    pods = {name: body for name, body in kinds(over, "Pod").items() if name.startswith("dcgm")}
    assert {spec(body)["nodeName"] for body in pods.values()} == {"gpu-0", *(f"n{i}" for i in range(7, 2007))}
    assert len(pods) == 2001


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [("{from: n, count: 30000}", "0 to 20,000"), ("{from: n}", "count"), ("{many: 3}", "many")],
)
def test_a_range_of_nodes_is_checked(tmp_path: Path, nodes: str, problem: str) -> None:
    patch = f"""
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: dcgm-exporter, namespace: team}}
$pods: {{nodes: [{nodes}]}}
"""
    write(tmp_path, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    with pytest.raises(DocumentError, match=problem):
        load(str(write(tmp_path, "over", {"objects/p.yaml": patch}, extends="base")))


def test_job_sets_make_jobs_that_make_indexed_pods(tmp_path: Path) -> None:
    text = """
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: train, namespace: team}
spec:
  replicatedJobs:
  - {name: node, replicas: 1, template: {spec: {template: {spec: {containers: [{name: c, image: i}]}}}}}
$pods: {nodes: [gpu-0, gpu-0], created: -1h}
"""
    of = world(tmp_path, {"objects/train.yaml": text})
    assert list(kinds(of, "Job")) == ["train-node-0"]
    pods = sorted(name for name in kinds(of, "Pod") if name.startswith("train"))
    assert [name.rsplit("-", 1)[0] for name in pods] == ["train-node-0-0", "train-node-0-1"]
    labels = cast(JsonObject, cast(JsonObject, kinds(of, "Pod")[pods[1]]["metadata"])["labels"])
    assert labels["jobset.sigs.k8s.io/jobset-name"] == "train"
    assert labels["batch.kubernetes.io/job-completion-index"] == "1"


def test_a_circle_of_worlds_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "one", {}, extends="two")
    write(tmp_path, "two", {}, extends="one")
    with pytest.raises(DocumentError, match="circle: one → two → one"):
        load(str(tmp_path / "one"))


def test_an_unknown_base_suggests_what_there_is(tmp_path: Path) -> None:
    write(tmp_path, "one", {}, extends="fleeet")
    with pytest.raises(UnknownName, match="did you mean fleet"):
        load(str(tmp_path / "one"))


def test_overlays_stack_in_order_and_share_their_base(tmp_path: Path) -> None:
    write(tmp_path, "base", {"objects/node.yaml": NODE, "objects/server.yaml": SERVER})
    for name, value in (("first", "1"), ("second", "2")):
        text = (
            f"{{apiVersion: v1, kind: Namespace, metadata: {{name: team, labels: {{seen: '{value}', {name}: 'yes'}}}}}}"
        )
        write(tmp_path, name, {"objects/o.yaml": text}, extends="base")
    of = load(str(tmp_path / "base"), overlays=["first", "second"])
    metadata = cast(JsonObject, kinds(of, "Namespace")["team"]["metadata"])
    assert metadata["labels"] == {"seen": "2", "first": "yes", "second": "yes"}
    assert of.clock.now == NOW


def test_fields_say_who_manages_them(tmp_path: Path) -> None:
    patch = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: model, namespace: team}
$manager: argocd-controller
$edits: [{manager: kubectl-edit, time: -2h, fields: {spec: {replicas: 2}}}]
"""
    body = overlaid(tmp_path, {"objects/p.yaml": patch})["model"]
    managed = cast(list[JsonObject], cast(JsonObject, body["metadata"])["managedFields"])
    assert [entry["manager"] for entry in managed] == ["argocd-controller", "kube-controller-manager", "kubectl-edit"]
    assert managed[1]["subresource"] == "status"
    assert managed[2]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert managed[2]["time"] == "2026-05-12T12:00:00Z"
    containers = cast(JsonObject, cast(JsonObject, managed[0]["fieldsV1"])["f:spec"])
    assert 'k:{"name":"vllm"}' in str(containers)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{apiVersion: v1, metadata: {name: x}}", "an object needs apiVersion and kind"),
        ("{apiVersion: v1, kind: Pod, metadata: {}}", "an object needs metadata.name"),
        ("{apiVersion: v1, kind: Service, metadata: {name: x, namespace: team}, $pods: {nodes: []}}", "makes no pods"),
        ("{apiVersion: v1, kind: Service, metadata: {name: x, namespace: team}, $podz: {}}", "unknown directive"),
        (
            "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: x, namespace: team}, $pods: {node: [a]}}",
            "unknown field",
        ),
        (
            "{apiVersion: apps/v1, kind: Job, metadata: {name: x}, $pods: {nodes: [a], each: {3: {}}}}",
            "there are 1 pods",
        ),
        ("[1, 2]", "a mapping is wanted here"),
        ("{apiVersion: v1, kind: Pod, kind: Pod}", "the same key twice"),
        ("a: &x 1\nb: *x", "anchors and aliases are not allowed"),
    ],
)
def test_a_mistake_in_an_object_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        overlaid(tmp_path, {"objects/bad.yaml": text})
    assert problem in str(caught.value)
    assert caught.value.file == "over/objects/bad.yaml"
    assert caught.value.line is not None


def test_what_is_served_is_the_callers_own(tmp_path: Path) -> None:
    first = world(tmp_path, {})
    cast(JsonObject, first.objects[0]["metadata"])["name"] = "changed"
    first.objects.clear()
    again = load(str(tmp_path / "base"))
    assert "gpu-0" in kinds(again, "Node")
