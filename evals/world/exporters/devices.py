"""Which GPUs a world has, and which pod holds which: the device plugin's allocation, made deterministic.

Rules: a pod gets the lowest free GPUs of its node, older pods first, unless `exporters.dcgm.assign` says otherwise;
before the pod began and after it ended the GPU is idle. MIG instances, time-sliced replicas and DRA devices are
placed by the same rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evals.world.exporters.context import GPU, MIG_PREFIX, RESOURCE_SHARED, Context, PodRecord
from evals.world.manifests import entries, mapping, text
from evals.world.quantity import amount
from tools.types import JsonObject


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU or MIG instance during one stretch of time, with the pod that held it, if any."""

    node: str
    gpu: int
    model: str
    driver: str
    address: str
    pod: PodRecord | None
    container: str = ""
    ordinal: int = 0
    """Position among the GPUs of the pod."""
    begins: float | None = None
    ends: float | None = None
    attributed: bool = True
    claim: tuple[str, str] | None = None
    """(namespace, name) of the ResourceClaim that allocated it."""
    mig_profile: str = ""
    mig_id: int = 0
    share: float = 1.0
    """Share of the framebuffer."""

    @property
    def uuid(self) -> str:
        """A stable GPU UUID."""
        digest = hashlib.sha256(f"{self.node}/{self.gpu}".encode()).hexdigest()
        return f"GPU-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"

    @property
    def pci_bus_id(self) -> str:
        """The bus id as DCGM prints it."""
        return f"00000000:{0x18 + self.gpu * 0x13:02X}:00.0"


@dataclass(frozen=True, slots=True)
class _Hold:
    """One pod's hold on one slot of a node."""

    pod: PodRecord
    container: str
    ordinal: int
    claim: tuple[str, str] | None = None


def devices_of(context: Context) -> Iterator[Device]:
    """All devices of all GPU nodes, idle stretches included."""
    by_node: dict[str, list[PodRecord]] = {}
    for pod in context.pods:
        if pod.node and pod.started is not None:
            by_node.setdefault(pod.node, []).append(pod)
    claims = _claims(context)
    for name, node in context.nodes.items():
        pods = sorted(by_node.get(name, []), key=lambda p: (p.started or 0.0, p.namespace, p.name))
        yield from _node_devices(context, name, node, pods, claims)


def _claims(context: Context) -> dict[tuple[str, str], list[tuple[str, str, int]]]:
    """(namespace, pod) → (claim, node, gpu) of every device allocated to it."""
    out: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
    for claim in context.kind("ResourceClaim", "resource.k8s.io"):
        namespace, name = text(claim, "metadata", "namespace"), text(claim, "metadata", "name")
        results = entries(claim, "status", "allocation", "devices", "results")
        for user in entries(claim, "status", "reservedFor"):
            held = out.setdefault((namespace, text(user, "name")), [])
            for result in results:
                number = text(result, "device").rpartition("-")[2]
                if number.isdigit():
                    held.append((name, text(result, "pool"), int(number)))
    return out


def _node_devices(
    context: Context,
    name: str,
    node: JsonObject,
    pods: list[PodRecord],
    claims: Mapping[tuple[str, str], list[tuple[str, str, int]]],
) -> Iterator[Device]:
    labels = mapping(node, "metadata", "labels")
    count = gpus_of(node)
    if not count:
        return
    plain = Device(
        node=name,
        gpu=0,
        model=str(labels.get("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3")).replace("-", " "),
        driver=str(labels.get("nvidia.com/cuda.driver-version.full", "580.95.05")),
        address=next((text(a, "address") for a in entries(node, "status", "addresses")), name),
        pod=None,
    )
    profiles = _mig_profiles(node)
    if profiles:
        yield from _mig_devices(plain, count, profiles, pods)
        return
    replicas = int(amount(labels.get("nvidia.com/gpu.replicas")) or 1)
    holds = _assign(context, name, count, replicas, pods)
    for pod in pods:
        for claim, pool, gpu in claims.get((pod.namespace, pod.name), []):
            if pool == name and gpu < count:
                container = text(pod.containers[0], "name") if pod.containers else ""
                holds.setdefault(gpu, []).append(_Hold(pod, container, gpu, (pod.namespace, claim)))
    every = context.option("dcgm").at("virtual_gpus").flag(default=False)
    for gpu in range(count):
        yield from _stretches(_on(plain, gpu), holds.get(gpu, []), shared=replicas > 1, every=every)


def gpus_of(node: JsonObject) -> int:
    """Physical GPUs: GFD's label, else the capacity."""
    label = amount(mapping(node, "metadata", "labels").get("nvidia.com/gpu.count"))
    capacity = amount(mapping(node, "status", "capacity").get(GPU))
    return int(label or capacity or 0)


def _on(plain: Device, gpu: int) -> Device:
    return Device(plain.node, gpu, plain.model, plain.driver, plain.address, None)


def _assign(context: Context, node: str, count: int, replicas: int, pods: list[PodRecord]) -> dict[int, list[_Hold]]:
    """GPU → holds on it, oldest first."""
    fixed = context.option("dcgm").at("assign")
    until: list[float] = [float("-inf")] * (count * replicas)
    out: dict[int, list[_Hold]] = {}
    for pod in pods:
        wanted = [(c, n) for c in pod.containers for n in range(pod.asks(GPU, c) + pod.asks(RESOURCE_SHARED, c))]
        chosen = [int(g.number()) * replicas for g in fixed.at(f"{pod.namespace}/{pod.name}").items()]
        if not chosen:
            began = pod.started or 0.0
            chosen = [slot for slot, end in enumerate(until) if end <= began][: len(wanted)]
        for ordinal, (slot, (container, _)) in enumerate(zip(chosen, wanted)):
            until[slot] = float("inf") if pod.finished is None else pod.finished
            out.setdefault(slot // replicas, []).append(_Hold(pod, text(container, "name"), ordinal))
    return out


def _stretches(device: Device, holds: list[_Hold], *, shared: bool, every: bool) -> Iterator[Device]:
    """A GPU over time: idle before, between and after its pods; sharing pods overlap."""

    def held(hold: _Hold, begins: float | None, ends: float | None, *, attributed: bool) -> Device:
        return Device(
            device.node, device.gpu, device.model, device.driver, device.address,
            hold.pod, hold.container, hold.ordinal, begins, ends, attributed, hold.claim,
        )  # fmt: skip

    if shared and holds:
        chosen = holds if every else holds[-1:]
        for hold in chosen:
            yield held(hold, hold.pod.started, hold.pod.finished, attributed=True)
        return
    free_from: float | None = None
    for hold in holds:
        yield Device(
            device.node, device.gpu, device.model, device.driver, device.address,
            None, begins=free_from, ends=hold.pod.started,
        )  # fmt: skip
        yield held(hold, hold.pod.started, hold.pod.finished, attributed=True)
        free_from = hold.pod.finished
        if free_from is None:
            return
    yield Device(device.node, device.gpu, device.model, device.driver, device.address, None, begins=free_from)


# --- MIG ---------------------------------------------------------------------------------------------------


def _mig_profiles(node: JsonObject) -> dict[str, int]:
    """MIG profile → instances on the node."""
    capacity = mapping(node, "status", "capacity")
    return {
        name.removeprefix(MIG_PREFIX): int(amount(value) or 0)
        for name, value in capacity.items()
        if name.startswith(MIG_PREFIX) and amount(value)
    }


def _mig_devices(plain: Device, count: int, profiles: Mapping[str, int], pods: list[PodRecord]) -> Iterator[Device]:
    for profile, instances in sorted(profiles.items()):
        holds = [
            _Hold(pod, text(container, "name"), ordinal)
            for pod in pods
            for container in pod.containers
            for ordinal in range(pod.asks(f"{MIG_PREFIX}{profile}", container))
        ]
        per_gpu = max(1, instances // count)
        share = _mig_share(profile)
        for number in range(instances):
            hold = holds[number] if number < len(holds) else None
            yield Device(
                plain.node, number // per_gpu % count, plain.model, plain.driver, plain.address,
                hold.pod if hold else None,
                hold.container if hold else "",
                hold.ordinal if hold else 0,
                hold.pod.started if hold else None,
                hold.pod.finished if hold else None,
                mig_profile=profile,
                mig_id=number % per_gpu + 7,
                share=share,
            )  # fmt: skip


def _mig_share(profile: str) -> float:
    """Share of the memory of `1g.10gb` and its like, of an 80 GB device."""
    digits = profile.rpartition(".")[2].rstrip("gb")
    return min(1.0, float(digits) / 80.0) if digits.isdigit() else 1.0
