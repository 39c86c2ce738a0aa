"""What was measured of a target over a window of time: rows of its own pods, and what is missing of them.

Rules: a pod counts from when it became ready; most moments of each pod must have been measured; evidence comes through
the gate, and what the gate would not give is missing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from agent.analysis import kinds
from agent.analysis.records import Record
from agent.analysis.view import View
from agent.changes.engine import Engine
from agent.changes.looking import QUERIES
from agent.changes.prediction import LATENCY, MEASURES, TOKENS, Points, points_of
from agent.changes.regression import Verdict, pairs, regression
from tools import fields
from tools.types import Evidence, JsonObject, ResourceRef, Scope, ToolCall

COVERED = 0.9
"""Share of the moments that must have been measured."""
FINEST = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Values of the target's pods over a window."""

    values: tuple[tuple[str, float, float], ...]
    """(pod, moment, value)."""
    missing: str
    """What was not measured, in one line; "" where enough was."""


async def over(engine: Engine, target: ResourceRef, query: str, start: float, end: float) -> Seen:
    """A named query of the target's pods, at moments so close that each reaches back to the one before."""
    named = QUERIES[query]
    step = max(FINEST, named.window or FINEST)
    first = min(start, end - step)  # a window needs two moments
    args: JsonObject = {"query": named.promql, "start": first, "end": end, "step": step}
    calls = [ToolCall(tool="promql", args=args), *_objects(target)]
    gathered = await engine.look(calls, at=end)
    pods = _view(gathered, target, end).pods_of(target)
    evidence = gathered[0][1]
    if not evidence.usable:
        return Seen((), evidence.detail or f"the query is {evidence.status}")
    by_pod = _by_pod(evidence, target)
    found = [(pod.ref.name, t, v) for pod in pods for t, v in by_pod.get(pod.ref.name, ()) if start <= t]
    return Seen(tuple(found), _missing(pods, found, start, end, step))


def _missing(
    pods: tuple[Record, ...], found: list[tuple[str, float, float]], start: float, end: float, step: float
) -> str:
    if not pods or not found:
        return "nothing of its pods was measured"
    counts: dict[str, int] = defaultdict(int)
    for name, _, _ in found:
        counts[name] += 1
    for pod in pods:
        begun = max(start, _ready_at(pod) or start)
        wanted = math.floor(max(0.0, end - begun) / step)
        if counts[pod.ref.name] < COVERED * wanted:
            return f"pod {pod.ref.name} was measured {counts[pod.ref.name]} times of {wanted}"
    return ""


def _ready_at(pod: Record) -> float | None:
    for one in pod.items("status", "conditions"):
        if fields.text(one, "type") == "Ready" and fields.text(one, "status") == "True":
            return fields.timestamp(fields.text(one, "lastTransitionTime"))
    return pod.time("metadata", "creationTimestamp")


def _by_pod(evidence: Evidence, target: ResourceRef) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in evidence.rows:
        labels = fields.strings(row.data, "labels")
        if labels.get("namespace") != target.namespace:
            continue
        points = fields.dig(row.data, "points")
        for point in points if isinstance(points, list) else ():
            if isinstance(point, list) and len(point) == 2:
                moment, value = point
                if isinstance(moment, int | float) and isinstance(value, int | float):
                    found[labels.get("pod", "")].append((float(moment), float(value)))
    return found


# --- latency -------------------------------------------------------------------------------------------------


async def latency(engine: Engine, target: ResourceRef, since: float, start: float, end: float) -> tuple[Verdict, str]:
    """Whether the target became slower: the day before the change against the time from `start` to `end`.

    The replicas of before are those that no longer exist, or exist still: their names begin as the target's.
    """
    old_tokens, old_latency = await _measured(engine, target, since, past=True)
    tokens, times = await _measured(engine, target, end, past=False)
    return regression(pairs(old_tokens, old_latency), pairs(_after(tokens, start), _after(times, start)))


def _after(points: Points, start: float) -> Points:
    return {pod: {t: value for t, value in series.items() if t >= start} for pod, series in points.items()}


async def _measured(engine: Engine, target: ResourceRef, at: float, *, past: bool) -> tuple[Points, Points]:
    calls = [*(ToolCall(tool="named_query", args={"name": query.name}) for query in MEASURES), *_objects(target)]
    view = _view(await engine.look(calls, at=at), target, at)
    if not past:
        return points_of(view, TOKENS, target), points_of(view, LATENCY, target)
    return _past(view, TOKENS.name, target), _past(view, LATENCY.name, target)


def _past(view: View, query: str, target: ResourceRef) -> Points:
    """Points of pods that are the target's, or that are gone and were named after it."""
    own = {pod.ref.name for pod in view.pods_of(target)}
    others = {pod.ref.name for pod in view.objects(kinds.POD) if pod.ref.namespace == target.namespace} - own
    named = QUERIES[query]
    found: dict[str, dict[float, float]] = defaultdict(dict)
    for sample in view.rows(named):
        pod = sample.label("pod")
        is_named_so = pod.startswith(f"{target.name}-") and pod not in others
        if sample.label("namespace") == target.namespace and (pod in own or is_named_so):
            found[pod].update({t: value for t, value in sample.points if value > 0})
    return found


def _objects(target: ResourceRef) -> list[ToolCall]:
    """The listings that tell which pods are the target's."""
    return [
        ToolCall(tool="list_objects", args={"group": kind.group, "kind": kind.kind, "namespace": target.namespace})
        for kind in dict.fromkeys((kinds.POD, kinds.REPLICA_SET, target.kind_ref))
    ]


def _view(gathered: Sequence[tuple[ToolCall, Evidence]], target: ResourceRef, at: float) -> View:
    return View(gathered, now=at, scope=Scope(asked=str(target), subject=target))
