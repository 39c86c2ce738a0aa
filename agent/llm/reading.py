"""What a reply means: calls for the gate, lookups of our own, hypotheses, or the answer.

Rules: arguments are read strictly and a malformed call is never repaired: a read may be asked for once more, a
proposal is simply not stored; a call asked before is not made again; an unknown tool, or a URL in an argument, is
refused here and at the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel, JsonValue, ValidationError

from agent.analysis.records import reference_of
from agent.grounding import claims as grounding
from agent.links import strip
from agent.llm import calls as parsing
from agent.llm.limits import MAX_REASKS
from agent.llm.memory import NOTHING_HELD, UNUSABLE, Alone, AnswerArgs, Asked, HypothesesArgs, Memory, ShowArgs, Turn
from agent.llm.toolbox import ANSWER, HYPOTHESES, SHOW
from agent.llm.types import ModelCall, Reply, ToolSchema
from agent.reasoner import Case
from tools import fields
from tools.types import JsonObject, KindRef, ResourceRef, ToolCall, canonical

MAX_CALLS = 8
"""Calls of one reply that are made; the rest is told so."""
PROPOSE = "propose_change"
TWICE = "asked twice in one reply"
UNCITED = "no statement cites evidence that holds; cite ids such as E12"


def settle(memory: Memory, case: Case) -> Memory:
    """The memory with the evidence that the last turn's calls brought."""
    if not memory.turns:
        return memory
    brought = {call.digest: evidence for call, evidence in case.gathered}
    last = memory.turns[-1]
    asked = tuple(
        a.model_copy(update={"evidence": brought[a.digest].id}) if not a.evidence and a.digest in brought else a
        for a in last.asked
    )
    drafts = dict.fromkeys(memory.drafts)
    for a in asked:
        if a.name == PROPOSE and a.digest in brought and brought[a.digest].status == "ok":
            drafts |= dict.fromkeys(row.key for row in brought[a.digest].rows)
    return memory.model_copy(update={"turns": (*memory.turns[:-1], Turn(asked=asked)), "drafts": tuple(drafts)})


def read_reply(
    case: Case, memory: Memory, reply: Reply, tools: Sequence[ToolSchema], catalogue: Sequence[tuple[str, str]]
) -> tuple[Memory, list[ToolCall]]:
    """The memory after a reply, and the calls for the gate."""
    if not reply.calls:
        return _prose(case, memory, reply, catalogue), []
    schemas = {schema.name: schema for schema in tools}
    reader = _Reader(case, memory, schemas, catalogue)
    for number, call in enumerate(reply.calls):
        reader.read(call, over=number >= MAX_CALLS)
        if reader.memory.answered:
            break
    return reader.finish()


class _Reader:
    """Reads the calls of one reply in order."""

    def __init__(
        self, case: Case, memory: Memory, schemas: dict[str, ToolSchema], catalogue: Sequence[tuple[str, str]]
    ) -> None:
        self.case, self.memory, self._schemas, self._catalogue = case, memory, schemas, catalogue
        self._known = {call.digest: evidence.id for call, evidence in case.gathered}
        self._earlier = {(a.name, a.arguments) for turn in memory.turns for a in turn.asked}
        self._asked: list[Asked] = []
        self._calls: dict[str, ToolCall] = {}
        self._broken = 0

    def read(self, call: ModelCall, *, over: bool) -> None:
        """Read one call; `over` when the reply already held enough."""
        found = parsing.parse(call, self._schemas)
        if isinstance(found, parsing.Problem):
            self._refuse(call, found.reason, again=found.again)
            return
        if call.name not in _OWN and _link_in(self.case, found.arguments):
            self._refuse(call, "arguments hold no links", again=False)
            return
        clean = {name: _redacted(value, self.case.redact) for name, value in found.arguments.items()}
        asked = Asked(id=call.id, name=call.name, arguments=canonical(clean).decode())
        if over:
            self._asked.append(asked.model_copy(update={"reply": f"not run: at most {MAX_CALLS} calls in one reply"}))
        elif call.name in _OWN:
            _OWN[call.name](self, asked, clean)
        else:
            self._for_gate(asked, ToolCall(tool=call.name, args=found.arguments, reason="asked for by the model"))

    def _refuse(self, call: ModelCall, reason: str, *, again: bool) -> None:
        name = call.name if call.name in self._schemas else "unknown"
        if name == PROPOSE:
            reason, again = f"{reason}; nothing was stored, and a proposal is never repaired", False
        self._broken += 1 if again else 0
        self._asked.append(Asked(id=call.id, name=name, arguments="{}", reply=f"not run: {reason}"))

    def _for_gate(self, asked: Asked, call: ToolCall) -> None:
        known = self._known.get(call.digest, "")
        if call.digest in self._calls:
            self._asked.append(asked.model_copy(update={"reply": TWICE}))
        elif known:
            again = (asked.name, asked.arguments) in self._earlier
            self._asked.append(asked.model_copy(update={"digest": call.digest, "evidence": known, "again": again}))
        else:
            self._calls[call.digest] = call
            self._asked.append(asked.model_copy(update={"digest": call.digest}))

    def show(self, asked: Asked, arguments: JsonObject) -> None:
        """`show_evidence`: rows of stored evidence, rendered when the next request is built."""
        args = self._args(ShowArgs, asked, arguments)
        if isinstance(args, ShowArgs):
            again = (asked.name, asked.arguments) in self._earlier
            shown = {"evidence": args.id, "match": args.match, "after": args.after, "again": again}
            self._asked.append(asked.model_copy(update=shown))

    def suppose(self, asked: Asked, arguments: JsonObject) -> None:
        """`hypotheses`: the list is state, and requests show it once, as it stands."""
        args = self._args(HypothesesArgs, asked, arguments)
        if isinstance(args, HypothesesArgs):
            self.memory = self.memory.model_copy(update={"hypotheses": args.list})
            self._asked.append(asked.model_copy(update={"reply": "noted", "arguments": "{}"}))

    def answer(self, asked: Asked, arguments: JsonObject) -> None:
        """`answer`: checked statement by statement; one that has nothing left may be tried once more."""
        args = self._args(AnswerArgs, asked, arguments)
        if not isinstance(args, AnswerArgs):
            return
        said = [grounding.Said(text=claim.text, cites=claim.cites) for claim in args.claims]
        self.memory = answered(self.case, self.memory, said, args, self._catalogue)
        if not self.memory.answered:
            self._broken += 1
            self._asked.append(asked.model_copy(update={"reply": UNCITED}))

    def _args(self, model: type[BaseModel], asked: Asked, arguments: JsonObject) -> BaseModel | None:
        try:
            return model.model_validate(arguments)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(token) for token in first["loc"])[:80]
            self._broken += 1
            self._asked.append(asked.model_copy(update={"reply": f"not read: {where}: {first['msg']}"[:200]}))
            return None

    def finish(self) -> tuple[Memory, list[ToolCall]]:
        """The memory with this turn in it; a model that was asked for its answer alone has had its chance."""
        memory = self.memory
        if memory.answered:
            return memory, []
        if memory.closing:
            return ended(memory, "it gave no answer when it was asked for one"), []
        new = bool(self._calls) or any((a.name, a.arguments) not in self._earlier for a in self._asked)
        return memory.model_copy(
            update={
                "turns": (*memory.turns, Turn(asked=tuple(self._asked))),
                "barren": 0 if new and not self._broken else memory.barren + 1,
                "reasked": memory.reasked + (1 if self._broken else 0),
            }
        ), list(self._calls.values())


_OWN = {SHOW: _Reader.show, HYPOTHESES: _Reader.suppose, ANSWER: _Reader.answer}


def _prose(case: Case, memory: Memory, reply: Reply, catalogue: Sequence[tuple[str, str]]) -> Memory:
    """A reply without calls: its cited sentences are the answer."""
    if reply.refusal and not reply.text:
        return ended(memory, "it refused to answer")
    if not reply.text.strip():
        return ended(memory, "it answered with nothing")
    done = answered(case, memory, grounding.from_prose(reply.text), AnswerArgs(), catalogue)
    if done.answered:
        return done
    return memory.model_copy(update={"nudge": UNCITED, "reasked": memory.reasked + 1})


def answered(
    case: Case,
    memory: Memory,
    said: Sequence[grounding.Said],
    args: AnswerArgs,
    catalogue: Sequence[tuple[str, str]],
) -> Memory:
    """The memory with what is left of an answer once every statement was checked; unchanged where the model gets
    another try."""
    read = [found for _, found in case.gathered]
    causes = [cause for cause, _ in catalogue]
    known = grounding.known(case.diagnosis, case.question, causes, also=grounding.products(read))
    redacted = [s.model_copy(update={"text": case.redact(s.text)}) for s in said]
    grounded = grounding.ground(redacted, case.evidence, known)
    disputes = [grounding.Dispute(cause=d.cause, text=case.redact(d.text), cites=d.cites) for d in args.disagrees]
    disputed, judged = grounding.ground_disputes(disputes, case.evidence, known)
    nothing = not grounded.claims and not disputed
    if nothing and memory.reasked < MAX_REASKS and not memory.closing:
        return memory
    for note in (*grounded.notes, *judged.notes):
        memory = memory.with_note(note)
    if nothing:
        memory = memory.with_note(NOTHING_HELD)
    alone = _alone(case, args)
    return memory.model_copy(
        update={
            "removed": memory.removed + grounded.removed + judged.removed,
            "marked": memory.marked + grounded.marked + judged.marked,
            "claims": grounded.claims,
            "disputed": tuple(disputed),
            "alone": alone,
            "answered": True,
        }
    )


def ended(memory: Memory, why: str) -> Memory:
    """The memory of a consultation that is over without an answer."""
    said = f"{UNUSABLE}: {why}"
    return memory.with_note(said).model_copy(update={"ended": said})


def _alone(case: Case, args: AnswerArgs) -> Alone | None:
    """The model's own verdict: it counts only where no cause was judged, whatever a model sends."""
    if case.judged or args.status is None:
        return None
    return Alone(status=args.status, cause=args.cause, subject=_listed(case, args.subject))


def _listed(case: Case, printed: str) -> ResourceRef | None:
    """The object of that printed reference among those that a read has listed."""
    for call, evidence in case.gathered:
        if call.tool in ("list_objects", "get_object"):
            kind = KindRef(group=str(call.args.get("group") or ""), kind=str(call.args.get("kind") or ""))
            for row in evidence.rows:
                if str(ref := reference_of(row.data, kind)) == printed:
                    return ref
    return None


def _redacted(value: JsonValue, redact: Callable[[str], str]) -> JsonValue:
    """Arguments as they may be kept; their depth was bounded when they were parsed."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): _redacted(entry, redact) for key, entry in value.items()}
    return [_redacted(entry, redact) for entry in value] if isinstance(value, list) else value


def _link_in(case: Case, arguments: JsonObject) -> bool:
    """True when an argument holds something that a reader's screen could turn into a link, and no read has listed."""
    texts = [value for value in arguments.values() if isinstance(value, str)]
    if "://" in canonical(arguments).decode():
        return True
    if not any(strip(text)[1] for text in texts):
        return False
    listed = _names(case)
    return any(strip(text, listed)[1] for text in texts)


def _names(case: Case) -> frozenset[str]:
    """Names and API groups that reads have listed: a node may well be called like a host."""
    names: set[str] = set()
    for _, evidence in case.gathered:
        for row in evidence.rows if evidence.trust == "structured" else ():
            found = (
                row.key.rpartition("/")[2],
                fields.text(row.data, "group"),
                fields.text(row.data, "metadata", "name"),
            )
            names.update(name for name in found if "." in name)
    return frozenset(names)
