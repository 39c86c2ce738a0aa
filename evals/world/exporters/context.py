"""What every exporter derives its series from: the objects, indexed once, and the signals of each workload.

Rules: bodies are read, never changed; times are offsets in seconds from the world's now; a pod's seed depends on
its identity only, so its noise stays the same in every world that has the pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import JsonValue

from evals.world.manifests import Identity, entries, identity_of, mapping, text
from evals.world.metrics import Metrics
from evals.world.noise import seed_of
from evals.world.places import Place
from evals.world.profiles import Signals, Subject
from evals.world.quantity import amount
from evals.world.times import moment_of, offset_of
from tools.types import JsonObject

GPU = "nvidia.com/gpu"
MIG_PREFIX = "nvidia.com/mig-"
RESOURCE_SHARED = "nvidia.com/gpu.shared"


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod and what is known of it."""

    body: JsonObject
    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    labels: Mapping[str, str]
    owners: tuple[Identity, ...]
    """Controllers from the nearest up."""
    index: int
    """Position among the pods of the topmost controller."""
    created: float
    started: float | None
    """When the kubelet took it; None while it waits for a node."""
    finished: float | None
    seed: int

    @property
    def containers(self) -> list[JsonObject]:
        """Its containers, as written."""
        return entries(self.body, "spec", "containers")

    @property
    def gpus(self) -> int:
        """Whole or shared GPUs asked for by its containers."""
        return sum(self.asks(GPU, each) + self.asks(RESOURCE_SHARED, each) for each in self.containers)

    def asks(self, resource: str, container: JsonObject) -> int:
        """How much of an extended resource one container requests."""
        for part in ("requests", "limits"):
            value = amount(mapping(container, "resources", part).get(resource))
            if value is not None:
                return int(value)
        return 0

    @property
    def subject(self) -> Subject:
        """What profiles are matched against."""
        return Subject(
            namespace=self.namespace,
            workloads=tuple(owner[3] for owner in self.owners),
            kinds=tuple(owner[1] for owner in self.owners),
            pod=self.name,
            index=self.index,
            node=self.node,
            labels=self.labels,
        )


class Context:
    """The objects of a world as exporters need them."""

    def __init__(self, bodies: Iterable[JsonObject], metrics: Metrics, now: float) -> None:
        self.metrics = metrics
        self._now = now
        self._kinds: dict[tuple[str, str], list[JsonObject]] = {}
        self._by_identity: dict[Identity, JsonObject] = {}
        for body in bodies:
            identity = identity_of(body)
            self._kinds.setdefault(identity[:2], []).append(body)
            self._by_identity[identity] = body

    def kind(self, kind: str, group: str = "") -> list[JsonObject]:
        """All objects of a kind."""
        return self._kinds.get((group, kind), [])

    def get(self, identity: Identity) -> JsonObject | None:
        """One object."""
        return self._by_identity.get(identity)

    def option(self, exporter: str) -> Place:
        """The options of an exporter."""
        return self.metrics.option(exporter)

    def offset(self, value: JsonValue) -> float | None:
        """Seconds from now of a timestamp, relative or absolute; None for anything else."""
        relative = offset_of(value)
        if relative is not None or not isinstance(value, str):
            return relative
        try:
            return moment_of(value) - self._now
        except ValueError:
            return None

    def created(self, body: JsonObject) -> float:
        """When an object was created, seconds from now."""
        return self.offset(mapping(body, "metadata").get("creationTimestamp")) or 0.0

    @cached_property
    def nodes(self) -> dict[str, JsonObject]:
        """Nodes by name."""
        return {text(body, "metadata", "name"): body for body in self.kind("Node")}

    @cached_property
    def pods(self) -> list[PodRecord]:
        """All pods, each with its place among its siblings."""
        counts: dict[Identity, int] = {}
        return [self._pod(body, counts) for body in self.kind("Pod")]

    def pods_of(self, identity: Identity) -> list[PodRecord]:
        """The pods that a controller owns, directly or through others."""
        return self._by_owner.get(identity, [])

    @cached_property
    def _by_owner(self) -> dict[Identity, list[PodRecord]]:
        out: dict[Identity, list[PodRecord]] = {}
        for pod in self.pods:
            for owner in pod.owners:
                out.setdefault(owner, []).append(pod)
        return out

    def _pod(self, body: JsonObject, counts: dict[Identity, int]) -> PodRecord:
        identity = identity_of(body)
        owners = self.owners(body)
        top = owners[-1] if owners else identity
        index = counts.get(top, 0)
        counts[top] = index + 1
        phase = text(body, "status", "phase")
        finished = None
        if phase in ("Succeeded", "Failed"):
            ends = [
                end
                for status in entries(body, "status", "containerStatuses")
                if (end := self.offset(mapping(status, "state", "terminated").get("finishedAt"))) is not None
            ]
            finished = max(ends) if ends else 0.0
        return PodRecord(
            body=body,
            namespace=identity[2],
            name=identity[3],
            uid=text(body, "metadata", "uid"),
            node=text(body, "spec", "nodeName"),
            phase=phase,
            labels={k: str(v) for k, v in mapping(body, "metadata", "labels").items()},
            owners=owners,
            index=index,
            created=self.created(body),
            started=self.offset(mapping(body, "status").get("startTime")),
            finished=finished,
            seed=seed_of(identity[2], *top[1:2], top[3], index),
        )

    def owners(self, body: JsonObject) -> tuple[Identity, ...]:
        """The chain of controllers above an object, nearest first."""
        out: list[Identity] = []
        current: JsonObject | None = body
        while current is not None and len(out) < 8:
            namespace = text(current, "metadata", "namespace")
            owner = next((o for o in entries(current, "metadata", "ownerReferences") if o.get("controller")), None)
            if owner is None:
                break
            group = text(owner, "apiVersion").rpartition("/")[0]
            identity = (group, text(owner, "kind"), namespace, text(owner, "name"))
            current = self._by_identity.get(identity)
            if current is None:
                identity = (identity[0], identity[1], "", identity[3])
                current = self._by_identity.get(identity)
            out.append(identity if current is not None else (identity[0], identity[1], namespace, identity[3]))
        return tuple(out)

    def signals(self, pod: PodRecord) -> Signals:
        """The signals of a pod."""
        return self.metrics.profiles.signals(pod.subject, default_of(pod))


def default_of(pod: PodRecord) -> str:
    """Which defaults a pod starts from, by what it is."""
    kinds = {owner[1] for owner in pod.owners}
    if is_vllm(pod):
        return "serving"
    holds = pod.gpus or any(
        name.startswith(MIG_PREFIX) for c in pod.containers for name in mapping(c, "resources", "limits")
    )
    if not holds and not entries(pod.body, "spec", "resourceClaims"):
        return "plain"
    if "Notebook" in kinds or "notebook-name" in pod.labels:
        return "notebook"
    return "training" if kinds & {"Job", "JobSet", "TrainJob", "PyTorchJob", "RayJob"} else "gpu"


def is_vllm(pod: PodRecord) -> bool:
    """True for a pod whose main container runs vLLM."""
    for container in pod.containers:
        words = [text(container, "image"), *_words(container, "command"), *_words(container, "args")]
        if any("vllm" in word for word in words):
            return True
    return False


def _words(container: JsonObject, key: str) -> list[str]:
    value = container.get(key)
    return [str(word) for word in value] if isinstance(value, list) else []


def argument(container: JsonObject, flag: str) -> str:
    """The value of a command-line flag of a container, as `--flag value` or `--flag=value`; "" where absent."""
    words = [*_words(container, "command"), *_words(container, "args")]
    for number, word in enumerate(words):
        if word == flag and number + 1 < len(words):
            return words[number + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return ""
