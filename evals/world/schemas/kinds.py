"""Schemas by kind, and which of their fields never change once set.

Sources: k8s.io/api types and validation 1.36 (apps, batch, autoscaling, core), and the CustomResourceDefinitions of
kubernetes-sigs/lws, jobset and kueue, kserve/kserve, kedacore/keda, kubeflow/trainer, training-operator and
kubeflow notebooks, and ray-project/kuberay: the fields that reviewed changes touch, and their neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evals.world.schemas import custom
from evals.world.schemas.fields import ANY, BOOL, STRING, Field, items, names, one_of, record, whole
from evals.world.schemas.pods import METADATA, POD_SPEC, TAINT, TEMPLATE


@dataclass(frozen=True, slots=True)
class Schema:
    """What an object of one kind must look like."""

    root: Field
    immutable: tuple[str, ...] = ()
    """Dotted paths whose value cannot change once set."""
    mutable: tuple[str, ...] = ()
    """Where given: the only fields of `spec` that may change."""


def _built_in(spec: Field, **more: Field) -> Field:
    head = {"apiVersion": STRING, "kind": STRING, "metadata": METADATA, "status": ANY}
    return Field("object", {**head, "spec": spec, **more}, closed=True)


def _custom(spec: Field) -> Field:
    return record(apiVersion=STRING, kind=STRING, metadata=METADATA, spec=spec)


_INT_OR_PERCENT = Field("int-or-string")
_SELECTOR = record(closed=True, matchLabels=ANY, matchExpressions=items(ANY))
_DEPLOYMENT = record(
    closed=True,
    required=("selector", "template"),
    replicas=whole(0),
    selector=_SELECTOR,
    template=TEMPLATE,
    strategy=record(
        closed=True,
        type=one_of("Recreate", "RollingUpdate"),
        rollingUpdate=record(closed=True, maxUnavailable=_INT_OR_PERCENT, maxSurge=_INT_OR_PERCENT),
    ),
    minReadySeconds=whole(0),
    revisionHistoryLimit=whole(0),
    paused=BOOL,
    progressDeadlineSeconds=whole(0),
)
_STATEFUL_SET = Field(
    "object",
    names(
        "volumeClaimTemplates persistentVolumeClaimRetentionPolicy ordinals",
        replicas=whole(0),
        selector=_SELECTOR,
        template=TEMPLATE,
        serviceName=STRING,
        podManagementPolicy=one_of("OrderedReady", "Parallel"),
        updateStrategy=record(closed=True, type=one_of("RollingUpdate", "OnDelete"), rollingUpdate=ANY),
        minReadySeconds=whole(0),
        revisionHistoryLimit=whole(0),
    ),
    closed=True,
    required=("selector", "template"),
)
_JOB = Field(
    "object",
    names(
        "podFailurePolicy successPolicy selector",
        parallelism=whole(0),
        completions=whole(0),
        activeDeadlineSeconds=whole(0),
        backoffLimit=whole(0),
        backoffLimitPerIndex=whole(0),
        maxFailedIndexes=whole(0),
        manualSelector=BOOL,
        template=TEMPLATE,
        ttlSecondsAfterFinished=whole(0),
        completionMode=one_of("NonIndexed", "Indexed"),
        suspend=BOOL,
        podReplacementPolicy=one_of("TerminatingOrFailed", "Failed"),
        managedBy=STRING,
    ),
    closed=True,
    required=("template",),
)
_METRIC = record(
    closed=True,
    required=("type",),
    type=one_of("ContainerResource", "External", "Object", "Pods", "Resource"),
    object=ANY,
    pods=ANY,
    resource=ANY,
    containerResource=ANY,
    external=ANY,
)
_HPA = record(
    closed=True,
    required=("scaleTargetRef", "maxReplicas"),
    scaleTargetRef=record(closed=True, required=("kind", "name"), apiVersion=STRING, kind=STRING, name=STRING),
    minReplicas=whole(1),
    maxReplicas=whole(1),
    metrics=items(_METRIC),
    behavior=ANY,
    targetCPUUtilizationPercentage=whole(1),
)
_NODE = Field(
    "object",
    names("podCIDRs providerID configSource externalID", podCIDR=STRING, unschedulable=BOOL, taints=items(TAINT)),
    closed=True,
)
_DATA = Field("object", names("data binaryData stringData type", immutable=BOOL))
_ALLOWED_STATEFUL = (
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)

SCHEMAS: Mapping[tuple[str, str], Schema] = {
    ("apps", "Deployment"): Schema(_built_in(_DEPLOYMENT), immutable=("spec.selector",)),
    ("apps", "StatefulSet"): Schema(_built_in(_STATEFUL_SET), mutable=_ALLOWED_STATEFUL),
    ("batch", "Job"): Schema(
        _built_in(_JOB),
        immutable=(
            *("spec.completions", "spec.selector", "spec.template", "spec.completionMode", "spec.podFailurePolicy"),
            *("spec.backoffLimitPerIndex", "spec.managedBy", "spec.successPolicy"),
        ),
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): Schema(_built_in(_HPA)),
    ("", "Node"): Schema(_built_in(_NODE), mutable=("unschedulable", "taints")),
    ("", "Pod"): Schema(
        _built_in(POD_SPEC),
        mutable=("containers", "initContainers", "activeDeadlineSeconds", "tolerations", "schedulingGates"),
    ),
    ("", "PersistentVolumeClaim"): Schema(record(spec=record()), mutable=("resources", "volumeAttributesClassName")),
    ("", "ConfigMap"): Schema(_DATA),
    ("", "Secret"): Schema(_DATA, immutable=("type",)),
    ("resource.k8s.io", "ResourceClaim"): Schema(record(spec=record()), immutable=("spec",)),
    ("scheduling.k8s.io", "PriorityClass"): Schema(
        record(value=whole(), globalDefault=BOOL, preemptionPolicy=STRING), immutable=("value", "preemptionPolicy")
    ),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): Schema(_custom(custom.LEADER_WORKER_SET)),
    ("jobset.x-k8s.io", "JobSet"): Schema(_custom(custom.JOB_SET), immutable=("spec.managedBy",)),
    ("trainer.kubeflow.org", "TrainJob"): Schema(
        _custom(custom.TRAIN_JOB), immutable=("spec.runtimeRef", "spec.managedBy")
    ),
    ("kubeflow.org", "PyTorchJob"): Schema(_custom(custom.PYTORCH_JOB), immutable=("spec.runPolicy.managedBy",)),
    ("kubeflow.org", "Notebook"): Schema(_custom(custom.NOTEBOOK)),
    ("ray.io", "RayJob"): Schema(_custom(custom.RAY_JOB), immutable=("spec.managedBy",)),
    ("serving.kserve.io", "InferenceService"): Schema(_custom(custom.INFERENCE_SERVICE)),
    ("serving.kserve.io", "LLMInferenceService"): Schema(_custom(custom.LLM_INFERENCE_SERVICE)),
    ("keda.sh", "ScaledObject"): Schema(_custom(custom.SCALED_OBJECT)),
    ("kueue.x-k8s.io", "ClusterQueue"): Schema(_custom(custom.CLUSTER_QUEUE)),
    ("kueue.x-k8s.io", "LocalQueue"): Schema(_custom(custom.LOCAL_QUEUE), immutable=("spec.clusterQueue",)),
    ("kueue.x-k8s.io", "Workload"): Schema(_custom(custom.WORKLOAD)),
}
"""(API group, kind) → schema; versions of one kind agree in the fields named here."""
