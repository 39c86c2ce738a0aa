"""The kinds every cluster serves, as one table of facts.

Read off the discovery documents of kube-apiserver 1.36. One line a resource:
`plural Kind scope [short,names|-] [categories|-] [subresource …]`; "!verbs" narrows the usual eight verbs.
The order of groups is the order in which /apis lists them.
"""

from __future__ import annotations

READ_WRITE = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

BUILTIN: tuple[tuple[str, str, str], ...] = (
    (
        "",
        "v1",
        """
        bindings Binding ns - - !create
        componentstatuses ComponentStatus cluster cs - !get,list
        configmaps ConfigMap ns cm
        endpoints Endpoints ns ep
        events Event ns ev
        limitranges LimitRange ns limits
        namespaces Namespace cluster ns - !create,delete,get,list,patch,update,watch finalize status
        nodes Node cluster no - proxy status
        persistentvolumeclaims PersistentVolumeClaim ns pvc - status
        persistentvolumes PersistentVolume cluster pv - status
        pods Pod ns po all attach binding ephemeralcontainers eviction exec log portforward proxy resize status
        podtemplates PodTemplate ns
        replicationcontrollers ReplicationController ns rc all scale status
        resourcequotas ResourceQuota ns quota - status
        secrets Secret ns
        serviceaccounts ServiceAccount ns sa - token
        services Service ns svc all proxy status
        """,
    ),
    ("apiregistration.k8s.io", "v1", "apiservices APIService cluster - api-extensions status"),
    (
        "apps",
        "v1",
        """
        controllerrevisions ControllerRevision ns
        daemonsets DaemonSet ns ds all status
        deployments Deployment ns deploy all scale status
        replicasets ReplicaSet ns rs all scale status
        statefulsets StatefulSet ns sts all scale status
        """,
    ),
    ("events.k8s.io", "v1", "events Event ns ev"),
    (
        "authentication.k8s.io",
        "v1",
        """
        selfsubjectreviews SelfSubjectReview cluster - - !create
        tokenreviews TokenReview cluster - - !create
        """,
    ),
    (
        "authorization.k8s.io",
        "v1",
        """
        localsubjectaccessreviews LocalSubjectAccessReview ns - - !create
        selfsubjectaccessreviews SelfSubjectAccessReview cluster - - !create
        selfsubjectrulesreviews SelfSubjectRulesReview cluster - - !create
        subjectaccessreviews SubjectAccessReview cluster - - !create
        """,
    ),
    ("autoscaling", "v2", "horizontalpodautoscalers HorizontalPodAutoscaler ns hpa all status"),
    ("autoscaling", "v1", "horizontalpodautoscalers HorizontalPodAutoscaler ns hpa all status"),
    (
        "batch",
        "v1",
        """
        cronjobs CronJob ns cj all status
        jobs Job ns - all status
        """,
    ),
    ("certificates.k8s.io", "v1", "certificatesigningrequests CertificateSigningRequest cluster csr - approval status"),
    (
        "networking.k8s.io",
        "v1",
        """
        ingressclasses IngressClass cluster
        ingresses Ingress ns ing - status
        ipaddresses IPAddress cluster ip
        networkpolicies NetworkPolicy ns netpol
        servicecidrs ServiceCIDR cluster - - status
        """,
    ),
    ("policy", "v1", "poddisruptionbudgets PodDisruptionBudget ns pdb - status"),
    (
        "rbac.authorization.k8s.io",
        "v1",
        """
        clusterrolebindings ClusterRoleBinding cluster
        clusterroles ClusterRole cluster
        rolebindings RoleBinding ns
        roles Role ns
        """,
    ),
    (
        "storage.k8s.io",
        "v1",
        """
        csidrivers CSIDriver cluster
        csinodes CSINode cluster
        csistoragecapacities CSIStorageCapacity ns
        storageclasses StorageClass cluster sc
        volumeattachments VolumeAttachment cluster - - status
        volumeattributesclasses VolumeAttributesClass cluster vac
        """,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        """
        mutatingadmissionpolicies MutatingAdmissionPolicy cluster - api-extensions
        mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding cluster - api-extensions
        mutatingwebhookconfigurations MutatingWebhookConfiguration cluster - api-extensions
        validatingadmissionpolicies ValidatingAdmissionPolicy cluster - api-extensions status
        validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding cluster - api-extensions
        validatingwebhookconfigurations ValidatingWebhookConfiguration cluster - api-extensions
        """,
    ),
    (
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions CustomResourceDefinition cluster crd,crds api-extensions status",
    ),
    ("scheduling.k8s.io", "v1", "priorityclasses PriorityClass cluster pc"),
    ("coordination.k8s.io", "v1", "leases Lease ns"),
    ("node.k8s.io", "v1", "runtimeclasses RuntimeClass cluster"),
    ("discovery.k8s.io", "v1", "endpointslices EndpointSlice ns"),
    (
        "resource.k8s.io",
        "v1",
        """
        deviceclasses DeviceClass cluster
        resourceclaims ResourceClaim ns - - status
        resourceclaimtemplates ResourceClaimTemplate ns
        resourceslices ResourceSlice cluster
        """,
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        "v1",
        """
        flowschemas FlowSchema cluster - - status
        prioritylevelconfigurations PriorityLevelConfiguration cluster - - status
        """,
    ),
)

SUBRESOURCES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # name: (group/version of its own kind or "", kind or "" for the parent's, verbs)
    "approval": ("", "", ("get", "patch", "update")),
    "attach": ("", "PodAttachOptions", ("create", "get")),
    "binding": ("", "Binding", ("create",)),
    "ephemeralcontainers": ("", "", ("get", "patch", "update")),
    "eviction": ("policy/v1", "Eviction", ("create",)),
    "exec": ("", "PodExecOptions", ("create", "get")),
    "finalize": ("", "", ("update",)),
    "log": ("", "", ("get",)),
    "portforward": ("", "PodPortForwardOptions", ("create", "get")),
    "proxy": ("", "{parent}ProxyOptions", ("create", "delete", "get", "patch", "update")),
    "resize": ("", "", ("get", "patch", "update")),
    "scale": ("autoscaling/v1", "Scale", ("get", "patch", "update")),
    "status": ("", "", ("get", "patch", "update")),
    "token": ("authentication.k8s.io/v1", "TokenRequest", ("create",)),
}

GENERATION: frozenset[str] = frozenset(
    {
        "apps/deployments",
        "apps/replicasets",
        "apps/statefulsets",
        "apps/daemonsets",
        "batch/jobs",
        "batch/cronjobs",
        "policy/poddisruptionbudgets",
        "networking.k8s.io/ingresses",
        "networking.k8s.io/networkpolicies",
        "admissionregistration.k8s.io/validatingadmissionpolicies",
        "admissionregistration.k8s.io/validatingadmissionpolicybindings",
        "admissionregistration.k8s.io/validatingwebhookconfigurations",
        "admissionregistration.k8s.io/mutatingwebhookconfigurations",
        "apiextensions.k8s.io/customresourcedefinitions",
        "resource.k8s.io/deviceclasses",
        "resource.k8s.io/resourceslices",
        "/pods",
        "/replicationcontrollers",
    }
)
"""Built-in resources whose strategy counts metadata.generation, as "group/plural"; custom kinds always do."""

SINCE: dict[str, tuple[int, int]] = {"resource.k8s.io": (1, 34)}
"""First minor version that serves the v1 of a group (where worlds of older clusters matter)."""
