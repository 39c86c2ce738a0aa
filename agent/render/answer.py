"""A Diagnosis as a document: finding by finding, what was seen, ruled out, in order, and not looked at.

A line appears only when the capability behind it exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.render.document import Document, Span
from agent.types import Claim, Diagnosis, Finding, RuledOut

INDENT = 2
LABEL = 11
"""Width of the column of labels (`seen`, `ruled out`)."""
MAX_ITEMS = 6
"""Items shown on one labelled line; the rest is counted."""


def answer(diagnosis: Diagnosis) -> Document:
    """The whole answer."""
    document = Document()
    if not diagnosis.findings:
        document.add(Span(diagnosis.narrative, "strong"), lead="○ " if diagnosis.status == "healthy" else "? ")
    for finding in diagnosis.findings:
        _finding(document, finding, [r for r in diagnosis.ruled_out if _about(r, finding)])
    _labelled(document, "○ checked and healthy", (_claim(c) for c in diagnosis.checked))
    missing = ([Span(f"{m.need}: "), Span(m.because, "muted")] for m in diagnosis.missing)
    _labelled(document, "○ not checked", missing)
    usage = diagnosis.usage
    spent = f"{usage.calls} calls · {usage.requests} requests · {usage.seconds:.1f} s · {diagnosis.reasoner}"
    document.add(Span(spent, "muted"))
    return document


def _about(entry: RuledOut, finding: Finding) -> bool:
    ours = {ref.identity for ref in (finding.subject, *finding.affects)}
    return finding.role == "root" and entry.subject.identity in ours


def _finding(document: Document, finding: Finding, ruled_out: Sequence[RuledOut]) -> None:
    document.add(
        Span(finding.cause, "cause"),
        Span("  "),
        Span(finding.title, "strong"),
        Span("  "),
        Span(f"{finding.role} · {finding.severity} · {finding.confidence} confidence", "severity"),
        lead="● ",
    )
    _row(document, "seen", (_claim(claim) for claim in finding.seen))
    _row(document, "ruled out", ([Span(f"{r.cause} "), *_claim(r.because)] for r in ruled_out))


def _claim(claim: Claim) -> list[Span]:
    names = sorted({ref.evidence for ref in claim.refs}, key=lambda name: (len(name), name))
    return [Span(f"{claim.text} "), Span("".join(f"[{name}]" for name in names[:3]), "cite")]


def _row(document: Document, label: str, items: Iterable[list[Span]]) -> None:
    spans = _joined(list(items))
    if spans:
        document.add(*spans, lead=label.ljust(LABEL), indent=INDENT)


def _labelled(document: Document, label: str, items: Iterable[list[Span]]) -> None:
    spans = _joined(list(items))
    if spans:
        document.add(*spans, lead=f"{label}   ")


def _joined(items: list[list[Span]]) -> list[Span]:
    out: list[Span] = []
    for item in items[:MAX_ITEMS]:
        out += [Span(" · ", "muted"), *item] if out else item
    if len(items) > MAX_ITEMS:
        out.append(Span(f" · and {len(items) - MAX_ITEMS} more (-o json shows all)", "muted"))
    return out
