"""What a session has said so far: the last diagnosis for follow-ups, a bounded summary, the whole for an export.

Rules: only the store is read; an answer made with wider rights than those of the reader is no past of his; of a
language model's words nothing is repeated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from pydantic import Field

from agent.events import Answered, Asked, CallFinished, Event, EvidenceAdded, Failed, Planned
from agent.store import Store
from agent.types import Diagnosis, Intent
from tools.types import Frozen, Scope, Status

MOST_PASTS = 8
"""Earlier answers looked at."""
SUMMARY_CHARACTERS = 1_200
"""Length of `summary` at most: about 300 tokens."""
QUESTION_CHARACTERS = 160
MOST_ROOTS = 3
"""Root causes named of one earlier answer."""
FROM_RUN = "from_run"
"""Note of a run that was answered from the store: the run whose evidence it speaks of."""

Ending: TypeAlias = Literal["answered", "failed", "waits for a choice", "unfinished"]


class Past(Frozen):
    """An earlier run of the session that looked at the cluster and was answered."""

    run: int
    question: str
    intent: Intent
    scope: Scope
    diagnosis: Diagnosis


class Indexed(Frozen):
    """One line of a run's evidence index."""

    id: str
    query: str
    rows: int
    status: Status
    derived: bool = False
    """True for a number that was worked out, not read."""


class Turn(Frozen):
    """One run as an export shows it."""

    run: int
    question: str
    at: float
    ending: Ending
    diagnosis: Diagnosis | None = None
    said: str = ""
    """Why there is no answer, or what was asked back."""
    evidence: tuple[Indexed, ...] = ()
    notes: dict[str, str] = Field(default_factory=dict)


def pasts(store: Store, session: str, *, permitted: tuple[str, ...] | None, limit: int = MOST_PASTS) -> list[Past]:
    """Earlier answers of a session that a reader with these rights may build on, newest first."""
    out: list[Past] = []
    for run in range(store.last_run(session) or 0, 0, -1):
        if len(out) == limit:
            break
        past = _past(run, [event for _, _, event in store.events(session, run)])
        if past is not None and within(past.scope.permitted, permitted):
            out.append(past)
    return out


def last(store: Store, session: str, *, permitted: tuple[str, ...] | None = None) -> Past | None:
    """The newest of `pasts`."""
    found = pasts(store, session, permitted=permitted, limit=1)
    return found[0] if found else None


def within(wanted: tuple[str, ...] | None, permitted: tuple[str, ...] | None) -> bool:
    """True when rights to `wanted` reach no further than rights to `permitted` (None: everything)."""
    return permitted is None or (wanted is not None and set(wanted) <= set(permitted))


def _past(run: int, events: Sequence[Event]) -> Past | None:
    planned = next((event for event in events if isinstance(event, Planned)), None)
    answered = next((event for event in reversed(events) if isinstance(event, Answered)), None)
    if planned is None or answered is None:
        return None
    found = answered.diagnosis
    return Past(run=run, question=found.question, intent=planned.intent, scope=found.scope, diagnosis=found)


def summary(earlier: Iterable[Past]) -> str:
    """Earlier questions, what came of each and on what, newest first, in at most 1,200 characters; "" without any."""
    lines: list[str] = []
    room = SUMMARY_CHARACTERS
    for past in earlier:
        line = _summed(past)
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return "\n".join(lines)


def _summed(past: Past) -> str:
    diagnosis = past.diagnosis
    question = " ".join(past.question.split()) or "(every cause)"
    if len(question) > QUESTION_CHARACTERS:
        question = question[: QUESTION_CHARACTERS - 1] + "…"
    roots = [finding for finding in diagnosis.findings if finding.role == "root"]
    named = [f"{finding.cause} on {finding.subject}" for finding in roots[:MOST_ROOTS]]
    if len(roots) > MOST_ROOTS:
        named.append(f"{len(roots) - MOST_ROOTS} more")
    found = f": {', '.join(named)}" if named else ""
    return f'"{question}" about {diagnosis.scope.asked} → {diagnosis.status}{found}'


def indexed(events: Iterable[Event]) -> tuple[Indexed, ...]:
    """The evidence index of a run's events, each id once, in order of its number."""
    found: dict[str, Indexed] = {}
    statuses: dict[str, Status] = {}
    for event in events:
        if isinstance(event, CallFinished):
            statuses[event.evidence] = event.status
        elif isinstance(event, EvidenceAdded):
            found[event.evidence] = Indexed(
                id=event.evidence,
                query=event.query,
                rows=event.rows,
                status=statuses.get(event.evidence, "ok"),
                derived=event.evidence not in statuses,
            )
    return tuple(sorted(found.values(), key=lambda entry: (len(entry.id), entry.id)))


def ending_of(event: Event | None) -> Ending:
    """How a run stands, by its newest event. Anything but an end can be resumed."""
    match event:
        case Answered():
            return "answered"
        case Failed():
            return "failed"
        case Asked():
            return "waits for a choice"
        case _:
            return "unfinished"


def turns(store: Store, session: str, *, permitted: tuple[str, ...] | None = None) -> tuple[Turn, ...]:
    """The runs of a session, in order: every one for a reader of everything, else those within the reader's rights."""
    found = (_turn(store, session, row.run, row.question, row.at) for row in store.runs(session))
    return tuple(turn for turn in found if permitted is None or _readable(turn, permitted))


def _readable(turn: Turn, permitted: tuple[str, ...]) -> bool:
    return turn.diagnosis is not None and within(turn.diagnosis.scope.permitted, permitted)


def _turn(store: Store, session: str, run: int, question: str, at: float) -> Turn:
    events = [event for _, _, event in store.events(session, run)]
    final = events[-1] if events else None
    said = ""
    if isinstance(final, Failed):
        said = f"{final.message} ({final.hint})" if final.hint else final.message
    elif isinstance(final, Asked):
        said = f"{final.prompt} {', '.join(final.candidates)}"
    return Turn(
        run=run,
        question=question,
        at=at,
        ending=ending_of(final),
        diagnosis=final.diagnosis if isinstance(final, Answered) else None,
        said=said,
        evidence=indexed(events),
        notes=store.notes(session, run),
    )
