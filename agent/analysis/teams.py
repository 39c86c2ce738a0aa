"""Who holds GPUs and who uses them, by team (or by namespace where no team is declared); the most waste first.

Rules: the order is worked out, the numbers shown are Facts; a team whose use is not measured is said to be so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.analysis import queries
from agent.analysis.gpus import gpu_count, running_gpu_pods
from agent.analysis.overview import asked_pods, gpu_refs, total, value
from agent.analysis.readings import amount, percent, plural
from agent.analysis.records import Record, Sample
from agent.analysis.signals.utilization import IDLE_BUSY
from agent.analysis.view import View, claim
from agent.types import Claim
from tools.types import EvidenceRef

TEAMS = 20
"""Teams listed at most."""


@dataclass(slots=True)
class _Share:
    """What one team's running GPU pods hold, and their samples."""

    pods: list[Record] = field(default_factory=list)
    busy: dict[str, Sample] = field(default_factory=dict)
    """Pod key → its mean busy share."""

    @property
    def unused(self) -> float:
        """GPUs' worth of rest: each measured pod's GPUs times the share of time they rested."""
        measured = ((pod, self.busy.get(pod.key)) for pod in self.pods)
        return sum(gpu_count(pod) * (1 - (row.value or 0.0)) for pod, row in measured if row)

    @property
    def idle(self) -> list[Record]:
        """Pods whose GPUs were not used at all."""
        return [pod for pod in self.pods if pod.key in self.busy and (self.busy[pod.key].value or 0.0) < IDLE_BUSY]


def usage_by_team(view: View, team_of: Mapping[str, str]) -> list[Claim]:
    """One line a team: GPUs held, mean use of its pods, GPUs of idle pods; who leaves most unused comes first."""
    shares: dict[str, _Share] = defaultdict(_Share)
    for pod in asked_pods(view, running_gpu_pods(view)):
        namespace = pod.ref.namespace or ""
        share = shares[f"team {team_of[namespace]}" if namespace in team_of else f"namespace {namespace}"]
        share.pods.append(pod)
        rows = [row for row in view.rows_for(queries.GPU_BUSY_MEAN, [pod]) if row.value is not None]
        if rows:
            share.busy[pod.key] = rows[0]
    ordered = sorted(shares.items(), key=lambda item: (-item[1].unused, item[0]))
    lines = [_line(view, team, share) for team, share in ordered[:TEAMS]]
    return [line for line in lines if line is not None]


def _line(view: View, team: str, share: _Share) -> Claim | None:
    held = total(view, f"GPUs held by {team}", "sum", [ref for pod in share.pods for ref in gpu_refs(pod)], "GPUs")
    if held is None:
        return None
    refs: list[EvidenceRef] = [held]
    text = f"{team} holds {plural(value(held) or 0.0, 'GPU')}"
    rows = [row.cite() for row in share.busy.values()]
    mean = total(view, f"mean busy share of the pods of {team}", "mean", rows, "share of time busy")
    if mean is None:
        return claim(f"{text}; their use is not measured", held)
    refs.append(mean)
    text += f", its GPU pods {percent(value(mean) or 0.0)} busy on average in 30 min"
    idle_refs = [ref for pod in share.idle for ref in gpu_refs(pod)]
    idle = total(view, f"GPUs of idle pods of {team}", "sum", idle_refs, "GPUs")
    if idle is not None:
        refs.append(idle)
        text += f"; {plural(value(idle) or 0.0, 'GPU')} on pods without any use"
    missing = [pod.cite("metadata", "name") for pod in share.pods if pod.key not in share.busy]
    unmeasured = total(view, f"GPU pods of {team} without samples", "count", missing, "pods")
    if unmeasured is not None:
        refs.append(unmeasured)
        text += f"; {amount(value(unmeasured) or 0.0)} of its pods not measured"
    return claim(text, *refs)
