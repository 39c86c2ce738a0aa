"""What each process has to be allowed in a cluster: roles made from the tool registry and the catalogue, and the gate.

Rules: explicit kinds, no `*`, no verb that is not used; the reader only gets and lists; the applier gets and patches
what the catalogue changes; an admission policy lets the applier's identity change only the fields the catalogue
declares, whatever our own process does. Sources: Kubernetes, "RBAC Good Practices" and "Validating Admission Policy".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from agent import diagnosers, intake, needs
from agent.analysis import kinds
from agent.changes.guards import BUDGET
from agent.types import Objects
from tools import registry
from tools.changes import PLAN_ANNOTATION
from tools.types import JsonObject, KindRef

RBAC = "rbac.authorization.k8s.io/v1"
ADMISSION = "admissionregistration.k8s.io/v1"
READER, APPLIER = "plumbline-reader", "plumbline-applier"
REVISIONS = KindRef(group="apps", kind="ControllerRevision")
CONFIG_MAP = KindRef(kind="ConfigMap")
NAMESPACE = "plumbline-system"
LABELS: JsonObject = {"app.kubernetes.io/name": "plumbline"}


@dataclass(frozen=True, slots=True)
class Fields:
    """What of an object of one kind the catalogue changes."""

    spec: tuple[str, ...] = ()
    """Fields of spec."""
    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    """Paths to pod specs below spec: who they run as, what they mount and what host they share may not change."""


QUEUE = ("kueue.x-k8s.io/priority-class", "kueue.x-k8s.io/queue-name")
CHANGED: dict[str, Fields] = {
    "Deployment.apps": Fields(("replicas", "template"), pods=("template.spec",)),
    "StatefulSet.apps": Fields(("replicas", "template"), pods=("template.spec",)),
    "LeaderWorkerSet.leaderworkerset.x-k8s.io": Fields(
        ("replicas", "leaderWorkerTemplate"),
        pods=("leaderWorkerTemplate.leaderTemplate.spec", "leaderWorkerTemplate.workerTemplate.spec"),
    ),
    "InferenceService.serving.kserve.io": Fields(("predictor",), pods=("predictor",)),
    "LLMInferenceService.serving.kserve.io": Fields(("replicas", "scaling", "template"), pods=("template",)),
    "HorizontalPodAutoscaler.autoscaling": Fields(("maxReplicas", "metrics", "minReplicas")),
    "ScaledObject.keda.sh": Fields(("maxReplicaCount", "minReplicaCount", "triggers")),
    "Job.batch": Fields(("suspend",), labels=QUEUE),
    "JobSet.jobset.x-k8s.io": Fields(("suspend",), labels=QUEUE),
    "TrainJob.trainer.kubeflow.org": Fields(("suspend",), labels=QUEUE),
    "PyTorchJob.kubeflow.org": Fields(("runPolicy",), labels=QUEUE),
    "RayJob.ray.io": Fields(("suspend",), labels=QUEUE),
    "Workload.kueue.x-k8s.io": Fields(("active",)),
    "ClusterQueue.kueue.x-k8s.io": Fields(("resourceGroups",)),
    "Notebook.kubeflow.org": Fields(annotations=("kubeflow-resource-stopped",)),
    "Node": Fields(("taints", "unschedulable"), labels=("nvidia.com/device-plugin.config", "nvidia.com/mig.config")),
}
"""Kind → what the catalogue changes of it. A test holds this against every patch the catalogue makes."""
IDENTITY = ("serviceAccountName", "hostNetwork", "hostPID", "hostIPC", "volumes", "securityContext", "imagePullSecrets")
"""Fields of a pod spec that no change touches: with them a workload becomes another one."""


def plural(kind: KindRef) -> str:
    """The resource of a kind in a path. Every kind named here follows the rule of English."""
    low = kind.kind.lower()
    if low.endswith(("s", "x", "ch")):
        return f"{low}es"
    return f"{low[:-1]}ies" if low.endswith("y") and low[-2] not in "aeiou" else f"{low}s"


def read_kinds() -> tuple[KindRef, ...]:
    """Every kind that some question, cause or tool reads."""
    found = [*needs.OVERVIEW_KINDS, *needs.CHANGE_KINDS, kinds.EVENT, kinds.SERVICE, kinds.APPLICATION, REVISIONS]
    found += [kind for listed in intake.LISTED.values() for kind in listed]
    found += [n.kind for known in diagnosers.load().values() for n in known.NEEDS if isinstance(n, Objects)]
    return tuple(sorted(dict.fromkeys(found), key=lambda kind: (kind.group, kind.kind)))


def _rules(every: Iterable[KindRef], verbs: tuple[str, ...]) -> list[JsonValue]:
    """One rule for each API group."""
    groups: dict[str, list[str]] = {}
    for kind in every:
        groups.setdefault(kind.group, []).append(plural(kind))
    return [
        {"apiGroups": [group], "resources": [*sorted(set(resources))], "verbs": [*verbs]}
        for group, resources in sorted(groups.items())
    ]


def reader_role() -> JsonObject:
    """The ClusterRole of whatever answers questions."""
    logs: JsonObject = {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}
    return _role("ClusterRole", READER, [*_rules(read_kinds(), ("get", "list")), logs])


def changed_kinds() -> tuple[KindRef, ...]:
    """Every kind that the catalogue changes."""
    found = {kind for change in registry.changes().values() for kind in change.kinds}
    return tuple(sorted(found, key=lambda kind: (kind.group, kind.kind)))


def applier_role() -> JsonObject:
    """The ClusterRole of the applier: what it writes, what tells clusters apart, and what stops it."""
    cluster: JsonObject = {
        "apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"],
    }  # fmt: skip
    listed = _rules((BUDGET,), ("list",))
    return _role("ClusterRole", APPLIER, [*_rules(changed_kinds(), ("get", "patch")), *listed, cluster])


def stop_role(config_map: str) -> list[JsonObject]:
    """Role and binding to read the kill switch; nothing without one."""
    namespace, _, name = config_map.partition("/")
    if not name:
        return []
    rule: JsonObject = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [name], "verbs": ["get"]}
    role = _role("Role", f"{APPLIER}-stop", [rule], namespace)
    return [role, _binding("RoleBinding", f"{APPLIER}-stop", role, APPLIER, namespace)]


def roles(*, config_map: str = "") -> list[JsonObject]:
    """Service accounts, roles and their bindings; the applier reads what the reader reads."""
    reader, applier = reader_role(), applier_role()
    accounts: list[JsonObject] = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": LABELS},
        }
        for name in (READER, APPLIER)
    ]
    return [
        *accounts,
        reader,
        applier,
        _binding("ClusterRoleBinding", READER, reader, READER),
        _binding("ClusterRoleBinding", APPLIER, applier, APPLIER),
        _binding("ClusterRoleBinding", f"{APPLIER}-reads", reader, APPLIER),
        *stop_role(config_map),
    ]


def _role(kind: str, name: str, rules: list[JsonValue], namespace: str = "") -> JsonObject:
    return {"apiVersion": RBAC, "kind": kind, "metadata": _meta(name, namespace), "rules": rules}


def _binding(kind: str, name: str, role: JsonObject, account: str, namespace: str = "") -> JsonObject:
    meta = role["metadata"]
    named = meta.get("name") if isinstance(meta, dict) else ""
    return {
        "apiVersion": RBAC,
        "kind": kind,
        "metadata": _meta(name, namespace),
        "roleRef": {"apiGroup": RBAC.partition("/")[0], "kind": role["kind"], "name": named},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
    }


def _meta(name: str, namespace: str = "") -> JsonObject:
    return {"name": name, "labels": LABELS, **({"namespace": namespace} if namespace else {})}


# --- the second gate ---------------------------------------------------------------------------------------------


def admission(user: str = "") -> list[JsonObject]:
    """ValidatingAdmissionPolicies and their bindings: one for each kind, and one that forbids everything else."""
    who = user or f"system:serviceaccount:{NAMESPACE}:{APPLIER}"
    made: list[JsonObject] = []
    for kind in changed_kinds():
        made += _policy(kind, CHANGED[str(kind)], who)
    return made + _nothing_else(who)


def _policy(kind: KindRef, allowed: Fields, user: str) -> list[JsonObject]:
    name = f"{APPLIER}-{plural(kind)}.{kind.group or 'core'}"
    rule: JsonObject = {
        "apiGroups": [kind.group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"],
        "resources": [plural(kind), f"{plural(kind)}/*"],
    }  # fmt: skip
    return _pair(name, [rule], user, [*_bounds(allowed), *_pods(allowed)])


def _bounds(allowed: Fields) -> list[tuple[str, str]]:
    """(expression, message) of what may change."""
    return [
        ('request.operation == "UPDATE" && request.subResource == ""', "the applier only patches main resources"),
        (
            f'has(object.metadata.annotations) && "{PLAN_ANNOTATION}" in object.metadata.annotations',
            "a write of the applier carries its plan",
        ),
        (_same_map("metadata.labels", allowed.labels), "the applier may not change these labels"),
        (
            _same_map("metadata.annotations", (*allowed.annotations, PLAN_ANNOTATION)),
            "the applier may not change these annotations",
        ),
        (
            _same("metadata.ownerReferences") + " && " + _same("metadata.finalizers"),
            "the applier may not change owners or finalizers",
        ),
        (_same_map("spec", allowed.spec), "the applier may not change these fields"),
    ]


def _pods(allowed: Fields) -> list[tuple[str, str]]:
    out = []
    for path in allowed.pods:
        for name in IDENTITY:
            out.append((_same(f"spec.{path}.{name}"), f"the applier may not change {path}.{name}"))
    return out


def _optional(root: str, path: str) -> str:
    """`object.?a.?b` of a dotted path: a missing field is no error."""
    return f"{root}.?{'.?'.join(path.split('.'))}"


def _same(path: str) -> str:
    """The field is as it was, there or not."""
    new, old = _optional("object", path), _optional("oldObject", path)
    return f"{new}.orValue(null) == {old}.orValue(null)"


def _same_map(path: str, but: tuple[str, ...]) -> str:
    """Every key but these is as it was, and none came or went."""
    new = f"{_optional('object', path)}.orValue({{}})"
    old = f"{_optional('oldObject', path)}.orValue({{}})"
    names = "[" + ", ".join(f'"{name}"' for name in but) + "]"
    kept = f"{new}.all(k, k in {names} || (k in {old} && {new}[k] == {old}[k]))"
    return f"{kept} && {old}.all(k, k in {names} || k in {new})"


def _nothing_else(user: str) -> list[JsonObject]:
    """Every other kind, whatever its verb."""
    listed = ", ".join(f'"{kind.group}/{plural(kind)}"' for kind in changed_kinds())
    rule: JsonObject = {
        "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"],
        "resources": ["*/*"],
    }  # fmt: skip
    known = f'request.resource.group + "/" + request.resource.resource in [{listed}]'
    reviews = 'request.resource.group in ["authorization.k8s.io", "authentication.k8s.io"]'
    return _pair(
        f"{APPLIER}-nothing-else", [rule], user, [(f"{known} || {reviews}", "the applier changes no such kind")]
    )


def _pair(name: str, rules: list[JsonValue], user: str, validations: list[tuple[str, str]]) -> list[JsonObject]:
    policy: JsonObject = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": _meta(name),
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": rules},
            "matchConditions": [{"name": "applier", "expression": f'request.userInfo.username == "{user}"'}],
            "validations": [{"expression": text, "message": message} for text, message in validations],
        },
    }
    binding: JsonObject = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": _meta(name),
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]
