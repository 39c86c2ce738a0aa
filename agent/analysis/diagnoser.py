"""What a file in agent/diagnosers must declare. A module is the diagnoser: no classes, no registration.

The module's docstring is the explanation users read. Constants and functions are pure; thresholds are named, with
a unit and a source, here or in the signals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from agent.analysis.judging import Judged, weigh
from agent.analysis.signals import load as load_signals
from agent.analysis.view import View
from agent.types import Cause, Claim, Finding, Intent, Missing, Need, Remedy
from tools.types import Frozen, JsonObject, ResourceRef, ToolCall


class Survey(Frozen):
    """What a cause looked at and found in order, and what it could not look at although it mattered here."""

    checked: tuple[Claim, ...] = ()
    missing: tuple[Missing, ...] = ()


class Diagnoser(Protocol):
    """The shape of a diagnoser module."""

    CAUSE: Cause
    NEEDS: tuple[Need, ...]
    CONFIRMS: tuple[str, ...]
    """Signals that must all hold."""
    EXCLUDES: tuple[str, ...]
    """Signals of which none may hold."""

    @staticmethod
    def subjects(view: View) -> list[ResourceRef]:
        """Everything the cause could be found on here; empty where the cluster has no such thing."""
        ...

    @staticmethod
    def judge(view: View) -> list[Finding]:
        """Findings over the whole view."""
        ...

    @staticmethod
    def follow(view: View) -> list[ToolCall]:
        """Reads about the suspects that would sharpen the judgement (second round)."""
        ...

    @staticmethod
    def survey(view: View) -> Survey:
        """What is in order and what is missing, given this view."""
        ...

    @staticmethod
    def remedy(finding: Finding, view: View) -> Remedy:
        """What would mend it, as data."""
        ...


def asked_about(known: Mapping[str, Diagnoser], intent: Intent) -> list[Diagnoser]:
    """The causes an intent asks about, in order of id."""
    return [
        diagnoser
        for cause, diagnoser in known.items()
        if diagnoser.CAUSE.family in intent.families and (not intent.causes or cause in intent.causes)
    ]


def history_of(ref: ResourceRef, reason: str) -> ToolCall:
    """The read of an object's changes: what was rolled out or edited, when, and by whom."""
    args: JsonObject = {"namespace": ref.namespace, "group": ref.group, "kind": ref.kind, "name": ref.name}
    return ToolCall(tool="rollout_history", args=args, reason=reason)


def judged(view: View, subject: ResourceRef, confirms: Iterable[str], excludes: Iterable[str]) -> Judged:
    """Weigh a subject with the named signals."""
    return weigh(view, subject, load_signals(), tuple(confirms), tuple(excludes))


def findings(
    view: View,
    subjects: Iterable[ResourceRef],
    confirms: Iterable[str],
    excludes: Iterable[str],
    build: Callable[[ResourceRef, Judged], Finding],
) -> list[Finding]:
    """A finding for each subject that all confirming signals and no excluding signal hold for."""
    out: list[Finding] = []
    for subject in subjects:
        result = judged(view, subject, confirms, excludes)
        if result.confirmed and result.claims:
            out.append(build(subject, result))
    return out


def undecided(view: View, subjects: Iterable[ResourceRef], confirms: Iterable[str], cause: str) -> tuple[Missing, ...]:
    """One Missing entry for each thing the confirming signals lacked, over all subjects."""
    lacks: dict[str, list[ResourceRef]] = {}
    for subject in subjects:
        for reading in judged(view, subject, confirms, ()).undecided:
            lacks.setdefault(reading.lacks, []).append(subject)
    return tuple(
        Missing(need=_need(lack), because=_because(lack, refs), causes=(cause,)) for lack, refs in lacks.items()
    )


def set_aside(
    view: View,
    subjects: Iterable[ResourceRef],
    confirms: Iterable[str],
    excludes: Iterable[str],
    *,
    fine: Iterable[str],
) -> Iterator[Missing]:
    """Subjects that show the symptom for another reason, which is named; only signals in `fine` settle the matter.

    A symptom that is seen and not explained must never end in "healthy": its entry keeps the answer open.
    """
    confirms, excludes, accepted = tuple(confirms), tuple(excludes), tuple(fine)
    reasons: dict[tuple[str, bool], list[ResourceRef]] = {}
    for subject in subjects:
        against = judged(view, subject, confirms, excludes).against
        if against is not None and against.claim is not None and against.signal in excludes:
            reasons.setdefault((against.claim.text, against.signal in accepted), []).append(subject)
    for (text, settled), refs in reasons.items():
        more = f" and {len(refs) - 1} more" if len(refs) > 1 else ""
        yield Missing(
            need=f"a judgement of {refs[0]}{more}",
            because=f"it shows the signs, but {text}",
            causes=() if settled else ("*",),
        )


def _need(lack: str) -> str:
    return lack.partition(" (")[0]


def _because(lack: str, refs: list[ResourceRef]) -> str:
    detail = lack.partition(" (")[2].removesuffix(")") or "not available here"
    more = f" and {len(refs) - 1} more" if len(refs) > 1 else ""
    return f"{detail} (asked for {refs[0]}{more})"
