"""A model that does its job: it opens what matters, tests what is open, and says only what stands in what it read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from evals import alone
from evals.servers.model.script import ChatRequest, ScriptedCall, ScriptedReply
from evals.transcript import Result, SeenCase, SeenFinding, Statement, read_case, results
from tools.naming import unescaped
from tools.types import JsonObject

ANSWER, HYPOTHESES, SHOW = "answer", "hypotheses", "show_evidence"
MAX_HEALTHY = 3
"""Statements about what is in order."""
MAX_FINDINGS = 3
_FIELD = re.compile(r"/(?=(?:spec|status|metadata|fact|value|points|labels)(?:/|$))")
"""Where a citation goes on from the row's key to a field."""
OPEN = (
    ("something outside the known causes, which an alert reports", "firing_alerts"),
    ("trouble that the cluster itself reports", "list_events"),
)
ALONE = (
    ("U35 GPU fault", "gpu_xid_changes_30m, then gpu_xid_last"),
    ("U16 KV cache exhausted", "vllm_preemptions_10m with vllm_kv_cache_max_10m"),
    ("U13 autoscaler on CPU or memory", "list HorizontalPodAutoscaler"),
    ("U01 idle while allocated", "gpu_busy_max_30m where gpu_coverage_by_pod is whole"),
)
"""(hypothesis, the read that would confirm or exclude it)."""


def call(name: str, /, **arguments: JsonValue) -> ScriptedCall:
    """A call as a model writes it."""
    return ScriptedCall(name, arguments)


def claims(statements: Sequence[Statement]) -> list[JsonValue]:
    """Statements as the claims of `answer`."""
    return [{"text": s.text, "cites": list(s.cites)} for s in statements if s.cites]


@dataclass(slots=True)
class Honest:
    """Explains findings, explores what no check explains. Stateless: the request says how far it is."""

    seed: int = 0

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """Calls of the next step, or the answer."""
        case, done = read_case(request), results(request)
        if must_answer(request):
            return judged(case, done) if case.alone else answer(statements(case, done))
        if case.alone:
            return self._alone(case, done, request)
        if case.findings:
            opened = open_first(case.findings[0]) if not done and request.offers(SHOW) else None
            return ScriptedReply(calls=(opened,)) if opened else answer(statements(case, done))
        if case.exploring and not done:
            return explore(case, request)
        return answer(statements(case, done))

    def _alone(self, case: SeenCase, done: Sequence[Result], request: ChatRequest) -> ScriptedReply:
        """Two rounds of reads, then a verdict."""
        rounds = sum(message.role == "assistant" for message in request.messages)
        more = alone.second_reads(done) if rounds == 1 else []
        if rounds == 0:
            return ScriptedReply(calls=(suppose(ALONE), *alone.first_reads()))
        return ScriptedReply(calls=tuple(more)) if more else judged(case, done)


def must_answer(request: ChatRequest) -> bool:
    """True where nothing but an answer is wanted."""
    return request.tool_choice == ANSWER or "Call answer now" in request.question


def judged(case: SeenCase, done: Sequence[Result]) -> ScriptedReply:
    """The answer of a model that stands alone."""
    verdict = alone.judge(case, done)
    said = [*verdict.said, *(Statement(sentence(f"In order: {s.text}"), s.cites) for s in case.checked[:MAX_HEALTHY])]
    if verdict.status == "found" and verdict.subject:
        return answer(said, status="found", cause=verdict.cause, subject=verdict.subject)
    return answer(said, status="inconclusive" if verdict.status == "found" else verdict.status, cause="", subject="")


def open_first(finding: SeenFinding) -> ScriptedCall | None:
    """A look at the row that the first finding rests on."""
    cites = [cite for seen in finding.seen for cite in seen.cites if "/" in cite]
    if not cites:
        return None
    name, _, rest = cites[0].partition("/")
    row = unescaped(_FIELD.split(rest)[0])
    return call(SHOW, id=name, match=row)


def explore(case: SeenCase, request: ChatRequest) -> ScriptedReply:
    """Two hypotheses, and the reads that would tell."""
    reads = [name for name in ("firing_alerts", "list_events") if request.offers(name)]
    calls = [suppose(OPEN)] if request.offers(HYPOTHESES) else []
    return ScriptedReply(calls=(*calls, *(call(name) for name in reads)))


def suppose(hypotheses: Sequence[tuple[str, str]]) -> ScriptedCall:
    """The list of hypotheses, all of them open."""
    listed: list[JsonValue] = [{"cause": cause, "next_test": test, "state": "open"} for cause, test in hypotheses]
    return call(HYPOTHESES, list=listed)


# --- what it says ------------------------------------------------------------------------------------------


def statements(case: SeenCase, done: Sequence[Result]) -> list[Statement]:
    """Affected, why this cause, why not its neighbours, what was read besides, what is in order, what was not read."""
    said: list[Statement] = []
    for finding in case.findings[:MAX_FINDINGS]:
        for number, seen in enumerate(finding.seen[:2]):
            text = f"{finding.title}: {seen.text}" if number == 0 else seen.text
            said.append(Statement(sentence(text), seen.cites))
    for out in case.ruled_out[:MAX_FINDINGS]:
        said.append(
            Statement(sentence(f"It is not {out.cause} on {out.subject}: {out.because.text}"), out.because.cites)
        )
    said += [read for one in done if (read := _read(one)) is not None]
    said += [Statement(sentence(f"In order: {s.text}"), s.cites) for s in case.checked[:MAX_HEALTHY]]
    unread = [entry for entry in case.evidence if not entry.read][:2]
    if unread:
        names = tuple(entry.id for entry in unread)
        said.append(Statement("Not checked: these reads brought nothing, so what they would show is unknown.", names))
    return list(dict.fromkeys(said))


def _read(one: Result) -> Statement | None:
    """What a read of its own brought."""
    if one.tool in (SHOW, HYPOTHESES, ANSWER) or not one.id:
        return None
    words = {"firing_alerts": "alerts pending or firing", "list_events": "events"}.get(one.tool, "rows")
    if not one.read:
        return Statement(f"Not checked: {words} could not be read.", (one.id,))
    return Statement(f"Read besides: {one.count} {words}." if one.count else f"Read besides: no {words}.", (one.id,))


def sentence(text: str) -> str:
    """With a full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def answer(said: Sequence[Statement], **verdict: JsonValue) -> ScriptedReply:
    """The call that ends a consultation."""
    arguments: JsonObject = {"claims": claims(said), **verdict}
    return ScriptedReply(calls=(ScriptedCall(ANSWER, arguments),))


PERSONA = Honest
