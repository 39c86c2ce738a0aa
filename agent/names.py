"""Names that exist in the cluster, and what a word of a question can mean among them.

Rules: pure; only exact names count, in any case; objects that stand for one thing (a TrainJob and its JobSet, a
Deployment and its autoscaler) count as one, the one a person edits. A team is, in this order: a mapping in the
settings; namespaces whose team label has that value; a Kueue queue of that name; a namespace of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from agent.analysis import kinds
from agent.analysis.view import View
from agent.mentions import Mention
from tools.types import Frozen, KindRef, ResourceRef

WORKLOADS: tuple[KindRef, ...] = (
    kinds.TRAIN_JOB,
    kinds.INFERENCE_SERVICE,
    kinds.NOTEBOOK,
    kinds.LEADER_WORKER_SET,
    kinds.JOB_SET,
    kinds.DEPLOYMENT,
    kinds.STATEFUL_SET,
    kinds.DAEMON_SET,
    kinds.JOB,
    kinds.REPLICA_SET,
    kinds.SCALED_OBJECT,
    kinds.HPA,
    kinds.POD,
)
"""Kinds whose objects a question may name; of several objects of one name in one namespace, the first kind wins."""
_RANK = {kind.kind: rank for rank, kind in enumerate(WORKLOADS)}
UNREADABLE = ("denied", "unavailable", "truncated", "failed")
"""States of a listing in which a name may stand all the same."""
_GENERATED = (
    re.compile(r"(?P<base>.+)-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"),
    re.compile(r"(?P<base>.+)-[bcdfghjklmnpqrstvwxz2456789]{5,10}"),
)
"""Names that controllers make: base, pod template hash, suffix (alphabet of k8s.io/apimachinery/pkg/util/rand)."""


class QueueName(Frozen):
    """A Kueue LocalQueue and the ClusterQueue it points at."""

    namespace: str
    name: str
    cluster_queue: str = ""


class Names(Frozen):
    """What can be named: as far as it was listed."""

    namespaces: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Namespace → labels."""
    nodes: tuple[str, ...] = ()
    local_queues: tuple[QueueName, ...] = ()
    cluster_queues: tuple[str, ...] = ()
    workloads: tuple[ResourceRef, ...] = ()
    team_map: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Team → namespaces, from settings."""
    team_label: str = "team"
    unseen: frozenset[str] = frozenset()
    """What could not be listed whole: "namespaces", "nodes", "queues", "workloads"."""


def names_of(view: View, *, team_map: Mapping[str, Sequence[str]], team_label: str) -> Names:
    """The names in a view of listings."""
    queues = (kinds.LOCAL_QUEUE, kinds.CLUSTER_QUEUE)
    listed: dict[str, tuple[KindRef, ...]] = {
        "namespaces": (kinds.NAMESPACE,), "nodes": (kinds.NODE,), "queues": queues, "workloads": WORKLOADS,
    }  # fmt: skip
    return Names(
        namespaces={record.ref.name: record.labels for record in view.objects(kinds.NAMESPACE)},
        nodes=tuple(record.ref.name for record in view.objects(kinds.NODE)),
        local_queues=tuple(
            QueueName(namespace=q.ref.namespace or "", name=q.ref.name, cluster_queue=q.text("spec", "clusterQueue"))
            for q in view.objects(kinds.LOCAL_QUEUE)
        ),
        cluster_queues=tuple(record.ref.name for record in view.objects(kinds.CLUSTER_QUEUE)),
        workloads=tuple(record.ref for kind in WORKLOADS for record in view.objects(kind)),
        team_map={team: tuple(namespaces) for team, namespaces in team_map.items()},
        team_label=team_label,
        unseen=frozenset(what for what, some in listed.items() if any(view.state(k) in UNREADABLE for k in some)),
    )


@dataclass(frozen=True, slots=True)
class Option:
    """One thing a mention can mean. `label` is how it is printed, and it parses back to the same thing."""

    label: str
    namespaces: tuple[str, ...] | None = None
    subject: ResourceRef | None = None
    node: str | None = None

    @property
    def place(self) -> bool:
        """True for namespaces and teams, which narrow; False for a thing one asks about."""
        return self.subject is None and self.node is None and "Queue/" not in self.label


def options(mention: Mention, names: Names) -> list[Option]:
    """Everything a mention can mean; empty where nothing of that name exists."""
    found = {
        "namespace": _namespaces,
        "team": _teams,
        "node": _nodes,
        "queue": _queues,
        "pod": _pods,
        "workload": _workloads,
        "any": _anything,
    }[mention.kind](mention, names)
    return list({option.label: option for option in found}.values())


def team(name: str, names: Names) -> tuple[str, ...] | None:
    """The namespaces of a team by the first rule that knows it, or None."""
    return _declared_team(name, names) or ((name,) if name in names.namespaces else None)


def _declared_team(name: str, names: Names) -> tuple[str, ...] | None:
    for known, namespaces in names.team_map.items():
        if known.lower() == name:
            return tuple(namespaces)
    labelled = [ns for ns, labels in names.namespaces.items() if labels.get(names.team_label, "").lower() == name]
    queued = [q.namespace for q in names.local_queues if q.name == name]
    queued = queued or [q.namespace for q in names.local_queues if q.cluster_queue == name]
    return tuple(sorted(set(labelled or queued))) or None


def _variants(name: str) -> tuple[str, ...]:
    """Ways a team may be called: "team-search" is "search" as well."""
    return (name.removeprefix("team-"), name.removesuffix("-team"), f"team-{name}")


def _namespaces(mention: Mention, names: Names) -> list[Option]:
    if mention.name in names.namespaces or (mention.certain and "namespaces" in names.unseen):
        return [Option(f"namespace {mention.name}", namespaces=(mention.name,))]
    return []


def _teams(mention: Mention, names: Names) -> list[Option]:
    for name in (mention.name, *_variants(mention.name)):
        namespaces = team(name, names)
        if namespaces:
            return [Option(f"team {name}", namespaces=namespaces)]
    return []


def _nodes(mention: Mention, names: Names) -> list[Option]:
    if mention.name in names.nodes or (mention.certain and "nodes" in names.unseen and mention.kind == "node"):
        return [Option(f"node {mention.name}", node=mention.name)]
    return []


def _queues(mention: Mention, names: Names) -> list[Option]:
    local = [
        Option(f"{q.namespace}/LocalQueue/{q.name}", namespaces=(q.namespace,))
        for q in names.local_queues
        if q.name == mention.name and mention.namespace in (None, q.namespace) and mention.of != "ClusterQueue"
    ]
    if local or mention.name not in names.cluster_queues or mention.of == "LocalQueue" or mention.namespace:
        return local
    users = tuple(sorted({q.namespace for q in names.local_queues if q.cluster_queue == mention.name}))
    return [Option(f"ClusterQueue/{mention.name}", namespaces=users or None)]


def _pods(mention: Mention, names: Names) -> list[Option]:
    exact = _objects([r for r in _named(mention, names) if r.kind == "Pod"])
    return exact or _unlisted(mention, names) or _workloads(mention.model_copy(update={"of": ""}), names)


def _workloads(mention: Mention, names: Names) -> list[Option]:
    """Objects of the name; else of the base of a generated name; else the pods made for it."""
    exact = [ref for ref in _named(mention, names) if mention.of in ("", ref.kind)]
    if exact or (mention.of and mention.kind == "workload"):
        return _objects(exact) or _unlisted(mention, names)
    for base in [made["base"] for pattern in _GENERATED if (made := pattern.fullmatch(mention.name))]:
        owners = [r for r in _named(mention.model_copy(update={"name": base}), names) if r.kind != "Pod"]
        if owners:
            return _objects(owners)
    return _objects(_generated_pods(mention, names)) or _unlisted(mention, names)


def _anything(mention: Mention, names: Names) -> list[Option]:
    things = _objects(_named(mention, names))
    if mention.namespace:
        queue = mention.model_copy(update={"of": "LocalQueue"})
        found = things or _queues(queue, names) or _workloads(mention, names)
        return found
    declared = _declared_team(mention.name, names)
    place = _namespaces(mention.model_copy(update={"certain": False}), names)
    if declared and declared != (mention.name,):
        place = [Option(f"team {mention.name}", namespaces=declared), *place]
    found = [*place, *_nodes(mention, names), *things]
    return found or (_teams(mention, names) or _workloads(mention, names) if mention.certain else [])


def _named(mention: Mention, names: Names) -> list[ResourceRef]:
    """Workloads of exactly that name, in the namespace where one is given."""
    return [
        ref
        for ref in names.workloads
        if ref.name.lower() == mention.name and mention.namespace in (None, ref.namespace)
    ]


def _generated_pods(mention: Mention, names: Names) -> list[ResourceRef]:
    """Pods whose generated name begins with the mention: `name-0`, `name-x2k4q`."""
    made = re.compile(re.escape(mention.name) + r"(?:-[a-z0-9]{1,10}){1,4}")
    return [
        ref
        for ref in names.workloads
        if ref.kind == "Pod" and mention.namespace in (None, ref.namespace) and made.fullmatch(ref.name)
    ]


def _objects(refs: Iterable[ResourceRef]) -> list[Option]:
    """One option for each name in each namespace: the object of the kind that people edit."""
    best: dict[tuple[str, str], ResourceRef] = {}
    for ref in refs:
        key = (ref.namespace or "", ref.name)
        if key not in best or _RANK.get(ref.kind, len(_RANK)) < _RANK.get(best[key].kind, len(_RANK)):
            best[key] = ref
    return [
        Option(str(ref), namespaces=(ref.namespace,) if ref.namespace else None, subject=ref)
        for ref in sorted(best.values(), key=lambda ref: ref.identity)
    ]


def _unlisted(mention: Mention, names: Names) -> list[Option]:
    """A fully named object of a kind that may not be listed: taken at its word, the reads will tell."""
    of = mention.of or ("Pod" if mention.kind == "pod" else "")
    kind = next((kind for kind in WORKLOADS if kind.kind == of), None)
    if "workloads" not in names.unseen or kind is None or not mention.namespace or not mention.certain:
        return []
    ref = ResourceRef(group=kind.group, kind=kind.kind, namespace=mention.namespace, name=mention.name)
    return [Option(str(ref), namespaces=(mention.namespace,), subject=ref)]
