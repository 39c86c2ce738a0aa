"""From a case and a memory to the messages of one request, within the model's window.

Rules: rendered anew each time from stored evidence, so nothing but data survives between requests; old results shrink
to one line, oldest first, without a model call; the newest results are always shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.llm import tables
from agent.llm.casefile import first_message
from agent.llm.memory import Asked, Memory
from agent.llm.toolbox import HYPOTHESES
from agent.llm.types import Message, ModelCall, ToolSchema, tokens
from agent.reasoner import Case
from prompts import load
from tools.limits import MODEL_BYTES, MODEL_ROWS
from tools.types import canonical

SMALL_WINDOW = 32_768
"""Tokens of context up to which a model is spared: fewer tools, smaller tables."""
SMALL_BYTES = 2 << 10
SMALL_ROWS = 40
COMPACT_AT = 6_000
"""Tokens of a request, its tools aside, from which old results shrink to one line each."""
OVERHEAD = 4
"""Tokens a message costs beside its words, as servers count."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much a request may hold."""

    window: int
    output: int

    @property
    def small(self) -> bool:
        """True for a model with a small window."""
        return self.window <= SMALL_WINDOW

    @property
    def compact_at(self) -> int:
        """Tokens from which history shrinks."""
        return min(COMPACT_AT, (self.window - self.output) // 2)

    @property
    def most(self) -> int:
        """Tokens that fit at all."""
        return self.window - self.output


def size_of(messages: list[Message], tools: list[ToolSchema]) -> int:
    """Tokens of a request, estimated as UTF-8 bytes / 4 plus a little for each message."""
    schemas = "".join(f"{t.name}{t.description}{canonical(t.parameters).decode()}" for t in tools)
    return sum(map(_words, messages)) + tokens(schemas)


def _words(message: Message) -> int:
    return tokens(message.content + "".join(call.name + call.arguments for call in message.calls)) + OVERHEAD


def build(case: Case, memory: Memory, tools: list[ToolSchema], room: Room, *, causes: str, why: str) -> list[Message]:
    """The messages of the next request; `why` closes the consultation where it is not empty, as a nudge nearly does."""
    opening = [
        Message(role="system", content=load("system").render({"mode": case.mode}).strip()),
        Message(role="user", content=first_message(case, causes=causes, small=room.small)),
    ]
    last = ("answer", why) if why else ("again", memory.nudge)
    closing = [Message(role="user", content=load(last[0]).render({"why": last[1]}).strip())] if last[1] else []
    turns = _hypotheses_once(memory)
    whole = [_turn(case, asked, room, short=False) for asked in turns]
    brief = [_turn(case, asked, room, short=True) for asked in turns]
    fixed, schemas = size_of([*opening, *closing], tools), size_of([], tools)
    for short in range(len(turns) + 1):
        history = [*brief[:short], *whole[short:]]
        size = fixed + sum(_words(message) for turn in history for message in turn)
        if size <= room.most and (size - schemas <= room.compact_at or len(turns) - short <= 1):
            break
    return [*opening, *(message for turn in history for message in turn), *closing]


def _hypotheses_once(memory: Memory) -> list[tuple[Asked, ...]]:
    """The calls of each turn, the list of hypotheses shown as it stands now, and only where it was last set."""
    last = max((n for n, turn in enumerate(memory.turns) if any(a.name == HYPOTHESES for a in turn.asked)), default=-1)
    now = canonical({"list": [hypothesis.model_dump(mode="json") for hypothesis in memory.hypotheses]}).decode()
    empty = canonical({"list": []}).decode()

    def shown(asked: Asked, number: int) -> Asked:
        if asked.name != HYPOTHESES:
            return asked
        return asked.model_copy(update={"arguments": now if number == last else empty})

    return [tuple(shown(asked, number) for asked in turn.asked) for number, turn in enumerate(memory.turns)]


def _turn(case: Case, asked: tuple[Asked, ...], room: Room, *, short: bool) -> list[Message]:
    """What the model called, and what came of each call."""
    calls = tuple(ModelCall(id=a.id, name=a.name, arguments=a.arguments) for a in asked)
    replies = [Message(role="tool", content=_reply(case, a, room, short=short), answers=a.id) for a in asked]
    return [Message(role="assistant", calls=calls), *replies]


def _reply(case: Case, asked: Asked, room: Room, *, short: bool) -> str:
    if not asked.evidence:
        return asked.reply or "no answer"
    try:
        evidence = case.evidence(asked.evidence)
    except KeyError:
        return f"there is no evidence {asked.evidence}"
    if short or asked.again:
        return tables.one_line(evidence)
    rows, size = (SMALL_ROWS, SMALL_BYTES) if room.small else (MODEL_ROWS, MODEL_BYTES)
    return tables.render(evidence, rows=rows, size=size, match=asked.match, after=asked.after)
