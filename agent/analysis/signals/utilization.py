"""How busy the subject's GPUs are, and whether something other than the GPU explains it.

Bars: idle is under 1 % for 30 minutes (wseaton/gpu-pruner README defaults); starvation bars are practice values.
"""

from __future__ import annotations

from agent.analysis import queries
from agent.analysis.gpus import gpu_count
from agent.analysis.readings import absent, amount, percent, reading
from agent.analysis.signals.lifecycle import batch
from agent.analysis.view import View
from agent.types import Reading
from tools.types import ResourceRef

IDLE_BUSY = 0.01
"""Largest busy share in 30 minutes that still counts as no activity."""
FALLBACK_CORES = 1.0
FALLBACK_MEMORY_MIB = 512.0
"""GPU memory below which nothing was ever loaded (a CUDA context alone takes about this much)."""


def gpu_idle(view: View, ref: ResourceRef) -> Reading:
    """Holds when no GPU of the subject was busy for 30 minutes."""
    name = "gpu_idle"
    pods = [pod for pod in view.pods_of(ref) if gpu_count(pod) > 0]
    rows = view.rows_for(queries.GPU_BUSY_MAX, pods)
    if not rows:
        return absent(name, view, queries.GPU_BUSY_MAX)
    busiest = max(rows, key=lambda s: s.value or 0.0)
    share = busiest.value or 0.0
    if share < IDLE_BUSY:
        text = f"busiest GPU reached {percent(share)} in 30 min"
        return reading(name, text, [s.cite() for s in rows], holds=True)
    return reading(name, f"busiest GPU reached {percent(share)} in 30 min", [busiest.cite()], holds=False)


def requests_served(view: View, ref: ResourceRef) -> Reading:
    """Holds when the subject's model servers finished requests in the last 30 minutes."""
    name = "requests_served"
    pods = view.pods_of(ref)
    rows = view.rows_for(queries.VLLM_FINISHED_30M, pods)
    if not rows and pods and all(batch(view, pod) for pod in pods):
        return reading(name, "a batch workload serves no requests", [pods[0].cite("metadata", "name")], holds=False)
    if not rows:
        return absent(name, view, queries.VLLM_FINISHED_30M)
    best = max(rows, key=lambda s: s.value or 0.0)
    text = f"{best.label('pod')} finished {amount(best.value or 0.0)} requests in 30 min"
    return reading(name, text, [best.cite()], holds=(best.value or 0.0) > 0)


def cpu_fallback(view: View, ref: ResourceRef) -> Reading:
    """Holds when the GPU's memory was never touched while the CPU works: the program runs without its GPU."""
    name = "cpu_fallback"
    pods = view.pods_of(ref)
    memory, cores = view.rows_for(queries.GPU_MEMORY_USED, pods), view.rows_for(queries.POD_CPU_CORES, pods)
    if not memory or not cores:
        return absent(name, view, queries.GPU_MEMORY_USED, queries.POD_CPU_CORES)
    used = max(memory, key=lambda s: s.value or 0.0)
    burning = max(cores, key=lambda s: s.value or 0.0)
    empty = (used.value or 0.0) < FALLBACK_MEMORY_MIB
    text = f"GPU memory {amount(used.value or 0.0)} MiB, CPU {amount(burning.value or 0.0)} cores"
    holds = empty and (burning.value or 0.0) > FALLBACK_CORES
    return reading(name, text, [used.cite(), burning.cite()], holds=holds)


SIGNALS = {"gpu_idle": gpu_idle, "requests_served": requests_served, "cpu_fallback": cpu_fallback}
