"""A model that means well and writes badly: the right content in every wrong form that small models are known for.

First a reply whose calls are broken in several ways, then a call inside the text, then an answer in which good
statements stand beside uncited ones, wrong numbers and invented names; with an odd seed that answer is plain prose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pydantic import JsonValue

from evals.personas.honest import ANSWER, SHOW, call, claims, must_answer, statements
from evals.servers.model.script import ChatRequest, ScriptedCall, ScriptedReply, Wire
from evals.transcript import Statement, read_case, results

UNCITED = "Everything else looks fine to me."
INVENTED = "shadow-billing-9x"
"""A name that stands in no world."""
WRONG = 7919
"""A number that stands in no world."""


class Clumsy:
    """Right content, wrong form. Stateless: the number of earlier replies says how far it is."""

    def __init__(self, seed: int = 0) -> None:
        self._prose = seed % 2 == 1

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """The next clumsiness."""
        step = sum(message.role == "assistant" for message in request.messages)
        told = must_answer(request)
        if step == 0 and not told:
            return self._broken()
        if step == 1 and not told:
            text = json.dumps({"name": SHOW, "arguments": {"id": "E4"}})
            return ScriptedReply(text=f"I will look at it first.\n<tool_call>{text}</tool_call>", usage=None)
        said = statements(read_case(request), results(request))
        return ScriptedReply(text=prose(said)) if self._prose else self._answer(said)

    def _broken(self) -> ScriptedReply:
        """Empty arguments, no ids, an unknown tool, JSON that does not close, and one call that is right."""
        calls = (
            ScriptedCall("capabilities", ""),
            ScriptedCall("kubectl_get", {"resource": "pods"}),
            ScriptedCall(SHOW, '{"id": "E1", "match": '),
            ScriptedCall(SHOW, {"id": "E2"}),
        )
        return ScriptedReply(text="Let me check.", calls=calls, finish="stop", wire=Wire(ids=False))

    def _answer(self, said: Sequence[Statement]) -> ScriptedReply:
        """Arguments as an object, citations as one string, and statements that do not hold."""
        written: list[JsonValue] = [_loose(s) for s in said[:1]]
        written += claims(said[1:])
        written += [{"text": UNCITED, "cites": []}, {"text": UNCITED}]
        written += [{"text": s.text, "cites": list(s.cites)} for s in wrong(said)]
        arguments = call(ANSWER, claims=written)
        return ScriptedReply(calls=(arguments,), wire=Wire(arguments_as="object", ids=False))


def _loose(said: Statement) -> JsonValue:
    """One citation as a bare string."""
    return {"text": said.text, "cites": said.cites[0]}


def wrong(said: Sequence[Statement]) -> list[Statement]:
    """The first statement with a wrong number, and one about something that does not exist, both well cited."""
    if not said:
        return []
    first = said[0]
    number = re.sub(r"\b\d+(?:\.\d+)?\b", str(WRONG), first.text)
    worse = number if number != first.text else f"{first.text} {WRONG} times."
    return [Statement(worse, first.cites), Statement(f"{INVENTED} is affected as well.", first.cites)]


def prose(said: Sequence[Statement]) -> str:
    """The same as a text with marks, as a model writes that calls nothing."""
    marked = [f"{s.text.rstrip('.')} {''.join(f'[{cite}]' for cite in s.cites)}." for s in (*said, *wrong(said))]
    return "\n\n".join(["Here is what I found.", *marked, UNCITED])


PERSONA = Clumsy
