"""Each kind that changes touch: a right patch is taken, and a wrong one is refused with the right status."""

from __future__ import annotations

import pytest

from evals.servers.kube.jsonread import objects_at
from evals.world.schemas.kinds import SCHEMAS
from tests.servers.kube.client import Client, Reply
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import small_world, thing
from tools.types import JsonObject

CONTAINER: JsonObject = {
    "name": "c",
    "image": "example/app:1",
    "args": ["--max-num-seqs", "256"],
    "resources": {"requests": {"cpu": "2", "nvidia.com/gpu": "1"}, "limits": {"cpu": "4", "nvidia.com/gpu": "1"}},
}
TEMPLATE: JsonObject = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [CONTAINER]}}
SELECTED: JsonObject = {"selector": {"matchLabels": {"app": "x"}}, "template": TEMPLATE}
QUOTA: JsonObject = {
    "coveredResources": ["nvidia.com/gpu"],
    "flavors": [{"name": "h100", "resources": [{"name": "nvidia.com/gpu", "nominalQuota": "16"}]}],
}
RESERVED: JsonObject = {"conditions": [{"type": "QuotaReserved", "status": "True"}]}
SPECS: dict[tuple[str, str, str], JsonObject] = {
    ("apps/v1", "Deployment", "deployments"): {"replicas": 2, **SELECTED},
    ("apps/v1", "StatefulSet", "statefulsets"): {"replicas": 2, "serviceName": "x", **SELECTED},
    ("batch/v1", "Job", "jobs"): {"suspend": False, "parallelism": 2, "template": TEMPLATE},
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"): {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
        "minReplicas": 2,
        "maxReplicas": 8,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu"}}],
    },
    ("v1", "Node", "nodes"): {"podCIDR": "10.0.0.0/24", "taints": [{"key": "k", "effect": "NoSchedule"}]},
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets"): {
        "replicas": 2,
        "leaderWorkerTemplate": {"size": 4, "workerTemplate": TEMPLATE},
    },
    ("jobset.x-k8s.io/v1alpha2", "JobSet", "jobsets"): {
        "suspend": False,
        "replicatedJobs": [{"name": "w", "replicas": 1, "template": {"spec": {}}}],
    },
    ("trainer.kubeflow.org/v1alpha1", "TrainJob", "trainjobs"): {
        "runtimeRef": {"name": "torch"},
        "suspend": False,
        "trainer": {"numNodes": 2},
    },
    ("kubeflow.org/v1", "PyTorchJob", "pytorchjobs"): {
        "runPolicy": {"suspend": False},
        "pytorchReplicaSpecs": {"Worker": {"replicas": 2, "template": TEMPLATE}},
    },
    ("kubeflow.org/v1", "Notebook", "notebooks"): {"template": {"spec": {"containers": [CONTAINER]}}},
    ("ray.io/v1", "RayJob", "rayjobs"): {
        "entrypoint": "python x.py",
        "rayClusterSpec": {"workerGroupSpecs": [{"groupName": "g", "minReplicas": 1, "maxReplicas": 4}]},
    },
    ("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices"): {
        "predictor": {"minReplicas": 1, "maxReplicas": 4, "model": {"args": ["--max-num-seqs=256"]}}
    },
    ("serving.kserve.io/v1alpha2", "LLMInferenceService", "llminferenceservices"): {
        "replicas": 2,
        "parallelism": {"tensor": 4},
        "template": {"containers": [CONTAINER]},
    },
    ("keda.sh/v1alpha1", "ScaledObject", "scaledobjects"): {
        "scaleTargetRef": {"name": "x"},
        "minReplicaCount": 1,
        "maxReplicaCount": 8,
        "triggers": [{"type": "prometheus", "metadata": {"threshold": "14"}}],
    },
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue", "clusterqueues"): {
        "cohortName": "all",
        "resourceGroups": [QUOTA],
        "queueingStrategy": "BestEffortFIFO",
    },
    ("kueue.x-k8s.io/v1beta2", "LocalQueue", "localqueues"): {"clusterQueue": "team", "stopPolicy": "None"},
    ("kueue.x-k8s.io/v1beta2", "Workload", "workloads"): {"queueName": "q", "active": True, "priority": 0},
}
"""(apiVersion, kind, plural) → the spec of an object `x`."""
CLUSTER = {"Node", "ClusterQueue"}


def _path(kind: str) -> str:
    api_version, _, plural = next(key for key in SPECS if key[1] == kind)
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    return f"{root}/{plural}/x" if kind in CLUSTER else f"{root}/namespaces/default/{plural}/x"


async def _client(serve: Serve) -> Client:
    objects, definitions = [], []
    for (api_version, kind, plural), spec in SPECS.items():
        one = thing(api_version, kind, "x", "" if kind in CLUSTER else "default", spec=spec)
        metadata: JsonObject = {**one["metadata"], "labels": {"kueue.x-k8s.io/queue-name": "q"}}  # type: ignore[dict-item]
        objects.append({**one, "metadata": metadata, **({"status": RESERVED} if kind == "Workload" else {})})
        group, _, version = api_version.rpartition("/")
        if "." in group:
            definition: JsonObject = {"group": group, "version": version, "kind": kind, "plural": plural}
            definitions.append({**definition, "namespaced": kind not in CLUSTER})
    return await serve(small_world(objects, definitions=definitions))


def _args(*words: str | int) -> JsonObject:
    changed: JsonObject = {**CONTAINER, "args": list(words)}
    return {"spec": {"template": {"spec": {"containers": [changed]}}}}


def _resources(requests: JsonObject) -> JsonObject:
    asked: JsonObject = {
        **CONTAINER,
        "resources": {"requests": requests, "limits": {"cpu": "4", "nvidia.com/gpu": "1"}},
    }
    return {"spec": {"template": {"spec": {"containers": [asked]}}}}


def _worker(worker: JsonObject) -> JsonObject:
    return {"spec": {"pytorchReplicaSpecs": {"Worker": worker}}}


def _group(group: JsonObject) -> JsonObject:
    return {"spec": {"rayClusterSpec": {"workerGroupSpecs": [{"groupName": "g", **group}]}}}


def _quota(quota: str) -> JsonObject:
    flavor: JsonObject = {"name": "h100", "resources": [{"name": "nvidia.com/gpu", "nominalQuota": quota}]}
    return {"spec": {"resourceGroups": [{"coveredResources": ["nvidia.com/gpu"], "flavors": [flavor]}]}}


RIGHT: list[tuple[str, JsonObject]] = [
    ("Deployment", {"spec": {"replicas": 3}}),
    ("Deployment", _args("--max-num-seqs", "128")),
    ("StatefulSet", {"spec": {"replicas": 0}}),
    ("Job", {"spec": {"suspend": True}}),
    ("HorizontalPodAutoscaler", {"spec": {"maxReplicas": 9, "metrics": [{"type": "Pods", "pods": {}}]}}),
    ("Node", {"spec": {"unschedulable": True, "taints": [{"key": "k", "value": "v", "effect": "NoExecute"}]}}),
    ("LeaderWorkerSet", {"spec": {"replicas": 1}}),
    ("JobSet", {"spec": {"suspend": True}}),
    ("TrainJob", {"spec": {"suspend": True, "trainer": {"numNodes": 4}}}),
    ("PyTorchJob", {"spec": {"runPolicy": {"suspend": True}}}),
    ("Notebook", {"metadata": {"annotations": {"kubeflow-resource-stopped": "2027-01-15T08:00:00Z"}}}),
    ("RayJob", _group({"minReplicas": 0, "maxReplicas": 2, "idleTimeoutSeconds": 60})),
    ("InferenceService", {"spec": {"predictor": {"minReplicas": 2, "model": {"args": ["--max-num-seqs=128"]}}}}),
    ("LLMInferenceService", {"spec": {"replicas": 3, "scaling": {"minReplicas": 1, "maxReplicas": 4}}}),
    ("ScaledObject", {"spec": {"minReplicaCount": 0, "maxReplicaCount": 4}}),
    ("ClusterQueue", _quota("24")),
    ("LocalQueue", {"spec": {"stopPolicy": "Hold"}}),
    ("Workload", {"spec": {"active": False, "priority": 100}}),
]
WRONG: list[tuple[str, JsonObject, int, str]] = [
    ("Deployment", {"spec": {"replicas": "three"}}, 422, "spec.replicas of type int32"),
    (
        "Deployment",
        {"spec": {"replicas": -1}},
        422,
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ),
    ("Deployment", {"spec": {"selector": {"matchLabels": {"app": "y"}}}}, 422, "field is immutable"),
    ("Deployment", {"spec": {"template": None}}, 422, "spec.template: Required value"),
    ("Deployment", {"spec": {"strategy": {"type": "Sideways"}}}, 422, 'supported values: "Recreate", "RollingUpdate"'),
    ("Deployment", _args("--max-num-seqs", 128), 422, "cannot unmarshal number"),
    ("Deployment", _resources({"cpu": "8"}), 422, "must be less than or equal to cpu limit of 4"),
    ("Deployment", _resources({"nvidia.com/gpu": "2"}), 422, "must be equal to nvidia.com/gpu limit of 1"),
    ("Deployment", _resources({"cpu": "many"}), 422, "quantities must match"),
    ("StatefulSet", {"spec": {"serviceName": "y"}}, 422, "fields other than 'replicas', 'ordinals', 'template', "),
    ("StatefulSet", {"spec": {"replicas": 1.5}}, 422, "of type int32"),
    ("Job", {"spec": {"suspend": "yes"}}, 422, "of type bool"),
    ("Job", _args("x"), 422, "field is immutable"),
    ("Job", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "r"}}}, 403, 'admission webhook "vjob.kb.io" denied'),
    ("HorizontalPodAutoscaler", {"spec": {"maxReplicas": 1}}, 422, "must be greater than or equal to `minReplicas`"),
    ("HorizontalPodAutoscaler", {"spec": {"minReplicas": 0}}, 422, "must be greater than or equal to 1"),
    ("HorizontalPodAutoscaler", {"spec": {"metrics": [{"type": "Mood"}]}}, 422, 'Unsupported value: "Mood"'),
    ("Node", {"spec": {"taints": [{"key": "k", "effect": "Maybe"}]}}, 422, 'Unsupported value: "Maybe"'),
    ("Node", {"spec": {"podCIDR": "10.1.0.0/24"}}, 422, "node updates may only change labels, taints, or capacity"),
    ("Node", {"metadata": {"labels": {"nvidia.com/mig.config": 7}}}, 422, "of type string"),
    ("LeaderWorkerSet", {"spec": {"replicas": "2"}}, 422, 'must be of type integer: "string"'),
    ("LeaderWorkerSet", {"spec": {"leaderWorkerTemplate": {"size": 0}}}, 422, "greater than or equal to 1"),
    ("JobSet", {"spec": {"suspend": 1}}, 422, 'must be of type boolean: "integer"'),
    ("JobSet", {"spec": {"replicatedJobs": []}}, 422, "spec.replicatedJobs: Invalid value: []: field is immutable"),
    ("TrainJob", {"spec": {"trainer": {"numNodes": 0}}}, 422, "spec.trainer.numNodes in body should be greater"),
    ("TrainJob", {"spec": {"runtimeRef": {"name": "other"}}}, 422, "field is immutable"),
    ("PyTorchJob", {"spec": {"runPolicy": {"cleanPodPolicy": "Some"}}}, 422, 'Unsupported value: "Some"'),
    ("PyTorchJob", _worker({"replicas": -2}), 422, "should be greater than or equal to 0"),
    ("Notebook", {"metadata": {"annotations": {"kubeflow-resource-stopped": True}}}, 422, "of type string"),
    ("Notebook", {"spec": {"template": {"spec": {"containers": {}}}}}, 422, 'must be of type array: "object"'),
    ("RayJob", _group({"maxReplicas": "4"}), 422, "spec.rayClusterSpec.workerGroupSpecs[0].maxReplicas in body"),
    ("RayJob", {"spec": {"submissionMode": "Mail"}}, 422, 'Unsupported value: "Mail"'),
    ("InferenceService", {"spec": {"predictor": {"scaleMetric": "mood"}}}, 422, 'Unsupported value: "mood"'),
    ("InferenceService", {"spec": {"predictor": {"minReplicas": 9}}}, 422, "greater than or equal to minReplicas"),
    ("InferenceService", {"spec": {"predictor": {"model": {"args": "x"}}}}, 422, 'must be of type array: "string"'),
    ("LLMInferenceService", {"spec": {"parallelism": {"tensor": 0}}}, 422, "greater than or equal to 1"),
    ("LLMInferenceService", {"spec": {"scaling": {"minReplicas": 5, "maxReplicas": 2}}}, 422, "to minReplicas"),
    ("ScaledObject", {"spec": {"minReplicaCount": "1"}}, 422, 'must be of type integer: "string"'),
    ("ScaledObject", {"spec": {"minReplicaCount": 9}}, 403, "MinReplicaCount=9 must be less than or equal to Max"),
    ("ScaledObject", {"spec": {"triggers": [{"type": "cpu"}]}}, 422, "spec.triggers[0].metadata: Required value"),
    ("ClusterQueue", _quota("lots"), 422, "quantities must match"),
    ("ClusterQueue", {"spec": {"queueingStrategy": "LIFO"}}, 422, 'Unsupported value: "LIFO"'),
    (
        "LocalQueue",
        {"spec": {"clusterQueue": "other"}},
        422,
        'spec.clusterQueue: Invalid value: "other": field is immutable',
    ),
    ("LocalQueue", {"spec": {"stopPolicy": "Later"}}, 422, 'supported values: "None", "Hold", "HoldAndDrain"'),
    ("Workload", {"spec": {"active": "no"}}, 422, 'must be of type boolean: "string"'),
    ("Workload", {"spec": {"queueName": "r"}}, 422, "spec.queueName: Invalid value"),
]


async def _send(client: Client, kind: str, patch: JsonObject, query: str = "") -> Reply:
    headers = {"Content-Type": "application/merge-patch+json"}
    return await client.send("PATCH", f"{_path(kind)}?{query}", body=patch, headers=headers)


@pytest.mark.parametrize(("kind", "patch"), RIGHT)
async def test_a_right_patch_is_taken(serve: Serve, kind: str, patch: JsonObject) -> None:
    client = await _client(serve)
    reply = await _send(client, kind, patch, "fieldValidation=Strict")
    assert reply.status == 200, reply.text
    assert len(client.server.effective_writes) == 1


@pytest.mark.parametrize(("kind", "patch", "status", "said"), WRONG)
async def test_a_wrong_patch_is_refused(serve: Serve, kind: str, patch: JsonObject, status: int, said: str) -> None:
    client = await _client(serve)
    reply = await _send(client, kind, patch)
    assert (reply.status, said in reply.message) == (status, True), reply.message
    assert client.server.effective_writes == []


def test_every_kind_has_a_right_and_a_wrong_patch() -> None:
    kinds = {key[1] for key in SPECS}
    assert {kind for kind, _ in RIGHT} == kinds
    assert {kind for kind, *_ in WRONG} == kinds
    assert kinds <= {kind for _, kind in SCHEMAS}


async def test_an_unknown_field_is_refused_warned_of_or_dropped(serve: Serve) -> None:
    client = await _client(serve)
    patch: JsonObject = {"spec": {"replicas": 5, "replicaz": 5}}
    strict = await _send(client, "Deployment", patch, "fieldValidation=Strict")
    assert (strict.status, 'strict decoding error: unknown field "spec.replicaz"' in strict.message) == (422, True)
    quiet = await _send(client, "Deployment", patch, "fieldValidation=Ignore&dryRun=All")
    loud = await _send(client, "Deployment", patch)
    assert [one.headers.get("Warning") for one in (quiet, loud)] == [None, '299 - "unknown field \\"spec.replicaz\\""']
    assert (loud.at("spec", "replicas"), loud.at("spec", "replicaz")) == (5, None)
    wrong = await _send(client, "Deployment", patch, "fieldValidation=Perhaps")
    assert (wrong.status, "fieldValidation: Unsupported value" in wrong.message) == (422, True)


async def test_where_a_suspended_job_schedules_may_change(serve: Serve) -> None:
    client = await _client(serve)
    await _send(client, "Job", {"spec": {"suspend": True}})
    reply = await _send(client, "Job", {"spec": {"template": {"spec": {"nodeSelector": {"pool": "a"}}}}})
    assert reply.status == 200
    queue = await _send(client, "Job", {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "r"}}})
    assert queue.status == 200
    wrong = await _send(client, "Job", _args("other"))
    assert [one["field"] for one in objects_at(wrong.body, "details", "causes")] == ["spec.template"]
