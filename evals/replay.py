"""A stored sample as steps: the question, each call with what it returned, what the model said, the answer, the grades.

Rules: a step is a document, so whatever stood in a world is cleaned before it is drawn; nothing is run again.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.events import (
    EVENT,
    Answered,
    Asked,
    CallFinished,
    CallStarted,
    Degraded,
    Event,
    Failed,
    FindingMade,
    ModelAsked,
    Planned,
    TextDelta,
)
from agent.render.answer import answer
from agent.render.document import Document, Span
from agent.render.evidence import evidence
from evals.rundir import Sample
from evals.types import RunRecord

ROWS = 8
"""Rows shown of one piece of evidence."""


def steps(sample: Sample) -> list[Document]:
    """Every step of a sample, in the order in which it happened; the first is the question, the last the grades."""
    record = sample.result.record
    events = [EVENT.validate_python(event) for event in record.events]
    return [_opening(sample), *_happened(record, events), _verdict(sample)]


def _opening(sample: Sample) -> Document:
    item, record = sample.item, sample.result.record
    document = Document()
    document.add(Span(item.sample, "strong"), Span(f"  {record.reasoner}", "muted"))
    question = record.diagnosis.question if record.diagnosis is not None else ""
    document.add(Span(question or "(no question: every cause is judged)"), lead="asked      ")
    if item.expected:
        document.add(Span(item.expected, "cause"), lead="expected   ")
    if item.perturbations:
        document.add(Span(", ".join(item.perturbations), "warn"), lead="perturbed  ")
    return document


def _happened(record: RunRecord, events: list[Event]) -> Iterator[Document]:
    """A step of each event that says something by itself; a piece of prose joins those before it."""
    tools: dict[str, CallStarted] = {}
    prose = ""
    for event in events:
        if isinstance(event, TextDelta):
            prose += event.text
            continue
        if prose:
            yield _told("model says", prose)
            prose = ""
        if isinstance(event, CallStarted):
            tools[event.call] = event
        elif (document := _step(record, event, tools)) is not None:
            yield document
    if prose:
        yield _told("model says", prose)


def _step(record: RunRecord, event: Event, tools: dict[str, CallStarted]) -> Document | None:
    match event:
        case Planned():
            return _told("plan", f"{event.calls} calls about {event.scope.asked}, round {event.round}")
        case CallFinished():
            return _call(record, event, tools.get(event.call))
        case ModelAsked():
            return _told("asks model", f"{event.model}, request {event.request}, about {event.tokens:,} tokens")
        case FindingMade():
            found = event.finding
            return _told("judged", f"{found.cause} {found.title}")
        case Degraded():
            return _told("less", f"{event.what}: {event.because}")
        case Asked():
            return _told("asks", f"{event.prompt} {', '.join(event.candidates)}")
        case Failed():
            return _told("failed", event.message)
        case Answered():
            return answer(event.diagnosis)
        case _:
            return None


def _told(what: str, text: str) -> Document:
    document = Document()
    for number, line in enumerate(text.splitlines() or [""]):
        document.add(Span(line), lead=f"{'' if number else what:<11}")
    return document


def _call(record: RunRecord, event: CallFinished, started: CallStarted | None) -> Document:
    """What was called, how long it took and what it returned, in short."""
    document = Document()
    tool = started.tool if started is not None else event.call
    document.add(Span(tool, "strong"), Span(f"  {event.seconds:.3f} s", "muted"), lead="call       ")
    found = record.evidence.get(event.evidence)
    if found is None:
        document.add(Span(f"{event.evidence} {event.status}, {event.rows} rows"))
        return document
    claims = record.diagnosis.claims if record.diagnosis is not None else ()
    cited = [ref for claim in claims for ref in claim.refs if ref.evidence == found.id]
    document.blocks += evidence(found, rows=ROWS, cited=cited, rest="").blocks
    return document


def _verdict(sample: Sample) -> Document:
    item, document = sample.item, Document()
    document.add(Span(item.verdict, "ok" if item.passed else "warn"), Span(f"  {item.seconds:.2f} s", "muted"))
    if item.failure or item.fallback:
        document.add(Span(item.failure or item.fallback, "warn"), indent=2)
    for grade in item.grades:
        mark = Span("passed", "ok") if grade.passed else Span("FAILED", "warn")
        document.add(mark, Span(f"  {grade.detail}" if grade.detail else ""), lead=f"{grade.grader:<11}", indent=2)
    return document
