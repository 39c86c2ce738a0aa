"""Which nodes a pod may land on, by the rules of the scheduler's filter plugins that objects alone decide.

Source: Kubernetes documentation on taints and tolerations, nodeSelector and node affinity. Resources, volumes and
spreading are judged elsewhere: a node that passes here may still be refused.
"""

from __future__ import annotations

from agent.analysis.records import Record
from tools import fields
from tools.types import JsonObject

CORDON = "node.kubernetes.io/unschedulable"
CONDITION_TAINTS = "node.kubernetes.io/"
"""Prefix of the taints that the node controller sets for a node's state, not for a purpose."""
BLOCKING_EFFECTS = ("NoSchedule", "NoExecute")


def tolerates(tolerations: list[JsonObject], taint: JsonObject) -> bool:
    """True when some toleration matches the taint by key, value and effect."""
    for toleration in tolerations:
        operator = fields.text(toleration, "operator") or "Equal"
        key, effect = fields.text(toleration, "key"), fields.text(toleration, "effect")
        if effect and effect != fields.text(taint, "effect"):
            continue
        if operator == "Exists" and key in ("", fields.text(taint, "key")):
            return True
        if key == fields.text(taint, "key") and fields.text(toleration, "value") == fields.text(taint, "value"):
            return True
    return False


def untolerated(pod: Record, node: Record) -> list[tuple[int, JsonObject]]:
    """(index, taint) of the node's blocking taints that the pod does not tolerate; a cordon is not counted."""
    tolerations = pod.items("spec", "tolerations")
    return [
        (index, taint)
        for index, taint in enumerate(node.items("spec", "taints"))
        if fields.text(taint, "effect") in BLOCKING_EFFECTS
        and fields.text(taint, "key") != CORDON
        and not tolerates(tolerations, taint)
    ]


def out_of_service(pod: Record, node: Record) -> bool:
    """True when the node takes no new pods: cordoned, not ready, unreachable or under pressure."""
    states = [fields.text(taint, "key") for _, taint in untolerated(pod, node)]
    return cordoned(node) or any(key.startswith(CONDITION_TAINTS) for key in states)


def cordoned(node: Record) -> bool:
    """True when the node takes no new pods."""
    return node.get("spec", "unschedulable") is True


def _compares(operator: str, actual: str | None, values: list[str]) -> bool:
    if operator == "In":
        return actual in values
    if operator == "NotIn":
        return actual not in values
    if operator == "Exists":
        return actual is not None
    if operator == "DoesNotExist":
        return actual is None
    try:
        left, right = int(actual or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else left < right if operator == "Lt" else False


def matches(expression: JsonObject, labels: dict[str, str]) -> bool:
    """One match expression of node affinity against a node's labels."""
    raw = fields.dig(expression, "values")
    values = [v for v in raw if isinstance(v, str)] if isinstance(raw, list) else []
    return _compares(fields.text(expression, "operator"), labels.get(fields.text(expression, "key")), values)


def refused_selector(pod: Record, node: Record) -> str:
    """The nodeSelector entry or affinity expression the node fails, as `key=value` text; "" when it passes."""
    labels = node.labels
    for key, value in pod.strings("spec", "nodeSelector").items():
        if labels.get(key) != value:
            return f"{key}={value}"
    path = ("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = pod.items(*path, "nodeSelectorTerms")
    failed = [_first_failure(term, node) for term in terms]
    return failed[0] if failed and all(failed) else ""


def _first_failure(term: JsonObject, node: Record) -> str:
    """The first expression of a term that the node fails; an empty term matches nothing."""
    expressions = fields.items(term, "matchExpressions")
    by_field = fields.items(term, "matchFields")
    if not expressions and not by_field:
        return "an empty nodeSelectorTerm"
    for expression in expressions:
        if not matches(expression, node.labels):
            return _spelled(expression)
    for expression in by_field:
        if not matches(expression, {"metadata.name": node.ref.name}):
            return _spelled(expression)
    return ""


def _spelled(expression: JsonObject) -> str:
    raw = fields.dig(expression, "values")
    values = ",".join(str(v) for v in raw) if isinstance(raw, list) else ""
    return f"{fields.text(expression, 'key')} {fields.text(expression, 'operator')} {values}".strip()
