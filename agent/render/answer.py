"""A Diagnosis as a document: finding by finding, what was seen, ruled out, in order, and not looked at.

A line appears only when the capability behind it exists: nothing here is ever filled in to look complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.render.document import Document, Span
from agent.types import Claim, Diagnosis, Finding, RuledOut
from tools.fields import rfc3339
from tools.types import EvidenceRef, ResourceRef

NOT_UNDERSTOOD = "This is not a question Plumbline understands; here is how things stand. What can be asked is below."
INDENT = 2
LABEL = 11
"""Width of the column of labels (`seen`, `ruled out`)."""
BELOW = 24
"""Width of the column of labels below the findings (`○ checked and healthy`)."""
MAX_ITEMS = 6
"""Items shown on one labelled line; the rest is counted."""
MAX_CITED = 3
"""Evidence ids shown behind one claim; -o json has all."""
SPARED = ("playbook",)
"""Reasoners whose narrative only repeats the findings: it is shown where there are none."""


def preface(diagnosis: Diagnosis) -> list[str]:
    """What stands above an answer to a question that was not understood, that is none of ours, or names a stranger."""
    said = []
    if diagnosis.unknown:
        said.append(f"There is no {' or '.join(diagnosis.unknown)} here: the answer is about {diagnosis.scope.asked}.")
    if not diagnosis.understood and not diagnosis.drafts:
        said.append(f"{diagnosis.beyond} Here is how things stand." if diagnosis.beyond else NOT_UNDERSTOOD)
    return said


def answer(diagnosis: Diagnosis) -> Document:
    """The whole answer."""
    document = Document()
    for said in preface(diagnosis):
        document.add(Span(said, "warn"))
    _told_by_model(document, diagnosis, hearsay=False)
    if not diagnosis.findings:
        lead = "? " if diagnosis.status == "inconclusive" else "○ "
        document.head(Span(diagnosis.narrative or diagnosis.status, "strong"), lead=lead)
    elif diagnosis.narrative and diagnosis.reasoner not in SPARED and not diagnosis.explained:
        document.add(Span(diagnosis.narrative))
    told: set[tuple[str, str]] = set()
    for finding in diagnosis.findings:
        ours = [r for r in diagnosis.ruled_out if _about(r, finding) and _key(r) not in told]
        told |= {_key(entry) for entry in ours}
        _finding(document, finding, ours)
    _told_by_model(document, diagnosis, hearsay=True)
    rest = [r for r in diagnosis.ruled_out if _key(r) not in told]
    _below(document, "○ ruled out", (_excluded(r, subject=True) for r in rest))
    for number, line in enumerate(diagnosis.shown):
        _below(document, f"○ {diagnosis.shown_as}" if number == 0 else "", [claimed(line)])
    _below(document, "○ checked and healthy", (claimed(c) for c in diagnosis.checked))
    for disputed in diagnosis.disputed:
        _below(document, "○ disputed", [[Span(f"{disputed.cause}, by the model: "), *claimed(disputed.because)]])
    missing = ([Span(f"{m.need}: "), Span(m.because, "muted")] for m in diagnosis.missing)
    _below(document, "○ not checked", missing)
    _below(document, "○ ask next", ([Span(question)] for question in diagnosis.asked))
    for number, note in enumerate(diagnosis.notes):
        _below(document, "○ notes" if number == 0 else "", [[Span(note)]])
    for draft in diagnosis.drafts:
        document.add(Span(f"proposal {draft}, a draft: nothing is changed (proposals show {draft})"), lead="→ ")
    document.add(Span(_spent(diagnosis), "muted"))
    return document


def _told_by_model(document: Document, diagnosis: Diagnosis, *, hearsay: bool) -> None:
    """Its statements; those that rest only on what others wrote stand below the findings, whatever they say.

    Each line says whose words it holds: one could be worded like a check's.
    """
    label = "✎ model, from logs" if hearsay else "✎ the model says"
    for line in diagnosis.explained:
        if line.hearsay is hearsay:
            _below(document, label, [claimed(_plain(line))])


def _plain(claim: Claim) -> Claim:
    """A model's statement without the signs that open a line of ours."""
    return claim.model_copy(update={"text": claim.text.lstrip("●○◦•▪✎→?!*#>|=~–—- ") or claim.text})


def _spent(diagnosis: Diagnosis) -> str:
    usage, model = diagnosis.usage, diagnosis.usage.model
    spent = f"{usage.calls} calls · {usage.requests} requests · {usage.seconds:.1f} s · {diagnosis.reasoner}"
    if model is None:
        return spent
    about = "" if model.counted else "about "
    asked = f"{model.requests} request{'' if model.requests == 1 else 's'}"
    spent += f" · {model.model}: {asked}, {about}{model.input:,} tokens in, {about}{model.output:,} out"
    return spent if model.cost is None else f"{spent}, cost {model.cost:.4f}"


def _key(entry: RuledOut) -> tuple[str, str]:
    return entry.cause, str(entry.subject)


def _about(entry: RuledOut, finding: Finding) -> bool:
    ours = {ref.identity for ref in (finding.subject, *finding.affects)}
    return finding.role == "root" and entry.subject.identity in ours


def _finding(document: Document, finding: Finding, ruled_out: Sequence[RuledOut]) -> None:
    weight = f"{finding.role} · {finding.severity}"
    if finding.confidence != "high":
        weight += f" · {finding.confidence} confidence"
    head = (Span(finding.cause, "cause"), Span("  "), Span(finding.title, "strong"))
    document.head(*head, lead="● ", tail=(Span(weight, "severity"),))
    _row(document, "seen", (claimed(claim) for claim in finding.seen))
    _row(document, "affects", ([Span(str(ref))] for ref in finding.affects if _untold(ref, finding)))
    if finding.since is not None:
        _row(document, "since", [[Span(rfc3339(finding.since))]])
    _row(document, "ruled out", (_excluded(r, subject=False) for r in ruled_out))


def _untold(ref: ResourceRef, finding: Finding) -> bool:
    """True for an affected object that the finding's own line does not name."""
    return not ref.same(finding.subject) and ref.name not in finding.title


def _excluded(entry: RuledOut, *, subject: bool) -> list[Span]:
    where = f"{entry.cause} on {entry.subject}: " if subject else f"{entry.cause} "
    return [Span(where), *claimed(entry.because)]


def cited(refs: Iterable[EvidenceRef]) -> list[str]:
    """Evidence ids of references, each once, in order of their numbers."""
    return sorted({ref.evidence for ref in refs}, key=lambda name: (len(name), name))


def claimed(claim: Claim) -> list[Span]:
    """A claim and the evidence it quotes."""
    names = cited(claim.refs)
    shown = "".join(f"[{name}]" for name in names[:MAX_CITED]) + ("…" if len(names) > MAX_CITED else "")
    return [Span(f"{claim.text} "), Span(shown, "cite")]


def _row(document: Document, label: str, items: Iterable[list[Span]]) -> None:
    spans = _joined(list(items))
    if spans:
        document.add(*spans, lead=label.ljust(LABEL), indent=INDENT)


def _below(document: Document, label: str, items: Iterable[list[Span]]) -> None:
    listed = list(items)
    if listed:
        hang = BELOW if len(listed) == 1 else INDENT + LABEL
        document.add(*_joined(listed), lead=label.ljust(BELOW), hang=hang)


def _joined(items: list[list[Span]]) -> list[Span]:
    out: list[Span] = []
    for item in items[:MAX_ITEMS]:
        out += [Span(" · ", "muted"), *item] if out else item
    if len(items) > MAX_ITEMS:
        out.append(Span(f" · and {len(items) - MAX_ITEMS} more (-o json shows all)", "muted"))
    return out
