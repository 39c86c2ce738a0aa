"""A model's statements made into claims: each cites evidence that was gathered, and says no more than stands there.

Rules: a statement without evidence is left out, and the reader is told; a number, name or cause that no cited evidence
bears is replaced by a marker, never quietly corrected; no link survives. Nothing here raises on a model's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from agent.citations import Checker, Lookup
from agent.grounding.cites import MARK, heads, place_of
from agent.grounding.numerals import plain_digits
from agent.grounding.shelf import WHOLE, Place, Shelf
from agent.grounding.support import SAYS_SO, Cited, Support, named_or_plain
from agent.grounding.words import Word, checkable, tokens
from agent.links import strip
from agent.phrases import STOP
from agent.render.document import clean
from agent.types import Claim, Diagnosis, Disputed
from tools import fields
from tools.types import UNREAD, Evidence, EvidenceRef, Frozen, ResourceRef, tokens_of

MAX_STATEMENTS = 60
"""Statements of one answer that are looked at."""
MAX_CLAIMS = 12
MAX_CHARACTERS = 600
"""Claims an answer has at most, and characters of each."""
MAX_REFS = 24
NO_NUMBER = "‹number not in the evidence›"
NO_NAME = "‹name not in the evidence›"
NO_CAUSE = "‹cause not found by any check›"
TEXT_ONLY = " (according to logs or events only)"
TEXT_TOO = " (in part according to logs or events)"
NO_EVIDENCE = "‹evidence not cited›"
_MARKERS = {"number": NO_NUMBER, "time": NO_NUMBER, "name": NO_NAME, "cause": NO_CAUSE, "evidence": NO_EVIDENCE}
_MARKED = re.compile("‹[^‹›]{1,40}›")
_MODEL_LABELS = ("nvidia.com/gpu.product", "modelName", "amd.com/gpu.product-name", "card_model")


class Said(Frozen):
    """One statement of a model, with its citations as it wrote them."""

    text: str
    cites: tuple[str, ...] = ()


class Dispute(Said):
    """A statement against the finding of a cause."""

    cause: str


class Known(Frozen):
    """What may be said whatever is cited: the question's own words, and what the checks have found."""

    names: frozenset[str] = frozenset()
    """Lower case."""
    numbers: frozenset[float] = frozenset()
    causes: frozenset[str] = frozenset()
    """Found or ruled out."""
    found: frozenset[str] = frozenset()
    catalogue: frozenset[str] = frozenset()
    told: tuple[Claim, ...] = ()
    """Our own claims: their numbers may be said again beside evidence that they cite."""


class Grounded(Frozen):
    """What is left of a model's statements, and what the reader is told of the rest."""

    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()
    removed: int = 0
    """Statements left out."""
    marked: int = 0
    """Numbers, names, causes and links replaced by a marker."""


def known(diagnosis: Diagnosis, question: str, catalogue: Iterable[str], *, also: Iterable[str] = ()) -> Known:
    """What a diagnosis and its question make sayable. `also`: further names."""
    refs = [diagnosis.scope.subject, *(r.subject for r in diagnosis.ruled_out)]
    refs += [ref for finding in diagnosis.findings for ref in (finding.subject, *finding.affects)]
    scope = diagnosis.scope
    words = [question, diagnosis.question, diagnosis.cluster, scope.asked, scope.node or "", scope.selector, *also]
    words += [*(scope.namespaces or ()), *(finding.title for finding in diagnosis.findings)]
    told = [*(c for f in diagnosis.findings for c in f.seen), *(r.because for r in diagnosis.ruled_out)]
    told += [*diagnosis.checked, *diagnosis.shown]
    missing = [f"{entry.need} {entry.because}" for entry in diagnosis.missing]
    numbers = [w.amount.value for text in (*words, *missing) for w in checkable(text, ()) if w.amount]
    names = {low for text in (*words, *missing, *(c.text for c in told)) for low in _spoken(text)}
    found = frozenset(finding.cause for finding in diagnosis.findings)
    return Known(
        names=frozenset(names | {low for ref in refs if ref for low in _naming(ref)}),
        numbers=frozenset(numbers),
        causes=found | {entry.cause for entry in diagnosis.ruled_out},
        found=found,
        catalogue=frozenset(catalogue),
        told=tuple(told),
    )


def products(evidence: Iterable[Evidence]) -> frozenset[str]:
    """Names of GPU models in any evidence of a run, for `also`: hardware is spoken of beside everything."""
    out: set[str] = set()
    for row in (row for item in evidence for row in item.rows):
        labels = {**fields.strings(row.data, "labels"), **fields.strings(row.data, "metadata", "labels")}
        for text in (labels[name] for name in _MODEL_LABELS if name in labels):
            out |= {part for part in re.split(r"[\s_-]", text.lower()) if part}
    return frozenset(out)


def _spoken(text: str) -> set[str]:
    found = {token.lower() for token, _ in tokens(text)}
    return found | {part for token in found for part in token.split("/") if part}


def _naming(ref: ResourceRef) -> set[str]:
    return {str(ref).lower(), ref.name.lower(), (ref.namespace or "").lower(), ref.group.lower()} - {""}


def ground(said: Sequence[Said], lookup: Lookup, known: Known) -> Grounded:
    """The statements as claims that hold, in order; what was left out or replaced is counted and noted."""
    desk = _Desk(lookup, known)
    claims: dict[str, Claim] = {}
    for one in said[:MAX_STATEMENTS]:
        for text in _portions(one.text):
            claim = desk.claim(text, one.cites)
            if claim is not None:
                claims.setdefault(claim.text, claim)
    more = max(0, len(claims) - MAX_CLAIMS) + max(0, len(said) - MAX_STATEMENTS)
    kept = sorted(claims.values(), key=lambda claim: claim.hearsay)  # what others wrote comes last, and is cut first
    return Grounded(
        claims=tuple(kept)[:MAX_CLAIMS],
        notes=desk.notes(more),
        removed=desk.removed + more,
        marked=desk.marked,
    )


def ground_disputes(disputes: Sequence[Dispute], lookup: Lookup, known: Known) -> tuple[tuple[Disputed, ...], Grounded]:
    """(disagreements with a finding that rest on more than text, what became of the statements)."""
    desk = _Desk(lookup, known)
    kept: dict[str, Disputed] = {}
    for one in disputes[:MAX_CLAIMS]:
        cause = one.cause.strip().upper()
        claim = desk.claim(one.text[:MAX_CHARACTERS], one.cites) if cause in known.found else None
        if claim is not None and not claim.hearsay:
            kept.setdefault(cause, Disputed(cause=cause, because=claim))
    lost = len(disputes) - len(kept)
    note = (
        f"{_count(lost, 'objection')} of the model to a finding cite{'s' if lost == 1 else ''} no evidence against it"
    )
    notes = (f"{note} and {'was' if lost == 1 else 'were'} left out",) if lost else ()
    return tuple(kept.values()), Grounded(notes=notes, removed=lost, marked=desk.marked)


def from_prose(text: str) -> list[Said]:
    """The statements of a plain text: its sentences, each with the citations that stand in it or close it."""
    out: list[Said] = []
    for sentence in _sentences(text[: MAX_STATEMENTS * MAX_CHARACTERS]):
        cites = tuple(match.group().strip(" []()【】") for match in MARK.finditer(sentence))
        words = " ".join(MARK.sub("", sentence).split())
        if not any(c.isalnum() for c in words):  # citations behind the full stop belong to what stands before it
            if out and cites:
                out[-1] = Said(text=out[-1].text, cites=(*out[-1].cites, *cites))
            continue
        out.append(Said(text=words.lstrip("-*•# "), cites=cites))
    return out[: 2 * MAX_STATEMENTS]


def _sentences(text: str) -> list[str]:
    """A text cut at line ends and after full stops that a space and a capital, a bracket or a digit follow."""
    out: list[str] = []
    for line in text.splitlines():
        start = 0
        for at in range(1, len(line) - 1):
            if line[at] in ".!?" and line[at + 1] == " " and line[at + 2 : at + 3] and _opens(line, at):
                out.append(line[start : at + 1])
                start = at + 2
        out.append(line[start:])
    return [sentence.strip() for sentence in out if sentence.strip()]


def _opens(line: str, at: int) -> bool:
    following = line[at + 2]
    short = line[max(0, at - 3) : at].rpartition(" ")[2]
    return (following.isupper() or following in "[(【") and short not in ("e.g", "i.e", "vs", "ca")


def _portions(text: str) -> list[str]:
    """A statement whole, or, where it is too long, its sentences put together up to the limit."""
    text = text[: MAX_CLAIMS * MAX_CHARACTERS]
    if len(text) <= MAX_CHARACTERS:
        return [text]
    out = [""]
    for sentence in _sentences(text):
        if len(out[-1]) + len(sentence) + 1 > MAX_CHARACTERS:
            out.append("")
        out[-1] = f"{out[-1]} {sentence}".strip()
    return [portion for portion in out if portion]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(slots=True)
class _Desk:
    """Grounds statements one by one, each piece of evidence indexed once."""

    lookup: Lookup
    known: Known
    removed: int = 0
    marked: int = 0
    cut: int = 0
    _shelves: dict[str, Shelf | None] = field(default_factory=dict)
    _told: dict[str, dict[float, Claim]] = field(default_factory=dict)
    _checker: Checker = field(init=False)

    def __post_init__(self) -> None:
        self._checker = Checker(self.lookup)
        for claim in self.known.told:
            numbers = [word.amount.value for word in checkable(claim.text, ()) if word.amount]
            for ref in claim.refs:
                self._told.setdefault(ref.evidence, {}).update(dict.fromkeys(numbers, claim))

    def notes(self, more: int) -> tuple[str, ...]:
        """One line for each thing that was done to the model's words."""
        out: list[str] = []
        if self.removed:
            verbs = "cites no evidence and was" if self.removed == 1 else "cite no evidence and were"
            out.append(f"{_count(self.removed, 'statement')} of the model {verbs} left out")
        if self.marked - self.cut:
            out.append(f"{_count(self.marked - self.cut, 'detail')} in the model's words not in the evidence: marked")
        if self.cut:
            out.append(f"{_count(self.cut, 'link')} in the model's words removed")
        if more:
            out.append(f"{_count(more, 'further statement')} of the model not shown: at most {MAX_CLAIMS} are")
        return tuple(out)

    def claim(self, text: str, cites: Iterable[str]) -> Claim | None:
        """The statement as a claim, or None (and counted) where nothing bears it."""
        text = plain_digits(" ".join(clean(MARK.sub(" ", text)).split()))
        for stop in (" .", " ,", " ;", " :"):
            text = text.replace(stop, stop[1])
        cited = self._cited(cites, text)
        if not cited or not any(c.isalnum() for c in text):
            self.removed += 1
            return None
        allowed = frozenset[str]().union(*(entry.shelf.identifiers for entry in cited))
        text, links = strip(text, allowed)
        words, refs, marked = self._supported(text, cited)
        if marked and not any(token.lower() not in STOP for token, _ in tokens(_MARKED.sub(" ", words))):
            self.removed += 1  # nothing is left that says anything
            return None
        written = [entry.shelf.evidence.trust == "text" for entry in cited]
        text = _fitted(words, TEXT_ONLY if all(written) else TEXT_TOO if any(written) else "")
        held = tuple(ref for ref in _whole(refs, cited) if self._checker.holds(ref))[:MAX_REFS]
        held = held or tuple(entry.shelf.ref(Place(WHOLE)) for entry in cited)
        self.marked += marked + links
        self.cut += links
        return Claim(text=text, refs=held, hearsay=all(written))

    def _cited(self, cites: Iterable[str], text: str) -> list[Cited]:
        """What the citations name; evidence that could not be read bears only words that say so."""
        out: dict[str, Cited] = {}
        says_so = SAYS_SO.search(text) is not None
        for name, rest in heads(cites):
            shelf = self._shelf(name)
            if shelf is None or (shelf.evidence.status in UNREAD and not says_so):
                continue
            entry = out.setdefault(name, Cited(shelf))
            place = place_of(shelf, rest)
            if place is not None:
                entry.rows.add(place.row)
                entry.places += [place] if place.path else []
        return list(out.values())

    def _shelf(self, name: str) -> Shelf | None:
        if name not in self._shelves:
            try:
                self._shelves[name] = Shelf(self.lookup(name))
            except KeyError:
                self._shelves[name] = None
        return self._shelves[name]

    def _supported(self, text: str, cited: Sequence[Cited]) -> tuple[str, list[EvidenceRef], int]:
        """(the text with markers for what nothing bears, references to what bears the rest, how many markers)."""
        words = checkable(text, self.known.catalogue)
        support = Support(cited, text, [word.text for word in words if word.sort == "name"])
        refs: list[EvidenceRef] = []
        later: list[Word] = []
        marks: dict[tuple[int, int], str] = {}
        for word in words:
            found = self._bears(word, support, cited)
            if found is None:
                later.append(word)
            else:
                refs += found
        for word in later:
            if word.amount is None or not support.follows(word.amount):
                marks[(word.start, word.end)] = _MARKERS[word.sort]
        for (start, end), marker in sorted(marks.items(), reverse=True):
            text = text[:start] + marker + text[end:]
        return text, refs, len(marks)

    def _bears(self, word: Word, support: Support, cited: Sequence[Cited]) -> list[EvidenceRef] | None:
        """References to what bears a word; empty where it needs none, None where nothing does."""
        if word.sort == "evidence":
            own = any(entry.shelf.evidence.id == word.text.upper() for entry in cited)
            return [] if own or support.name(word.text) else None
        if word.sort == "cause":
            return [] if word.text in self.known.causes else None
        if word.sort == "number" and word.amount is not None:
            ref = support.number(word.amount, word.text)
            if ref is not None:
                return [ref]
            for entry in cited:
                claim = self._told.get(entry.shelf.evidence.id, {}).get(word.amount.value)
                if claim is not None and _touches(claim, entry):
                    support.values.append(word.amount.value)
                    return list(claim.refs[:MAX_REFS])
            return [] if word.amount.value in self.known.numbers else None
        find: Callable[[str], EvidenceRef | None] = support.time if word.sort == "time" else support.name
        ref = find(word.text)
        if ref is not None:
            return [ref]
        return [] if self._is_known(word.text.lower()) else None

    def _is_known(self, name: str) -> bool:
        names = self.known.names
        parts = [part for part in name.split("/") if part]
        return name in names or all(part in names or not named_or_plain(part) for part in parts)


def _touches(claim: Claim, entry: Cited) -> bool:
    """True unless the statement is about rows of the evidence that our own claim does not quote."""
    if entry.chosen is None:
        return True
    keys = [tokens_of(ref.path)[0] for ref in claim.refs if ref.evidence == entry.shelf.evidence.id and ref.path]
    rows = (entry.shelf.by_key.get(key) for key in keys)
    return any(row in entry.chosen for row in rows)


def _whole(refs: Iterable[EvidenceRef], cited: Sequence[Cited]) -> list[EvidenceRef]:
    """The references, and for evidence that none of them names: the value, the row, or the whole that was cited."""
    out = {(ref.evidence, ref.path): ref for ref in refs}
    for entry in cited:
        name = entry.shelf.evidence.id
        for place in entry.places:
            ref = entry.shelf.ref(place)
            out.setdefault((name, ref.path), ref)
        if not any(evidence == name for evidence, _ in out):
            for row in sorted(entry.rows)[:3] or [WHOLE]:
                ref = entry.shelf.ref(Place(row))
                out[(name, ref.path)] = ref
    precise = {evidence for evidence, path in out if path}
    return [ref for (evidence, path), ref in out.items() if path or evidence not in precise]


def _fitted(text: str, suffix: str) -> str:
    """The text within the limit, cut between words."""
    room = MAX_CHARACTERS - len(suffix)
    if len(text) > room:
        text = f"{text[: room - 1].rpartition(' ')[0] or text[: room - 1]}…"
    return text + suffix
