"""From gathered evidence to a diagnosis: judge, decide, filter to what was asked, check every citation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.analysis import kinds, labels
from agent.analysis.diagnoser import Diagnoser, Survey, asked_about
from agent.analysis.gpus import gpu_nodes, running_gpu_pods
from agent.analysis.overview import overview
from agent.analysis.readings import spell
from agent.analysis.signals.room import WHY_WAITING
from agent.analysis.signals.telemetry import covered
from agent.analysis.teams import usage_by_team
from agent.analysis.timeline import changes
from agent.analysis.view import UNREAD, View
from agent.citations import Checker, Lookup
from agent.types import Claim, Diagnosis, Finding, Intent, Missing, Usage, Verdict
from agent.verdict import decide
from agent.wording import WHY
from tools.types import Evidence, Mode, ResourceRef, ToolCall

MAX_CHECKED = 12
MAX_UNSEEN = 5
MAX_TIMELINE = 12
"""Lines of a kind an answer shows at most; the evidence holds the rest."""


UNJUDGED = Missing(need="a judgement", because="no cause was judged", causes=("*",))


@dataclass(frozen=True, slots=True)
class Frame:
    """What an answer says about its making."""

    reasoner: str
    mode: Mode
    cluster: str
    team_map: Mapping[str, Sequence[str]]
    team_label: str


def candidates(view: View, diagnosers: Mapping[str, Diagnoser], intent: Intent) -> list[Finding]:
    """Every finding of the causes asked about that concerns the scope."""
    found = [finding for diagnoser in asked_about(diagnosers, intent) for finding in diagnoser.judge(view)]
    return [finding for finding in found if concerns(view, finding)]


def follow_ups(
    view: View, diagnosers: Mapping[str, Diagnoser], intent: Intent, made: Sequence[ToolCall]
) -> list[ToolCall]:
    """What the causes still want to know about their suspects, each call once and none repeated."""
    seen = {call.digest for call in made}
    calls: dict[str, ToolCall] = {}
    for diagnoser in asked_about(diagnosers, intent):
        for call in diagnoser.follow(view):
            if call.digest not in seen:
                calls.setdefault(call.digest, call)
    return list(calls.values())


def concerns(view: View, finding: Finding) -> bool:
    """True when a finding touches what was asked about."""
    named = (finding.subject, *finding.affects)
    wanted = labels.parse(view.scope.selector)
    if wanted and not any(labels.matches(wanted, found) for ref in named for found in _labels(view, ref)):
        return False
    return any(_in_scope(view, ref) for ref in named)


def _labels(view: View, ref: ResourceRef) -> list[dict[str, str]]:
    """The labels of an object and of the pods under it."""
    record = view.find(ref)
    return [*([record.labels] if record else []), *(pod.labels for pod in view.pods_of(ref))]


def _in_scope(view: View, ref: ResourceRef) -> bool:
    scope = view.scope
    if scope.subject is not None:
        return _is_subject(view, scope.subject, ref)
    if scope.node is not None:
        on_node = ref.kind == "Node" and ref.name == scope.node
        return on_node or any(pod.text("spec", "nodeName") == scope.node for pod in view.pods_of(ref))
    if scope.namespaces is None:
        return True
    if ref.namespace is not None:
        return ref.namespace in scope.namespaces
    return any(pod.ref.namespace in scope.namespaces for pod in view.pods_of(ref))


def _is_subject(view: View, subject: ResourceRef, ref: ResourceRef) -> bool:
    if subject.same(ref):
        return True
    if ref.kind == "Node":
        return any(pod.text("spec", "nodeName") == ref.name for pod in view.pods_of(subject))
    ours = {pod.ref.identity for pod in view.pods_of(subject)}
    return any(pod.ref.identity in ours for pod in view.pods_of(ref))


def diagnosis(
    view: View, diagnosers: Mapping[str, Diagnoser], intent: Intent, found: Sequence[Finding], frame: Frame
) -> Diagnosis:
    """The whole answer, but for its words and its cost."""
    verdict = decide(view, diagnosers, found)
    surveys = [diagnoser.survey(view) for diagnoser in asked_about(diagnosers, intent)]
    told = {f"{WHY}{one.subject} waits" for one in verdict.findings if _tells_why(diagnosers[one.cause])}
    missing = _missing(view, surveys, verdict.sharper) if diagnosers else (UNJUDGED,)
    missing = tuple(entry for entry in missing if entry.need not in told)
    checked = [claim for survey in surveys for claim in survey.checked]
    shown_as, shown = _shown(view, intent, frame)
    return Diagnosis(
        question=intent.question,
        understood=intent.understood,
        beyond=intent.beyond,
        unknown=intent.unknown,
        status=_status(view, verdict.findings, missing),
        reasoner=frame.reasoner,
        mode=frame.mode,
        cluster=frame.cluster,
        scope=view.scope,
        findings=verdict.findings,
        ruled_out=verdict.ruled_out,
        checked=tuple(checked[:MAX_CHECKED]),
        shown_as=shown_as,
        shown=shown,
        missing=missing,
        usage=Usage(calls=0, requests=0, seconds=0.0),
    )


def _shown(view: View, intent: Intent, frame: Frame) -> tuple[str, tuple[Claim, ...]]:
    """What the topic itself asks to see, beside findings, and its heading."""
    if intent.topic == "changes":
        found = [c for c in changes(view, since=view.now - intent.window) if _in_scope(view, c.object)]
        return "changes", tuple(change.claim for change in found[:MAX_TIMELINE])
    if intent.topic == "team":
        return "by team", tuple(usage_by_team(view, teams(view, frame)))
    if intent.topic in ("overview", "health", "utilization", "idle"):
        return "at a glance", tuple(overview(view))
    return "", ()


def teams(view: View, frame: Frame) -> dict[str, str]:
    """Namespace → team, by settings, else by the namespaces' team label."""
    named = {
        record.ref.name: record.labels[frame.team_label]
        for record in view.objects(kinds.NAMESPACE)
        if frame.team_label in record.labels
    }
    for team, namespaces in frame.team_map.items():
        named.update(dict.fromkeys(namespaces, team))
    return named


def _tells_why(diagnoser: Diagnoser) -> bool:
    """True for a cause of which pods wait for a node."""
    return not WHY_WAITING.isdisjoint(diagnoser.CONFIRMS)


def _status(view: View, findings: Sequence[Finding], missing: Sequence[Missing]) -> Verdict:
    measured = any(covered(view, pod) for pod in running_gpu_pods(view)) or not gpu_nodes(view)
    if any(finding.cause != "U00" for finding in findings):
        return "found"
    if findings:
        return "found" if measured else "inconclusive"
    return "inconclusive" if any(entry.causes for entry in missing) else "healthy"


def _missing(view: View, surveys: Iterable[Survey], sharper: Sequence[Missing]) -> tuple[Missing, ...]:
    merged: dict[tuple[str, str], Missing] = {}
    for entry in (*_unseen(view), *(m for survey in surveys for m in survey.missing), *sharper):
        if entry.because.startswith(UNREAD):  # one reason for all of them, said once
            entry = entry.model_copy(update={"need": "metrics", "because": f"{UNREAD}{view.metrics_note}"})
        known = merged.get((entry.need, entry.because))
        causes = tuple(dict.fromkeys((*(known.causes if known else ()), *entry.causes)))
        merged[(entry.need, entry.because)] = entry.model_copy(update={"causes": causes})
    return tuple(merged.values())


def _unseen(view: View) -> list[Missing]:
    """What was denied, unavailable, cut short or partial, each reason named once with all it hit."""
    by_reason: dict[tuple[str, str], dict[str, None]] = {}
    for evidence in view.every():
        what = f"{evidence.family} metrics" if evidence.source == "prometheus" else evidence.query
        if not evidence.usable:
            by_reason.setdefault((evidence.status, evidence.detail), {})[what] = None
        elif partial := _partial(evidence):
            by_reason.setdefault(("partial", partial), {})[what] = None
    return [
        Missing(need=spell(list(asked), MAX_UNSEEN), because=f"{status}: {detail}", causes=("*",))
        for (status, detail), asked in by_reason.items()
    ]


def _partial(evidence: Evidence) -> str:
    """The warning that makes a metric answer incomplete; remarks about the query itself are none."""
    told = evidence.warnings if evidence.source == "prometheus" else ()
    return next((warning for warning in told if not warning.startswith("PromQL")), "")


def only_cited(draft: Diagnosis, lookup: Lookup) -> Diagnosis:
    """The draft without any claim whose references do not hold; a finding that loses all its claims goes too.

    What was dropped is said: an answer that lost something is never "healthy" for the loss.
    """
    checker = Checker(lookup)
    findings = [f.model_copy(update={"seen": seen}) for f in draft.findings if (seen := checker.supported(f.seen))]
    ruled_out = [entry for entry in draft.ruled_out if checker.supported((entry.because,))]
    checked, shown = checker.supported(draft.checked), checker.supported(draft.shown)
    kept = len(ruled_out) + len(checked) + len(shown) + sum(len(f.seen) for f in findings)
    made = [*draft.ruled_out, *draft.checked, *draft.shown, *(claim for f in draft.findings for claim in f.seen)]
    update: dict[str, object] = {
        "findings": tuple(findings),
        "ruled_out": tuple(ruled_out),
        "checked": checked,
        "shown": shown,
    }
    if kept < len(made):
        lost = Missing(need=f"{len(made) - kept} claims", because="their evidence does not hold", causes=("*",))
        update |= {"missing": (*draft.missing, lost), "status": "found" if findings else "inconclusive"}
    return draft.model_copy(update=update)
