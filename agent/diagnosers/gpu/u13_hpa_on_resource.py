"""The autoscaler of a GPU workload looks at CPU or memory.

Neither follows token load: a model server's CPU is busy with tokenizing and HTTP whether its GPUs work or wait, so
replicas are added without need and removed while requests queue. GKE's guidance for inference on GPUs names queue
size (for throughput) or batch size (for latency) as the signals to scale on, and advises against CPU and memory.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.diagnoser import Survey, findings, history_of, set_aside, undecided
from agent.analysis.gpus import gpu_count
from agent.analysis.judging import Judged
from agent.analysis.kinds import DEPLOYMENT, HPA, POD, REPLICA_SET, STATEFUL_SET
from agent.analysis.readings import amount, percent, plural
from agent.analysis.signals.autoscaling import resource_metrics
from agent.analysis.view import View, claim, once_per_view
from agent.types import Advice, Cause, Claim, Finding, GitPatch, Need, Objects, Query, Remedy
from tools.types import JsonObject, NamedQuery, ResourceRef, ToolCall

CAUSE = Cause(
    id="U13",
    family="gpu",
    title="autoscaler of a GPU workload scales on CPU or memory",
    severity="high",
    doc="GKE: Best practices for autoscaling LLM inference workloads with GPUs",
)
DESIRED = NamedQuery(
    name="hpa_desired_replicas_7d",
    promql=("max by (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_status_desired_replicas)"),
    family="ksm",
    unit="replicas",
    metrics=("kube_horizontalpodautoscaler_status_desired_replicas",),
    enable=queries.KSM_ENABLE,
    step=3600.0,
    window=604_800.0,
)
NEEDS: tuple[Need, ...] = (
    Objects(kind=HPA, decisive=True),
    Objects(kind=POD, decisive=True),
    Objects(kind=REPLICA_SET),
    Objects(kind=DEPLOYMENT),
    Objects(kind=STATEFUL_SET),
    Query(query=queries.GPU_BUSY_MEAN),
    Query(query=queries.VLLM_WAITING_MAX),
    Query(query=queries.HPA_AT_FLOOR_SHARE),
    Query(query=queries.GPU_COVERAGE_BY_POD),
    Query(query=DESIRED),
)
CONFIRMS = ("autoscaler_on_resource",)
EXCLUDES = ("autoscaler_blind", "autoscaler_at_floor")


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """HPAs whose target pods hold GPUs."""
    return [hpa.ref for hpa in view.objects(HPA) if any(gpu_count(pod) > 0 for pod in view.pods_of(hpa.ref))]


@once_per_view
def judge(view: View) -> list[Finding]:
    """HPAs of GPU workloads that look at nothing but CPU or memory, can move, and are not pinned at a floor."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    target = view.scale_target(ref) or ref
    on = (
        " and ".join(sorted({_spelled(name) for _, _, name in resource_metrics(hpa)}))
        if (hpa := view.find(ref))
        else "CPU"
    )
    title = f"{target.kind} {target.namespace}/{target.name} scales on {on}, not on token load"
    seen = (*result.claims, *_use(view, ref), *_waiting(view, ref), *_movement(view, ref))
    return Finding(
        cause=CAUSE.id,
        title=title,
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=seen,
        affects=(target,),
    )


def _spelled(resource: str) -> str:
    return "CPU" if resource == "cpu" else resource


def _use(view: View, ref: ResourceRef) -> list[Claim]:
    pods = [pod for pod in view.pods_of(ref) if gpu_count(pod) > 0]
    rows = view.rows_for(queries.GPU_BUSY_MEAN, pods)
    if not rows:
        return []
    refs = [row.cite() for row in rows[:64]]
    mean = view.fact(f"mean busy share of {ref.name}", "mean", refs, "share")
    if mean is None or not isinstance(mean.value, float):
        return []
    gpus = sum(gpu_count(pod) for pod in pods)
    return [claim(f"its {plural(gpus, 'GPU')} are {percent(mean.value)} busy over 30 min", mean, *refs[:3])]


def _waiting(view: View, ref: ResourceRef) -> list[Claim]:
    rows = view.rows_for(queries.VLLM_WAITING_MAX, view.pods_of(ref))
    if not rows:
        return []
    most = max(rows, key=lambda row: row.value or 0.0)
    waited = f"at most {amount(most.value)} requests waited" if most.value else "no request waited"
    return [claim(f"{waited} on a replica in 30 min", most.cite())]


def _movement(view: View, ref: ResourceRef) -> list[Claim]:
    for row in view.rows(DESIRED):
        if row.label("horizontalpodautoscaler") == ref.name and row.label("namespace") == (ref.namespace or ""):
            values = [value for _, value in row.points]
            if values and min(values) != max(values):
                text = f"desired replicas moved between {min(values):.0f} and {max(values):.0f} in 7 d"
                return [claim(text, row.cite())]
    return []


def follow(view: View) -> list[ToolCall]:
    """Who set the autoscaler, and when."""
    return [
        history_of(finding.subject, f"who set the scaling signal of {finding.subject}") for finding in judge(view)[:3]
    ]


def survey(view: View) -> Survey:
    """Autoscalers that look at the right thing, and those that could not be judged."""
    found = subjects(view)
    if not found:
        return Survey()
    guilty = {finding.subject.identity for finding in judge(view)}
    fine = [hpa for ref in found if ref.identity not in guilty and (hpa := view.find(ref))]
    missing = (
        *undecided(view, found, CONFIRMS, CAUSE.id),
        *set_aside(view, found, CONFIRMS, EXCLUDES, fine=("autoscaler_at_floor",)),
    )
    if not fine or guilty:
        return Survey(missing=missing)
    text = f"{plural(len(fine), 'autoscaler')} of GPU workloads looked at"
    return Survey(checked=(claim(text, *(hpa.cite("spec", "metrics") for hpa in fine[:8])),), missing=missing)


def remedy(finding: Finding, view: View) -> Remedy:
    """Replace the HPA by a ScaledObject on waiting requests, in one Git patch (two scalers on one target fight)."""
    hpa, target = view.find(finding.subject), view.scale_target(finding.subject)
    if hpa is None or target is None:
        return Advice(text="scale on waiting requests instead of CPU or memory")
    scaled: JsonObject = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": target.name, "namespace": target.namespace},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": target.api_version or "apps/v1",
                "kind": target.kind,
                "name": target.name,
            },
            "minReplicaCount": hpa.num("spec", "minReplicas") or 1,
            "maxReplicaCount": hpa.num("spec", "maxReplicas") or 1,
            "cooldownPeriod": 300,
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {
                        "query": f'sum(vllm:num_requests_waiting{{namespace="{target.namespace}"}})',
                        "threshold": "5",
                        "activationThreshold": "0",
                    },
                }
            ],
        },
    }
    return GitPatch(target=finding.subject, new_objects=(scaled,), removed_objects=(finding.subject,))
