"""Who would set a field back: a delivery tool, an operator or an autoscaler that owns it.

Rules: what owns an object is changed where it is declared, never against its owner; where it is not known whether an
autoscaler exists, one may. Markers: Argo CD (resource tracking), Flux (kustomize- and helm-controller labels), Helm
(release annotations and recommended labels).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agent.analysis import kinds
from agent.analysis.records import Record, owner_reference
from agent.analysis.view import View
from tools import fields
from tools.changes import Path
from tools.errors import Refused
from tools.types import Evidence, KindRef, ToolCall

_PREFIXES = (
    ("argocd.argoproj.io/", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/", "Flux"),
    ("helm.toolkit.fluxcd.io/", "Flux"),
    ("meta.helm.sh/", "Helm"),
    ("helm.sh/", "Helm"),
)
"""Keys of labels and annotations → who delivers the object."""
_MANAGERS = {
    "argocd-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "helm": "Helm",
    "Helm": "Helm",
}
"""Field managers → who delivers the object."""
_REPLICAS = ("spec", "replicas")
_AUTOSCALERS = (kinds.HPA, kinds.SCALED_OBJECT)


def check_ownership(
    target: Record, changed: Collection[Path], view: View, gathered: Sequence[tuple[ToolCall, Evidence]]
) -> None:
    """Raises Refused, with what to change instead, where its owner or an autoscaler would set the change back.

    What a delivery tool owns is changed at its source: that is a patch of its repository, and no reason to refuse.
    """
    owner = owner_reference(target.data)
    if owner is not None and target.ref.kind_ref != kinds.WORKLOAD:  # a job leaves its Workload's settings alone
        raise Refused(f"{target.ref} belongs to {owner}, which would set it back", hint="change its owner")
    if _REPLICAS in changed:
        _check_autoscalers(target, view, gathered)


def delivered_by(target: Record, view: View) -> str:
    """The tool that delivers an object, and would set a live write back; "" where none is known to."""
    for key in (*target.labels, *target.annotations):
        for prefix, tool in _PREFIXES:
            if key.startswith(prefix):
                return tool
    by = target.labels.get("app.kubernetes.io/managed-by", "")
    managers = [fields.text(entry, "manager") for entry in target.items("metadata", "managedFields")]
    for name in (by, *managers):
        if name in _MANAGERS:
            return _MANAGERS[name]
    if any(_tracks(application, target) for application in view.objects(kinds.APPLICATION)):
        return "Argo CD"
    return ""


def _tracks(application: Record, target: Record) -> bool:
    return any(
        tuple(fields.text(one, name) for name in ("group", "kind", "namespace", "name")) == target.ref.identity
        for one in application.items("status", "resources")
    )


def _check_autoscalers(target: Record, view: View, gathered: Sequence[tuple[ToolCall, Evidence]]) -> None:
    for kind in _AUTOSCALERS:
        for scaler in view.objects(kind):
            scaled = view.scale_target(scaler.ref)
            if scaled is not None and scaled.same(target.ref):
                hint = "change the bounds or the metric of the autoscaler"
                raise Refused(f"{scaler.ref} scales {target.ref} and would set it back", hint=hint)
        if not _read_whole(kind, target.ref.namespace, gathered):
            raise Refused(
                f"whether an autoscaler owns {target.ref} is not known", hint=f"list {kind} in its namespace first"
            )


def _read_whole(kind: KindRef, namespace: str | None, gathered: Sequence[tuple[ToolCall, Evidence]]) -> bool:
    """True when every object of the kind in the namespace was read, or the cluster does not serve the kind."""
    for call, evidence in gathered:
        if not evidence.usable or evidence.tool != call.tool:
            continue
        if call.tool == "capabilities" and evidence.rows and str(kind) not in {row.key for row in evidence.rows}:
            return True
        asked = KindRef(group=fields.text(call.args, "group"), kind=fields.text(call.args, "kind"))
        narrowed = call.args.get("label_selector") or call.args.get("field_selector")
        everywhere = call.args.get("namespace") in (None, namespace)
        if call.tool == "list_objects" and asked == kind and everywhere and not narrowed:
            return True
    return False
