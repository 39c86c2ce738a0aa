"""managedFields, as the API server would have recorded them: who set what, and when.

    $manager: argocd-controller            (or {name: helm, time: -20d, operation: Apply})
    $edits: [{manager: kubectl-edit, time: -2h, fields: {spec: {replicas: 6}}}]

An object with an Argo CD tracking annotation is managed by argocd-controller, another workload by
kubectl-client-side-apply, unless `$manager` says otherwise; the status belongs to its controller.
"""

from __future__ import annotations

from evals.world.manifests import fields_v1, mapping, text
from evals.world.places import Place
from evals.world.times import relative
from tools.types import JsonObject

TRACKING = "argocd.argoproj.io/tracking-id"
_WORKLOAD_GROUPS = {"apps", "batch", "autoscaling", "keda.sh", "jobset.x-k8s.io", "trainer.kubeflow.org"}
_STATUS_MANAGERS = {"keda.sh": "keda", "jobset.x-k8s.io": "manager", "trainer.kubeflow.org": "trainer-controller"}
_OMITTED = ("apiVersion", "kind", "metadata", "status")


def managed_fields(place: Place, body: JsonObject) -> list[JsonObject]:
    """The entries for one object; none where nobody would look at them."""
    version = text(body, "apiVersion")
    group = version.rpartition("/")[0]
    created = mapping(body, "metadata").get("creationTimestamp", relative(-60 * 86_400.0))
    manager = place.at("$manager")
    if manager.value is None:
        tracked = TRACKING in mapping(body, "metadata", "annotations")
        if not tracked and group not in _WORKLOAD_GROUPS:
            return _edits(place, version)
        name = "argocd-controller" if tracked else "kubectl-client-side-apply"
        out = [_entry(name, version, created, _desired(body))]
    elif isinstance(manager.value, str):
        out = [_entry(manager.value, version, created, _desired(body))]
    else:
        manager.only(("name", "time", "operation"))
        time = created if manager.at("time").value is None else relative(manager.at("time").seconds())
        operation = manager.at("operation").choice(("Update", "Apply"), "Update")
        out = [_entry(manager.at("name").text(), version, time, _desired(body), operation=operation)]
    if "status" in body and group in _WORKLOAD_GROUPS:
        owner = _STATUS_MANAGERS.get(group, "kube-controller-manager")
        status: JsonObject = {"f:status": fields_v1(body["status"])}
        out.append(_entry(owner, version, created, status, subresource="status"))
    return [*out, *_edits(place, version)]


def _edits(place: Place, version: str) -> list[JsonObject]:
    out = []
    for edit in place.at("$edits").items():
        edit.only(("manager", "time", "fields", "operation", "subresource"))
        out.append(
            _entry(
                edit.at("manager").text(),
                version,
                relative(edit.at("time").seconds()),
                fields_v1(edit.at("fields").mapping()),
                operation=edit.at("operation").choice(("Update", "Apply"), "Update"),
                subresource=edit.at("subresource").text(""),
            )
        )
    return out


def _desired(body: JsonObject) -> JsonObject:
    metadata = {key: value for key, value in mapping(body, "metadata").items() if key in ("labels", "annotations")}
    rest: JsonObject = {key: value for key, value in body.items() if key not in _OMITTED and not key.startswith("$")}
    return {**({"f:metadata": fields_v1(metadata)} if metadata else {}), **fields_v1(rest)}


def _entry(
    manager: str,
    version: str,
    time: object,
    fields: JsonObject,
    *,
    operation: str = "Update",
    subresource: str = "",
) -> JsonObject:
    out: JsonObject = {
        "manager": manager,
        "operation": operation,
        "apiVersion": version,
        "time": str(time),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if subresource:
        out["subresource"] = subresource
    return out
