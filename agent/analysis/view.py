"""What diagnosers judge: the evidence of a run, indexed once, every value able to cite itself.

Rules: a View is pure (no ports, no clock); what was not read, denied or absent is visible as such and is never
an empty list that looks like "none"; derived numbers are Facts that become evidence of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property, wraps
from typing import TypeAlias, TypeVar, cast

from pydantic import JsonValue

from agent.analysis import kinds
from agent.analysis.functions import compute
from agent.analysis.records import Record, Sample, owner_reference, reference_of
from agent.types import Claim, Missing
from tools import fields
from tools.naming import tokens_of
from tools.types import (
    Evidence,
    EvidenceRef,
    Fact,
    JsonObject,
    KindRef,
    NamedQuery,
    ResourceRef,
    Row,
    Scope,
    ToolCall,
    digest_of,
    pointer,
)

T = TypeVar("T")
_Kind: TypeAlias = tuple[str, str]
"""(group, kind)."""
_EVENTS: _Kind = ("", "Event")
UNREAD = "not read: "
"""How the reason begins where metrics were not read at all."""
_OWNER_DEPTH = 8
"""Longest owner chain followed (Pod → Job → JobSet → TrainJob is 4)."""


class View:
    """The evidence of one run as diagnosers see it."""

    def __init__(
        self,
        gathered: Sequence[tuple[ToolCall, Evidence]],
        *,
        now: float,
        scope: Scope,
        next_id: int = 0,
        earlier: View | None = None,
        metrics_note: str = "",
    ) -> None:
        self.metrics_note = metrics_note
        """Why no metric was read at all; "" where they were."""
        self.now = now
        self.scope = scope
        self.facts: list[Fact] = []
        self._next = next_id or len(gathered) + 1
        self._evidence = {evidence.id: evidence for _, evidence in gathered}
        self._objects: dict[_Kind, list[Evidence]] = defaultdict(list)
        self._queries: dict[str, Evidence] = {}
        self._calls: dict[str, Evidence] = {}
        for call, evidence in gathered:
            self._calls[call.digest] = evidence
            if call.tool == "list_objects":
                kind = (fields.text(call.args, "group"), fields.text(call.args, "kind"))
                self._objects[kind].append(evidence)
            elif call.tool == "list_events":
                self._objects[_EVENTS].append(evidence)
            elif call.tool == "named_query":
                self._queries[fields.text(call.args, "name")] = evidence
        self._records: dict[_Kind, tuple[Record, ...]] = {}
        self._samples: dict[str, tuple[Sample, ...]] = {}
        self._by_name: dict[_Kind, dict[tuple[str, str], Record]] = {}
        self._by_pod: dict[str, dict[tuple[str, str], list[Sample]]] = {}
        self._rows: dict[str, dict[str, JsonValue]] = {}
        self._memory: dict[tuple[Hashable, ...], object] = {}
        if earlier is not None:
            self._take_over(earlier)

    def _take_over(self, earlier: View) -> None:
        """Keep what an earlier view of the same run worked out about evidence that has not changed since."""
        same = {key for key, found in self._objects.items() if earlier._objects.get(key) == found}
        self._records = {key: found for key, found in earlier._records.items() if key in same}
        self._by_name = {key: found for key, found in earlier._by_name.items() if key in same}
        if earlier._objects.keys() - same <= {_EVENTS}:
            self._memory = {key: made for key, made in earlier._memory.items() if key[:1] == ("chain",)}
        for name, samples in earlier._samples.items():
            if self._queries.get(name) is earlier._queries.get(name):
                self._samples[name] = samples

    def once(self, key: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        """What `make` gives, made once per view and key; evidence does not change under a view."""
        if key not in self._memory:
            self._memory[key] = make()
        return cast(T, self._memory[key])

    # --- objects -------------------------------------------------------------------------------------------

    def objects(self, kind: KindRef) -> tuple[Record, ...]:
        """All objects of a kind that were read; empty also when they could not be (see `state`)."""
        key = (kind.group, kind.kind)
        if key not in self._records:
            rows = {row.key: (evidence.id, row) for evidence in self._objects.get(key, ()) for row in evidence.rows}
            self._records[key] = tuple(
                Record(evidence, row.key, row.data, reference_of(row.data, kind)) for evidence, row in rows.values()
            )
        return self._records[key]

    def find(self, ref: ResourceRef) -> Record | None:
        """The object a reference names, if it was read."""
        key = (ref.group, ref.kind)
        if key not in self._by_name:
            records = self.objects(ref.kind_ref)
            self._by_name[key] = {(r.ref.namespace or "", r.ref.name): r for r in records}
        return self._by_name[key].get((ref.namespace or "", ref.name))

    def owner(self, record: Record) -> ResourceRef | None:
        """The controller of an object, by ownerReferences; None for an object nobody owns."""
        return owner_reference(record.data)

    def chain(self, record: Record) -> tuple[ResourceRef, ...]:
        """The object and its owners, innermost first, as far as they were read (the last may be unread)."""
        return self.once(("chain", record.ref.identity), lambda: self._chain(record))

    def _chain(self, record: Record) -> tuple[ResourceRef, ...]:
        chain = [record.ref]
        current: Record | None = record
        for _ in range(_OWNER_DEPTH):
            owner = self.owner(current) if current else None
            if owner is None or any(owner.same(seen) for seen in chain):
                break
            chain.append(owner)
            current = self.find(owner)
        return tuple(chain)

    def workload(self, record: Record) -> ResourceRef:
        """The outermost owner: what a person edits."""
        return self.chain(record)[-1]

    @cached_property
    def _pods_by_owner(self) -> dict[tuple[str, str, str, str], list[Record]]:
        index: dict[tuple[str, str, str, str], list[Record]] = defaultdict(list)
        for pod in self.objects(kinds.POD):
            for ref in self.chain(pod):
                index[ref.identity].append(pod)
            node = pod.text("spec", "nodeName")
            if node:
                index[("", "Node", "", node)].append(pod)
        return index

    def pods_of(self, ref: ResourceRef) -> tuple[Record, ...]:
        """Pods under a workload, on a node, or the pod itself; an HPA or ScaledObject stands for its target."""
        target = self.scale_target(ref)
        return tuple(self._pods_by_owner.get((target or ref).identity, ()))

    def scale_target(self, ref: ResourceRef) -> ResourceRef | None:
        """What an HPA or ScaledObject scales, or None for any other kind."""
        if ref.kind not in ("HorizontalPodAutoscaler", "ScaledObject"):
            return None
        record = self.find(ref)
        if record is None:
            return None
        group = record.text("spec", "scaleTargetRef", "apiVersion").rpartition("/")[0]
        kind = record.text("spec", "scaleTargetRef", "kind") or "Deployment"
        if not group and kind in ("Deployment", "StatefulSet", "ReplicaSet"):
            group = "apps"
        name = record.text("spec", "scaleTargetRef", "name")
        return ResourceRef(group=group, kind=kind, namespace=ref.namespace, name=name) if name else None

    # --- series --------------------------------------------------------------------------------------------

    def rows(self, query: NamedQuery) -> tuple[Sample, ...]:
        """The series of a named query."""
        if query.name not in self._samples:
            evidence = self._queries.get(query.name)
            rows = evidence.rows if evidence else ()
            evidence_id = evidence.id if evidence else ""
            self._samples[query.name] = tuple(_sample(evidence_id, row) for row in rows)
        return self._samples[query.name]

    def rows_for(self, query: NamedQuery, pods: Iterable[Record]) -> tuple[Sample, ...]:
        """Series whose namespace and pod labels name one of the pods."""
        index = self._pod_index(query)
        out: list[Sample] = []
        for pod in pods:
            out.extend(index.get((pod.ref.namespace or "", pod.ref.name), ()))
        return tuple(out)

    def _pod_index(self, query: NamedQuery) -> dict[tuple[str, str], list[Sample]]:
        if query.name not in self._by_pod:
            index: dict[tuple[str, str], list[Sample]] = defaultdict(list)
            for sample in self.rows(query):
                index[(sample.label("namespace"), sample.label("pod"))].append(sample)
            self._by_pod[query.name] = index
        return self._by_pod[query.name]

    # --- what could not be seen ----------------------------------------------------------------------------

    def state(self, need: KindRef | NamedQuery) -> str:
        """`ok`, `absent` (read, nothing there), `denied`, `unavailable`, `truncated`, `failed` or `unread`."""
        found = self.evidence_for(need)
        if not found:
            return "unread"
        worst = next((e.status for e in found if e.status not in ("ok", "empty")), "")
        if worst:
            return worst
        return "ok" if any(e.rows for e in found) else "absent"

    def evidence_for(self, need: KindRef | NamedQuery) -> list[Evidence]:
        """The evidence that answers a need."""
        if isinstance(need, NamedQuery):
            evidence = self._queries.get(need.name)
            return [evidence] if evidence else []
        return list(self._objects.get((need.group, need.kind), ()))

    def every(self) -> list[Evidence]:
        """All evidence of the run, in order."""
        return list(self._evidence.values())

    def evidence_of(self, call: ToolCall) -> Evidence | None:
        """The evidence a call brought, if it was made."""
        return self._calls.get(call.digest)

    def family(self, evidence_id: str) -> str:
        """Signal family of an evidence id; a Fact has the family of its first input."""
        evidence = self._evidence.get(evidence_id)
        if evidence is not None:
            return evidence.family
        fact = next((f for f in self.facts if f.id == evidence_id), None)
        return self.family(fact.inputs[0].evidence) if fact and fact.inputs else ""

    def lacking(self, query: NamedQuery, causes: tuple[str, ...]) -> Missing:
        """A Missing entry for a named query, in words that say what to do."""
        found = self.evidence_for(query)
        if not found and self.metrics_note:
            because = f"{UNREAD}{self.metrics_note}"
        elif found and found[0].status not in ("ok", "empty"):
            because = f"{found[0].status}: {found[0].detail}"
        else:
            because = f"no such series here; enable {query.enable}"
        return Missing(need=" or ".join(query.metrics), because=because, causes=causes)

    # --- derived numbers -----------------------------------------------------------------------------------

    def fact(self, name: str, function: str, inputs: Sequence[EvidenceRef], unit: str) -> EvidenceRef | None:
        """A derived number as evidence, or None where the inputs cannot bear it."""
        known = next((f for f in self.facts if (f.name, f.inputs) == (name, tuple(inputs))), None)
        if known is None:
            try:
                value = compute(function, [self.resolve(ref) for ref in inputs])
            except ValueError:
                return None
            known = Fact(
                id=f"E{self._next}",
                name=name,
                value=value,
                unit=unit,
                function=function,
                inputs=tuple(inputs),
            )
            self._next += 1
            self.facts.append(known)
        return EvidenceRef(evidence=known.id, path=pointer("fact", "value"), value=known.value)

    def resolve(self, ref: EvidenceRef) -> JsonValue:
        """The full value a reference points at (for Facts, their number). Raises ValueError when it is not there."""
        fact = next((f for f in self.facts if f.id == ref.evidence), None)
        if fact is not None:
            return fact.value
        if ref.evidence not in self._evidence:
            raise ValueError(f"no evidence {ref.evidence}")
        if ref.evidence not in self._rows:
            self._rows[ref.evidence] = {row.key: row.data for row in self._evidence[ref.evidence].rows}
        return resolve_in(self._rows[ref.evidence], ref.path)

    def derived(self) -> list[Evidence]:
        """The facts so far as Evidence of trust `derived`."""
        return [fact_evidence(fact, self.now) for fact in self.facts]


def once_per_view(function: Callable[[View], T]) -> Callable[[View], T]:
    """A pure function of a view that is worked out once for each."""

    @wraps(function)
    def remembered(view: View) -> T:
        return view.once((function.__module__, function.__qualname__), lambda: function(view))

    return remembered


def resolve_in(rows: Mapping[str, JsonValue], path: str) -> JsonValue:
    """The value at a JSON Pointer into rows by key. Raises ValueError when nothing stands there."""
    tokens = tokens_of(path)
    if not tokens or tokens[0] not in rows:
        raise ValueError(f"nothing at {path!r}")
    value: JsonValue = rows[tokens[0]]
    for token in tokens[1:]:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            raise ValueError(f"nothing at {path!r}")
    return value


def fact_evidence(fact: Fact, now: float) -> Evidence:
    """A Fact as stored Evidence: one row `fact` with value, unit, function and inputs."""
    data: JsonObject = {
        "value": fact.value,
        "unit": fact.unit,
        "function": fact.function,
        "inputs": [ref.model_dump(mode="json") for ref in fact.inputs],
    }
    rows = (Row(key="fact", data=data),)
    return Evidence(
        id=fact.id,
        tool="derive",
        source="derived",
        family="derived",
        query=f"{fact.function} of {len(fact.inputs)} values: {fact.name}",
        call_digest=digest_of({"tool": "derive", "args": data}),
        status="ok",
        observed_at=now,
        rows=rows,
        trust="derived",
        digest=digest_of([data]),
    )


def claim(text: str, *refs: EvidenceRef | None) -> Claim:
    """A Claim from the references that exist. Raises ValidationError when none does."""
    return Claim(text=text, refs=tuple(ref for ref in refs if ref is not None))


def _sample(evidence: str, row: Row) -> Sample:
    points: list[tuple[float, float]] = []
    raw = row.data.get("points")
    for point in raw if isinstance(raw, list) else ():
        if isinstance(point, list) and len(point) == 2:
            time, value = point
            if isinstance(time, int | float) and isinstance(value, int | float):
                points.append((float(time), float(value)))
    value = row.data.get("value")
    return Sample(
        evidence=evidence,
        key=row.key,
        labels=fields.strings(row.data, "labels"),
        value=float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None,
        points=tuple(points),
    )
