"""An exporter that is gone: none of its series was ever scraped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from evals.perturb.model import Perturbation, Unfit, doubted
from evals.promql.model import NAME
from evals.types import Scenario
from evals.world.model import Matcher, RawSeries, SeriesSource, World

TELEMETRY = "U00"
EXPORTERS: Mapping[str, tuple[str, ...]] = {
    "DCGM_": ("DCGM", "dcgm"),
    "vllm:": ("vllm", "vLLM", "model server"),
    "kube_": ("kube_", "kube-state-metrics"),
    "container_": ("container_", "cAdvisor", "cadvisor", "kubelet"),
}
"""Prefix of an exporter's series → what an answer may call what is missing."""
SIGNS: Mapping[str, tuple[str, ...]] = {
    "DCGM_": ("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_UTIL_RATIO"),
    "vllm:": ("vllm:num_requests_running",),
    "kube_": ("kube_pod_info", "kube_pod_status_phase"),
    "container_": ("container_cpu_usage_seconds_total",),
}
"""A series by which an exporter is known to be there."""


@dataclass(frozen=True, slots=True)
class Without(SeriesSource):
    """A source without the series of a prefix."""

    source: SeriesSource
    prefix: str

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[RawSeries]:
        """As the source, but for those."""
        if self._only_gone(matchers):
            return []
        return [one for one in self.source.select(matchers, start, end) if self._kept(one.labels)]

    def label_sets(self, matchers: Sequence[Matcher], start: float, end: float) -> Iterable[Mapping[str, str]]:
        """As the source, but for those."""
        if self._only_gone(matchers):
            return []
        return [labels for labels in self.source.label_sets(matchers, start, end) if self._kept(labels)]

    def _only_gone(self, matchers: Sequence[Matcher]) -> bool:
        return any(m.label == NAME and m.op == "=" and m.value.startswith(self.prefix) for m in matchers)

    def _kept(self, labels: Mapping[str, str]) -> bool:
        return not labels.get(NAME, "").startswith(self.prefix)


def _change(world: World, scenario: Scenario, dice: Random) -> tuple[World, Scenario]:
    if scenario.change is not None:
        raise Unfit("a change is judged by the series it is to move")
    there = [prefix for prefix in EXPORTERS if _there(world, prefix)]
    if not there:
        raise Unfit("the world has no series of these exporters")
    prefix = dice.choice(there)
    scenario = doubted(scenario, *EXPORTERS[prefix])
    if prefix == "DCGM_":
        scenario = _blind(scenario)
    return replace(world, series=Without(world.series, prefix)), scenario


def _blind(scenario: Scenario) -> Scenario:
    """GPUs that nobody watches are a cause of their own."""
    expect = scenario.expect
    never = tuple(cause for cause in expect.must_not_claim if cause != TELEMETRY)
    changed = expect.model_copy(update={"instead": (*expect.instead, TELEMETRY), "must_not_claim": never})
    return scenario.model_copy(update={"expect": changed})


def _there(world: World, prefix: str) -> bool:
    now = world.clock.now
    return any(list(world.series.label_sets([Matcher(NAME, "=", name)], now - 300, now)) for name in SIGNS[prefix])


PERTURBATION = Perturbation(
    description="no series of dcgm-exporter, of vLLM, of kube-state-metrics or of cAdvisor",
    right="or_inconclusive",
    because="what only these series show cannot be known",
    traps=("T2", "T14"),
    change=_change,
)
