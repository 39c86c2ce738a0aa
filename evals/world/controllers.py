"""`$pods`: what the workload controllers would have made of an object, written out when a world is composed.

    $pods: {nodes: [gpu-0, gpu-1], created: -9d, ready_after: 95s, each: {1: {patch: {…}}}}
    $history: [{created: -40d, patch: {spec: {…of the pod template…}}}]      (Deployments: older ReplicaSets)

One pod per entry of `nodes`; a null entry is a pod that could not be scheduled (`pending` is the scheduler's
message). Deployments get their ReplicaSets, JobSets their Jobs; owner references, labels, hashes and counts agree.
"""

from __future__ import annotations

from collections.abc import Callable

from evals.world.manifests import (
    child,
    identity_of,
    mapping,
    merge_patch,
    short_hash,
    template_hash,
    text,
    uid_of,
)
from evals.world.places import Place
from evals.world.plans import Plan, read_plan
from evals.world.pods import owner_reference, with_labels
from evals.world.times import relative
from tools.types import JsonObject

PODS, HISTORY = "$pods", "$history"
Made = list[JsonObject]


def expand(place: Place) -> tuple[JsonObject, Made]:
    """The object without its `$pods`, completed, and what its controller made. Raises DocumentError."""
    body = {key: value for key, value in place.mapping().items() if key not in (PODS, HISTORY)}
    if PODS not in place.mapping():
        return body, []
    kind = text(body, "kind")
    maker = _MAKERS.get(kind)
    if maker is None:
        place.at(PODS).fail(f"a {kind} makes no pods; kinds that do: {', '.join(sorted(_MAKERS))}")
    body["metadata"] = dict(mapping(body, "metadata"))
    body["spec"] = dict(mapping(body, "spec"))
    return body, maker(body, read_plan(place.at(PODS)), place)


def _default(body: JsonObject, key: str, value: JsonObject) -> None:
    body[key] = {**value, **mapping(body, key)}


def _free(taken: set[str], base: str, *parts: object) -> str:
    """A name that no sibling has: five letters collide among a thousand pods now and then."""
    again = 0
    while (name := f"{base}{short_hash(5, *parts, *([again] if again else []))}") in taken:
        again += 1
    taken.add(name)
    return name


# --- Deployment --------------------------------------------------------------------------------------------


def _deployment(body: JsonObject, plan: Plan, place: Place) -> Made:
    history = list(place.at(HISTORY).items())
    spec = child(body, "spec")
    spec["replicas"] = len(plan.nodes)
    revision = len(history) + 1
    metadata = child(body, "metadata")
    metadata["annotations"] = {
        "deployment.kubernetes.io/revision": str(revision),
        **mapping(metadata, "annotations"),
    }
    _default(
        body,
        "spec",
        {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
        },
    )
    made: Made = []
    template = mapping(body, "spec", "template")
    for number, entry in enumerate(history):
        entry.only(("created", "patch"))
        old = merge_patch(template, entry.at("patch").mapping())
        assert isinstance(old, dict)
        made.append(_replica_set(body, old, number + 1, entry.at("created").seconds(), 0))
    current = _replica_set(body, template, revision, plan.created, len(plan.nodes), ready=plan.placed)
    made.append(current)
    base, names = text(current, "metadata", "name"), set[str]()
    hashed: JsonObject = {"pod-template-hash": base.rpartition("-")[2]}
    for index in range(len(plan.nodes)):
        made.append(plan.pod(current, template, index, _free(names, f"{base}-", base, index), hashed))
    _default(body, "status", _deployment_status(plan, base))
    return made


def _deployment_status(plan: Plan, replica_set: str) -> JsonObject:
    count, ready = len(plan.nodes), plan.placed
    full = ready >= count * 0.75
    return {
        "observedGeneration": 1,
        "replicas": count,
        "updatedReplicas": count,
        "readyReplicas": ready,
        "availableReplicas": ready,
        **({"unavailableReplicas": count - ready} if ready < count else {}),
        "conditions": [
            {
                "type": "Available",
                "status": "True" if full else "False",
                "lastUpdateTime": relative(plan.created + plan.ready_after),
                "lastTransitionTime": relative(plan.created + plan.ready_after),
                "reason": "MinimumReplicasAvailable" if full else "MinimumReplicasUnavailable",
                "message": f"Deployment {'has' if full else 'does not have'} minimum availability.",
            },
            {
                "type": "Progressing",
                "status": "True",
                "lastUpdateTime": relative(plan.created + plan.ready_after),
                "lastTransitionTime": relative(plan.created),
                "reason": "NewReplicaSetAvailable",
                "message": f'ReplicaSet "{replica_set}" has successfully progressed.',
            },
        ],
    }


def _replica_set(
    deployment: JsonObject, template: JsonObject, revision: int, created: float, count: int, *, ready: int = 0
) -> JsonObject:
    hashed = template_hash(template)
    name = text(deployment, "metadata", "name")
    labels: JsonObject = {**mapping(template, "metadata", "labels"), "pod-template-hash": hashed}
    selector = {**mapping(deployment, "spec", "selector", "matchLabels"), "pod-template-hash": hashed}
    status: JsonObject = {"replicas": count, "observedGeneration": 1}
    if count:
        status |= {"fullyLabeledReplicas": count, "readyReplicas": ready, "availableReplicas": ready}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name}-{hashed}",
            "namespace": text(deployment, "metadata", "namespace"),
            "creationTimestamp": relative(created),
            "labels": labels,
            "annotations": {
                "deployment.kubernetes.io/desired-replicas": str(count),
                "deployment.kubernetes.io/max-replicas": str(count + (count + 3) // 4),
                "deployment.kubernetes.io/revision": str(revision),
            },
            "ownerReferences": [owner_reference(deployment, uid_of(identity_of(deployment)))],
        },
        "spec": {
            "replicas": count,
            "selector": {"matchLabels": selector},
            "template": with_labels(template, {"pod-template-hash": hashed}),
        },
        "status": status,
    }


# --- StatefulSet, DaemonSet --------------------------------------------------------------------------------


def _stateful_set(body: JsonObject, plan: Plan, place: Place) -> Made:
    template, name, count = mapping(body, "spec", "template"), text(body, "metadata", "name"), len(plan.nodes)
    hashed = f"{name}-{template_hash(template)}"
    child(body, "spec")["replicas"] = count
    _default(body, "spec", {"podManagementPolicy": "OrderedReady", "serviceName": name, "revisionHistoryLimit": 10})
    _default(
        body,
        "status",
        {
            "observedGeneration": 1,
            "replicas": count,
            "readyReplicas": plan.placed,
            "availableReplicas": plan.placed,
            "currentReplicas": count,
            "updatedReplicas": count,
            "currentRevision": hashed,
            "updateRevision": hashed,
        },
    )
    made: Made = []
    for index in range(count):
        labels: JsonObject = {
            "statefulset.kubernetes.io/pod-name": f"{name}-{index}",
            "apps.kubernetes.io/pod-index": str(index),
            "controller-revision-hash": hashed,
        }
        made.append(plan.pod(body, template, index, f"{name}-{index}", labels))
    return made


def _daemon_set(body: JsonObject, plan: Plan, place: Place) -> Made:
    template, name, count = mapping(body, "spec", "template"), text(body, "metadata", "name"), len(plan.nodes)
    labels: JsonObject = {
        "controller-revision-hash": template_hash(template),
        "pod-template-generation": "1",
    }
    _default(
        body,
        "status",
        {
            "observedGeneration": 1,
            "currentNumberScheduled": count,
            "desiredNumberScheduled": count,
            "numberAvailable": plan.placed,
            "numberMisscheduled": 0,
            "numberReady": plan.placed,
            "updatedNumberScheduled": count,
        },
    )
    names = set[str]()
    return [
        plan.pod(body, template, index, _free(names, f"{name}-", name, plan.nodes[index]), labels)
        for index in range(count)
    ]


# --- Job, JobSet -------------------------------------------------------------------------------------------


def _job(body: JsonObject, plan: Plan, place: Place) -> Made:
    name, uid, count = text(body, "metadata", "name"), uid_of(identity_of(body)), len(plan.nodes)
    labels: JsonObject = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    indexed = text(body, "spec", "completionMode") == "Indexed"
    _default(body, "spec", {"parallelism": count, "completions": count, "backoffLimit": 6, "suspend": False})
    spec = child(body, "spec")
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    spec["template"] = with_labels(mapping(spec, "template"), labels)
    metadata = child(body, "metadata")
    metadata["labels"] = {**mapping(metadata, "labels"), **labels}
    _default(body, "status", _job_status(plan))
    made: Made = []
    names = set[str]()
    for index in range(count):
        middle = f"{index}-" if indexed else ""
        mine: JsonObject = {"batch.kubernetes.io/job-completion-index": str(index)} if indexed else {}
        template = mapping(spec, "template")
        made.append(plan.pod(body, template, index, _free(names, f"{name}-{middle}", uid, index), mine))
    return made


def _job_status(plan: Plan) -> JsonObject:
    count = len(plan.nodes)
    if plan.finished is None:
        return {"active": count, "ready": plan.placed, "startTime": relative(plan.created), "terminating": 0}
    finished = relative(plan.finished)
    return {
        "succeeded": count,
        "ready": 0,
        "terminating": 0,
        "startTime": relative(plan.created),
        "completionTime": finished,
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "lastProbeTime": finished,
                "lastTransitionTime": finished,
                "reason": "CompletionsReached",
                "message": "Reached expected number of succeeded pods",
            }
            for kind in ("SuccessCriteriaMet", "Complete")
        ],
    }


def _job_set(body: JsonObject, plan: Plan, place: Place) -> Made:
    """One Job for the first replicated job; its pods take the nodes of the plan."""
    jobs = place.at("spec", "replicatedJobs")
    first = jobs.at(0)
    if first.value is None:
        jobs.fail("a JobSet with $pods needs one replicated job")
    name, namespace = text(body, "metadata", "name"), text(body, "metadata", "namespace")
    replicated = first.at("name").text()
    labels: JsonObject = {
        "jobset.sigs.k8s.io/jobset-name": name,
        "jobset.sigs.k8s.io/replicatedjob-name": replicated,
        "jobset.sigs.k8s.io/replicatedjob-replicas": "1",
        "jobset.sigs.k8s.io/job-index": "0",
        "jobset.sigs.k8s.io/restart-attempt": "0",
    }
    template = mapping(first.at("template").mapping(), "spec")
    job: JsonObject = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{name}-{replicated}-0",
            "namespace": namespace,
            "creationTimestamp": relative(plan.created),
            "labels": labels,
            "ownerReferences": [owner_reference(body, uid_of(identity_of(body)))],
        },
        "spec": {
            "completionMode": "Indexed",
            **template,
            "template": with_labels(mapping(template, "template"), labels),
        },
    }
    counts: JsonObject = {"ready": 1, "active": 1, "succeeded": 0, "failed": 0, "suspended": 0}
    _default(body, "status", {"restarts": 0, "replicatedJobsStatus": [{"name": replicated, **counts}]})
    return [job, *_job(job, plan, place)]


_MAKERS: dict[str, Callable[[JsonObject, Plan, Place], Made]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "JobSet": _job_set,
}
