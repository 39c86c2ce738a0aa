"""What each process has to be allowed in a cluster: roles made from the tool registry and the catalogue.

Rules: explicit kinds, no `*`, no verb that is not used; the reader only gets and lists; the applier gets and patches
what the catalogue changes (and `agent/admission.py` bounds how). Source: Kubernetes, "RBAC Good Practices".
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import JsonValue

from agent import diagnosers, intake, needs
from agent.analysis import kinds
from agent.changes.guards import BUDGET
from agent.types import Objects
from tools import registry
from tools.types import JsonObject, KindRef

RBAC = "rbac.authorization.k8s.io/v1"
READER, APPLIER = "plumbline-reader", "plumbline-applier"
REVISIONS = KindRef(group="apps", kind="ControllerRevision")
CONFIG_MAP = KindRef(kind="ConfigMap")
NAMESPACE = "plumbline-system"
LABELS: JsonObject = {"app.kubernetes.io/name": "plumbline"}


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
