"""What cited evidence is worth as ground for a change: its channels, and whether it measures the target.

Rules: logs, events, alerts, messages and labels are one channel, text, because one hand can write them all; what an
object was told to be (its manifest) is no measurement; a derived number counts as its inputs; evidence of another
namespace, without rows, or that only lists names is no channel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from agent.analysis import kinds, queries
from agent.analysis.records import reference_of
from agent.analysis.view import View, resolve_in
from agent.citing import locate
from tools import fields
from tools.errors import Refused
from tools.naming import tokens_of
from tools.promql import inspect
from tools.promql_reading import only_reads
from tools.tenancy import TENANT_LABELS
from tools.types import Evidence, EvidenceRef, JsonObject, KindRef, ResourceRef, Row, ToolCall, pointer

TEXT = "text"
_TEXT_FAMILIES = frozenset({"logs", "events", "alerts"})
_OBJECT_TOOLS = frozenset({"list_objects", "get_object"})
_FAMILIES = {"history": "objects"}
"""Families that look at the same thing as another."""
_EXPORTERS = (
    ("DCGM_", "dcgm"), ("gpu_", "dcgm"), ("vllm:", "vllm"), ("kube_", "ksm"), ("container_", "cadvisor"),
    *((prefix, prefix.rstrip("_:")) for prefix in TENANT_LABELS if not prefix.startswith("plumbline:")),
)  # fmt: skip
"""Prefix of a metric → who exports it, by the names our own queries have for them, then by the table of tenants."""
_OTHER = "metrics"
"""Every metric of an exporter that nobody here knows: one family, or a name that was made up would be a channel."""
_MEASURED_STATUS = re.compile(r"\w*[rR]eplicas|conditions|phase|\w*Statuses|currentMetrics")
"""Fields of a status that say how an object fares."""
_WORKLOAD_LABELS = {"Deployment": "deployment", "StatefulSet": "statefulset", "LeaderWorkerSet": "leaderworkerset"}
_DEPTH = 4
"""Facts made of facts, at most."""


@dataclass(frozen=True, slots=True)
class Ground:
    """One piece of cited evidence: the signal families it rests on, and whether it measures the target."""

    families: frozenset[str]
    measured: bool = False


@dataclass(frozen=True, slots=True)
class _Quoted:
    """One row, and the path into it; an empty path is the whole row."""

    call: ToolCall
    evidence: Evidence
    row: Row
    path: tuple[str, ...] = ()


class Channels:
    """The evidence of a run, as ground for a change of one target."""

    def __init__(self, gathered: Mapping[str, tuple[ToolCall, Evidence]], view: View, target: ResourceRef) -> None:
        self._gathered = gathered
        self._target = target
        pods = view.pods_of(target)
        self._pods = {(pod.ref.namespace or "", pod.ref.name) for pod in pods}
        scalers = [r for kind in (kinds.HPA, kinds.SCALED_OBJECT) for r in view.objects(kind)]
        record = view.find(target)
        related = [target, *(view.chain(record) if record else ())]
        related += [ref for pod in pods for ref in view.chain(pod)]
        related += [s.ref for s in scalers if (scaled := view.scale_target(s.ref)) is not None and scaled.same(target)]
        self._related = {ref.identity for ref in related}

    def grounds(self, cites: tuple[str, ...]) -> list[Ground]:
        """What the citations are worth. Raises Refused for one that resolves to nothing."""
        return [ground for cite in cites for quoted in self._resolve(cite) for ground in self._grounds(quoted, 0)]

    # --- what is cited -------------------------------------------------------------------------------------

    def _resolve(self, cite: str) -> Iterator[_Quoted]:
        name, _, rest = cite.partition("/")
        if name not in self._gathered:
            raise Refused(f"{name[:16]} is no evidence of this run")
        call, evidence = self._gathered[name]
        if not (evidence.usable or (evidence.status == "truncated" and evidence.rows)):
            raise Refused(f"{name} ended {evidence.status}, so it bears nothing")
        if not rest:
            return (_Quoted(call, evidence, row) for row in evidence.rows)
        return iter((self._quoted(call, evidence, rest),))

    def _quoted(self, call: ToolCall, evidence: Evidence, rest: str) -> _Quoted:
        located = locate(evidence, rest)
        if located is None:
            raise Refused(f"{evidence.id} has no such row", hint="cite a row by its key as listed")
        row, path = located[0], tuple(tokens_of(located[1]))
        try:
            found = resolve_in({row.key: row.data}, pointer(row.key, *path))
        except ValueError:
            found = None
        if found is None:
            raise Refused(f"{evidence.id} has no such field in that row")
        return _Quoted(call, evidence, row, path)

    # --- what it is worth ----------------------------------------------------------------------------------

    def _grounds(self, quoted: _Quoted, depth: int) -> Iterator[Ground]:
        evidence, row = quoted.evidence, quoted.row
        if evidence.trust == "derived":
            yield from self._inputs(quoted, depth)
        elif row.namespace not in (None, self._target.namespace):
            return
        elif evidence.trust == "text" or evidence.family in _TEXT_FAMILIES or _is_written(quoted):
            yield Ground(frozenset({TEXT}))
        elif evidence.tool in _OBJECT_TOOLS or evidence.family == "history":
            yield Ground(frozenset({_FAMILIES.get(evidence.family, evidence.family)}), self._is_status(quoted))
        elif evidence.tool == "named_query" and _has_number(row.data):
            yield Ground(frozenset({evidence.family}), self._measures(row))
        elif evidence.tool == "promql" and _has_number(row.data) and row.namespace == self._target.namespace:
            families = _families_of(fields.text(quoted.call.args, "query"))
            if families:
                yield Ground(families, self._measures(row))

    def _inputs(self, quoted: _Quoted, depth: int) -> Iterator[Ground]:
        """The grounds of a derived number: those of the values it was worked out from."""
        for item in fields.items(quoted.row.data, "inputs") if depth < _DEPTH else ():
            try:
                ref = EvidenceRef.model_validate(item)
                call, evidence = self._gathered[ref.evidence]
                token, *path = tokens_of(ref.path)
                row = next(row for row in evidence.rows if row.key == token)
            except (ValidationError, KeyError, ValueError, StopIteration):
                continue
            yield from self._grounds(_Quoted(call, evidence, row, tuple(path)), depth + 1)

    def _is_status(self, quoted: _Quoted) -> bool:
        """True for how the target, its pods, autoscaler or owners fare, as their controllers report it."""
        if quoted.evidence.tool not in _OBJECT_TOOLS or len(quoted.path) < 2 or quoted.path[0] != "status":
            return False
        kind = KindRef(group=fields.text(quoted.call.args, "group"), kind=fields.text(quoted.call.args, "kind"))
        ref = reference_of(quoted.row.data, kind)
        return bool(_MEASURED_STATUS.fullmatch(quoted.path[1])) and ref.identity in self._related

    def _measures(self, row: Row) -> bool:
        """True for a series of the target or of one of its pods."""
        labels = fields.strings(row.data, "labels")
        namespace = labels.get("exported_namespace") or labels.get("namespace", "")
        pod = labels.get("exported_pod") or labels.get("pod", "")
        if namespace != self._target.namespace:
            return False
        own = labels.get(_WORKLOAD_LABELS.get(self._target.kind, ""), "")
        return (namespace, pod) in self._pods or own == self._target.name


def independent(grounds: list[Ground]) -> bool:
    """True when one ground measures the target and another rests on none of the same families."""
    return any(a.measured and a.families.isdisjoint(b.families) for a in grounds for b in grounds)


def named(grounds: list[Ground]) -> str:
    """The families in words."""
    return ", ".join(sorted({family for ground in grounds for family in ground.families})) or "nothing that counts"


def _is_written(quoted: _Quoted) -> bool:
    """True where the value quoted is text that a workload or its author wrote, in whatever evidence it stands."""
    return bool(quoted.path) and ("message" in quoted.path or quoted.path[0] == "labels")


def _has_number(data: JsonObject) -> bool:
    return fields.number(data, "value") is not None or bool(fields.dig(data, "points"))


def _families_of(query: str) -> frozenset[str]:
    """The families that a free query reads; none where it could have written what it answers (the tool refuses such
    queries; evidence is judged again, wherever it came from)."""
    try:
        only_reads(query)
        metrics = inspect(query).metrics
    except Refused:
        return frozenset()
    if any(":" in metric and _exporter_of(metric) == _OTHER for metric in metrics):
        return frozenset()  # a recording rule: nothing says what it was made of
    return frozenset(family for metric in metrics for family in _family_of(metric))


def _exporter_of(metric: str) -> str:
    return next((family for prefix, family in _EXPORTERS if metric.startswith(prefix)), _OTHER)


def _family_of(metric: str) -> set[str]:
    """Who exports a metric, and the family of our own queries over it."""
    return {_exporter_of(metric), *(query.family for query in queries.CATALOGUE if metric in query.metrics)}
