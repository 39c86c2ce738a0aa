"""Objects as an API server returns them, and what each change of the catalogue is asked to do with them."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from pydantic import JsonValue

from tools import registry
from tools.changes import with_related
from tools.targets import HPA, REPLICA_SET, SCALED_OBJECT
from tools.types import JsonObject

PLACE: JsonObject = {"namespace": "search", "name": "chat"}
API = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1",
    "InferenceService": "serving.kserve.io/v1beta1",
    "LLMInferenceService": "serving.kserve.io/v1alpha2",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "ScaledObject": "keda.sh/v1alpha1",
    "Job": "batch/v1",
    "JobSet": "jobset.x-k8s.io/v1alpha2",
    "TrainJob": "trainer.kubeflow.org/v1alpha1",
    "PyTorchJob": "kubeflow.org/v1",
    "Notebook": "kubeflow.org/v1",
    "RayJob": "ray.io/v1",
    "Workload": "kueue.x-k8s.io/v1beta2",
    "ClusterQueue": "kueue.x-k8s.io/v1beta2",
    "Node": "v1",
}
CLUSTERED = ("Node", "ClusterQueue")


def at(kind: str, **args: JsonValue) -> JsonObject:
    """Arguments of a change of the object `chat` of that kind."""
    if kind in CLUSTERED:
        return {"name": "chat", **args}
    return {"group": API[kind].rpartition("/")[0], "kind": kind, **PLACE, **args}


def made(
    kind: str, spec: JsonObject | None = None, *, status: JsonObject | None = None, **meta: JsonValue
) -> JsonObject:
    """The object `chat` of that kind."""
    place: JsonObject = {"name": "chat"} if kind in CLUSTERED else dict(PLACE)
    obj: JsonObject = {
        "apiVersion": API[kind],
        "kind": kind,
        "metadata": {**place, "uid": "uid-1", "resourceVersion": "7", "generation": 4, **meta},
    }
    if spec is not None:
        obj["spec"] = copy.deepcopy(spec)
    if status is not None:
        obj["status"] = copy.deepcopy(status)
    return obj


ARGS: list[JsonValue] = [
    "--model", "example/chat-70b", "--max-num-seqs", "256", "--tensor-parallel-size", "4", "--gpu-memory-utilization",
    "0.9",
]  # fmt: skip
VLLM: JsonObject = {
    "name": "vllm",
    "image": "registry.example.com/serving/vllm-openai:v0.18.0",
    "args": ARGS,
    "env": [
        {"name": "NCCL_DEBUG", "value": "WARN"},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ],
    "resources": {
        "requests": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "4"},
        "limits": {"memory": "96Gi", "nvidia.com/gpu": "4"},
    },
    "securityContext": {},
}
PROXY: JsonObject = {"name": "proxy", "image": "registry.example.com/mesh/proxy:1", "resources": {}}


def container(**more: JsonValue) -> JsonObject:
    """The engine's container with other fields; None takes one away."""
    return {key: value for key, value in {**VLLM, **more}.items() if value is not None}


def template(*containers: JsonObject, **meta: JsonValue) -> JsonObject:
    """A pod template, with the null that API servers of today still write."""
    return {
        "metadata": {"creationTimestamp": None, "labels": {"app": "chat"}, **meta},
        "spec": {"containers": [*(containers or (VLLM,))], "restartPolicy": "Always"},
    }


def deployment(count: int | None = 6, *containers: JsonObject, **spec: JsonValue) -> JsonObject:
    """A Deployment that is settled, with that many replicas."""
    whole: JsonObject = {"selector": {"matchLabels": {"app": "chat"}}, "template": template(*containers), **spec}
    if count is not None:
        whole["replicas"] = count
    up = 1 if count is None else count
    status: JsonObject = {"observedGeneration": 4}
    if up:
        status |= {"replicas": up, "updatedReplicas": up, "readyReplicas": up, "availableReplicas": up}
    return made("Deployment", whole, status=status, annotations={"deployment.kubernetes.io/revision": "3"})


def stateful(count: int = 4, ready: int | None = None, **spec: JsonValue) -> JsonObject:
    """A StatefulSet that is settled."""
    up = count if ready is None else ready
    status: JsonObject = {"replicas": count, "readyReplicas": up, "currentRevision": "a", "updateRevision": "a"}
    return made("StatefulSet", {"replicas": count, "template": template(), **spec}, status=status)


def groups(count: int = 4, **spec: JsonValue) -> JsonObject:
    """A LeaderWorkerSet of four pods a group."""
    two: JsonObject = {
        "size": 4,
        "leaderTemplate": template(),
        "workerTemplate": template(container(name="worker"), annotations={"note": "kept"}),
    }
    status: JsonObject = {"replicas": count, "readyReplicas": count, "updatedReplicas": count}
    return made("LeaderWorkerSet", {"replicas": count, "leaderWorkerTemplate": two, **spec}, status=status)


def kserve(**predictor: JsonValue) -> JsonObject:
    """An InferenceService."""
    model: JsonObject = {**container(name=None), "modelFormat": {"name": "huggingface"}}
    return made("InferenceService", {"predictor": {"model": model, **predictor}}, status={"conditions": []})


def llm(**spec: JsonValue) -> JsonObject:
    """An LLMInferenceService whose preset runs the engine."""
    extra: JsonObject = {"name": "main", "env": [{"name": "VLLM_ADDITIONAL_ARGS", "value": "--max-num-seqs 256"}]}
    return made("LLMInferenceService", {"replicas": 2, "template": {"containers": [extra]}, **spec})


def hpa(**spec: JsonValue) -> JsonObject:
    """A HorizontalPodAutoscaler on CPU."""
    cpu: JsonObject = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    whole: JsonObject = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
        "minReplicas": 4,
        "maxReplicas": 8,
        "metrics": [{"type": "Resource", "resource": cpu}],
        **spec,
    }
    whole = {key: value for key, value in whole.items() if value is not None}
    return made("HorizontalPodAutoscaler", whole, status={"currentReplicas": 5, "observedGeneration": 4})


def keda(**spec: JsonValue) -> JsonObject:
    """A ScaledObject that asks a Prometheus, and the CPU."""
    asked: JsonObject = {"serverAddress": "http://prometheus.monitoring:9090", "query": "sum(x)", "threshold": "3"}
    whole: JsonObject = {
        "scaleTargetRef": {"name": "chat"},
        "minReplicaCount": 4,
        "maxReplicaCount": 8,
        "triggers": [
            {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}},
            {"type": "prometheus", "name": "load", "metadata": asked},
            {"type": "cron", "metadata": {"timezone": "UTC", "desiredReplicas": "4"}},
        ],
        **spec,
    }
    return made("ScaledObject", {key: value for key, value in whole.items() if value is not None})


POD: JsonObject = {"containers": [VLLM]}
JOB_SPECS: dict[str, JsonObject] = {
    "Job": {"parallelism": 2, "template": {"spec": POD}},
    "JobSet": {"replicatedJobs": [{"name": "w", "replicas": 2, "template": {"spec": {"template": {"spec": POD}}}}]},
    "TrainJob": {
        "runtimeRef": {"name": "torch"},
        "trainer": {"numNodes": 2, "resourcesPerNode": {"limits": {"nvidia.com/gpu": "4"}}},
    },
    "PyTorchJob": {"pytorchReplicaSpecs": {"Worker": {"replicas": 2, "template": {"spec": POD}}}},
    "RayJob": {
        "shutdownAfterJobFinishes": True,
        "rayClusterSpec": {"workerGroupSpecs": [{"replicas": 2, "template": {"spec": POD}}]},
    },
    "Workload": {"podSets": [{"name": "main", "count": 2, "template": {"spec": POD}}]},
}


def job(kind: str, *, held: bool | None = None, labels: JsonObject | None = None, **spec: JsonValue) -> JsonObject:
    """A job, suspended or not, or with nothing said about it."""
    whole: JsonObject = {**JOB_SPECS[kind], **spec}
    if held is not None and kind == "PyTorchJob":
        whole["runPolicy"] = {"suspend": held, "cleanPodPolicy": "None"}
    elif held is not None:
        whole |= {"active": not held} if kind == "Workload" else {"suspend": held}
    more: JsonObject = {} if labels is None else {"labels": labels}
    if kind == "Workload":
        more["ownerReferences"] = [{"kind": "Job", "name": "train", "uid": "u", "controller": True}]
    return made(kind, whole, status={"active": 2}, **more)


QUEUED: JsonObject = {"kueue.x-k8s.io/queue-name": "team-a", "app": "train"}


def quota(nominal: JsonValue = "16", used: JsonValue = "8", **spec: JsonValue) -> JsonObject:
    """A ClusterQueue of two flavors."""
    cpu: JsonObject = {"name": "cpu", "nominalQuota": "640"}
    gpu: JsonObject = {"name": "nvidia.com/gpu", "nominalQuota": nominal, "borrowingLimit": "4"}
    other: JsonObject = {"name": "nvidia.com/gpu", "nominalQuota": 8}
    group: JsonObject = {
        "coveredResources": ["cpu", "nvidia.com/gpu"],
        "flavors": [{"name": "h100", "resources": [cpu, gpu]}, {"name": "a100", "resources": [other]}],
    }
    usage: JsonObject = {"name": "h100", "resources": [{"name": "nvidia.com/gpu", "total": used, "borrowed": "0"}]}
    status: JsonObject = {"flavorsUsage": [usage], "flavorsReservation": None}
    return made("ClusterQueue", {"cohortName": "all", "resourceGroups": [group], **spec}, status=status)


def node(*, labels: JsonObject | None = None, ready: str = "True", **spec: JsonValue) -> JsonObject:
    """A node of four GPUs; None for labels takes them all away."""
    status: JsonObject = {
        "allocatable": {"cpu": "96", "nvidia.com/gpu": "4"},
        "conditions": [{"type": "Ready", "status": ready}],
    }
    known: JsonObject = {"nvidia.com/mig.capable": "true", "nvidia.com/mig.config": "all-disabled", **(labels or {})}
    return made("Node", {"podCIDR": "10.0.0.0/24", **spec}, status=status, labels=known)


BARE_NODE = made(
    "Node", status={"allocatable": {"nvidia.com/gpu": "4"}, "conditions": [{"type": "Ready", "status": "True"}]}
)
OTHER_TAINT: JsonObject = {"key": "dedicated", "value": "search", "effect": "NoSchedule", "timeAdded": None}
GPU_TAINT: JsonObject = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
STOPPED = "kubeflow-resource-stopped"


def notebook(**meta: JsonValue) -> JsonObject:
    """A notebook on one GPU server."""
    return made("Notebook", {"template": {"spec": POD}}, status={"readyReplicas": 1}, **meta)


def replica_set(revision: str, spec: JsonObject, owner: str = "uid-1") -> JsonObject:
    """A revision of the Deployment."""
    return made(
        "ReplicaSet", {"template": spec}, annotations={"deployment.kubernetes.io/revision": revision},
        ownerReferences=[{"kind": "Deployment", "name": "chat", "uid": owner, "controller": True}],
    )  # fmt: skip


def revised(now: JsonObject, earlier: JsonObject, **more: JsonValue) -> JsonObject:
    """A Deployment with its ReplicaSets: revision 3 now, 2 before, and 2 of another Deployment."""
    labels: JsonObject = {"app": "chat", "pod-template-hash": "abc"}
    old = {**earlier, "metadata": {**_mapping(earlier.get("metadata")), "labels": labels}}
    obj = deployment(6, **more)
    _mapping(obj["spec"])["template"] = now
    foreign = replica_set("2", template(PROXY), "uid-9")
    return with_related(obj, {REPLICA_SET: [replica_set("3", now), foreign, replica_set("2", old)]})


def _mapping(value: JsonValue) -> JsonObject:
    assert isinstance(value, dict)
    return value


def scaled_by(kind: str) -> JsonObject:
    """A Deployment that an autoscaler was found for."""
    return with_related(deployment(), {HPA: [hpa()], SCALED_OBJECT: []} if kind == "HPA" else {SCALED_OBJECT: [keda()]})


SCRIPT = "set -e\nexec vllm serve /m \\\n  --max-num-seqs '256' --port 8000 > /tmp/log 2>&1  # quiet\n"
OLD_TEMPLATE: JsonObject = {
    "metadata": {"annotations": {"note": "old"}},
    "spec": {
        "containers": [container(image="registry.example.com/serving/vllm-openai:v0.17.0")],
        "nodeSelector": {"a": "b"},
    },
}


@dataclass(frozen=True)
class Case:
    """A change of one object: what it says, and the object."""

    change: str
    args: JsonObject
    obj: JsonObject

    @property
    def patch(self) -> JsonObject:
        """What it would send."""
        spec = registry.changes()[self.change]
        return spec.patch(spec.parse(self.args), self.obj)

    @property
    def objection(self) -> str:
        """Why not, or ""."""
        spec = registry.changes()[self.change]
        return spec.objection(spec.parse(self.args), self.obj)


def engine(**args: JsonValue) -> JsonObject:
    """Arguments of set_engine_args about a Deployment."""
    return at("Deployment", container="vllm", **args)


def resources(**args: JsonValue) -> JsonObject:
    """Arguments of set_resources about a Deployment."""
    return at("Deployment", container="vllm", **args)
