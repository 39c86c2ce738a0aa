"""dcgm-exporter: one set of series per GPU, named, labelled and scaled as the chosen version does.

Sources: NVIDIA/dcgm-exporter etc/default-counters.csv (4.8) and the 4.9.0 release notes with the DCGM 4.7 aliases of
dcgm_fields.h; labels from internal/pkg/transformation. Options select the ways real clusters differ: profiling
metrics off, SM_ACTIVE off (the default), honorLabels, label spelling, renamed fields and units, missing nodes, gaps,
MIG, time-slicing with and without per-pod attribution, DRA labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from evals.world import generators as g
from evals.world.exporters.context import Context, default_of
from evals.world.exporters.devices import Device, devices_of
from evals.world.noise import seed_of
from evals.world.places import Place
from evals.world.profiles import Signals, Subject
from evals.world.series import Entry, Families

FB_MIB = 81_559.0
"""Framebuffer of an H100 80GB in MiB, as nvidia-smi reports it."""
FB_RESERVED_MIB = 560.0
_BLANK = 9_223_372_036_854_775_794.0
"""What DCGM reports for a field that is blank (dcgm_structs.h)."""

XID_MESSAGES = {
    0: "No Error",
    13: "Graphics Engine Exception",
    31: "GPU memory page fault",
    43: "GPU stopped processing",
    45: "Preemptive cleanup, due to previous errors",
    48: "Double Bit ECC Error",
    63: "ECC page retirement or row remapping recording event",
    64: "ECC page retirement or row remapper recording failure",
    74: "NVLINK Error",
    79: "GPU has fallen off the bus",
    94: "Contained ECC error",
    95: "Uncontained ECC error",
    119: "GSP RPC Timeout",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One exported field: names of both generations, and how its value follows from the signals."""

    name: str
    renamed: str
    value: Callable[[Signals, float], g.Generator]
    """(signals, framebuffer MiB) → value in the units up to 4.8."""
    factor: float = 1.0
    """What 4.9 multiplies the value by."""
    group: str = "default"
    mig: bool = True
    """False: the field is not supported on MIG instances."""


def _level(name: str, scale: float = 1.0, high: float = 1.0, *, whole: bool = False) -> Callable[..., g.Generator]:
    def value(signals: Signals, fb: float) -> g.Generator:
        clamped = g.Clamp(signals.get(name), 0.0, high)
        return g.Clamp(g.Linear(clamped, scale), whole=True) if whole else g.Linear(clamped, scale)

    return value


def _plain(name: str, *, whole: bool = False) -> Callable[..., g.Generator]:
    return lambda signals, fb: g.Clamp(signals.get(name), low=0.0, whole=whole)


def _total(name: str, scale: float = 1.0) -> Callable[..., g.Generator]:
    return lambda signals, fb: g.Counter(g.Linear(signals.get(name), scale), whole=True)


def _used(signals: Signals, fb: float) -> g.Generator:
    return g.Clamp(g.Linear(g.Clamp(signals.get("fb"), 0.0, 1.0), fb - FB_RESERVED_MIB), whole=True)


def _free(signals: Signals, fb: float) -> g.Generator:
    used = g.Clamp(signals.get("fb"), 0.0, 1.0)
    return g.Clamp(g.Linear(used, -(fb - FB_RESERVED_MIB), fb - FB_RESERVED_MIB), whole=True)


def _reserved(signals: Signals, fb: float) -> g.Generator:
    return g.Constant(FB_RESERVED_MIB)


def _energy(signals: Signals, fb: float) -> g.Generator:
    return g.Counter(g.Linear(signals.get("power"), 1000.0), whole=True)


_MIB, _MHZ = 2.0**20, 1e6
FIELDS = (
    Field("DEV_SM_CLOCK", "DEV_SM_CLOCK_HZ", _plain("sm_clock", whole=True), _MHZ),
    Field("DEV_MEM_CLOCK", "DEV_MEM_CLOCK_HZ", _plain("mem_clock", whole=True), _MHZ),
    Field("DEV_GPU_TEMP", "DEV_GPU_TEMP_CELSIUS", _plain("temp", whole=True)),
    Field(
        "DEV_MEMORY_TEMP", "DEV_MEMORY_TEMP_CELSIUS", lambda s, fb: g.Clamp(g.Linear(s.get("temp"), 1.1), whole=True)
    ),
    Field("DEV_POWER_USAGE", "DEV_BOARD_POWER_WATTS", _plain("power")),
    Field("DEV_TOTAL_ENERGY_CONSUMPTION", "DEV_TOTAL_ENERGY_JOULES", _energy, 0.001),
    Field("DEV_GPU_UTIL", "DEV_GPU_UTIL_RATIO", _level("busy", 100.0, whole=True), 0.01, mig=False),
    Field("DEV_MEM_COPY_UTIL", "DEV_MEM_COPY_UTIL_RATIO", _level("dram", 100.0, whole=True), 0.01, mig=False),
    Field("DEV_ENC_UTIL", "DEV_ENC_UTIL_RATIO", lambda s, fb: g.Constant(0.0), 0.01, mig=False),
    Field("DEV_DEC_UTIL", "DEV_DEC_UTIL_RATIO", lambda s, fb: g.Constant(0.0), 0.01, mig=False),
    Field("DEV_FB_USED", "DEV_FB_USED_BYTES", _used, _MIB),
    Field("DEV_FB_FREE", "DEV_FB_FREE_BYTES", _free, _MIB),
    Field("DEV_FB_RESERVED", "DEV_FB_RESERVED_BYTES", _reserved, _MIB),
    Field("DEV_PCIE_REPLAY_COUNTER", "DEV_PCIE_REPLAY_TOTAL", _total("pcie_replay")),
    Field("DEV_NVLINK_BANDWIDTH_TOTAL", "DEV_NVLINK_THROUGHPUT_TOTAL", _total("nvlink", 1 / 1e6)),
    Field("DEV_VGPU_LICENSE_STATUS", "DEV_VGPU_LICENSE_STATUS", lambda s, fb: g.Constant(0.0)),
    Field(
        "DEV_UNCORRECTABLE_REMAPPED_ROWS", "DEV_ROW_REMAP_UNCORRECTABLE_TOTAL", _plain("uncorrectable_rows", whole=True)
    ),
    Field("DEV_CORRECTABLE_REMAPPED_ROWS", "DEV_ROW_REMAP_CORRECTABLE_TOTAL", _plain("correctable_rows", whole=True)),
    Field("DEV_ROW_REMAP_FAILURE", "DEV_ROW_REMAP_FAILED", _plain("remap_failure", whole=True)),
    Field("PROF_GR_ENGINE_ACTIVE", "PROF_GR_ENGINE_UTIL_RATIO", _level("busy"), group="profiling"),
    Field("PROF_PIPE_TENSOR_ACTIVE", "PROF_TENSOR_UTIL_RATIO", _level("tensor"), group="profiling"),
    Field("PROF_DRAM_ACTIVE", "PROF_DRAM_UTIL_RATIO", _level("dram"), group="profiling"),
    Field("PROF_PCIE_TX_BYTES", "PROF_PCIE_TX_BYTES", _plain("pcie_tx", whole=True), group="profiling"),
    Field("PROF_PCIE_RX_BYTES", "PROF_PCIE_RX_BYTES", _plain("pcie_rx", whole=True), group="profiling"),
    Field("PROF_SM_ACTIVE", "PROF_SM_UTIL_RATIO", _level("sm"), group="sm_active"),
    Field("PROF_SM_OCCUPANCY", "PROF_SM_OCCUPANCY_RATIO", _level("occupancy"), group="sm_active"),
    Field("PROF_PIPE_FP16_ACTIVE", "PROF_PIPE_FP16_ACTIVE", _level("fp16"), group="sm_active"),
    Field("PROF_PIPE_FP32_ACTIVE", "PROF_PIPE_FP32_ACTIVE", _level("fp32"), group="sm_active"),
    Field("DEV_POWER_VIOLATION", "DEV_POWER_VIOLATION", _total("power_violation", 1e9), group="violations"),
    Field("DEV_THERMAL_VIOLATION", "DEV_THERMAL_VIOLATION", _total("thermal_violation", 1e9), group="violations"),
    Field("DEV_PCIE_LINK_WIDTH", "DEV_PCIE_LINK_WIDTH", _plain("link_width"), group="violations"),
    Field("DEV_PCIE_MAX_LINK_WIDTH", "DEV_PCIE_MAX_LINK_WIDTH", lambda s, fb: g.Constant(16.0), group="violations"),
    Field("DEV_PCIE_LINK_GEN", "DEV_PCIE_LINK_GEN", _plain("link_gen"), group="violations"),
    Field("DEV_PCIE_MAX_LINK_GEN", "DEV_PCIE_MAX_LINK_GEN", lambda s, fb: g.Constant(5.0), group="violations"),
    Field("DEV_ECC_SBE_VOL_TOTAL", "DEV_ECC_SBE_VOL_TOTAL", _total("ecc_sbe"), group="ecc"),
    Field("DEV_ECC_DBE_VOL_TOTAL", "DEV_ECC_DBE_VOL_TOTAL", _plain("ecc_dbe", whole=True), group="ecc"),
    Field("DEV_ROW_REMAP_PENDING", "DEV_ROW_REMAP_PENDING", _plain("remap_pending", whole=True), group="ecc"),
    Field(
        "DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
        "DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
        _total("nvlink_errors"),
        group="ecc",
    ),
)


class _Options:
    """The exporter's options, read once."""

    def __init__(self, place: Place) -> None:
        self.off = place.at("off").flag(default=False)
        self.groups = {"default"}
        for group, default in (("profiling", True), ("sm_active", False), ("violations", False), ("ecc", False)):
            if place.at(group).flag(default=default):
                self.groups.add(group)
        if "profiling" not in self.groups:
            self.groups.discard("sm_active")
        self.honor_labels = place.at("honor_labels").flag(default=False)
        self.version = place.at("version").choice(("4.8", "4.9"), "4.8")
        fallback = "hostname" if self.version == "4.9" else "Hostname"
        self.hostname_label = place.at("hostname_label").choice(("Hostname", "hostname"), fallback)
        self.kubernetes = place.at("kubernetes").flag(default=True)
        self.dra = place.at("dra").flag(default=False)
        self.gaps = place.at("gaps").windows()
        self.missing = {node.text() for node in place.at("missing_nodes").items()}
        self.extra = [extra.text().removeprefix("DCGM_FI_") for extra in place.at("extra").items()]
        self.namespace = place.at("namespace").text("gpu-operator")

    def wants(self, field: Field) -> bool:
        """True when this exporter collects the field."""
        return field.group in self.groups or field.name in self.extra


def families(context: Context) -> Families:
    """The exporter's families, by metric name."""
    options = _Options(context.option("dcgm"))
    if options.off:
        return {}
    base = _Base(context, options)
    out: Families = {}
    for field in FIELDS:
        if options.wants(field):
            name = f"DCGM_FI_{field.renamed if options.version == '4.9' else field.name}"
            out[name] = _family(base, field)
    out["DCGM_FI_DEV_XID_ERROR" if options.version == "4.9" else "DCGM_FI_DEV_XID_ERRORS"] = lambda: _xids(base)
    return out


def _family(base: _Base, field: Field) -> Callable[[], Iterator[Entry]]:
    def entries() -> Iterator[Entry]:
        for device, template in base.templates():
            if device.mig_profile and not field.mig:
                continue
            signals = base.signals(device)
            value = field.value(signals, FB_MIB * device.share)
            if base.options.version == "4.9" and field.factor != 1.0:
                value = g.Linear(value, field.factor)
            yield replace(template, value=value, signals=signals.values)

    return entries


class _Base:
    """Labels and lives of all GPU series, made once for all fields."""

    def __init__(self, context: Context, options: _Options) -> None:
        self.context, self.options = context, options
        self._templates: list[tuple[Device, Entry]] | None = None
        self._signals: dict[int, Signals] = {}

    def templates(self) -> list[tuple[Device, Entry]]:
        """Each device with an entry that lacks only its value."""
        if self._templates is None:
            hosts = self._exporter_pods()
            self._templates = [
                (device, self._template(device, hosts.get(device.node)))
                for device in devices_of(self.context)
                if device.node in hosts and device.node not in self.options.missing
            ]
        return self._templates

    def signals(self, device: Device) -> Signals:
        """What the device shows: its pod's signals and those of the device itself."""
        found = self._signals.get(id(device))
        if found is None:
            found = self._signals[id(device)] = self._device_signals(device)
        return found

    def _device_signals(self, device: Device) -> Signals:
        subject = Subject(node=device.node, gpu=device.gpu)
        default = "idle"
        if device.pod is not None:
            subject = replace(device.pod.subject, gpu=device.gpu)
            default = default_of(device.pod)
        if default == "plain":
            default = "gpu"
        return self.context.metrics.profiles.signals(subject, default)

    def _exporter_pods(self) -> dict[str, tuple[str, str]]:
        """Node → (namespace, name) of the exporter pod that runs there."""
        return {
            pod.node: (pod.namespace, pod.name)
            for pod in self.context.pods
            if "dcgm-exporter" in pod.name and pod.phase == "Running"
        }

    def _template(self, device: Device, host: tuple[str, str] | None) -> Entry:
        options = self.options
        labels = {
            "gpu": str(device.gpu),
            "UUID": device.uuid,
            "pci_bus_id": device.pci_bus_id,
            "device": f"nvidia{device.gpu}",
            "modelName": device.model,
            options.hostname_label: device.node,
            _driver_label(options): device.driver,
            "job": "nvidia-dcgm-exporter",
            "instance": f"{device.address}:9400",
        }
        if device.mig_profile:
            labels |= {"GPU_I_PROFILE": device.mig_profile, "GPU_I_ID": str(device.mig_id)}
        assert host is not None
        own = {
            "namespace": host[0],
            "pod": host[1],
            "container": "nvidia-dcgm-exporter",
            "service": "nvidia-dcgm-exporter",
        }
        labels |= self._attributed(device, own)
        seed = seed_of(device.node, device.gpu, device.mig_id)
        if device.pod is not None:
            seed = device.pod.seed ^ (device.ordinal * 0x9E3779B1 & 0xFFFFFFFF)
        return Entry(labels, g.Constant(_BLANK), seed, device.begins, device.ends, options.gaps, 0.0)

    def _attributed(self, device: Device, own: Mapping[str, str]) -> dict[str, str]:
        mine: dict[str, str] = {}
        pod = device.pod
        if pod is not None and device.attributed and self.options.kubernetes and (not device.claim or self.options.dra):
            mine = {"namespace": pod.namespace, "pod": pod.name, "container": device.container}
        if self.options.honor_labels:
            return {**own, **mine, **self._claim(device)}
        return {**own, **{f"exported_{key}": value for key, value in mine.items()}, **self._claim(device)}

    def _claim(self, device: Device) -> dict[str, str]:
        if not device.claim or not self.options.dra:
            return {}
        return {
            "dra_claim_name": device.claim[1],
            "dra_claim_namespace": device.claim[0],
            "dra_driver_name": "gpu.nvidia.com",
            "dra_pool_name": device.node,
            "dra_device_name": f"gpu-{device.gpu}",
        }


def _driver_label(options: _Options) -> str:
    return "DCGM_FI_SYSTEM_DRIVER_VERSION" if options.version == "4.9" else "DCGM_FI_DRIVER_VERSION"


def _xids(base: _Base) -> Iterator[Entry]:
    """The gauge keeps the last code, and its labels name it: every new code is a new series."""
    for device, template in base.templates():
        signal = base.signals(device).get("xid")
        changes = signal.changes if isinstance(signal, g.Steps) else ()
        pieces = [(-math.inf, signal.before if isinstance(signal, g.Steps) else signal), *changes]
        born = -math.inf if template.born is None else template.born
        dies = math.inf if template.dies is None else template.dies
        for number, (start, piece) in enumerate(pieces):
            code = int(piece.value) if isinstance(piece, g.Constant) else 0
            begin = max(start, born)
            end = min(pieces[number + 1][0] if number + 1 < len(pieces) else math.inf, dies)
            if begin >= end:
                continue
            message = XID_MESSAGES.get(code, "Unknown Error")
            labels = {**template.labels, "err_code": str(code), "err_msg": message}
            yield replace(template, labels=labels, value=g.Constant(float(code)), born=_known(begin), dies=_known(end))


def _known(moment: float) -> float | None:
    return None if math.isinf(moment) else moment
