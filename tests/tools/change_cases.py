"""Changes that are possible, changes that are refused, and arguments that no change takes."""

from __future__ import annotations

import copy

from pydantic import JsonValue

from tests.tools.changing import (
    ARGS,
    BARE_NODE,
    GPU_TAINT,
    JOB_SPECS,
    OLD_TEMPLATE,
    OTHER_TAINT,
    PROXY,
    QUEUED,
    SCRIPT,
    VLLM,
    Case,
    at,
    container,
    deployment,
    engine,
    groups,
    hpa,
    job,
    keda,
    kserve,
    llm,
    made,
    node,
    notebook,
    quota,
    resources,
    revised,
    scaled_by,
    stateful,
    template,
)  # fmt: skip
from tools import registry
from tools.types import JsonObject

UPGRADE = "nvidia.com/gpu-driver-upgrade-state"

JOB_KINDS = ("Job", "JobSet", "TrainJob", "PyTorchJob", "RayJob")
SEQS: JsonObject = {"max_num_seqs": 128}
MET: JsonObject = {"metric": "vllm:num_requests_waiting", "per_replica": 5}
QUOTA_ARGS: JsonObject = {"flavor": "h100", "resource": "nvidia.com/gpu", "quota": "20"}
MORNING = "2026-05-12T08:00:00Z"
SECRET: JsonObject = {"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
OTHER_PROGRAMS: tuple[tuple[JsonObject, str], ...] = (
    ({"image": "elsewhere.example.com/serving/vllm-openai:v0.17.0"}, "an image from elsewhere in container vllm"),
    ({"securityContext": {"privileged": True}}, "another securityContext"),
    ({"command": ["/bin/sh"]}, "another program"),
    ({"env": [SECRET]}, "a variable from another source"),
)
ADMIN: JsonObject = {
    "metadata": {},
    "spec": {"containers": [VLLM], "restartPolicy": "Always", "serviceAccountName": "admin"},
}
REFERRED: JsonObject = {"name": "SEQS", "value": "256"}
TAKEN: tuple[Case, ...] = (
    Case("scale", at("Deployment", replicas=5), deployment()),
    Case("scale", at("Deployment", replicas=2), deployment(None)),
    Case("scale", at("StatefulSet", replicas=3), stateful()),
    Case("scale", at("LeaderWorkerSet", replicas=8), groups()),
    Case("scale", at("InferenceService", replicas=3), kserve(minReplicas=2, maxReplicas=4)),
    Case("scale", at("InferenceService", replicas=2), kserve()),
    Case("scale", at("LLMInferenceService", replicas=1), llm()),
    Case("scale", at("Deployment", replicas=1), deployment(2)),
    Case("set_autoscaler_bounds", at("HorizontalPodAutoscaler", min=3), hpa()),
    Case("set_autoscaler_bounds", at("HorizontalPodAutoscaler", min=2, max=16), hpa(minReplicas=None)),
    Case("set_autoscaler_bounds", at("ScaledObject", max=6), keda()),
    Case("set_autoscaler_bounds", at("ScaledObject", min=1), keda(minReplicaCount=None, maxReplicaCount=None)),
    Case("set_autoscaler_bounds", at("InferenceService", min=1, max=4), kserve(minReplicas=2, maxReplicas=4)),
    Case("set_autoscaler_bounds", at("LLMInferenceService", max=3), llm(scaling={"minReplicas": 1, "maxReplicas": 2})),
    Case("set_autoscaler_metric", at("HorizontalPodAutoscaler", **MET), hpa()),
    Case("set_autoscaler_metric", at("HorizontalPodAutoscaler", **MET), hpa(metrics=None)),
    Case("set_autoscaler_metric", at("HorizontalPodAutoscaler", source="External", **MET), hpa(metrics=[])),
    Case("set_autoscaler_metric", at("HorizontalPodAutoscaler", **MET), hpa(metrics=[
        {"type": "Pods", "pods": {"metric": {"name": "vllm:num_requests_waiting"}, "target": {"averageValue": "9"}}},
        {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"value": "1"}}},
    ])),
    Case("set_autoscaler_metric", at("ScaledObject", **MET), keda()),
    Case("set_resources", resources(cpu_request="16", cpu_limit="32"), deployment()),
    Case("set_resources", resources(memory_limit="128Gi"), deployment(6, PROXY, VLLM)),
    Case("set_resources", resources(gpus=8), deployment()),
    Case("set_resources", resources(memory_request="32Gi", memory_limit="48Gi"),
         deployment(6, container(resources=None), PROXY)),
    Case("set_resources", at("InferenceService", container="kserve-container", cpu_request="2"), kserve()),
    Case("set_resources", at("LeaderWorkerSet", container="worker", cpu_limit="16"), groups()),
    Case("set_engine_args", engine(**SEQS), deployment()),
    Case("set_engine_args", engine(**SEQS), deployment(6, PROXY, container(args=["--max_num_seqs=256", "--model=x"]))),
    Case("set_engine_args", engine(**SEQS), deployment(6, container(command=["/bin/bash", "-lc"], args=[SCRIPT]))),
    Case("set_engine_args", engine(**SEQS),
         deployment(6, container(args=["--max-num-seqs", "$(SEQS)"], env=[REFERRED]))),
    Case("set_engine_args", engine(enable_prefix_caching=False, kv_cache_dtype="fp8"), deployment()),
    Case("set_engine_args", engine(max_running_requests=64),
         deployment(6, container(image="x/sglang:1", args=None, command=["python3", "-m", "sglang.launch_server"]))),
    Case("set_engine_args", at("LLMInferenceService", container="main", **SEQS), llm()),
    Case("set_engine_args", at("InferenceService", container="kserve-container", **SEQS), kserve()),
    *(Case("suspend", at(kind), job(kind)) for kind in JOB_SPECS),
    *(Case("suspend", at(kind), job(kind, held=False, labels={"app": "x"})) for kind in JOB_SPECS),
    *(Case("resume", at(kind), job(kind, held=True)) for kind in JOB_SPECS),
    *(Case("set_queue", at(kind, queue="team-b"), job(kind, held=True, labels=QUEUED)) for kind in JOB_KINDS),
    Case("set_queue", at("Job", queue="team-b"), job("Job", held=True)),
    *(Case("set_priority", at(kind, priority_class="high"), job(kind, held=True, labels=QUEUED)) for kind in JOB_KINDS),
    Case("set_quota", at("ClusterQueue", **QUOTA_ARGS), quota()),
    Case("set_quota", at("ClusterQueue", **QUOTA_ARGS), quota(16)),
    Case("set_quota", at("ClusterQueue", **{**QUOTA_ARGS, "quota": "12"}), quota()),
    Case("set_quota", at("ClusterQueue", **{**QUOTA_ARGS, "flavor": "a100", "quota": "7"}), quota()),
    Case("set_quota", at("ClusterQueue", **{**QUOTA_ARGS, "resource": "cpu", "quota": "480"}), quota(cohort=None)),
    Case("restart", at("Deployment"), deployment()),
    Case("restart", at("StatefulSet"), stateful()),
    Case("restart", at("LeaderWorkerSet"), groups()),
    Case("restart", at("InferenceService"), kserve()),
    Case("restart", at("InferenceService"), kserve(annotations={"x": "y"})),
    Case("rollback", at("Deployment", revision=2), revised(template(), OLD_TEMPLATE)),
    Case("rollback", at("Deployment", revision=2), revised(OLD_TEMPLATE, template())),
    Case("rollback", at("Deployment", revision=2), revised(template(VLLM, PROXY), template(container(args=[]), PROXY))),
    Case("rollback", at("Deployment", revision=2), revised(template(), template(container(args=None)), replicas=None)),
    Case("rollback", at("Deployment", revision=2), revised(template(annotations={"a": "1"}), template(annotations={}))),
    Case("cordon", at("Node"), node()),
    Case("cordon", at("Node"), node(unschedulable=False)),
    Case("cordon", at("Node"), node(taints=[OTHER_TAINT])),
    Case("cordon", at("Node"), node(ready="Unknown")),
    Case("cordon", at("Node"), BARE_NODE),
    Case("uncordon", at("Node"), node(unschedulable=True)),
    Case("uncordon", at("Node"), node(unschedulable=True, taints=[OTHER_TAINT])),
    Case("uncordon", at("Node"), node(unschedulable=True, labels={UPGRADE: "upgrade-done"})),
    Case("uncordon", at("Node"), {**BARE_NODE, "spec": {"unschedulable": True}}),
    Case("uncordon", at("Node"), node(unschedulable=True, podCIDRs=None)),
    Case("taint", at("Node", taint="quarantine"), node()),
    Case("taint", at("Node", taint="gpu-only"), node(taints=[OTHER_TAINT])),
    Case("taint", at("Node", taint="gpu-only"), node(taints=[{**GPU_TAINT, "effect": "NoExecute"}])),
    Case("taint", at("Node", taint="quarantine"), BARE_NODE),
    Case("taint", at("Node", taint="quarantine"), node(taints=[])),
    Case("untaint", at("Node", taint="gpu-only"), node(taints=[OTHER_TAINT, GPU_TAINT])),
    Case("untaint", at("Node", taint="gpu-only"), node(taints=[GPU_TAINT])),
    Case("untaint", at("Node", taint="gpu-only"), node(taints=[{**GPU_TAINT, "value": "true"}, OTHER_TAINT])),
    Case("untaint", at("Node", taint="gpu-only"), {**BARE_NODE, "spec": {"taints": [GPU_TAINT, OTHER_TAINT]}}),
    Case("untaint", at("Node", taint="gpu-only"), node(taints=[GPU_TAINT], unschedulable=True)),
    *(Case("set_mig_profile", at("Node", profile=one), node(unschedulable=True))
      for one in ("all-1g.10gb", "all-balanced", "all-3g.40gb", "all-7g.80gb")),
    Case("set_mig_profile", at("Node", profile="all-balanced"),
         node(unschedulable=True, labels={"nvidia.com/mig.config.state": "failed"})),
    *(Case("set_time_slicing", at("Node", config=one), node(unschedulable=True)) for one in ("shared-4", "a.b_c", "A")),
    Case("set_time_slicing", at("Node", config="x"), {**BARE_NODE, "spec": {"unschedulable": True}}),
    Case("set_time_slicing", at("Node", config="x"),
         node(unschedulable=True, labels={"nvidia.com/device-plugin.config": "default"})),
    Case("stop_notebook", at("Notebook", at=MORNING), notebook()),
    Case("stop_notebook", at("Notebook", at=MORNING), notebook(annotations={"owner": "ann"})),
    Case("stop_notebook", at("Notebook", at=MORNING), notebook(annotations={})),
    Case("stop_notebook", at("Notebook", at=MORNING), made("Notebook", {"template": {"spec": {}}})),
    Case("stop_notebook", at("Notebook", at=MORNING), made("Notebook")),
)  # fmt: skip
"""Changes that are possible: at least five objects for each."""


def moving(**status: JsonValue) -> JsonObject:
    """A Deployment with another status."""
    obj = deployment()
    return {
        **obj,
        "status": {"observedGeneration": 4, "replicas": 6, "updatedReplicas": 6, "readyReplicas": 6, **status},
    }


def done(kind: str, **status: JsonValue) -> JsonObject:
    """A job that has ended."""
    ended: JsonObject = status or {"conditions": [{"type": "Complete", "status": "True"}]}
    return {**job(kind, held=False), "status": ended}


def twice() -> JsonObject:
    """A ClusterQueue that has the same flavor in two groups."""
    obj = quota()
    spec = copy.deepcopy(obj["spec"])
    assert isinstance(spec, dict)
    assert isinstance(spec["resourceGroups"], list)
    spec["resourceGroups"] += copy.deepcopy(spec["resourceGroups"])
    return {**obj, "spec": spec}


OWNED: list[JsonValue] = [{"kind": "JobSet", "name": "big", "uid": "u", "controller": True}]
HELD: JsonObject = {"autoscaling.keda.sh/paused": "true"}
ASLEEP: JsonObject = made("ScaledObject", {"minReplicaCount": 4}, annotations=HELD)
DELETED: JsonObject = made("Deployment", {"replicas": 6}, deletionTimestamp="x")
A_PART: JsonObject = made("Deployment", {"replicas": 6}, ownerReferences=OWNED)
REFUSED: tuple[tuple[Case, str], ...] = (
    (Case("scale", at("Deployment", replicas=4), deployment()), "by at most a quarter in one change: from 6 to 5"),
    (Case("scale", at("Deployment", replicas=13), deployment()), "may at most double"),
    (Case("scale", at("Deployment", replicas=6), deployment()), "already has"),
    (Case("scale", at("Deployment", replicas=5), deployment(paused=True)), "paused"),
    (Case("scale", at("Deployment", replicas=5), moving(updatedReplicas=2)), "rollout of it is under way"),
    (Case("scale", at("Deployment", replicas=5), moving(observedGeneration=3)), "not yet seen"),
    (Case("scale", at("Deployment", replicas=5), scaled_by("HPA")), "HorizontalPodAutoscaler chat sets the replicas"),
    (Case("scale", at("Deployment", replicas=5), scaled_by("KEDA")), "ScaledObject chat sets the replicas"),
    (Case("scale", at("Deployment", replicas=1), deployment(0)), "scaled to zero"),
    (Case("scale", at("StatefulSet", replicas=3), stateful(4, 2)), "only 2 of its 4 replicas are ready"),
    (Case("scale", at("InferenceService", replicas=5), kserve(minReplicas=3, maxReplicas=4)), "at most 4"),
    (Case("scale", at("LLMInferenceService", replicas=3), llm(scaling={"maxReplicas": 4})), "spec.scaling sets"),
    (Case("scale", at("Deployment", replicas=5), {**deployment(), "kind": "StatefulSet"}), "is not"),
    (Case("scale", at("Deployment", name="other", replicas=5), deployment()), "is not"),
    (Case("scale", at("Deployment", replicas=2), made("Deployment", {"replicas": None})), "null"),
    (Case("scale", at("Deployment", replicas=5), DELETED), "deleted"),
    (Case("scale", at("Deployment", replicas=5), A_PART), "JobSet big"),
    (Case("set_autoscaler_bounds", at("HorizontalPodAutoscaler", min=2), hpa()), "the minimum may fall"),
    (Case("set_autoscaler_bounds", at("HorizontalPodAutoscaler", max=5), hpa()), "the maximum may fall"),
    (Case("set_autoscaler_bounds", at("HorizontalPodAutoscaler", max=17), hpa()), "the maximum may at most"),
    (Case("set_autoscaler_bounds", at("HorizontalPodAutoscaler", min=9), hpa()), "minimum of 9 and a maximum of 8"),
    (Case("set_autoscaler_bounds", at("HorizontalPodAutoscaler", min=4), hpa()), "already has"),
    (Case("set_autoscaler_bounds", at("ScaledObject", min=3), keda(idleReplicaCount=3)), "idle replicas"),
    (Case("set_autoscaler_bounds", at("ScaledObject", min=3), ASLEEP),
     "paused"),
    (Case("set_autoscaler_bounds", at("LLMInferenceService", min=3), llm()), "has no autoscaler"),
    (Case("set_autoscaler_metric", at("ScaledObject", **MET), keda(triggers=[{"type": "cpu", "metadata": {}}])),
     "asks no Prometheus"),
    (Case("set_autoscaler_metric", at("ScaledObject", **MET), keda(triggers=None)), "asks no Prometheus"),
    (Case("set_autoscaler_metric", at("ScaledObject", **MET), ASLEEP), "paused"),
    (Case("set_resources", resources(cpu_request="8"), deployment()), "already has"),
    (Case("set_resources", resources(memory_request="97Gi"), deployment()), "exceed its limit"),
    (Case("set_resources", resources(memory_limit="32Gi", memory_request="32Gi"), deployment()), "at most half"),
    (Case("set_resources", resources(gpus=1), deployment()), "double or halve"),
    (Case("set_resources", resources(gpus=2), deployment()), "spreads over 4 GPUs"),
    (Case("set_resources", resources(gpus=2), deployment(6, container(resources={}))), "0 kinds of GPU"),
    (Case("set_resources", resources(cpu_request="9"), deployment(6, PROXY)), "no single container"),
    (Case("set_resources", resources(cpu_request="9"), deployment(6, VLLM, VLLM)), "no single container"),
    (Case("set_resources", resources(cpu_request="9"), deployment(strategy={"type": "Recreate"})), "Recreate"),
    (Case("set_resources", resources(cpu_request="9"), made("Deployment")), "no single container"),
    (Case("set_engine_args", engine(max_num_seqs=256), deployment()), "already has"),
    (Case("set_engine_args", engine(tensor_parallel_size=8), deployment()), "has 4 GPUs"),
    (Case("set_engine_args", engine(max_running_requests=8), deployment()), "no argument of vllm"),
    (Case("set_engine_args", engine(**SEQS), deployment(6, {**PROXY, "name": "vllm"})), "an engine known here"),
    (Case("set_engine_args", engine(max_num_seqs=512), deployment(6, container(args=["--max-num-batched-tokens=300"]))),
     "would not hold 512 sequences"),
    (Case("set_engine_args", engine(**SEQS), deployment(6, container(args=[*ARGS, "--max-num-seqs=2"]))), "2 places"),
    (Case("set_engine_args", engine(**SEQS), deployment(6, container(args=None))), "no arguments of its own"),
    (Case("set_engine_args", engine(**SEQS), deployment(1, strategy={"rollingUpdate": {"maxUnavailable": 1}})),
     "last ready replica"),
    (Case("set_engine_args", engine(**SEQS), deployment(2, strategy={"rollingUpdate": {"maxUnavailable": "100%"}})),
     "last ready replica"),
    (Case("set_engine_args", at("LLMInferenceService", container="main", tensor_parallel_size=2),
          llm(parallelism={"tensor": 4})), "spec.parallelism"),
    (Case("suspend", at("Job"), job("Job", held=True)), "suspended already"),
    (Case("suspend", at("Workload"), job("Workload", held=True)), "suspended already"),
    (Case("suspend", at("Job"), done("Job")), "has ended"),
    (Case("suspend", at("RayJob"), done("RayJob", jobDeploymentStatus="Failed")), "has ended"),
    (Case("suspend", at("RayJob"), job("RayJob", shutdownAfterJobFinishes=False)), "shutdownAfterJobFinishes"),
    (Case("suspend", at("Job"), job("Job", labels=QUEUED)), "change its Workload"),
    (Case("suspend", at("Job"), made("Job", {}, ownerReferences=OWNED)), "belongs to JobSet big"),
    (Case("resume", at("Job"), job("Job")), "not suspended already"),
    (Case("resume", at("Job"), job("Job", held=True, labels=QUEUED)), "change its Workload"),
    (Case("resume", at("Workload"), job("Workload", held=False)), "not suspended already"),
    (Case("set_queue", at("Job", queue="b"), job("Job", held=False, labels=QUEUED)), "runs"),
    (Case("set_queue", at("Job", queue="team-a"), job("Job", held=True, labels=QUEUED)), "already has"),
    (Case("set_queue", at("Job", queue="b"), done("Job")), "has ended"),
    (Case("set_priority", at("Job", priority_class="b"), job("Job", held=True)), "no Kueue queue"),
    (Case("set_priority", at("Job", priority_class="b"), job("Job", labels=QUEUED)), "runs"),
    (Case("set_quota", at("ClusterQueue", **{**QUOTA_ARGS, "quota": "11"}), quota()), "at most a quarter"),
    (Case("set_quota", at("ClusterQueue", **{**QUOTA_ARGS, "quota": "12"}), quota(used="14")), "14 of the quota"),
    (Case("set_quota", at("ClusterQueue", **{**QUOTA_ARGS, "quota": "33"}), quota()), "at most double"),
    (Case("set_quota", at("ClusterQueue", **{**QUOTA_ARGS, "quota": "16"}), quota()), "already has"),
    (Case("set_quota", at("ClusterQueue", **{**QUOTA_ARGS, "flavor": "b200"}), quota()), "no quotas"),
    (Case("set_quota", at("ClusterQueue", **QUOTA_ARGS), twice()), "2 quotas"),
    (Case("restart", at("StatefulSet"), stateful(1)), "last ready replica"),
    (Case("restart", at("StatefulSet"), stateful(3, 1)), "last ready replica"),
    (Case("restart", at("StatefulSet"), stateful(updateStrategy={"type": "OnDelete"})), "somebody deletes"),
    (Case("restart", at("LeaderWorkerSet"), groups(1)), "last ready replica"),
    (Case("restart", at("Deployment"), deployment(paused=True)), "paused"),
    (Case("restart", at("Deployment"), made("Deployment", {}, generation=None)), "no generation"),
    (Case("rollback", at("Deployment", revision=2), deployment()), "were not read"),
    (Case("rollback", at("Deployment", revision=3), revised(template(), OLD_TEMPLATE)), "already"),
    (Case("rollback", at("Deployment", revision=1), revised(template(), OLD_TEMPLATE)), "no revision 1"),
    (Case("rollback", at("Deployment", revision=2), revised(template(VLLM, PROXY), template())), "other containers"),
    *((Case("rollback", at("Deployment", revision=2), revised(template(), template(container(**more)))), said)
      for more, said in OTHER_PROGRAMS),
    (Case("rollback", at("Deployment", revision=2), revised(template(), ADMIN)), "another serviceAccountName"),
    (Case("rollback", at("Deployment", revision=2), revised(template(), OLD_TEMPLATE, paused=True)), "paused"),
    (Case("rollback", at("Deployment", revision=2), revised(template(), template())), "already has"),
    (Case("cordon", at("Node"), node(unschedulable=True)), "already has"),
    (Case("cordon", at("Node"), node(labels={"node-role.kubernetes.io/control-plane": ""})), "control plane"),
    (Case("uncordon", at("Node"), node()), "not cordoned"),
    (Case("uncordon", at("Node"), node(unschedulable=True, ready="Unknown")), "not ready"),
    (Case("uncordon", at("Node"), node(unschedulable=True, labels={UPGRADE: "drain-required"})), "upgrades the driver"),
    (Case("taint", at("Node", taint="gpu-only"), node(taints=[{**GPU_TAINT, "value": "x"}])), "has that taint"),
    (Case("untaint", at("Node", taint="gpu-only"), node(taints=[OTHER_TAINT])), "does not have"),
    (Case("untaint", at("Node", taint="quarantine"), BARE_NODE), "does not have"),
    (Case("set_mig_profile", at("Node", profile="all-1g.10gb"), node()), "cordon and drain"),
    (Case("set_mig_profile", at("Node", profile="all-1g.10gb"), {**BARE_NODE, "spec": {"unschedulable": True}}),
     "no GPUs that can be divided"),
    (Case("set_mig_profile", at("Node", profile="all-1g.10gb"),
          node(unschedulable=True, labels={"nvidia.com/mig.config.state": "pending"})), "MIG manager is at work"),
    (Case("set_time_slicing", at("Node", config="a"), node()), "cordon and drain"),
    (Case("set_time_slicing", at("Node", config="a"), made("Node")), "offers no GPUs"),
    (Case("stop_notebook", at("Notebook", at=MORNING), notebook(annotations={"kubeflow-resource-stopped": "x"})),
     "stopped already"),
)  # fmt: skip
"""Changes that must not be, and a part of the line that says why."""

# --- arguments -----------------------------------------------------------------------------------------------

GOOD: dict[str, list[JsonObject]] = {
    name: [case.args for case in TAKEN if case.change == name] for name in registry.changes()
}
"""Change → arguments it takes."""
HOSTILE_NAMES: tuple[JsonValue, ...] = (
    "", "*", "chat-*", "--server=https://evil.example", "-n", "../chat", "chat/../../x", "chat%2e%2e", "chat\n",
    "chat\r\nHost: x", "Chat", "chat;delete", "chat chat", "a..b", ".a", "x" * 254, "ch\u0430t", "chat\u200b",
    None, 7, ["chat"], {"$ne": ""},
)  # fmt: skip
NUMBERS: tuple[JsonValue, ...] = (0, -1, 2**63, 2.5, "2", True, [2], {"a": 2})
WORDS: tuple[JsonValue, ...] = ("", "*", "evil$(x)", "a b", "a\nb", "`evil`", 7, True, [], "x" * 300, "--evil")
EXTRA = ("uid", "force", "patch", "dryRun", "https://evil.example", "selector", "fieldManager")
KIND_NAMES: tuple[JsonValue, ...] = ("DaemonSet", "Pod", "Secret", "deployment", "*", "", "Namespace", None)


def spoiled(args: JsonObject, optional: frozenset[str]) -> list[JsonObject]:
    """Arguments that are wrong in one place."""
    place = ("group", "kind", "namespace", "name")
    bad: list[JsonObject] = [{**args, "name": name} for name in HOSTILE_NAMES]
    bad += [{**args, extra: 1} for extra in EXTRA]
    bad += [{key: value for key, value in args.items() if key != gone} for gone in args if gone not in optional]
    if "kind" in args:
        bad += [{**args, "namespace": name} for name in (*HOSTILE_NAMES, "a.b")]
        bad += [{**args, "kind": kind} for kind in KIND_NAMES]
        bad += [
            {**args, "group": group} for group in ("evil.example", "apps/v1", "*", None, "rbac.authorization.k8s.io")
        ]
    for key, value in args.items():
        if key not in place:
            wrong = WORDS if isinstance(value, str) else NUMBERS if not isinstance(value, bool) else ("true", 1, "")
            bad += [{**args, key: one} for one in wrong]
    return bad


def _optional(change: str) -> frozenset[str]:
    fields = registry.changes()[change].args.model_fields
    return frozenset(name for name, field in fields.items() if not field.is_required())


_FULL: dict[str, JsonObject] = {
    "set_engine_args": engine(
        max_num_seqs=1, max_num_batched_tokens=256, max_model_len=256, gpu_memory_utilization=0.9,
        tensor_parallel_size=2, kv_cache_dtype="fp8", enable_prefix_caching=True, enable_chunked_prefill=False,
        max_running_requests=1, mem_fraction_static=0.8, chunked_prefill_size=256, max_prefill_tokens=256,
        context_length=256,
    ),
    "set_resources": resources(
        cpu_request="1", cpu_limit="500m", memory_request="1Gi", memory_limit="512Mi", gpus=1
    ),
    "set_autoscaler_metric": at("HorizontalPodAutoscaler", source="Pods", **MET),
    "set_autoscaler_bounds": at("HorizontalPodAutoscaler", min=1, max=2),
}  # fmt: skip
for _name, _args in _FULL.items():
    GOOD[_name].append(_args)
BAD: dict[str, list[JsonObject]] = {
    name: [{}, *spoiled(_FULL.get(name, many[0]), _optional(name))] for name, many in GOOD.items()
}
"""Change → arguments it refuses."""
BAD["scale"] += [at("Deployment", replicas=1001), {**at("LeaderWorkerSet", replicas=2), "group": "apps"}]
BAD["set_autoscaler_bounds"] += [at("ScaledObject"), at("ScaledObject", min=3, max=2), at("ScaledObject", max=1001)]
BAD["set_resources"] += [
    resources(), resources(gpus=17), resources(cpu_limit="513"), resources(memory_limit="9000Gi"),
    resources(cpu_limit="0"), resources(memory_limit="5G"), resources(gpus=1, memory_limit="1Ki"),
]  # fmt: skip
BAD["set_engine_args"] += [
    engine(), engine(max_num_seqs=4097), engine(gpu_memory_utilization=0.98), engine(tensor_parallel_size=3),
    engine(kv_cache_dtype="int4"), engine(max_num_seqs=256.5), engine(model="evil/model"), engine(api_key="evil"),
    engine(**{"--trust-remote-code": True}), engine(enable_prefix_caching="yes"), engine(max_num_seqs="256"),
]  # fmt: skip
BAD["set_mig_profile"] += [at("Node", profile="all-9g.1gb"), at("Node", profile="custom")]
BAD["taint"] += [at("Node", taint="NoExecute"), at("Node", taint="evil=x:NoExecute")]
BAD["set_quota"] += [at("ClusterQueue", **{**QUOTA_ARGS, "quota": one}) for one in ("0", "-1", "1e9", "1k", "16.5")]
BAD["stop_notebook"] += [
    at("Notebook", at=one) for one in ("now", "2026-05-12", f"{MORNING} evil", "1999-01-01T00:00:00Z")
]
