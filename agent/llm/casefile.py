"""The case as a model reads it first: the question, what the checks concluded, what was read. Small on purpose.

Rules: statements of our own code are softened, because names and values of the cluster stand in them; evidence is
listed by id and opened by `show_evidence`; nothing here is cut without saying how much is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.llm import tables
from agent.llm.untrusted import soften
from agent.reasoner import Case
from agent.types import Claim, Diagnosis, Finding
from prompts import load
from tools import fields
from tools.fields import rfc3339
from tools.types import EvidenceRef, ToolCall

MAX_REFS = 2
"""Citations shown behind one claim."""
MAX_LINES = 12
"""Lines of one part of the case."""
MAX_INDEX = 1_200
"""Characters of one line of the index."""
MAX_QUERIES = 1_600
"""Characters of the list of named queries."""
NONE = "none"


def first_message(case: Case, *, causes: str, small: bool) -> str:
    """The first user message."""
    diagnosis = case.diagnosis
    lines = MAX_LINES // 2 if small else MAX_LINES
    parts = {
        "question": soften(case.question) or "is anything wrong?",
        "scope": soften(case.scope.asked),
        "now": rfc3339(case.now),
        "window": f"{case.intent.window / 3600:g} h",
        "earlier": _earlier(case.earlier),
        "findings": "\n".join(_finding(case, f) for f in diagnosis.findings[:lines]) or NONE,
        "ruled_out": _lines(
            (f"{r.cause} on {r.subject}: {_claim(case, r.because)}" for r in diagnosis.ruled_out), lines
        ),
        "checked": _lines((_claim(case, c) for c in (*diagnosis.checked, *diagnosis.shown)), lines),
        "missing": _lines((soften(f"{m.need}: {m.because}") for m in diagnosis.missing), lines),
        "evidence": _index(case),
        "queries": _queries(case),
        "task": load(task_of(case)).render({"causes": causes} if not case.judged else {}),
    }
    return load("case").render(parts).strip()


def _earlier(told: str) -> str:
    """Earlier questions and what was found, each on a line of its own: they are quoted like any other text."""
    lines = "\n".join(f"- {soften(line)}" for line in told.splitlines() if line.strip())
    return f"Earlier in this session:\n{lines}" if lines else ""


def task_of(case: Case) -> str:
    """Name of the prompt that says what is wanted."""
    if not case.judged:
        return "alone"
    return "explain" if case.diagnosis.findings or _answered(case.diagnosis) else "plan"


def _answered(diagnosis: Diagnosis) -> bool:
    return diagnosis.understood and diagnosis.status == "healthy"


def _finding(case: Case, finding: Finding) -> str:
    head = f"{finding.cause} {finding.role}, {finding.severity}, {finding.confidence} confidence: {finding.title}"
    since = f"\n  since {rfc3339(finding.since)}" if finding.since is not None else ""
    seen = "".join(f"\n  seen: {_claim(case, claim)}" for claim in finding.seen)
    return soften(head) + since + seen


def _claim(case: Case, claim: Claim) -> str:
    shown = list(dict.fromkeys(_ref(case, ref) for ref in claim.refs))
    more = f"+{len(shown) - MAX_REFS}" if len(shown) > MAX_REFS else ""
    return f"{soften(claim.text)} {''.join(shown[:MAX_REFS])}{more}"


def _ref(case: Case, ref: EvidenceRef) -> str:
    """A citation as a model may copy it: the row by its number where its key is a set of labels."""
    try:
        return f"[{tables.cited(case.evidence(ref.evidence), ref.path)}]"
    except KeyError:
        return f"[{ref.evidence}]"


def _lines(items: Iterable[str], limit: int) -> str:
    every = list(items)
    more = [f"… {len(every) - limit} more"] if len(every) > limit else []
    return "\n".join([*every[:limit], *more]) or NONE


def _index(case: Case) -> str:
    """What was read, by tool: id, what it is, rows; what brought nothing stands together, what failed says so."""
    parts: dict[str, list[str]] = {}
    for call, found in case.gathered:
        what = _what(call)
        if found.usable:
            parts.setdefault(call.tool if found.rows else "empty", []).append(
                f"{found.id} {what} {len(found.rows)}" if found.rows else f"{found.id} {what}"
            )
        else:
            parts.setdefault(found.status, []).append(f"{found.id} {what}")
    lines = [f"{part}: {', '.join(entries)}" for part, entries in parts.items()]
    return "\n".join(_cut(soften(line), MAX_INDEX) for line in lines) or NONE


def _what(call: ToolCall) -> str:
    """The call in a word or two: a kind, a query's name, an object."""
    words = [fields.text(call.args, name) for name in ("kind", "namespace", "name", "pod", "query", "match")]
    return " ".join(word[:60] for word in words if word)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… (show_evidence opens any id)"


def _queries(case: Case) -> str:
    """Names of the queries that were not asked yet, by family."""
    asked = {str(call.args.get("name")) for call, _ in case.gathered if call.tool == "named_query"}
    families: dict[str, list[str]] = {}
    for name, family in sorted(case.queries.items()):
        if name not in asked:
            families.setdefault(family, []).append(name)
    text = "\n".join(f"{family}: {', '.join(names)}" for family, names in families.items())
    return _cut(text, MAX_QUERIES) or NONE


def causes_of(catalogue: Sequence[tuple[str, str]]) -> str:
    """The catalogue as lines of id and title, for a model that stands alone."""
    return "\n".join(f"{cause} {title}" for cause, title in catalogue)
