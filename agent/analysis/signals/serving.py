"""Where a model server's own limits show: KV cache, preemptions, and whether one replica stands alone.

Sources: vLLM optimization guide (preemption is a sign of too little KV cache); bar of 1 % is a practice value.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.readings import absent, amount, percent, reading
from agent.analysis.records import Sample
from agent.analysis.view import View
from agent.types import Reading
from tools.types import ResourceRef

PREEMPTED_SHARE = 0.01
"""Preemptions per finished request from which recomputation is more than an accident."""
KV_FULL = 0.95
KV_ROOM = 0.6
"""KV use under which a replica plainly has room."""


def _value(sample: Sample | None) -> float:
    return sample.value or 0.0 if sample else 0.0


def _at(rows: tuple[Sample, ...]) -> dict[str, Sample]:
    return {s.label("pod"): s for s in rows}


def _preempted(sample: Sample, finished: dict[str, Sample]) -> float:
    """Preemptions of a replica per request that it finishes; 1 where it preempts and finishes none."""
    done = _value(finished.get(sample.label("pod")))
    return _value(sample) / done if done > 0 else (1.0 if _value(sample) > PREEMPTED_SHARE else 0.0)


def kv_preemptions(view: View, ref: ResourceRef) -> Reading:
    """Holds when a replica with a full KV cache keeps preempting requests (more than 1 % of those it finishes)."""
    name = "kv_preemptions"
    pods = view.pods_of(ref)
    preempted = view.rows_for(queries.VLLM_PREEMPTIONS, pods)
    kv, finished = (
        _at(view.rows_for(queries.VLLM_KV_MAX, pods)),
        _at(view.rows_for(queries.VLLM_FINISHED_RATE, pods)),
    )
    if not preempted or not kv:
        return absent(name, view, queries.VLLM_PREEMPTIONS, queries.VLLM_KV_MAX)
    many = [(share, s) for s in preempted if (share := _preempted(s, finished)) > PREEMPTED_SHARE]
    full = [(share, s) for share, s in many if _value(kv.get(s.label("pod"))) > KV_FULL]
    if not full and any(s.label("pod") not in kv for _, s in many):
        return absent(name, view, queries.VLLM_KV_MAX)
    if not full:
        most = max(preempted, key=_value)
        text = f"at most {amount(_value(most))} preemptions a second" if most.value else "no preemptions"
        return reading(name, f"{text} in 10 min", [most.cite()], holds=False)
    share, sample = max(full, key=lambda one: one[0])
    pod = sample.label("pod")
    inputs = [sample.cite()] + ([finished[pod].cite()] if pod in finished else [])
    fact = view.fact(f"preempted per finished request, {pod}", "ratio", inputs, "share") if len(inputs) == 2 else None
    done_text = f"{percent(share)} of finished requests" if fact else "no request finished"
    text = f"{pod} preempts {done_text} with its KV cache {percent(_value(kv[pod]))} full"
    return reading(name, text, [fact, sample.cite(), kv[pod].cite()], holds=True)


def one_hot_replica(view: View, ref: ResourceRef) -> Reading:
    """Holds when a single replica is full while its siblings have room: routing, not capacity."""
    name = "one_hot_replica"
    rows = view.rows_for(queries.VLLM_KV_MAX, view.pods_of(ref))
    if not rows:
        return absent(name, view, queries.VLLM_KV_MAX)
    full = [s for s in rows if _value(s) > KV_FULL]
    roomy = [s for s in rows if _value(s) < KV_ROOM]
    holds = len(full) == 1 and len(roomy) == len(rows) - 1 and len(rows) > 1
    text = f"{len(full)} of {len(rows)} replicas have a full KV cache, {len(roomy)} have room"
    return reading(name, text, [s.cite() for s in rows], holds=holds)


SIGNALS = {"kv_preemptions": kv_preemptions, "one_hot_replica": one_hot_replica}
