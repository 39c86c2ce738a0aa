"""What a run tells about its model: calls it made, why it fell back, what the citation check did to its words.

Rules: read from events and the diagnosis only, so that a stored record gives the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent.events import CallFinished, Event, Planned
from agent.grounding import NO_CAUSE, NO_NAME, NO_NUMBER
from agent.links import REMOVED
from agent.llm.concluding import UNJUDGED
from agent.llm.memory import NOTHING_HELD
from agent.types import Claim, Diagnosis

MODEL_ROUND = 3
"""The round of reads that a model asks for; the first two are the causes'."""
MARKERS = (NO_NUMBER, NO_NAME, NO_CAUSE, REMOVED)
_LEFT_OUT = re.compile(r"^(\d+) (?:further )?(?:statement|objection)s? of the model\b")


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
    """Statements left out, as the notes of the answer count them."""
    notes = diagnosis.notes if diagnosis else ()
    return sum(int(found[1]) for note in notes if (found := _LEFT_OUT.match(note)))


def marked(diagnosis: Diagnosis | None) -> int:
    """Numbers, names, causes and links that a marker stands for."""
    return sum(claim.text.count(marker) for claim in spoken(diagnosis) for marker in MARKERS)


def spoken(diagnosis: Diagnosis | None) -> Iterable[Claim]:
    """Every statement of the model that the answer holds."""
    if diagnosis is not None:
        yield from diagnosis.explained
        yield from (entry.because for entry in diagnosis.disputed)
