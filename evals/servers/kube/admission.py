"""Admission: the world's ValidatingAdmissionPolicies, its namespaces, and its resource quotas.

Rules: a policy counts once a binding with the action Deny names it; `Fail` policies deny what they cannot evaluate;
quota is asked when pods (or counted objects) are created, and what is used grows with every pod that gets in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evals.servers.kube.calls import Call
from evals.servers.kube.celsubset import CelFailure, CelSyntaxError, evaluate
from evals.servers.kube.jsonread import as_list, as_object, as_text, dig, objects_at
from evals.servers.kube.kinds import Kinds, Resource
from evals.servers.kube.selectors import selects
from evals.servers.kube.status import ApiError, details_of
from evals.servers.kube.store import Item, Store
from evals.world.quantity import amount
from tools.types import JsonObject

_GROUP = "admissionregistration.k8s.io"
_OPERATIONS = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE"}


class Admission:
    """Decides about the writes of one world."""

    def __init__(self, kinds: Kinds, store: Store) -> None:
        self._kinds, self._store = kinds, store

    def require_namespace(self, namespace: str) -> None:
        """Raises ApiError 404 for a namespace that does not exist (`default` always does)."""
        resource = self._kinds.by_path[("", "v1", "namespaces")]
        if namespace not in ("", "default") and self._store.get(resource, "", namespace) is None:
            raise ApiError(404, f'namespaces "{namespace}" not found', details=details_of(resource, namespace))

    # --- policies --------------------------------------------------------------------------------------

    def review(self, call: Call, resource: Resource, new: JsonObject | None, old: JsonObject | None) -> None:
        """Ask every policy. Raises ApiError 422 (or what the policy's `reason` says) for a denial."""
        bindings = self._objects("validatingadmissionpolicybindings")
        for policy in self._objects("validatingadmissionpolicies"):
            bound = [one for one in bindings if dig(one.body, "spec", "policyName") == policy.name]
            for binding in bound:
                if "Deny" in as_list(dig(binding.body, "spec", "validationActions")):
                    self._ask(call, resource, policy, binding, new, old)

    def _objects(self, plural: str) -> Iterable[Item]:
        return self._store.select(self._kinds.by_path[(_GROUP, "v1", plural)])

    def _ask(
        self,
        call: Call,
        resource: Resource,
        policy: Item,
        binding: Item,
        new: JsonObject | None,
        old: JsonObject | None,
    ) -> None:
        spec = as_object(policy.body.get("spec"))
        wheres = (dig(spec, "matchConstraints"), dig(binding.body, "spec", "matchResources"))
        if not all(self._matches(call, resource, as_object(one), new or old or {}) for one in wheres if one):
            return
        scope = _scope(call, resource, new, old)
        said = _denial(spec, scope)
        if said is None:
            return
        text, reason = said
        message = f"ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}' denied request: {text}"
        raise _denied(resource, call.target.name or as_text(dig(new, "metadata", "name")), message, reason)

    def _matches(self, call: Call, resource: Resource, constraints: JsonObject, body: JsonObject) -> bool:
        rules = objects_at(constraints, "resourceRules")
        if rules and not any(_rule_covers(rule, call, resource) for rule in rules):
            return False
        labels = as_object(dig(body, "metadata", "labels"))
        if not selects(as_object(constraints.get("objectSelector")), labels):
            return False
        wanted = as_object(constraints.get("namespaceSelector"))
        if not wanted or not call.target.namespace:
            return True
        namespace = self._store.get(self._kinds.by_path[("", "v1", "namespaces")], "", call.target.namespace)
        have = as_object(namespace.metadata.get("labels")) if namespace is not None else {}
        return selects(wanted, {"kubernetes.io/metadata.name": call.target.namespace, **have})

    # --- quota -----------------------------------------------------------------------------------------

    def charge(self, resource: Resource, namespace: str, body: JsonObject, *, dry_run: bool) -> None:
        """Count a new object against the quotas of its namespace. Raises ApiError 403 where one is exceeded."""
        asked = _asked(resource, body)
        quotas = self._kinds.by_path[("", "v1", "resourcequotas")]
        charged: list[tuple[Item, JsonObject]] = []
        for quota in self._store.select(quotas, namespace):
            hard, used = as_object(dig(quota.body, "spec", "hard")), as_object(dig(quota.body, "status", "used"))
            mine = {name: value for name, value in asked.items() if name in hard}
            over = [name for name in mine if mine[name] + _of(used, name) > _of(hard, name)]
            if over:
                raise _exceeded(resource, as_text(dig(body, "metadata", "name")), quota.name, over, mine, used, hard)
            if mine:
                grown: JsonObject = {name: _plain(mine[name] + _of(used, name)) for name in mine}
                charged.append((quota, {**used, **grown}))
        for quota, used in [] if dry_run else charged:
            status = {**as_object(quota.body.get("status")), "used": used}
            self._store.put(quotas, {**quota.raw, "metadata": quota.metadata, "status": status})


def _scope(call: Call, resource: Resource, new: JsonObject | None, old: JsonObject | None) -> JsonObject:
    head: JsonObject = {"kind": resource.kind, "apiVersion": resource.api_version}
    target = call.target
    request: JsonObject = {
        "operation": _OPERATIONS.get(target.verb, target.verb.upper()),
        "name": target.name,
        "namespace": target.namespace,
        "subResource": target.subresource,
        "resource": {"group": target.group, "version": target.version, "resource": target.resource},
        "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "userInfo": {"username": call.user.name, "groups": list(call.user.groups)},
        "dryRun": "dryRun" in call.query,
    }
    return {
        "object": None if new is None else {**head, **new},
        "oldObject": None if old is None else {**head, **old},
        "request": request,
    }


def _denial(spec: JsonObject, scope: JsonObject) -> tuple[str, str] | None:
    """(message, reason) of the first validation that fails; None where all hold or the policy does not apply."""
    ignored = spec.get("failurePolicy") == "Ignore"
    try:
        for condition in objects_at(spec, "matchConditions"):
            if evaluate(as_text(condition.get("expression")), scope) is not True:
                return None
        variables: JsonObject = {}
        for variable in objects_at(spec, "variables"):
            value = evaluate(as_text(variable.get("expression")), {**scope, "variables": variables})
            variables[as_text(variable.get("name"))] = value
    except (CelFailure, CelSyntaxError) as error:
        return None if ignored else (f"expression resulted in error: {error}", "")
    for validation in objects_at(spec, "validations"):
        text = as_text(validation.get("expression"))
        try:
            if evaluate(text, {**scope, "variables": variables}) is not True:
                said = _message(validation, {**scope, "variables": variables})
                return said or f"failed expression: {text.strip()}", as_text(validation.get("reason"))
        except (CelFailure, CelSyntaxError) as error:
            if not ignored:
                return f"expression '{text}' resulted in error: {error}", ""
    return None


def _message(validation: JsonObject, scope: JsonObject) -> str:
    expression = as_text(validation.get("messageExpression"))
    if expression:
        try:
            return as_text(evaluate(expression, scope))
        except (CelFailure, CelSyntaxError):
            pass
    return as_text(validation.get("message"))


_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}


def _denied(resource: Resource, name: str, message: str, reason: str) -> ApiError:
    details: JsonObject = {**details_of(resource, name), "causes": [{"message": message}]}
    said = f'{resource.qualified} "{name}" is forbidden: {message}'
    return ApiError(_CODES.get(reason, 422), said, reason=reason or "Invalid", details=details)


def _rule_covers(rule: JsonObject, call: Call, resource: Resource) -> bool:
    target = call.target
    what = f"{target.resource}/{target.subresource}" if target.subresource else target.resource
    checks = (
        ("operations", (_OPERATIONS.get(target.verb, ""),)),
        ("apiGroups", (resource.group,)),
        ("apiVersions", (resource.version,)),
        ("resources", (what, f"{target.resource}/*" if target.subresource else what, "*/*")),
        ("resourceNames", (target.name,)),
    )
    for field, values in checks:
        listed = as_list(rule.get(field))
        if listed and not any(value in listed for value in (*values, "*")):
            return False
    return True


# --- amounts -----------------------------------------------------------------------------------------------


def _asked(resource: Resource, body: JsonObject) -> dict[str, float]:
    qualified = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    asked = {f"count/{qualified}": 1.0, resource.plural: 1.0}
    if resource.kind == "Pod":
        for name, value in _amounts(body):
            asked[name] = asked.get(name, 0.0) + value
    return asked


def _amounts(pod: JsonObject) -> Iterator[tuple[str, float]]:
    for container in objects_at(pod, "spec", "containers"):
        limits = as_object(dig(container, "resources", "limits"))
        requests = {**limits, **as_object(dig(container, "resources", "requests"))}
        for part, amounts in (("limits", limits), ("requests", requests)):
            for name, value in amounts.items():
                yield f"{part}.{name}", amount(value) or 0.0
                if part == "requests" and name in ("cpu", "memory"):
                    yield name, amount(value) or 0.0


def _of(amounts: JsonObject, name: str) -> float:
    return amount(amounts.get(name)) or 0.0


def _plain(value: float) -> str:
    return f"{value:g}" if value != int(value) else str(int(value))


def _exceeded(
    resource: Resource,
    name: str,
    quota: str,
    over: list[str],
    mine: dict[str, float],
    used: JsonObject,
    hard: JsonObject,
) -> ApiError:
    def listed(values: dict[str, str]) -> str:
        return ",".join(f"{key}={values[key]}" for key in sorted(over))

    asked = listed({key: _plain(mine[key]) for key in over})
    have = listed({key: as_text(used.get(key)) or "0" for key in over})
    most = listed({key: as_text(hard.get(key)) for key in over})
    message = (
        f'{resource.qualified} "{name}" is forbidden: exceeded quota: {quota}, '
        f"requested: {asked}, used: {have}, limited: {most}"
    )
    return ApiError(403, message, details=details_of(resource, name))
