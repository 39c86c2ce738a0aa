"""The `spec` of custom kinds: the fields that changes touch, with the types and bounds of their definitions."""

from __future__ import annotations

from evals.world.schemas.fields import (
    ANY,
    BOOL,
    QUANTITIES,
    STRING,
    STRINGS,
    WORDS,
    Field,
    items,
    one_of,
    record,
    whole,
)
from evals.world.schemas.pods import OPEN_CONTAINER, OPEN_TEMPLATE, TAINT

_QUANTITY = Field("quantity")

LEADER_WORKER_SET = record(
    required=("leaderWorkerTemplate",),
    replicas=whole(0),
    startupPolicy=one_of("LeaderCreated", "LeaderReady"),
    leaderWorkerTemplate=record(
        size=whole(1),
        restartPolicy=one_of("Default", "None", "NoneRestartPolicy", "RecreateGroupOnPodRestart"),
        leaderTemplate=OPEN_TEMPLATE,
        workerTemplate=OPEN_TEMPLATE,
    ),
    rolloutStrategy=record(type=one_of("RollingUpdate"), rollingUpdateConfiguration=ANY),
)

JOB_SET = record(
    suspend=BOOL,
    replicatedJobs=items(
        record(required=("name", "template"), name=STRING, replicas=whole(0), template=record(spec=record()))
    ),
    failurePolicy=record(maxRestarts=whole(0), rules=items(ANY)),
    ttlSecondsAfterFinished=whole(0),
    managedBy=STRING,
)

TRAIN_JOB = record(
    required=("runtimeRef",),
    runtimeRef=record(required=("name",), name=STRING, kind=STRING, apiGroup=STRING),
    suspend=BOOL,
    activeDeadlineSeconds=whole(1),
    trainer=record(
        image=STRING,
        command=WORDS,
        args=WORDS,
        numNodes=whole(1),
        numProcPerNode=ANY,
        env=items(record(name=STRING, value=STRING)),
        resourcesPerNode=record(limits=QUANTITIES, requests=QUANTITIES),
    ),
    managedBy=STRING,
)

_REPLICA = record(
    replicas=whole(0),
    restartPolicy=one_of("Always", "OnFailure", "Never", "ExitCode"),
    template=OPEN_TEMPLATE,
)
PYTORCH_JOB = record(
    required=("pytorchReplicaSpecs",),
    runPolicy=record(
        suspend=BOOL,
        activeDeadlineSeconds=whole(0),
        backoffLimit=whole(0),
        ttlSecondsAfterFinished=whole(0),
        cleanPodPolicy=one_of("All", "None", "Running"),
        schedulingPolicy=record(queue=STRING, priorityClass=STRING, minAvailable=whole(0)),
        managedBy=STRING,
    ),
    elasticPolicy=record(minReplicas=whole(0), maxReplicas=whole(0)),
    pytorchReplicaSpecs=record(Master=_REPLICA, Worker=_REPLICA),
)

NOTEBOOK = record(template=record(spec=record(containers=items(OPEN_CONTAINER))))

_WORKER_GROUP = record(
    groupName=STRING,
    replicas=whole(0),
    minReplicas=whole(0),
    maxReplicas=whole(0),
    numOfHosts=whole(1),
    idleTimeoutSeconds=whole(0),
    suspend=BOOL,
    template=OPEN_TEMPLATE,
)
RAY_JOB = record(
    entrypoint=STRING,
    suspend=BOOL,
    shutdownAfterJobFinishes=BOOL,
    ttlSecondsAfterFinished=whole(0),
    activeDeadlineSeconds=whole(1),
    backoffLimit=whole(0),
    submissionMode=one_of("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"),
    rayClusterSpec=record(
        suspend=BOOL,
        enableInTreeAutoscaling=BOOL,
        autoscalerOptions=record(idleTimeoutSeconds=whole(0)),
        workerGroupSpecs=items(_WORKER_GROUP),
    ),
    managedBy=STRING,
)

_COMPONENT = record(
    minReplicas=whole(0),
    maxReplicas=whole(0),
    scaleTarget=whole(0),
    scaleMetric=one_of("cpu", "memory", "concurrency", "rps"),
    containerConcurrency=whole(0),
    canaryTrafficPercent=whole(0, 100),
    timeout=whole(),
    model=Field("object", {**OPEN_CONTAINER.fields, "runtime": STRING, "storageUri": STRING, "modelFormat": ANY}),
    containers=items(OPEN_CONTAINER),
    autoScaling=record(metrics=items(ANY)),
    tolerations=items(ANY),
)
INFERENCE_SERVICE = record(required=("predictor",), predictor=_COMPONENT, transformer=_COMPONENT, explainer=_COMPONENT)

_PARALLELISM = record(
    tensor=whole(1), pipeline=whole(1), data=whole(1), dataLocal=whole(1), dataRPCPort=whole(), expert=BOOL
)
_SCALING = record(minReplicas=whole(0), maxReplicas=whole(1), wva=ANY, keda=ANY)
_SERVED = {
    "replicas": whole(0),
    "scaling": _SCALING,
    "parallelism": _PARALLELISM,
    "template": record(containers=items(OPEN_CONTAINER)),
    "worker": record(containers=items(OPEN_CONTAINER)),
}
LLM_INFERENCE_SERVICE = Field(
    "object",
    {
        **_SERVED,
        "model": record(uri=STRING, name=STRING, lora=ANY),
        "prefill": Field("object", _SERVED),
        "router": ANY,
        "kvCacheOffloading": ANY,
    },
)

SCALED_OBJECT = record(
    required=("scaleTargetRef", "triggers"),
    scaleTargetRef=record(required=("name",), name=STRING, kind=STRING, apiVersion=STRING),
    minReplicaCount=whole(),
    maxReplicaCount=whole(),
    idleReplicaCount=whole(),
    pollingInterval=whole(),
    cooldownPeriod=whole(),
    fallback=record(required=("failureThreshold", "replicas"), failureThreshold=whole(), replicas=whole()),
    triggers=items(record(required=("type", "metadata"), type=STRING, name=STRING, metadata=STRINGS)),
    advanced=ANY,
)

_QUOTA = record(
    required=("name", "nominalQuota"),
    name=STRING,
    nominalQuota=_QUANTITY,
    borrowingLimit=_QUANTITY,
    lendingLimit=_QUANTITY,
)
_RECLAIM = one_of("Never", "LowerPriority", "Any")
CLUSTER_QUEUE = record(
    cohort=STRING,
    cohortName=STRING,
    queueingStrategy=one_of("StrictFIFO", "BestEffortFIFO"),
    resourceGroups=items(
        record(
            required=("coveredResources", "flavors"),
            coveredResources=WORDS,
            flavors=items(record(required=("name", "resources"), name=STRING, resources=items(_QUOTA))),
        )
    ),
    preemption=record(
        reclaimWithinCohort=_RECLAIM,
        withinClusterQueue=one_of("Never", "LowerPriority", "LowerOrNewerEqualPriority"),
        borrowWithinCohort=ANY,
    ),
    flavorFungibility=record(),
    fairSharing=record(weight=_QUANTITY),
    stopPolicy=one_of("None", "Hold", "HoldAndDrain"),
)
LOCAL_QUEUE = record(clusterQueue=STRING, stopPolicy=one_of("None", "Hold", "HoldAndDrain"), fairSharing=record())
WORKLOAD = record(
    active=BOOL,
    queueName=STRING,
    priority=whole(),
    priorityClassName=STRING,
    maximumExecutionTimeSeconds=whole(1),
    podSets=items(record(required=("name",), name=STRING, count=whole(0), minCount=whole(1), template=OPEN_TEMPLATE)),
)
RESOURCE_FLAVOR = record(nodeLabels=STRINGS, nodeTaints=items(TAINT), tolerations=items(ANY), topologyName=STRING)
