"""The one place that turns candidates into root, contributing and ruled out.

Rules: findings that share an affected object belong to one incident; a root explains a symptom only if the table
says it can and the times allow it; a neighbour is ruled out only by a test with a reference; confidence is high only
on two independent signal families and no undecided exclusion. The table is data; nothing else ranks causes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.analysis.diagnoser import Diagnoser, judged
from agent.analysis.judging import read
from agent.analysis.signals import load as load_signals
from agent.analysis.view import View
from agent.types import Claim, Confidence, Finding, Missing, RuledOut, Severity
from tools.types import Frozen, ResourceRef

LOOK_ALIKES: dict[str, tuple[str, ...]] = {
    "U00": ("U01", "U35"),
    "U01": ("U00", "U35", "U25", "U13"),
    "U03": ("U08", "U10", "U11"),
    "U08": ("U35", "U00", "U03", "U10", "U11"),
    "U10": ("U35", "U08", "U03", "U11"),
    "U11": ("U08", "U03", "U10"),
    "U13": ("U00", "U01", "U16"),
    "U16": ("U00", "U13", "U35"),
    "U25": ("U00", "U01", "U35"),
    "U35": ("U00", "U25"),
    "D03": ("U35",),
}
"""Cause → causes that look the same from afar; only those that exist are ever named."""

EXPLAINS: dict[str, tuple[str, ...]] = {
    "U35": ("U00", "U01", "U10", "U16", "U25"),
    "U13": ("U01", "U16"),
    "D03": ("U16",),
}
"""Root cause → findings on the same objects that it explains."""

UNTOLD = ("gpus_unmeasured",)
"""Signals that keep a cause from being judged: what was not measured is neither found nor ruled out."""
RANK: dict[Severity, int] = {"critical": 0, "high": 1, "medium": 2, "low": 3}
SLACK = 300.0
"""Seconds by which a symptom may seem to precede its cause (scrape and event delays)."""


class Verdict(Frozen):
    """The outcome of judging: findings with their final roles, in order of weight, and what was excluded how."""

    findings: tuple[Finding, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    sharper: tuple[Missing, ...] = ()
    """What would have made a finding more certain."""


def decide(view: View, diagnosers: Mapping[str, Diagnoser], candidates: Sequence[Finding]) -> Verdict:
    """Roles, confidence and neighbours for the candidates of a view."""
    sharper: list[Missing] = []
    settled = [_with_confidence(view, diagnosers, finding, sharper) for finding in candidates]
    roles = [_with_role(finding, settled) for finding in settled]
    ordered = sorted(roles, key=_weight)
    out = [entry for f in ordered if f.role == "root" for entry in neighbours(view, diagnosers, f, ordered)]
    return Verdict(findings=tuple(ordered), ruled_out=tuple(out), sharper=_merged(sharper))


def _weight(finding: Finding) -> tuple[int, int, str, str]:
    return (0 if finding.role == "root" else 1, RANK[finding.severity], finding.cause, str(finding.subject))


def _shares(left: Finding, right: Finding) -> bool:
    ours = {ref.identity for ref in (left.subject, *left.affects)}
    return any(ref.identity in ours for ref in (right.subject, *right.affects))


def _with_role(finding: Finding, every: Sequence[Finding]) -> Finding:
    for other in every:
        if finding.cause in EXPLAINS.get(other.cause, ()) and _shares(other, finding) and _in_time(other, finding):
            return finding.model_copy(update={"role": "contributing"})
    return finding.model_copy(update={"role": "root"})


def _in_time(cause: Finding, symptom: Finding) -> bool:
    return cause.since is None or symptom.since is None or cause.since <= symptom.since + SLACK


def _with_confidence(
    view: View, diagnosers: Mapping[str, Diagnoser], finding: Finding, sharper: list[Missing]
) -> Finding:
    families = {view.family(ref.evidence) for ref in finding.refs} - {""}
    diagnoser = diagnosers[finding.cause]
    result = judged(view, finding.subject, diagnoser.CONFIRMS, diagnoser.EXCLUDES)
    for reading in result.undecided:
        need, _, because = reading.lacks.partition(" (")
        text = because.removesuffix(")") or "not available here"
        sharper.append(Missing(need=need, because=f"{text}: {finding.cause} would be surer with it"))
    ceiling: Confidence = "high" if len(families) > 1 and not result.undecided else "medium"
    if finding.confidence == "high" and ceiling == "medium":
        return finding.model_copy(update={"confidence": "medium"})
    return finding


def _merged(entries: Sequence[Missing]) -> tuple[Missing, ...]:
    return tuple({(entry.need, entry.because): entry for entry in entries}.values())


def neighbours(
    view: View, diagnosers: Mapping[str, Diagnoser], finding: Finding, every: Sequence[Finding]
) -> list[RuledOut]:
    """The look-alikes of a finding that a test on the same subject excludes."""
    out: list[RuledOut] = []
    for cause in LOOK_ALIKES.get(finding.cause, ()):
        neighbour = diagnosers.get(cause)
        if neighbour is None or any(f.cause == cause and _shares(f, finding) for f in every):
            continue
        for subject in (finding.subject, *finding.affects[:1]):
            because = _excluded(view, neighbour, subject)
            if because is not None:
                out.append(RuledOut(cause=cause, subject=subject, because=because))
                break
    return out


def _excluded(view: View, neighbour: Diagnoser, subject: ResourceRef) -> Claim | None:
    signals = load_signals()
    for name in neighbour.CONFIRMS:
        reading = read(view, subject, signals, name)
        if reading.holds is False:
            return reading.claim
    if any(name in neighbour.EXCLUDES and read(view, subject, signals, name).holds for name in UNTOLD):
        return None
    for name in neighbour.EXCLUDES:
        reading = read(view, subject, signals, name)
        if reading.holds:
            return reading.claim
    return None
