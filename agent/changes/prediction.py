"""What a change will do, by arithmetic on what was measured: GPUs, tokens a second against the peak, headroom, cost.

Rules: pure, and every line names what it stands on; capacity is the most that one replica was seen to do, never a
data sheet; latency is a range seen at that load before, or it is not predicted. Series: vLLM v1 metrics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.analysis.queries import VLLM_ENABLE
from agent.analysis.records import Sample
from agent.analysis.view import View
from agent.changes.engine import Limits
from agent.changes.plans import Blast
from tools import targets
from tools.types import NamedQuery, ResourceRef

DAY = 86_400.0
"""Seconds looked back: one cycle of traffic."""
STEP = 300.0
"""Seconds between points."""
NEAR = 0.1
"""How far from a load a replica's load may be to count as that load."""
LEAST = 6
"""Points at a load from which a range of latency is told: half an hour of one replica."""
HOURS_A_MONTH = 730.0

TOKENS = NamedQuery(
    name="vllm_tokens_rate_1d",
    promql="sum by (namespace, pod) (rate(vllm:generation_tokens_total[5m]))",
    family="vllm",
    unit="tokens a second",
    metrics=("vllm:generation_tokens_total",),
    enable=VLLM_ENABLE,
    step=STEP,
    window=DAY,
)
"""Tokens that each server generated a second, over a day."""
LATENCY = NamedQuery(
    name="vllm_first_token_p95_1d",
    promql=(
        "histogram_quantile(0.95, sum by (namespace, pod, le) (rate(vllm:time_to_first_token_seconds_bucket[10m])))"
    ),
    family="vllm",
    unit="s",
    metrics=("vllm:time_to_first_token_seconds_bucket",),
    enable=VLLM_ENABLE,
    step=STEP,
    window=DAY,
)
"""Time to the first token of each server, 95th percentile, over a day."""
MEASURES: tuple[NamedQuery, ...] = (TOKENS, LATENCY)
Points = Mapping[str, Mapping[float, float]]
"""Pod → time → value."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the replicas of a target did over the day."""

    peak: float
    """Tokens a second of all of them together, at the busiest moment."""
    replicas: int
    """Replicas that were measured at that moment."""
    best: float
    """Tokens a second of one replica, at its busiest."""


def predict(view: View, target: ResourceRef, blast: Blast, limits: Limits) -> tuple[str, ...]:
    """The expected effect of a plan, line by line."""
    lines = arithmetic(blast, limits)
    if target.kind_ref not in targets.SERVED or blast.replicas_after is None:
        return lines
    tokens, latency = points_of(view, TOKENS, target), points_of(view, LATENCY, target)
    load = load_of(tokens)
    if load is None:
        state = view.state(TOKENS)
        why = "nothing of it was measured in the last 24 h" if state in ("ok", "empty") else f"metrics: {state}"
        return (*lines, f"throughput: not predicted ({why})", "latency: not predicted")
    if blast.replicas_after == blast.replicas_before:
        told = f"throughput: not predicted; measured peak of the last 24 h: {_num(load.peak)} tokens/s"
        return (*lines, told, "latency: not predicted (its pods will run with other settings or anew)")
    return (*lines, *_throughput(load, blast.replicas_after), *_latency(load, blast.replicas_after, tokens, latency))


def arithmetic(blast: Blast, limits: Limits) -> tuple[str, ...]:
    """What needs no measurement: GPUs and their price."""
    return (*_gpus(blast), *_cost(blast, limits))


def points_of(view: View, query: NamedQuery, target: ResourceRef) -> Points:
    """A query's points of each pod of the target."""
    return points(view.rows_for(query, view.pods_of(target)))


def points(samples: Iterable[Sample]) -> Points:
    """Points by pod; what is no number or not above zero is left out: an idle server has no rate and no latency."""
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for sample in samples:
        for moment, value in sample.points:
            if value > 0:  # also leaves NaN out
                found[sample.label("pod")][moment] = value
    return found


def load_of(tokens: Points) -> Load | None:
    """The busiest moment and the busiest replica; None where nothing was measured."""
    totals: dict[float, float] = defaultdict(float)
    counts: dict[float, int] = defaultdict(int)
    for series in tokens.values():
        for moment, value in series.items():
            totals[moment] += value
            counts[moment] += 1
    if not totals:
        return None
    busiest = max(totals, key=lambda moment: (totals[moment], -moment))
    best = max(value for series in tokens.values() for value in series.values())
    return Load(peak=totals[busiest], replicas=counts[busiest], best=best)


def _gpus(blast: Blast) -> list[str]:
    if blast.gpus_before is None or blast.gpus_after is None or blast.gpus_before == blast.gpus_after:
        return []
    moved = blast.gpus_after - blast.gpus_before
    what = f"needs {_num(moved)} more GPUs" if moved > 0 else f"frees {_num(-moved)} GPUs"
    return [f"{what}: {_num(blast.gpus_before)} → {_num(blast.gpus_after)}, as the object asks for them"]


def _cost(blast: Blast, limits: Limits) -> list[str]:
    moved = (blast.gpus_after or 0.0) - (blast.gpus_before or 0.0)
    if limits.gpu_hour is None or not moved:
        return []
    hourly = abs(moved) * limits.gpu_hour
    what = "costs" if moved > 0 else "saves"
    month = hourly * HOURS_A_MONTH
    return [
        f"{what} {hourly:.2f} {limits.currency} an hour, {month:.0f} {limits.currency} a month"
        f" (assumes {limits.gpu_hour:g} {limits.currency} a GPU-hour, and that freed GPUs are used or given back)"
    ]


def _throughput(load: Load, replicas: int) -> list[str]:
    capacity = replicas * load.best
    headroom = capacity / load.peak - 1.0
    verdict = f"headroom {headroom:.0%}" if headroom >= 0 else f"SHORT of it by {-headroom:.0%}"
    return [
        f"throughput: {replicas} × {_num(load.best)} = {_num(capacity)} tokens/s"
        f" against a measured peak of {_num(load.peak)} tokens/s ({load.replicas} replicas): {verdict}",
        "  assumes the peak of the last 24 h, evenly spread, and that a replica does at least what the busiest one did",
    ]


def _latency(load: Load, replicas: int, tokens: Points, latency: Points) -> list[str]:
    wanted = load.peak / replicas
    seen = [
        latency[pod][moment]
        for pod, series in tokens.items()
        for moment, value in series.items()
        if abs(value - wanted) <= NEAR * wanted and moment in latency.get(pod, {})
    ]
    if len(seen) < LEAST:
        return [f"latency: not predicted (no replica was seen at {_num(wanted)} tokens/s for long enough)"]
    return [
        f"latency: first token p95 {_num(min(seen))}–{_num(max(seen))} s, as seen {len(seen)} times in the last 24 h"
        f" at {_num(wanted)} tokens/s a replica (± {NEAR:.0%})"
    ]


def _num(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
