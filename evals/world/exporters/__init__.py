"""Exporters: the series each real exporter would emit, derived from a world's objects and profiles."""

from __future__ import annotations

from collections.abc import Callable

from evals.world.exporters import cadvisor, dcgm, ksm, ksm_workloads, platform, vllm
from evals.world.exporters.context import Context
from evals.world.series import Families


def _kube_state(context: Context) -> Families:
    if context.option("ksm").at("off").flag(default=False):
        return {}
    return {**ksm.families(context), **ksm_workloads.families(context)}


EXPORTERS: tuple[Callable[[Context], Families], ...] = (
    _kube_state,
    dcgm.families,
    vllm.families,
    cadvisor.families,
    platform.families,
)
"""Every exporter; each gives its families by metric name, made on first touch."""


def derived(context: Context) -> Families:
    """The families of all exporters together."""
    found: Families = {}
    for exporter in EXPORTERS:
        found |= exporter(context)
    return found
