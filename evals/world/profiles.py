"""What a workload shows: profiles match pods, GPUs, nodes or autoscalers and give their signals.

    profiles:
    - match: {namespace: search, workload: chat-70b}        # also pod, index, node, gpu, kind, labels, hpa
      busy: {noise: {mean: 0.5, spread: 0.1}}
      vllm: {waiting: 0, rps: 2, ttft: {p50: 0.2, p95: 0.6}}

Rules: profiles apply in the order base to overlay, and within a file from top to bottom; a later one replaces the
signals it names and leaves the others. Below all of them lie the defaults of the kind of workload.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from evals.world import generators as g
from evals.world.latency import Latency, LogNormal, parse_latency
from evals.world.noise import seed_of
from evals.world.places import Place
from evals.world.specs import parse, signals_of

GPU = (
    "busy", "sm", "occupancy", "tensor", "fp16", "fp32", "dram", "fb", "power", "temp", "sm_clock",
    "mem_clock", "pcie_rx", "pcie_tx", "nvlink", "xid", "pcie_replay", "ecc_sbe", "ecc_dbe",
    "correctable_rows", "uncorrectable_rows", "remap_failure", "remap_pending", "thermal_violation",
    "power_violation", "link_width", "link_gen", "nvlink_errors",
)  # fmt: skip
CONTAINER = (
    "cpu", "memory", "throttled", "fs_reads", "fs_writes", "net_rx", "net_tx", "cpu_wait", "io_wait",
    "memory_wait",
)  # fmt: skip
NODE = (
    "ib_tx", "ib_rx", "ib_errors", "ib_link_downed", "node_cpu",
)  # fmt: skip
HPA = (
    "desired", "current",
)  # fmt: skip
VLLM = (
    "running", "waiting", "kv", "rps", "preemptions", "prompt_tokens", "generation_tokens", "prefix_hits",
    "aborted", "truncated", "deferred",
)  # fmt: skip
VLLM_LATENCIES = (
    "ttft", "itl", "e2e", "queue", "prefill", "decode", "prompt_length", "generation_length",
)  # fmt: skip
MATCH = (
    "namespace", "workload", "pod", "index", "node", "gpu", "kind", "labels", "hpa",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """What a profile is matched against; absent parts are empty or None."""

    namespace: str = ""
    workloads: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    pod: str = ""
    index: int | None = None
    node: str = ""
    gpu: int | None = None
    hpa: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of one subject, and the distributions of its latencies."""

    values: Mapping[str, g.Generator]
    latencies: Mapping[str, Latency]
    model: str = ""

    def get(self, name: str) -> g.Generator:
        """One signal; zero where nothing gives it."""
        return self.values.get(name, _ZERO)

    def has(self, name: str) -> bool:
        """True when something gives this signal."""
        return name in self.values


_ZERO = g.Constant(0.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile as written."""

    place: Place
    match: Mapping[str, re.Pattern[str]]
    numbers: Mapping[str, int]
    labels: Mapping[str, re.Pattern[str]]
    signals: Signals

    def covers(self, subject: Subject) -> bool:
        """True when every part of `match` accepts the subject."""
        texts = {
            "namespace": (subject.namespace,),
            "workload": subject.workloads,
            "kind": subject.kinds,
            "pod": (subject.pod,),
            "node": (subject.node,),
            "hpa": (subject.hpa,),
        }
        for name, pattern in self.match.items():
            if not any(pattern.fullmatch(value) for value in texts[name]):
                return False
        here = {"index": subject.index, "gpu": subject.gpu}
        if any(here[name] != number for name, number in self.numbers.items()):
            return False
        return all(p.fullmatch(subject.labels.get(label, "")) for label, p in self.labels.items())


def pattern(place: Place) -> re.Pattern[str]:
    """A regular expression, anchored at both ends when used. Raises DocumentError."""
    try:
        return re.compile(place.text())
    except re.error as error:
        place.fail(f"not a regular expression: {error}")


def parse_profile(place: Place) -> Profile:
    """One entry of `profiles`. Raises DocumentError."""
    place.only(("match", "vllm", *GPU, *CONTAINER, *NODE, *HPA))
    match = place.at("match")
    match.only(MATCH)
    if not match.mapping():
        match.fail("says nothing; name at least one of namespace, workload, pod, node, hpa")
    texts = ("namespace", "workload", "kind", "pod", "node", "hpa")
    return Profile(
        place=place,
        match={name: pattern(match.at(name)) for name in texts if match.at(name).value is not None},
        numbers={name: int(match.at(name).number()) for name in ("index", "gpu") if match.at(name).value is not None},
        labels={label: pattern(match.at("labels", label)) for label in match.at("labels").mapping()},
        signals=_signals(place),
    )


def _signals(place: Place) -> Signals:
    values = {name: parse(place.at(name), name) for name in place.mapping() if name not in ("match", "vllm")}
    vllm = place.at("vllm")
    vllm.only(("model", *VLLM, *VLLM_LATENCIES))
    latencies: dict[str, Latency] = {}
    for name in vllm.mapping():
        if name in VLLM_LATENCIES:
            latencies[name] = parse_latency(vllm.at(name))
        elif name != "model":
            values[f"vllm.{name}"] = parse(vllm.at(name), f"vllm.{name}")
    return Signals(values, latencies, vllm.at("model").text(""))


@dataclass(frozen=True, slots=True)
class Switch:
    """A profile that holds from `begin` to `end` (seconds from now) only: what a reaction does to signals."""

    profile: Profile
    begin: float
    end: float | None
    scaled: bool
    """True where its numbers multiply the signals; else it replaces them."""

    def apply(self, values: dict[str, g.Generator], latencies: dict[str, Latency]) -> None:
        """Put it on top of what held before."""
        for name, new in self.profile.signals.values.items():
            before = values.get(name, _ZERO)
            if self.scaled:
                new = g.Linear(before, new.value if isinstance(new, g.Constant) else 1.0)
            elif not signals_of(new):
                new = g.Linear(new, lag=self.begin)
            ends = () if self.end is None else ((self.end, before),)
            values[name] = g.Steps(before, ((self.begin, new), *ends))
        for name, shape in self.profile.signals.latencies.items():
            latencies[name] = latencies[name].switched(shape.before, self.begin, self.end)


class Profiles:
    """All profiles of a world, base first, and the switches that reactions have put on top."""

    def __init__(self, profiles: tuple[Profile, ...], switches: tuple[Switch, ...] = ()) -> None:
        self.all, self.switches = profiles, switches
        self._cache: dict[tuple[str, tuple[int, ...], tuple[int, ...]], Signals] = {}

    def signals(self, subject: Subject, default: str) -> Signals:
        """The signals of a subject on top of the defaults `default`. Raises DocumentError for a broken `of`."""
        hits = tuple(number for number, profile in enumerate(self.all) if profile.covers(subject))
        turned = tuple(number for number, switch in enumerate(self.switches) if switch.profile.covers(subject))
        key = (default, hits, turned)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._merged(default, hits, turned)
        return found

    def _merged(self, default: str, hits: tuple[int, ...], turned: tuple[int, ...]) -> Signals:
        values, latencies, model = dict(DEFAULTS[default]), dict(_LATENCIES), ""
        for number in hits:
            signals = self.all[number].signals
            values.update(signals.values)
            latencies.update(signals.latencies)
            model = signals.model or model
        for number in turned:
            self.switches[number].apply(values, latencies)
        place = self.all[hits[-1]].place if hits else None
        _check_references(values, place)
        return Signals(values, latencies, model)


def _check_references(values: Mapping[str, g.Generator], place: Place | None) -> None:
    """Every `of` names a signal, and none refers to itself through others."""

    def visit(name: str, above: tuple[str, ...]) -> None:
        problem = ""
        if name not in values:
            problem = f"`of: {name}` names no signal here; there are: {', '.join(sorted(values))}"
        elif name in above:
            problem = f"signals refer to each other in a circle: {' → '.join((*above, name))}"
        if problem:
            if place is None:
                raise ValueError(problem)
            place.fail(problem)
        for other in signals_of(values[name]):
            visit(other, (*above, name))

    for name in values:
        visit(name, ())


# --- defaults by kind of workload --------------------------------------------------------------------------


def _noise(name: str, mean: float, spread: float) -> g.Generator:
    return g.Noise(mean, spread, seed_of(name, "default"))


def _of(name: str, scale: float, offset: float = 0.0) -> g.Generator:
    return g.Linear(g.Signal(name), scale, offset)


_IDLE: dict[str, g.Generator] = {
    "busy": _ZERO,
    "sm": _ZERO,
    "occupancy": _ZERO,
    "tensor": _ZERO,
    "dram": _ZERO,
    "fb": _ZERO,
    "power": _noise("power", 72.0, 1.0),
    "temp": _noise("temp", 31.0, 0.5),
    "sm_clock": g.Constant(345.0),
    "mem_clock": g.Constant(2619.0),
    "link_width": g.Constant(16.0),
    "link_gen": g.Constant(5.0),
}
"""An H100 SXM nobody uses: about 70 W, clocks down, memory free."""

_USED: dict[str, g.Generator] = {
    **_IDLE,
    "sm": _of("busy", 0.8),
    "occupancy": _of("busy", 0.3),
    "tensor": _of("busy", 0.25),
    "dram": _of("busy", 0.4),
    "fb": g.Constant(0.6),
    "power": g.Sum((_of("busy", 300.0, 110.0), _of("tensor", 600.0))),
    "temp": _of("busy", 30.0, 34.0),
    "sm_clock": g.Constant(1980.0),
    "pcie_rx": _of("busy", 4e8),
    "pcie_tx": _of("busy", 2e8),
    "nvlink": _of("busy", 1e9),
}
_CONTAINER: dict[str, g.Generator] = {
    "cpu": _noise("cpu", 0.05, 0.01),
    "memory": g.Constant(200e6),
    "fs_reads": g.Constant(2e3),
    "fs_writes": g.Constant(1e4),
    "net_rx": _noise("net_rx", 2e4, 3e3),
    "net_tx": _noise("net_tx", 2e4, 3e3),
    "throttled": _ZERO,
    "cpu_wait": g.Constant(0.002),
    "io_wait": g.Constant(0.001),
    "memory_wait": _ZERO,
}
_VLLM: dict[str, g.Generator] = {
    "vllm.running": g.Clamp(_of("busy", 24.0), low=0.0, whole=True),
    "vllm.waiting": _ZERO,
    "vllm.deferred": _ZERO,
    "vllm.kv": g.Clamp(_of("busy", 0.6, 0.02), 0.0, 1.0),
    "vllm.rps": _noise("rps", 1.6, 0.2),
    "vllm.preemptions": _ZERO,
    "vllm.prompt_tokens": g.Constant(640.0),
    "vllm.generation_tokens": g.Constant(220.0),
    "vllm.prefix_hits": g.Constant(0.55),
    "vllm.aborted": g.Constant(0.004),
    "vllm.truncated": g.Constant(0.03),
}
DEFAULTS: dict[str, dict[str, g.Generator]] = {
    "idle": _IDLE,
    "plain": _CONTAINER,
    "gpu": {**_USED, **_CONTAINER, "busy": _noise("busy", 0.6, 0.06), "cpu": _noise("cpu", 3.0, 0.3)},
    "serving": {
        **_USED,
        **_CONTAINER,
        **_VLLM,
        "busy": _noise("busy", 0.55, 0.08),
        "dram": _of("busy", 0.75),
        "tensor": _of("busy", 0.22),
        "fb": g.Constant(0.91),
        "cpu": _noise("cpu", 2.4, 0.3),
        "memory": g.Constant(24e9),
        "net_rx": _noise("net_rx", 3e5, 4e4),
        "net_tx": _noise("net_tx", 9e5, 9e4),
    },
    "training": {
        **_USED,
        **_CONTAINER,
        "busy": _noise("busy", 0.955, 0.015),
        "sm": _of("busy", 0.86),
        "tensor": _of("busy", 0.45),
        "dram": _of("busy", 0.55),
        "fb": g.Constant(0.87),
        "nvlink": _of("busy", 1.4e11),
        "pcie_rx": _of("busy", 3e9),
        "cpu": _noise("cpu", 14.0, 1.0),
        "memory": g.Constant(240e9),
        "fs_reads": _noise("fs_reads", 3e8, 3e7),
        "io_wait": _noise("io_wait", 0.02, 0.004),
        "cpu_wait": _noise("cpu_wait", 0.03, 0.005),
    },
    "notebook": {
        **_USED,
        **_CONTAINER,
        "busy": g.Bursts(0.02, 0.5, 1500.0, 420.0, seed_of("busy", "notebook")),
        "fb": g.Constant(0.35),
        "cpu": _noise("cpu", 0.9, 0.15),
        "memory": g.Constant(9e9),
    },
    "node": {
        "ib_tx": g.Constant(2e4),
        "ib_rx": g.Constant(2e4),
        "ib_errors": _ZERO,
        "ib_link_downed": _ZERO,
        "node_cpu": _noise("node_cpu", 0.12, 0.01),
    },
    "hpa": {},
}
_LATENCIES: dict[str, Latency] = {
    "ttft": Latency(LogNormal(0.22, 0.6)),
    "itl": Latency(LogNormal(0.024, 0.045)),
    "e2e": Latency(LogNormal(5.6, 14.0)),
    "queue": Latency(LogNormal(0.004, 0.03)),
    "prefill": Latency(LogNormal(0.18, 0.5)),
    "decode": Latency(LogNormal(5.2, 13.0)),
    "prompt_length": Latency(LogNormal(480.0, 1900.0)),
    "generation_length": Latency(LogNormal(180.0, 620.0)),
}
