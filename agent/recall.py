"""Answers a follow-up from what is stored: the evidence, the queries, why not another cause, what could be done.

Rules: pure; nothing is read from the cluster and nothing is judged anew; an answer quotes the last diagnosis and its
evidence, or says plainly what was not checked and what would show it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agent.analysis.diagnoser import Diagnoser
from agent.analysis.records import quote
from agent.followups import Followup, cause_in
from agent.history import Indexed, Past
from agent.suspects import Suspect, stems_of, suspected
from agent.types import Advice, Claim, Diagnosis, Finding, GitPatch, Intent, LiveChange, Remedy, Usage
from tools import fields
from tools.errors import UnknownName
from tools.fields import rfc3339
from tools.types import Evidence, EvidenceRef, pointer, tokens_of

MOST_SHOWN = 60
"""Lines of a listing at most; the rest is counted."""
MOST_ROWS = 10
"""Rows of one piece of evidence shown in an answer; `evidence` shows more."""
ROW_CHARACTERS = 240
MOST_INPUTS = 5
_FIGURE = r"(?<![\d.,]){}(?![.,]?\d)"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a follow-up may be answered from."""

    past: Past
    index: Sequence[Indexed]
    """Everything the earlier run read or worked out."""
    lookup: Callable[[str], Evidence | None]
    diagnosers: Mapping[str, Diagnoser]
    remedy: Callable[[Finding], Remedy]
    """What the finding's cause says would mend it."""


def answer(followup: Followup, ground: Ground, question: str) -> Diagnosis:
    """The answer. Raises UnknownName for evidence or a cause that does not exist."""
    made = {
        "show": _show, "queries": _queries, "evidence": _queries, "prove": _prove, "figure": _figure,
        "why_not": _why_not, "remedy": _remedy, "since": _since, "explain": _explain,
    }[followup.kind](followup, ground)  # fmt: skip
    return made.model_copy(update={"question": question})


def explained(cause: str, diagnosers: Mapping[str, Diagnoser]) -> str:
    """What a cause is, in the words of its own module. Raises UnknownName."""
    diagnoser = diagnosers.get(cause)
    if diagnoser is None:
        raise UnknownName("cause", cause, diagnosers)
    words = " ".join((diagnoser.__doc__ or "").split())
    return f"{cause} is {diagnoser.CAUSE.title}. {words} Source: {diagnoser.CAUSE.doc}."


def bare(past: Past, narrative: str, *, shown_as: str = "", shown: Sequence[Claim] = ()) -> Diagnosis:
    """An answer over the last one that found nothing of its own and cost nothing."""
    more = len(shown) - MOST_SHOWN
    if more > 0:
        narrative = f"{narrative} {more} more are not shown."
    return past.diagnosis.model_copy(
        update={
            "understood": True,
            "unknown": (),
            "findings": (),
            "ruled_out": (),
            "checked": (),
            "missing": (),
            "shown_as": shown_as if shown else "",
            "shown": tuple(shown[:MOST_SHOWN]),
            "narrative": narrative,
            "explained": (),
            "disputed": (),
            "notes": (),
            "drafts": (),
            "asked": (),
            "usage": Usage(calls=0, requests=0, seconds=0.0),
        }
    )


def claims_of(diagnosis: Diagnosis) -> list[Claim]:
    """Every cited statement of a diagnosis, findings first."""
    seen = [claim for finding in diagnosis.findings for claim in finding.seen]
    against = [*(entry.because for entry in diagnosis.ruled_out), *(entry.because for entry in diagnosis.disputed)]
    return [*seen, *diagnosis.explained, *against, *diagnosis.checked, *diagnosis.shown]


def needed(diagnosis: Diagnosis, lookup: Callable[[str], Evidence | None]) -> list[Evidence]:
    """The evidence an answer cites, and what its derived numbers were worked out from."""
    wanted = dict.fromkeys(ref.evidence for claim in claims_of(diagnosis) for ref in claim.refs)
    found: dict[str, Evidence] = {}
    for name in wanted:
        evidence = lookup(name)
        for item in (evidence, *(lookup(ref.evidence) for ref in inputs(evidence))):
            if item is not None:
                found[item.id] = item
    return list(found.values())


def inputs(evidence: Evidence | None) -> list[EvidenceRef]:
    """What a derived number was worked out from; empty for anything that was read."""
    if evidence is None or evidence.trust != "derived" or not evidence.rows:
        return []
    return [EvidenceRef.model_validate(item) for item in fields.items(evidence.rows[0].data, "inputs")]


# --- evidence and queries ----------------------------------------------------------------------------------


def _cited(diagnosis: Diagnosis) -> dict[str, EvidenceRef]:
    """Evidence id → the first reference to it."""
    found: dict[str, EvidenceRef] = {}
    for claim in claims_of(diagnosis):
        for ref in claim.refs:
            found.setdefault(ref.evidence, ref)
    return found


def _known(name: str, ground: Ground) -> Evidence:
    evidence = ground.lookup(name)
    if evidence is None:
        raise UnknownName("evidence", name, [entry.id for entry in ground.index])
    return evidence


def _row_ref(evidence: Evidence, at: int = 0) -> EvidenceRef:
    row = evidence.rows[at]
    return EvidenceRef(evidence=evidence.id, path=pointer(row.key), value=quote(row.data))


def _counted(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"


def _queries(followup: Followup, ground: Ground) -> Diagnosis:
    """What was asked, for everything the answer cites or, where that is meant, everything that was read."""
    if followup.evidence:
        return _one_query(_known(followup.evidence, ground), ground)
    cited = _cited(ground.past.diagnosis)
    wanted = [entry for entry in ground.index if followup.whole or entry.id in cited]
    reads = [entry for entry in wanted if followup.kind == "evidence" or not entry.derived]
    shown: list[Claim] = []
    empty: list[str] = []
    for entry in reads:
        evidence = None if entry.id in cited else ground.lookup(entry.id)
        ref = cited.get(entry.id) or (_row_ref(evidence) if evidence and evidence.rows else None)
        if ref is None:
            empty.append(f"{entry.id} {entry.query} ({entry.status})")
        else:
            shown.append(Claim(text=f"{entry.query} → {_counted(entry.rows)}", refs=(ref,)))
    what = "pieces of evidence" if followup.kind == "evidence" else "queries"
    behind = "of the run" if followup.whole else "stand behind the answer"
    narrative = f"{len(reads)} {what} {behind}; each bracket opens with `evidence`, and `/query E4` prints one to copy."
    if empty:
        narrative += f" {len(empty)} brought no rows: {'; '.join(empty[:MOST_SHOWN])}."
    return bare(ground.past, narrative, shown_as=followup.kind, shown=shown)


def _one_query(evidence: Evidence, ground: Ground) -> Diagnosis:
    narrative = f"{evidence.id} ({evidence.status}, {_counted(len(evidence.rows))}): {evidence.query}"
    shown = [Claim(text=evidence.query, refs=(_row_ref(evidence),))] if evidence.rows else []
    return bare(ground.past, narrative, shown_as="query", shown=shown)


def _show(followup: Followup, ground: Ground) -> Diagnosis:
    """One piece of evidence, its first rows word by word."""
    evidence = _known(followup.evidence, ground)
    head = f"{evidence.id}: {evidence.query} ({evidence.status}, {_counted(len(evidence.rows))}"
    narrative = f"{head}, {evidence.trust}, observed {rfc3339(evidence.observed_at)})"
    if evidence.detail:
        narrative += f": {evidence.detail}"
    if len(evidence.rows) > MOST_ROWS:
        narrative += f"; its first {MOST_ROWS} rows follow"
    shown = [
        Claim(text=f"{row.key}: {_brief(row.data)}", refs=(_row_ref(evidence, at),))
        for at, row in enumerate(evidence.rows[:MOST_ROWS])
    ]
    return bare(ground.past, narrative, shown_as=evidence.id, shown=shown)


def _brief(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= ROW_CHARACTERS else text[: ROW_CHARACTERS - 1] + "…"


def _prove(_followup: Followup, ground: Ground) -> Diagnosis:
    """The statements the answer stands on."""
    diagnosis = ground.past.diagnosis
    seen = [claim for finding in diagnosis.findings for claim in finding.seen]
    against = [entry.because for entry in diagnosis.ruled_out]
    shown = [*seen, *against] or [*diagnosis.explained, *diagnosis.checked, *diagnosis.shown]
    if not shown:
        return bare(ground.past, "Nothing was concluded, so there is nothing to prove: what was missing is said above.")
    lead = f"{len(seen)} seen and {len(against)} ruling out others" if seen else f"{len(shown)} on what is in order"
    narrative = f"By these statements ({lead}); each quotes stored evidence and was checked against it."
    return bare(ground.past, narrative, shown_as="because", shown=shown)


def _figure(followup: Followup, ground: Ground) -> Diagnosis:
    """Where a number of the answer comes from: the statement, each value it quotes, and how it was worked out."""
    pattern = re.compile(_FIGURE.format(re.escape(followup.figure)))
    found = [claim for claim in claims_of(ground.past.diagnosis) if pattern.search(claim.text)]
    if not found:
        narrative = f"No statement of the last answer says {followup.figure}."
        return bare(ground.past, narrative)
    shown = list(found)
    for ref in dict.fromkeys((r.evidence, r.path) for claim in found for r in claim.refs):
        shown += _origin(ref, found, ground)
    return bare(
        ground.past, f"{followup.figure} stands in {len(found)} of its statements.", shown_as="from", shown=shown
    )


def _origin(at: tuple[str, str], found: Sequence[Claim], ground: Ground) -> list[Claim]:
    ref = next(r for claim in found for r in claim.refs if (r.evidence, r.path) == at)
    evidence = ground.lookup(ref.evidence)
    if evidence is None:
        return []
    out = [Claim(text=f"{_brief(ref.value)} at {ref.path} of {evidence.query}", refs=(ref,))]
    sources: dict[str, list[EvidenceRef]] = {}
    for source in inputs(evidence):
        sources.setdefault(source.evidence, []).append(source)
    for name, refs in sources.items():
        read = ground.lookup(name)
        if read is not None:
            values = ", ".join(_brief(source.value) for source in refs[:MOST_INPUTS])
            more = f" and {len(refs) - MOST_INPUTS} more" if len(refs) > MOST_INPUTS else ""
            out.append(Claim(text=f"worked out from {values}{more} of {read.query}", refs=tuple(refs)))
    return out


# --- causes ------------------------------------------------------------------------------------------------


def judged(cause: str, intent: Intent, diagnosers: Mapping[str, Diagnoser]) -> bool:
    """True when a run with this intent judged the cause."""
    known = diagnosers.get(cause)
    return known is not None and known.CAUSE.family in intent.families and (not intent.causes or cause in intent.causes)


def _why_not(followup: Followup, ground: Ground) -> Diagnosis:
    """Found, ruled out, looked for, not decidable, or not checked at all: in that order."""
    named = cause_in(followup.word, ground.diagnosers)
    suspect = None if named else suspected(followup.word)
    causes = (named,) if named else tuple(c for c in (suspect.causes if suspect else ()) if c in ground.diagnosers)
    told = _told(causes, suspect, ground)
    words = _said(followup.word, causes, suspect, told, ground)
    return told.model_copy(update={"narrative": words})


def _told(causes: Sequence[str], suspect: Suspect | None, ground: Ground) -> Diagnosis:
    """The last diagnosis narrowed to some causes, and to what was said of them in other words."""
    diagnosis = ground.past.diagnosis
    stems = suspect.stems.split("|") if suspect else [stem for cause in causes for stem in stems_of(cause)]
    return bare(ground.past, "").model_copy(
        update={
            "findings": tuple(f for f in diagnosis.findings if f.cause in causes),
            "ruled_out": tuple(r for r in diagnosis.ruled_out if r.cause in causes),
            "checked": tuple(c for c in diagnosis.checked if any(stem in c.text.lower() for stem in stems)),
            "missing": tuple(
                m for m in diagnosis.missing if any(c in causes or (causes and c == "*") for c in m.causes)
            ),
        }
    )


def _said(word: str, causes: Sequence[str], suspect: Suspect | None, told: Diagnosis, ground: Ground) -> str:
    titles = ", ".join(f"{c} ({ground.diagnosers[c].CAUSE.title})" for c in causes)
    scope = told.scope.asked
    would = f" What would show it: {suspect.would_show}." if suspect else ""
    if not causes:
        kind = f"No cause of the kind {word!r} is in the catalogue, so it was not checked"
        also = "; what was seen near it is below" if told.checked else ""
        return f"{kind}{also}.{would or ' Causes that are: ' + ', '.join(ground.diagnosers) + '.'}"
    if told.findings:
        return f"Yes: it was found. {'; '.join(finding.title for finding in told.findings)}."
    if told.ruled_out:
        open_ = any(cause in m.causes for m in told.missing for cause in causes)
        more = "; elsewhere it could not be decided, for want of what is named below" if open_ else ""
        return f"Ruled out, by the test below: {titles}{more}."
    if told.missing:
        return f"This could not be decided, for want of what is named below: {titles}."
    if any(judged(cause, ground.past.intent, ground.diagnosers) for cause in causes):
        return f"It was looked for and not found in {scope}: {titles}."
    return f"It was not judged for that question: {titles}. Ask: is everything all right in {scope}?"


def _remedy(_followup: Followup, ground: Ground) -> Diagnosis:
    """What the causes say would mend it. Words only."""
    roots = [finding for finding in ground.past.diagnosis.findings if finding.role == "root"]
    if not roots:
        return bare(ground.past, "Nothing was found that calls for a change; nothing has been changed.")
    shown = [Claim(text=_mended(finding, ground), refs=finding.seen[0].refs) for finding in roots]
    narrative = "Nothing has been changed, and this answer changes nothing. What the cause's own rule says would help:"
    return bare(ground.past, narrative, shown_as="could be done", shown=shown)


def _mended(finding: Finding, ground: Ground) -> str:
    diagnoser = ground.diagnosers.get(finding.cause)
    if diagnoser is None:
        return f"{finding.cause}: its rule is not in this build"
    rule = (diagnoser.remedy.__doc__ or "").strip().partition("\n")[0]
    return f"{finding.cause} on {finding.subject}: {worded(ground.remedy(finding))}. {rule}"


def worded(remedy: Remedy) -> str:
    """A remedy in one line."""
    match remedy:
        case Advice():
            return remedy.text
        case LiveChange():
            return _change(remedy)
        case GitPatch():
            edits = [f"set {'.'.join(tokens_of(edit.pointer))} to {_plain(edit.after)}" for edit in remedy.edits]
            edits += [f"remove {ref}" for ref in remedy.removed_objects]
            kinds = [fields.text(new, "kind") for new in remedy.new_objects]
            edits += [f"add a {kind}" for kind in kinds if kind]
            return f"change {remedy.target} in its source of truth" + (f": {'; '.join(edits)}" if edits else "")


_TARGET = ("group", "kind", "namespace", "name")
"""Arguments of a change that say which object it is about."""


def _change(remedy: LiveChange) -> str:
    """A change of the catalogue as a person says it, and as the command that proposes it takes it."""
    place = "/".join(part for key in ("namespace", "kind", "name") if (part := fields.text(remedy.args, key)))
    given = {key: value for key, value in remedy.args.items() if key not in _TARGET}
    words = ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in given.items())
    pairs = [shlex.quote(f"{key}={_plain(value)}") for key, value in remedy.args.items()]
    said = f"{remedy.name.replace('_', ' ')} {place}" + (f": {words}" if words else "")
    return f"{said} (to propose it: `proposals new {remedy.name} {' '.join(pairs)}`)"


def _plain(value: JsonValue) -> str:
    """A value in words: text without quotes, lists and mappings without brackets."""
    match value:
        case str():
            return value
        case list():
            return ", ".join(map(_plain, value))
        case dict():
            return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
        case _:
            return json.dumps(value)


def _since(_followup: Followup, ground: Ground) -> Diagnosis:
    """When each finding began, where its evidence tells."""
    findings = ground.past.diagnosis.findings
    if not findings:
        return bare(ground.past, "Nothing was found, so nothing has a beginning.")
    dated = [f"{f.cause} on {f.subject} since {rfc3339(f.since)}" for f in findings if f.since is not None]
    undated = [f"{f.cause} on {f.subject}" for f in findings if f.since is None]
    words = f"{'; '.join(dated)}." if dated else ""
    if undated:
        subject = next(f.subject for f in findings if f.since is None)
        words += f" When {', '.join(undated)} began is not in the evidence; ask: what changed on {subject}?"
    shown = [f.seen[0] for f in findings if f.since is not None]
    return bare(ground.past, words.strip(), shown_as="seen", shown=shown)


def _explain(followup: Followup, ground: Ground) -> Diagnosis:
    return bare(ground.past, explained(followup.cause, ground.diagnosers))
