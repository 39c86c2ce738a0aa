"""The second gate: admission policies that bound what the applier's identity may write, whatever our process does.

One tree for each kind says what may change; a ValidatingAdmissionPolicy is made from it. What no tree names stays as it
is, and other kinds, verbs and subresources are denied. Source: Kubernetes, "Validating Admission Policy".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import JsonValue

from agent import rbac
from tools import nodes
from tools.changes import PLAN_ANNOTATION
from tools.types import JsonObject, KindRef
from tools.write import restart, rollback, scale

API = "admissionregistration.k8s.io/v1"
Leaf: TypeAlias = Callable[[str, str], str]
"""CEL over (new, old), two optional values, that holds where the change is allowed."""


@dataclass(frozen=True, slots=True)
class Each:
    """A list whose items stay what they are by `key`; none comes or goes, and each may change as `rule` says."""

    rule: Rule
    key: str = "name"
    free: tuple[str, ...] = ()
    """Items with one of these under `key` come and go."""


Rule: TypeAlias = "Leaf | Each | Mapping[str, Rule]"
"""What may become of a value: a map names the keys that may change."""


def _anything(_new: str, _old: str) -> str:
    return ""


def _count(new: str, old: str) -> str:
    """A number of replicas that the catalogue could have set."""
    asked = f"{new}.orValue(1)"
    return f"({_same(new, old)} || ({asked} >= 1 && {asked} <= {scale.MAX_REPLICAS}))"


def _program(new: str, old: str) -> str:
    """A command line that still starts the same program."""
    return f'({_same(new, old)} || {new}.orValue([""])[0] == {old}.orValue([""])[0])'


def _plain_environment(new: str, old: str) -> str:
    """No variable is newly taken from a Secret, a ConfigMap or a field."""
    return f"{new}.orValue([]).all(e, !has(e.valueFrom) || e in {old}.orValue([]))"


def _repository(new: str, old: str) -> str:
    """An image may change its tag or digest, and not where it comes from."""
    return f'{new}.orValue("").find("{rollback.REPOSITORY}") == {old}.orValue("").find("{rollback.REPOSITORY}")'


def _taints(new: str, old: str) -> str:
    """Taints of the catalogue come and go; others stay."""
    after, before = f"{new}.orValue([])", f"{old}.orValue([])"
    ours = " || ".join(f'(t.key == "{one["key"]}" && t.effect == "{one["effect"]}")' for one in nodes.TAINTS.values())
    return f"{after}.all(t, t in {before} || {ours}) && {before}.all(t, t in {after} || {ours})"


_CONTAINER: dict[str, Rule] = {
    "args": _anything,
    "command": _program,
    "env": _plain_environment,
    "resources": _anything,
}
_RESTART: Rule = {restart.ANNOTATION: _anything}
_POD: Rule = {"containers": Each(_CONTAINER)}
_TEMPLATE: Rule = {"metadata": {"annotations": _RESTART}, "spec": _POD}
_ROLLED_CONTAINER: dict[str, Rule] = {
    **_CONTAINER,
    "image": _repository,
    **dict.fromkeys(rollback.CONTAINER_FIELDS, _anything),
}
_ROLLED: Rule = {
    "metadata": {"annotations": _anything, "labels": _anything},
    "spec": {"containers": Each(_ROLLED_CONTAINER), **dict.fromkeys(rollback.POD_FIELDS, _anything)},
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may change of the objects of one kind."""

    spec: Rule = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    unless_labelled: tuple[str, ...] = ()
    """Objects with one of these labels are not changed at all."""


_SUSPENDED = Bounds({"suspend": _anything}, labels=("kueue.x-k8s.io/priority-class", "kueue.x-k8s.io/queue-name"))
_AUTOSCALED: dict[str, Rule] = {"maxReplicas": _count, "minReplicas": _count}
BOUNDS: dict[str, Bounds] = {
    "Deployment.apps": Bounds({"replicas": _count, "template": _ROLLED}),
    "StatefulSet.apps": Bounds({"replicas": _count, "template": _TEMPLATE}),
    "LeaderWorkerSet.leaderworkerset.x-k8s.io": Bounds(
        {"replicas": _count, "leaderWorkerTemplate": {"leaderTemplate": _TEMPLATE, "workerTemplate": _TEMPLATE}}
    ),
    "InferenceService.serving.kserve.io": Bounds(
        {
            "predictor": {
                **_AUTOSCALED,
                "annotations": _RESTART,
                "containers": Each(_CONTAINER),
                "model": _CONTAINER,
            }
        }
    ),
    "LLMInferenceService.serving.kserve.io": Bounds({"replicas": _count, "scaling": _AUTOSCALED, "template": _POD}),
    "HorizontalPodAutoscaler.autoscaling": Bounds({**_AUTOSCALED, "metrics": _anything}),
    "ScaledObject.keda.sh": Bounds(
        {
            "maxReplicaCount": _count,
            "minReplicaCount": _count,
            "triggers": Each(
                {"metadata": {"query": _anything, "threshold": _anything}}, key="type", free=("cpu", "memory")
            ),
        }
    ),
    "Job.batch": _SUSPENDED,
    "JobSet.jobset.x-k8s.io": _SUSPENDED,
    "TrainJob.trainer.kubeflow.org": _SUSPENDED,
    "PyTorchJob.kubeflow.org": Bounds({"runPolicy": _SUSPENDED.spec}, labels=_SUSPENDED.labels),
    "RayJob.ray.io": _SUSPENDED,
    "Workload.kueue.x-k8s.io": Bounds({"active": _anything}),
    "ClusterQueue.kueue.x-k8s.io": Bounds(
        {
            "resourceGroups": Each(
                {"flavors": Each({"resources": Each({"nominalQuota": _anything})})}, key="coveredResources"
            )
        }
    ),
    "Notebook.kubeflow.org": Bounds(annotations=("kubeflow-resource-stopped",)),
    "Node": Bounds(
        {"taints": _taints, "unschedulable": _anything},
        labels=("nvidia.com/device-plugin.config", "nvidia.com/mig.config"),
        unless_labelled=nodes.CONTROL_PLANE,
    ),
}
"""Kind → what the catalogue changes of it. A test puts every patch of the catalogue through the policies made of it."""


def policies(user: str = "") -> list[JsonObject]:
    """ValidatingAdmissionPolicies and their bindings: one for each kind, and one that forbids everything else."""
    who = user or f"system:serviceaccount:{rbac.NAMESPACE}:{rbac.APPLIER}"
    made: list[JsonObject] = []
    for kind in rbac.changed_kinds():
        made += _policy(kind, BOUNDS[str(kind)], who)
    return made + _nothing_else(who)


def _policy(kind: KindRef, bounds: Bounds, user: str) -> list[JsonObject]:
    plural = rbac.plural(kind)
    name = f"{rbac.APPLIER}-{plural}.{kind.group or 'core'}"
    rule: JsonObject = {
        "apiGroups": [kind.group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"],
        "resources": [plural, f"{plural}/*"],
    }  # fmt: skip
    return _pair(name, [rule], user, [*_always(bounds), *_validations(bounds)])


def _always(bounds: Bounds) -> list[tuple[str, str]]:
    """(expression, message) of what holds for every write."""
    out = [
        ('request.operation == "UPDATE" && request.subResource == ""', "the applier only patches main resources"),
        (
            f'has(object.metadata.annotations) && "{PLAN_ANNOTATION}" in object.metadata.annotations',
            "a write of the applier carries its plan",
        ),
    ]
    for one in ("ownerReferences", "finalizers"):
        held = _same(f"object.metadata.?{one}", f"oldObject.metadata.?{one}")
        out.append((held, f"the applier may not change metadata.{one}"))
    if bounds.unless_labelled:
        labels = "oldObject.metadata.?labels.orValue({})"
        named = " || ".join(f'"{one}" in {labels}' for one in bounds.unless_labelled)
        out.append((f"!({named})", "the applier may not change nodes of the control plane"))
    return out


def _validations(bounds: Bounds) -> Iterator[tuple[str, str]]:
    known: tuple[tuple[str, Rule], ...] = (
        ("metadata.labels", dict.fromkeys(bounds.labels, _anything)),
        ("metadata.annotations", dict.fromkeys((*bounds.annotations, PLAN_ANNOTATION), _anything)),
        ("spec", bounds.spec),
    )
    for path, rule in known:
        for where, expression in _held(rule, _optional("object", path), _optional("oldObject", path), path, 0):
            yield expression, f"the applier may not change {where} so"


def _held(rule: Rule, new: str, old: str, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """(path, CEL) of all that has to hold of a value; the CEL is short because each part stands alone."""
    if isinstance(rule, Each):
        yield path, _items(rule, f"{new}.orValue([])", f"{old}.orValue([])", path, depth)
    elif isinstance(rule, Mapping):
        yield path, _others_same(f"{new}.orValue({{}})", f"{old}.orValue({{}})", tuple(rule), depth)
        for key, inner in rule.items():
            yield from _held(inner, f"{new}.?{key}", f"{old}.?{key}", f"{path}.{key}", depth)
    elif expression := rule(new, old):
        yield path, expression


def _items(each: Each, new: str, old: str, path: str, depth: int) -> str:
    one, other = f"n{depth}", f"o{depth}"
    inner = [f"{other}.{each.key} == {one}.{each.key}"]
    if isinstance(each.rule, Mapping):
        but = (*each.rule, each.key)
        inner.append(_others_same(one, other, but, depth + 1))
        for key, rule in each.rule.items():
            held = _held(rule, f"{one}.?{key}", f"{other}.?{key}", path, depth + 1)
            inner += [text for _, text in held]
    alike = " && ".join(f"({text})" for text in inner)
    if not each.free:
        return f"size({new}) == size({old}) && {new}.all({one}, {old}.exists({other}, {alike}))"
    free = "[" + ", ".join(f'"{name}"' for name in each.free) + "]"
    stays = f"{old}.all({other}, {other}.{each.key} in {free} || {new}.exists({one}, {inner[0]}))"
    return f"{new}.all({one}, {one}.{each.key} in {free} || {old}.exists({other}, {alike})) && {stays}"


def _optional(root: str, path: str) -> str:
    """`object.?a.?b` of a dotted path: a missing field is no error."""
    return f"{root}.?{'.?'.join(path.split('.'))}"


def _same(new: str, old: str) -> str:
    """The field is as it was, there or not."""
    return f"{new}.orValue(null) == {old}.orValue(null)"


def _others_same(new: str, old: str, but: tuple[str, ...], depth: int) -> str:
    """Every key but these is as it was, and none came or went."""
    key = f"k{depth}"
    names = "[" + ", ".join(f'"{name}"' for name in but) + "]"
    kept = f"{new}.all({key}, {key} in {names} || ({key} in {old} && {new}[{key}] == {old}[{key}]))"
    return f"{kept} && {old}.all({key}, {key} in {names} || {key} in {new})"


def _nothing_else(user: str) -> list[JsonObject]:
    """Every other kind, whatever its verb."""
    listed = ", ".join(f'"{kind.group}/{rbac.plural(kind)}"' for kind in rbac.changed_kinds())
    rule: JsonObject = {
        "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"],
        "resources": ["*/*"],
    }  # fmt: skip
    known = f'request.resource.group + "/" + request.resource.resource in [{listed}]'
    reviews = 'request.resource.group in ["authorization.k8s.io", "authentication.k8s.io"]'
    name = f"{rbac.APPLIER}-nothing-else"
    return _pair(name, [rule], user, [(f"{known} || {reviews}", "the applier changes no such kind")])


def _pair(name: str, rules: list[JsonValue], user: str, validations: list[tuple[str, str]]) -> list[JsonObject]:
    meta: JsonObject = {"name": name, "labels": rbac.LABELS}
    policy: JsonObject = {
        "apiVersion": API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": meta,
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": rules},
            "matchConditions": [{"name": "applier", "expression": f'request.userInfo.username == "{user}"'}],
            "validations": [{"expression": text, "message": message} for text, message in validations],
        },
    }
    binding: JsonObject = {
        "apiVersion": API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": meta,
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    return [policy, binding]
