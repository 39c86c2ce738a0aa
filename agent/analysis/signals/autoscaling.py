"""What drives an autoscaler, and whether it can see and move at all.

Sources: autoscaling/v2 API; GKE guidance on autoscaling LLM inference (queue size or batch size, not CPU);
kube-state-metrics HPA series. The subject is an HPA, or a workload one of them targets.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.kinds import HPA
from agent.analysis.readings import absent, percent, reading, unknown
from agent.analysis.records import Record
from agent.analysis.view import View
from agent.types import Reading
from tools import fields
from tools.types import ResourceRef

FLOOR_SHARE = 0.9
"""Share of 7 days at minReplicas from which the floor, not the signal, decides (practice value)."""
RESOURCE_SOURCES = ("Resource", "ContainerResource")


def autoscaler_of(view: View, ref: ResourceRef) -> Record | None:
    """The HPA itself, or the HPA that targets a workload."""
    if ref.kind == HPA.kind:
        return view.find(ref)
    for hpa in view.objects(HPA):
        target = view.scale_target(hpa.ref)
        if target is not None and target.same(ref):
            return hpa
    return None


def resource_metrics(hpa: Record) -> list[tuple[int, str, str]]:
    """(index, field, resource name) of each CPU or memory metric of an HPA."""
    found: list[tuple[int, str, str]] = []
    for index, metric in enumerate(hpa.items("spec", "metrics")):
        source = fields.text(metric, "type")
        field = "resource" if source == "Resource" else "containerResource"
        if source in RESOURCE_SOURCES:
            found.append((index, field, fields.text(metric, field, "name")))
    return found


def autoscaler_on_resource(view: View, ref: ResourceRef) -> Reading:
    """Holds when CPU or memory is all that an autoscaler looks at."""
    name = "autoscaler_on_resource"
    hpa = autoscaler_of(view, ref)
    if hpa is None:
        return unknown(name, "a HorizontalPodAutoscaler of the subject")
    metrics = hpa.items("spec", "metrics")
    on_resources = resource_metrics(hpa)
    if on_resources and len(on_resources) == len(metrics):
        what = ", ".join(_target(hpa, index, field) for index, field, _ in on_resources)
        refs = [hpa.cite("spec", "metrics", index, field, "name") for index, field, _ in on_resources]
        return reading(name, f"HPA {hpa.ref.namespace}/{hpa.ref.name} targets {what}", refs, holds=True)
    kinds = ", ".join(sorted({fields.text(m, "type") for m in metrics})) or "nothing"
    text = f"HPA {hpa.ref.namespace}/{hpa.ref.name} targets {kinds} metrics"
    return reading(name, text, [hpa.cite("spec", "metrics")], holds=False)


def _target(hpa: Record, index: int, field: str) -> str:
    path = ("spec", "metrics", index, field)
    resource = hpa.text(*path, "name")
    use = hpa.num(*path, "target", "averageUtilization")
    if use is not None:
        return f"{resource} {use:.0f} %"
    value = hpa.get(*path, "target", "averageValue")
    return f"{resource} {value}" if value is not None else resource


def autoscaler_blind(view: View, ref: ResourceRef) -> Reading:
    """Holds when an autoscaler cannot compute a scale (ScalingActive or AbleToScale is False)."""
    name = "autoscaler_blind"
    hpa = autoscaler_of(view, ref)
    if hpa is None:
        return unknown(name, "a HorizontalPodAutoscaler of the subject")
    for index, condition in enumerate(hpa.items("status", "conditions")):
        kind = fields.text(condition, "type")
        if kind in ("ScalingActive", "AbleToScale") and fields.text(condition, "status") == "False":
            text = f"{kind} is False: {fields.text(condition, 'reason')}"
            return reading(name, text, [hpa.cite("status", "conditions", index, "reason")], holds=True)
    return reading(name, "it reads its metrics", [hpa.cite("status", "conditions")], holds=False)


def autoscaler_at_floor(view: View, ref: ResourceRef) -> Reading:
    """Holds when the scaler sat at a floor above one replica nearly all week: the floor decides, not the signal."""
    name = "autoscaler_at_floor"
    hpa = autoscaler_of(view, ref)
    if hpa is None:
        return unknown(name, "a HorizontalPodAutoscaler of the subject")
    rows = [
        s
        for s in view.rows(queries.HPA_AT_FLOOR_SHARE)
        if s.label("namespace") == (hpa.ref.namespace or "") and s.label("horizontalpodautoscaler") == hpa.ref.name
    ]
    if not rows or rows[0].value is None:
        return absent(name, view, queries.HPA_AT_FLOOR_SHARE)
    floor = hpa.num("spec", "minReplicas")
    floor = 1.0 if floor is None else floor
    text = f"at its minimum of {floor:.0f} for {percent(rows[0].value)} of 7 d"
    holds = rows[0].value > FLOOR_SHARE and floor > 1
    return reading(name, text, [rows[0].cite(), hpa.cite("spec", "minReplicas")], holds=holds)


SIGNALS = {
    "autoscaler_on_resource": autoscaler_on_resource,
    "autoscaler_blind": autoscaler_blind,
    "autoscaler_at_floor": autoscaler_at_floor,
}
