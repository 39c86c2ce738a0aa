"""What the causes of an intent need to be judged: each kind listed once, each named query asked once.

Both reasoners start here, so that a language model can add reads and never take one away.
"""

from __future__ import annotations

from agent.analysis import kinds, queries
from agent.analysis.diagnoser import asked_about
from agent.reasoner import Ground
from agent.types import Intent, Objects
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


def needs(intent: Intent, scope: Scope, ground: Ground) -> list[ToolCall]:
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
