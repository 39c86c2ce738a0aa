"""What no change may break, whatever its own rules say: judged on the object as it stands and on how far it reaches.

Rules: the last ready replica stays; a disruption budget, a floor of the owners and the limits of one step hold; a plan
holds no secret; a doubt is a no. Budgets: k8s.io/api policy/v1. An undo restores what was recorded, so the limits of
one step do not bind it; everything else does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from agent.analysis import labels
from agent.changes.engine import Limits
from agent.changes.plans import Plan
from tools import fields, targets, workloads
from tools.changes import Blast
from tools.naming import JsonObject, KindRef, ResourceRef
from tools.projection.hiding import arguments
from tools.redact import Redactor, is_redacted
from tools.redaction.names import is_secret

BUDGET = KindRef(group="policy", kind="PodDisruptionBudget")


def too_far(target: ResourceRef, blast: Blast, limits: Limits, *, undo: bool) -> str:
    """Why a plan reaches too far for one step, in one line; "" where it does not.

    The bounds of an autoscaler move by steps of their own: how many replicas run between them is up to the load.
    """
    before, after = blast.replicas_before, blast.replicas_after
    if not undo and target.kind_ref in targets.SERVED and before is not None and after is not None:
        reason = workloads.step(before, after, "replicas")
        if reason:
            return reason
    moved = abs((blast.gpus_after or 0.0) - (blast.gpus_before or 0.0))
    reach = max(moved, blast.gpus_before or 0.0) if blast.restarts and before == after else moved
    if reach > limits.gpus:
        return f"it reaches {reach:g} GPUs, and one plan may reach {limits.gpus:g}"
    return ""


def breaks_service(target: ResourceRef, obj: JsonObject, blast: Blast) -> str:
    """Why the last ready replica of a service would go, in one line; "" where one stays."""
    if target.kind_ref not in targets.SERVED or blast.replicas_after is None:
        return ""
    if blast.replicas_after < 1:
        return "no replica of it would be left"
    if blast.restarts and blast.replicas_before == blast.replicas_after:
        return workloads.interrupts(obj, target.kind_ref)
    return ""


def below_floor(target: ResourceRef, obj: JsonObject, blast: Blast, limits: Limits) -> str:
    """Why the owners' floor would not be kept, in one line; "" where it is. What scales a service counts as it."""
    if blast.replicas_after is None:
        return ""
    names = {target.name, fields.text(obj, "spec", "scaleTargetRef", "name")}
    for floor in limits.floors:
        if floor.namespace == target.namespace and floor.name in names and blast.replicas_after < floor.replicas:
            return f"its owners keep at least {floor.replicas} replicas of {floor.name}"
    return ""


# --- disruption budgets --------------------------------------------------------------------------------------


def breaks_budget(target: ResourceRef, obj: JsonObject, blast: Blast, budgets: Sequence[JsonObject]) -> str:
    """Why a disruption budget of its pods would be broken, in one line; "" where none is."""
    lost = _lost(target, obj, blast)
    if lost <= 0:
        return ""
    sets = _pod_labels(target, obj)
    for budget in budgets:
        if any(_selects(budget, one) for one in sets):
            allowed = fields.number(budget, "status", "disruptionsAllowed")
            if allowed is None or allowed < lost:
                left = "an unknown number" if allowed is None else f"{allowed:g}"
                name = fields.text(budget, "metadata", "name")
                return f"PodDisruptionBudget {name} allows {left} of its pods to go, and {lost} would"
    return ""


def _lost(target: ResourceRef, obj: JsonObject, blast: Blast) -> int:
    """Pods that may be missing at once, as far as the object says."""
    kind = target.kind_ref
    if kind not in targets.SERVED:
        return 0
    before, after = blast.replicas_before or 0, blast.replicas_after or 0
    each = max(1, math.ceil(sum(pods for _, pods in workloads.pod_specs(obj, kind))))
    if after < before:
        return (before - after) * each
    if not blast.restarts:
        return 0
    return (_unavailable(obj, before) if kind == targets.DEPLOYMENT else 1) * each


def _unavailable(obj: JsonObject, count: int) -> int:
    """Pods of a Deployment that a rolling update may take away at once; all of them where that cannot be read."""
    if fields.text(obj, "spec", "strategy", "type") == "Recreate":
        return count
    value = fields.dig(obj, "spec", "strategy", "rollingUpdate", "maxUnavailable")
    if value is None:
        return int(count * 0.25)
    if isinstance(value, str) and value.endswith("%"):
        share = fields.number(value[:-1])
        return count if share is None else int(count * share / 100)
    return value if isinstance(value, int) and not isinstance(value, bool) else count


def _pod_labels(target: ResourceRef, obj: JsonObject) -> list[dict[str, str]]:
    """The labels its pods will bear, for each kind of pod it makes."""
    kind = target.kind_ref
    if kind == targets.INFERENCE_SERVICE:
        own = fields.strings(obj, "spec", "predictor", "labels")
        return [{**own, "serving.kserve.io/inferenceservice": target.name}]
    found = []
    for path, _ in workloads.pod_specs(obj, kind):
        found.append(fields.strings(obj, *path[:-1], "metadata", "labels"))
    return found


def _selects(budget: JsonObject, pod: dict[str, str]) -> bool:
    """True unless the budget's selector leaves the pod out; one that cannot be read selects it. `{}` is every pod."""
    selector = fields.mapping(budget, "spec", "selector")
    wanted = fields.strings(selector, "matchLabels")
    if any(pod.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(one, pod) for one in fields.items(selector, "matchExpressions"))


def _holds(expression: JsonObject, pod: dict[str, str]) -> bool:
    key, values = fields.text(expression, "key"), frozenset(fields.texts(expression, "values"))
    match fields.text(expression, "operator"):
        case "In":
            return labels.Requirement(key, values, negated=False).holds(pod)
        case "NotIn":
            return labels.Requirement(key, values, negated=True).holds(pod)
        case "DoesNotExist":
            return labels.Requirement(key, None, negated=True).holds(pod)
        case "Exists":
            return labels.Requirement(key, None, negated=False).holds(pod)
    return True


# --- secrets -------------------------------------------------------------------------------------------------


def holds_secret(plan: Plan, redactor: Redactor) -> str:
    """Where a plan holds what must not be kept or shown, in one line; "" where it does not."""
    for name in ("args", "before", "patch", "inverse", "dry_run", "predicted"):
        tree = plan.model_dump(mode="json", include={name})
        if is_redacted(tree):
            return "it holds a value that was hidden when it was read"
        if any(True for _ in _secrets(tree)) or redactor.value(tree)[1]:
            return "what it has to write whole holds something that looks secret; move that into a Secret first"
    return ""


def _secrets(tree: JsonValue) -> Iterator[str]:
    """Names of what structure marks as secret: a variable, and what follows a flag."""
    left: list[JsonValue] = [tree]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            name, value = here.get("name"), here.get("value")
            if isinstance(name, str) and isinstance(value, str) and value and is_secret(name):
                yield name
            left.extend(here.values())
        elif isinstance(here, list):
            words = [one for one in here if isinstance(one, str)]
            if words and arguments([*words]) != words:
                yield words[0]
            left.extend(one for one in here if isinstance(one, dict | list))
