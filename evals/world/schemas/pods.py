"""The schema of pods and pod templates. Field names are those of k8s.io/api core/v1 1.36 and complete; types are
given for what changes touch."""

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
    names,
    one_of,
    record,
    whole,
)

METADATA = Field(
    "object",
    names(
        "managedFields ownerReferences generateName selfLink uid resourceVersion generation creationTimestamp "
        "deletionTimestamp deletionGracePeriodSeconds",
        name=STRING,
        namespace=STRING,
        labels=STRINGS,
        annotations=STRINGS,
        finalizers=WORDS,
    ),
    closed=True,
)
RESOURCES = record(closed=True, limits=QUANTITIES, requests=QUANTITIES, claims=items(ANY))
TAINT = record(
    closed=True,
    required=("key", "effect"),
    key=STRING,
    value=STRING,
    effect=one_of("NoSchedule", "PreferNoSchedule", "NoExecute"),
    timeAdded=ANY,
)
TOLERATION = record(
    closed=True,
    key=STRING,
    operator=one_of("Exists", "Equal", "Lt", "Gt"),
    value=STRING,
    effect=one_of("", "NoSchedule", "PreferNoSchedule", "NoExecute"),
    tolerationSeconds=whole(),
)
_ENV = record(closed=True, required=("name",), name=STRING, value=STRING, valueFrom=ANY)
_PORT = record(
    closed=True,
    required=("containerPort",),
    containerPort=whole(1, 65535),
    hostPort=whole(0, 65535),
    hostIP=STRING,
    name=STRING,
    protocol=one_of("TCP", "UDP", "SCTP"),
)
CONTAINER = Field(
    "object",
    names(
        "workingDir envFrom resizePolicy restartPolicyRules volumeDevices livenessProbe readinessProbe "
        "startupProbe lifecycle securityContext stdin stdinOnce tty targetContainerName",
        name=STRING,
        image=STRING,
        command=WORDS,
        args=WORDS,
        ports=items(_PORT),
        env=items(_ENV),
        resources=RESOURCES,
        volumeMounts=items(record(name=STRING, mountPath=STRING, readOnly=BOOL)),
        restartPolicy=one_of("Always", "Never", "OnFailure"),
        terminationMessagePath=STRING,
        terminationMessagePolicy=one_of("File", "FallbackToLogsOnError"),
        imagePullPolicy=one_of("Always", "Never", "IfNotPresent"),
    ),
    closed=True,
    required=("name",),
)
_POD_FIELDS = names(
    "activeDeadlineSeconds serviceAccount automountServiceAccountToken hostNetwork hostPID hostIPC "
    "shareProcessNamespace securityContext imagePullSecrets hostname subdomain affinity hostAliases dnsConfig "
    "readinessGates overhead topologySpreadConstraints setHostnameAsFQDN os hostUsers schedulingGates "
    "resourceClaims resources hostnameOverride schedulingGroup workloadRef",
    volumes=items(record(required=("name",), name=STRING)),
    initContainers=items(CONTAINER),
    containers=items(CONTAINER),
    ephemeralContainers=items(CONTAINER),
    restartPolicy=one_of("Always", "Never", "OnFailure"),
    terminationGracePeriodSeconds=whole(0),
    dnsPolicy=one_of("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    nodeSelector=STRINGS,
    serviceAccountName=STRING,
    nodeName=STRING,
    schedulerName=STRING,
    tolerations=items(TOLERATION),
    priorityClassName=STRING,
    priority=whole(),
    runtimeClassName=STRING,
    enableServiceLinks=BOOL,
    preemptionPolicy=one_of("PreemptLowerPriority", "Never"),
)
POD_SPEC = Field("object", _POD_FIELDS, closed=True, required=("containers",))
TEMPLATE = record(closed=True, metadata=METADATA, spec=POD_SPEC)
OPEN_TEMPLATE = record(metadata=record(labels=STRINGS, annotations=STRINGS), spec=Field("object", _POD_FIELDS))
"""A pod template inside a custom kind, whose definition may know fewer or more fields than the core type."""
OPEN_CONTAINER = Field("object", CONTAINER.fields)
