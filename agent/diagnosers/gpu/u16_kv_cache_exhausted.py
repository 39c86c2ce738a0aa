"""A model server runs out of KV cache and keeps throwing requests out to make room.

Each preempted request is computed again later, so the GPU works without producing tokens. vLLM's optimization guide
calls sustained preemption the sign of too little KV cache. Told apart from a batch cap (requests wait while the KV
cache has room), from one hot replica (its siblings have room) and from a merely full but stable cache.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.diagnoser import Survey, findings, history_of, set_aside, undecided
from agent.analysis.judging import Judged
from agent.analysis.kinds import DEPLOYMENT, LEADER_WORKER_SET, POD, REPLICA_SET, STATEFUL_SET
from agent.analysis.readings import amount, plural
from agent.analysis.view import View, claim, once_per_view
from agent.types import Advice, Cause, Claim, Finding, LiveChange, Missing, Need, Objects, Query, Remedy
from tools import fields
from tools.types import JsonObject, ResourceRef, ToolCall

CAUSE = Cause(
    id="U16",
    family="gpu",
    title="KV cache exhausted: requests are preempted and recomputed",
    severity="high",
    doc="vLLM documentation: Optimization and Tuning, Preemption",
)
NEEDS: tuple[Need, ...] = (
    Objects(kind=POD, decisive=True),
    Objects(kind=REPLICA_SET),
    Objects(kind=DEPLOYMENT),
    Objects(kind=STATEFUL_SET),
    Objects(kind=LEADER_WORKER_SET),
    Query(query=queries.VLLM_PREEMPTIONS, decisive=True),
    Query(query=queries.VLLM_KV_MAX, decisive=True),
    Query(query=queries.VLLM_FINISHED_RATE),
    Query(query=queries.VLLM_WAITING_MAX),
)
CONFIRMS = ("kv_preemptions",)
EXCLUDES = ("one_hot_replica",)
ENGINE_WORDS = ("vllm",)
"""How an engine shows in a container's image, command or arguments."""
MORE_MEMORY = 0.93
"""Share of GPU memory that the engine may take (practice value)."""
SIZING = (
    "gpu-memory-utilization",
    "max-num-seqs",
    "max-num-batched-tokens",
    "max-model-len",
    "tensor-parallel-size",
)


def _runs_engine(container: JsonObject) -> bool:
    words = [
        fields.text(container, "image"),
        *fields.texts(container, "command"),
        *fields.texts(container, "args"),
    ]
    return any(engine in word for engine in ENGINE_WORDS for word in words)


@once_per_view
def subjects(view: View) -> list[ResourceRef]:
    """Workloads that export vLLM series, or whose containers plainly run vLLM."""
    refs: dict[tuple[str, str, str, str], ResourceRef] = {}
    exporting = {(row.label("namespace"), row.label("pod")) for row in view.rows(queries.VLLM_KV_MAX)}
    for pod in view.objects(POD):
        if pod.text("status", "phase") != "Running":
            continue
        known = (pod.ref.namespace or "", pod.ref.name) in exporting
        if known or any(_runs_engine(c) for c in pod.items("spec", "containers")):
            ref = view.workload(pod)
            refs.setdefault(ref.identity, ref)
    return list(refs.values())


@once_per_view
def judge(view: View) -> list[Finding]:
    """Model servers that preempt more than 1 % of the requests they finish while their cache is full."""
    return findings(view, subjects(view), CONFIRMS, EXCLUDES, lambda ref, result: _finding(view, ref, result))


def _finding(view: View, ref: ResourceRef, result: Judged) -> Finding:
    return Finding(
        cause=CAUSE.id,
        title=f"{ref} preempts requests because its KV cache is full",
        subject=ref,
        severity=CAUSE.severity,
        confidence="high",
        seen=(*result.claims, *_queue(view, ref), *_settings(view, ref)),
        affects=(ref,),
    )


def _queue(view: View, ref: ResourceRef) -> list[Claim]:
    rows = view.rows_for(queries.VLLM_WAITING_MAX, view.pods_of(ref))
    if not rows:
        return []
    most = max(rows, key=lambda row: row.value or 0.0)
    return [claim(f"up to {amount(most.value or 0.0)} requests wait on a replica", most.cite())]


def _settings(view: View, ref: ResourceRef) -> list[Claim]:
    for pod in view.pods_of(ref)[:1]:
        for index, container in enumerate(pod.items("spec", "containers")):
            if _runs_engine(container) and fields.texts(container, "args"):
                arguments = _sizing(fields.texts(container, "args"))
                if arguments:
                    path = ("spec", "containers", index, "args")
                    return [claim(f"engine arguments {' '.join(arguments)}", pod.cite(*path))]
    return []


def _engine(view: View, ref: ResourceRef) -> str:
    """The name of the container that runs the engine; "" where it is not seen."""
    containers = [c for pod in view.pods_of(ref)[:1] for c in pod.items("spec", "containers")]
    return next((fields.text(c, "name") for c in containers if _runs_engine(c)), "")


def _sizing(arguments: list[str]) -> list[str]:
    """The arguments that size the cache and the batch, each with its value, written as one word or as two."""
    out: list[str] = []
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=True):
        if any(name in argument for name in SIZING):
            alone = "=" in argument or not after or after.startswith("-")
            out.append(argument if alone else f"{argument} {after}")
    return out


def follow(view: View) -> list[ToolCall]:
    """What changed on the server that preempts."""
    return [
        history_of(finding.subject, f"what changed on {finding.subject}")
        for finding in judge(view)[:2]
        if finding.subject.kind in ("Deployment", "StatefulSet")
    ]


def survey(view: View) -> Survey:
    """Model servers whose cache suffices; servers that plainly run an engine but export nothing."""
    servers = subjects(view)
    if not servers:
        return Survey()
    rows = view.rows(queries.VLLM_PREEMPTIONS)
    missing: tuple[Missing, ...] = (
        *undecided(view, servers, CONFIRMS, CAUSE.id),
        *set_aside(view, servers, CONFIRMS, EXCLUDES, fine=()),
    )
    if judge(view) or missing or not rows:
        return Survey(missing=missing)
    most = max(rows, key=lambda row: row.value or 0.0)
    rate = f"at most {amount(most.value or 0.0)} preemptions a second" if most.value else "no preemption"
    text = f"{rate} on {plural(len(rows), 'model server')} in 10 min"
    return Survey(checked=(claim(text, most.cite()),), missing=missing)


def remedy(finding: Finding, view: View) -> Remedy:
    """In the order of vLLM's guide: more memory for the cache, then smaller batches, then more GPUs per replica."""
    subject = finding.subject
    engine = _engine(view, subject)
    if engine and subject.kind in ("Deployment", "StatefulSet", "LeaderWorkerSet"):
        args: JsonObject = {
            "group": subject.group,
            "kind": subject.kind,
            "namespace": subject.namespace,
            "name": subject.name,
            "container": engine,
            "gpu_memory_utilization": MORE_MEMORY,
        }
        return LiveChange(name="set_engine_args", args=args)
    return Advice(text="raise --gpu-memory-utilization, lower --max-num-seqs, or raise --tensor-parallel-size")
