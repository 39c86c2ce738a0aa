"""Who holds GPUs and who uses them, by team; waste first. A team is what its namespaces say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.analysis import queries
from agent.analysis.gpus import gpu_count, running_gpu_pods
from agent.analysis.readings import percent, plural
from agent.analysis.records import Record, Sample
from agent.analysis.view import View, claim
from agent.types import Claim

TEAMS = 20
"""Teams listed at most."""
INPUTS = 512
"""Pods of one team up to which its mean is worked out as a Fact."""


@dataclass(slots=True)
class _Share:
    pods: list[Record] = field(default_factory=list)
    rows: list[Sample] = field(default_factory=list)

    @property
    def gpus(self) -> float:
        return sum(gpu_count(pod) for pod in self.pods)

    @property
    def unused(self) -> float:
        """GPUs' worth of idleness: each pod's GPUs times the share they rested."""
        busy = {(r.label("namespace"), r.label("pod")): r.value or 0.0 for r in self.rows}
        return sum(gpu_count(p) * (1 - busy.get((p.ref.namespace or "", p.ref.name), 1.0)) for p in self.pods)


def usage_by_team(view: View, team_of: Mapping[str, str]) -> list[Claim]:
    """One line a team: GPUs held and their mean use; the team that leaves most unused comes first."""
    shares: dict[str, _Share] = defaultdict(_Share)
    for pod in running_gpu_pods(view):
        share = shares[team_of.get(pod.ref.namespace or "", pod.ref.namespace or "")]
        share.pods.append(pod)
        share.rows += view.rows_for(queries.GPU_BUSY_MEAN, [pod])
    ordered = sorted(shares.items(), key=lambda item: (-item[1].unused, item[0]))
    return [_line(view, team, share) for team, share in ordered[:TEAMS]]


def _line(view: View, team: str, share: _Share) -> Claim:
    held = f"{team} holds {plural(share.gpus, 'GPU')} in {plural(len(share.pods), 'pod')}"
    refs = [pod.cite("spec", "nodeName") for pod in share.pods[:4]]
    if not share.rows:
        return claim(f"{held}, use not measured", *refs)
    rows = [row.cite() for row in share.rows[:INPUTS]]
    mean = view.fact(f"mean busy share of {team}", "mean", rows, "share")
    if mean is None or not isinstance(mean.value, float):
        return claim(f"{held}, use not measured", *refs)
    return claim(f"{held}, {percent(mean.value)} busy over 30 min", mean, *refs)
