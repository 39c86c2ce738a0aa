"""The deterministic reasoner: causes declare what they need, the playbook fetches each need once.

No key, no network beyond the target, the same answer for the same evidence. It is a peer of the language model
reasoner, not a stand-in: same graph, same tools, same budgets.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.analysis import kinds, queries
from agent.analysis.diagnoser import asked_about
from agent.reasoner import Ground
from agent.types import Diagnosis, Intent, Objects
from tools.types import ApiResource, KindRef, NamedQuery, Scope, ToolCall

PER_NAMESPACE = 5
"""Namespaces up to which a kind is listed namespace by namespace instead of once for the cluster."""
FLEET_QUERIES: tuple[NamedQuery, ...] = (queries.GPU_BUSY_FLEET, queries.GPU_BUSY_MEAN)
OVERVIEW_KINDS: tuple[KindRef, ...] = (kinds.NODE, kinds.POD, kinds.NAMESPACE)
CHANGE_KINDS: tuple[KindRef, ...] = (
    kinds.DEPLOYMENT,
    kinds.REPLICA_SET,
    kinds.STATEFUL_SET,
    kinds.DAEMON_SET,
    kinds.HPA,
    kinds.SCALED_OBJECT,
    kinds.NODE,
)
QUESTIONS = (
    "why are our GPUs idle?",
    "why is my job pending?",
    "why is time to first token up?",
    "what changed in the last 6 hours?",
    "who wastes what?",
    "do all replicas run the same image?",
    "is everything all right?",
)
"""What can be asked, when a question was not understood."""


class Playbook:
    """The reasoner that needs no model."""

    name = "playbook"

    def plan(self, intent: Intent, scope: Scope, ground: Ground) -> list[ToolCall]:
        """Each need of the intent's causes, and of its topic, once."""
        wanted_kinds: dict[KindRef, None] = dict.fromkeys(_topic_kinds(intent))
        wanted_queries: dict[str, NamedQuery] = {q.name: q for q in _topic_queries(intent)}
        for need in (n for diagnoser in asked_about(ground.diagnosers, intent) for n in diagnoser.NEEDS):
            if isinstance(need, Objects):
                wanted_kinds[need.kind] = None
            else:
                wanted_queries[need.query.name] = need.query
        calls = [call for kind in wanted_kinds for call in _listing(kind, scope, ground)]
        if ground.metrics:
            calls += [ToolCall(tool="named_query", args={"name": name}) for name in sorted(wanted_queries)]
        if intent.topic == "changes":
            calls += _events(scope)
        return calls

    def narrate(self, diagnosis: Diagnosis) -> str:
        """One to three sentences: what was found, or that nothing was, or what is lacking."""
        if diagnosis.shown_as == "changes":
            count = len(diagnosis.shown)
            return f"{count or 'No'} change{'' if count == 1 else 's'} in {diagnosis.scope.asked} in that time."
        roots = [finding for finding in diagnosis.findings if finding.role == "root"]
        if roots:
            first = roots[0]
            more = f" {len(roots) - 1} more found besides." if len(roots) > 1 else ""
            return f"{first.title} ({first.cause}, {first.confidence} confidence).{more}"
        if diagnosis.status == "inconclusive":
            needs = "; ".join(sorted({missing.need for missing in diagnosis.missing})[:3])
            return f"This cannot be told from here: what is missing is {needs or 'any evidence about it'}."
        return f"Nothing that Plumbline knows is wrong in {diagnosis.scope.asked}."

    def suggest(self, diagnosis: Diagnosis) -> Sequence[str]:
        """Next questions about what was found, else what can be asked at all."""
        out: list[str] = []
        for finding in diagnosis.findings[:2]:
            subject = finding.affects[0] if finding.affects else finding.subject
            where = f"{subject.namespace}/{subject.kind}/{subject.name}" if subject.namespace else str(subject)
            out.append(f"what changed on {where}?")
        return [*out, *QUESTIONS][:4] if out else QUESTIONS[:4]


def _topic_kinds(intent: Intent) -> tuple[KindRef, ...]:
    return CHANGE_KINDS if intent.topic == "changes" else OVERVIEW_KINDS


def _topic_queries(intent: Intent) -> tuple[NamedQuery, ...]:
    return FLEET_QUERIES if "gpu" in intent.families else ()


def _events(scope: Scope) -> list[ToolCall]:
    if scope.namespaces is None or len(scope.namespaces) > PER_NAMESPACE:
        return [ToolCall(tool="list_events")]
    return [ToolCall(tool="list_events", args={"namespace": namespace}) for namespace in scope.namespaces]


def _listing(kind: KindRef, scope: Scope, ground: Ground) -> list[ToolCall]:
    """The listing of a kind over the scope; nothing for a kind the cluster does not serve."""
    resource: ApiResource | None = ground.served.get((kind.group, kind.kind))
    if resource is None:
        return []
    args = {"group": kind.group, "kind": kind.kind}
    if not resource.namespaced or scope.namespaces is None or len(scope.namespaces) > PER_NAMESPACE:
        return [ToolCall(tool="list_objects", args=dict(args))]
    return [ToolCall(tool="list_objects", args={**args, "namespace": n}) for n in scope.namespaces]
