"""What a run tells about its model: calls it made, why it fell back, what the citation check did to its words.

Rules: read from events and the diagnosis only, so that a stored record gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.events import CallFinished, Event, Planned
from agent.llm.concluding import UNJUDGED
from agent.llm.memory import NOTHING_HELD
from agent.types import Claim, Diagnosis

MODEL_ROUND = 3
"""The round of reads that a model asks for; the first two are the causes'."""


def model_calls(events: Sequence[Event]) -> int:
    """Calls that the model asked for and that the gate let through."""
    rounds = [n for n, event in enumerate(events) if isinstance(event, Planned) and event.round == MODEL_ROUND]
    later = events[rounds[0] :] if rounds else ()
    return sum(isinstance(event, CallFinished) and event.status != "denied" for event in later)


def fallback(diagnosis: Diagnosis) -> str:
    """Why the answer is the playbook's although a model was set; "" where the model had its say, right or wrong."""
    if diagnosis.explained or diagnosis.disputed or {NOTHING_HELD, UNJUDGED} & set(diagnosis.notes):
        return ""
    return diagnosis.notes[-1] if diagnosis.notes else "the model added nothing"


def removed(diagnosis: Diagnosis | None) -> int:
    """Statements that the citation check left out."""
    return diagnosis.usage.model.removed if diagnosis and diagnosis.usage.model else 0


def marked(diagnosis: Diagnosis | None) -> int:
    """Numbers, names, causes and links that a marker stands for."""
    return diagnosis.usage.model.marked if diagnosis and diagnosis.usage.model else 0


def spoken(diagnosis: Diagnosis | None) -> Iterable[Claim]:
    """Every statement of the model that the answer holds."""
    if diagnosis is not None:
        yield from diagnosis.explained
        yield from (entry.because for entry in diagnosis.disputed)
