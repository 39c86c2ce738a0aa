"""The reasoner with a language model behind it. One consultation is one request; the graph does the rest.

Rules: a model writes calls and cited statements, nothing else; its words reach nobody before they were checked; what
its server or it does wrong ends the consultation, never the run; every request is audited before it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.events import Degraded, ModelAsked, TextDelta
from agent.llm import limits, messages
from agent.llm.budget import Budget
from agent.llm.casefile import causes_of
from agent.llm.concluding import concluded
from agent.llm.memory import UNUSABLE, Memory
from agent.llm.messages import Room
from agent.llm.reading import read_reply, settle
from agent.llm.toolbox import ANSWER, offered
from agent.llm.types import ChatPort, Message, ModelError, Reply, Spent, ToolSchema
from agent.needs import needs
from agent.reasoner import Case, Ground, Step
from agent.types import Diagnosis, Intent
from prompts import load, names
from tools.types import JsonObject, Scope, ToolCall, digest_of

MAX_NAMED = 20
"""Calls of one reply that its audit entry names."""
HEARTBEAT = 0.5
"""Seconds kept back from a question's time for the answer to be put together."""


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Explores and explains with a model; judges nothing."""

    port: ChatPort
    budget: Budget
    room: Room
    seconds: float
    """Longest time for one reply."""
    hour: limits.Hour
    catalogue: Sequence[tuple[str, str]]
    """(id, title) of every cause."""
    explores: bool = True

    @property
    def name(self) -> str:
        """How answers name it."""
        return f"model {self.port.model}"

    @property
    def versions(self) -> Mapping[str, str]:
        """What a run record keeps: the model, its address, and the digest of every prompt."""
        digests = {f"prompt:{name}": load(name).digest for name in names()}
        return {"model": self.port.model, "model_url": self.port.address, **digests}

    def plan(self, intent: Intent, scope: Scope, ground: Ground) -> list[ToolCall]:
        """The needs of the causes: a model adds to them when it is consulted, and never takes any away."""
        return needs(intent, scope, ground)

    async def consult(self, case: Case, state: JsonObject) -> Step:
        """One request to the model and what follows from it."""
        memory = settle(Memory.model_validate(state) if state else Memory(), case)
        tools = offered(case.tools, alone=not case.judged, small=self.room.small)
        causes = causes_of(self.catalogue)
        request = messages.build(case, memory, tools, self.room, causes=causes, why="")
        size = messages.size_of(request, tools)
        if why := limits.closing(memory, self.budget, case.meter, size):
            request = messages.build(case, memory, tools, self.room, causes=causes, why=why)
            size = messages.size_of(request, tools)
        last = why or memory.nudge
        if stop := limits.stop(memory, self.budget, case.meter, self.hour, size, room=self.room.most):
            return _over(memory, stop, case)
        memory = memory.model_copy(update={"nudge": ""})
        if why:
            memory = memory.model_copy(update={"closing": True}).with_note(f"the model was stopped: {why}")
        try:
            reply = await self._ask(case, memory, request, tools, size, must=ANSWER if last else "")
        except ModelError as error:
            return _over(self._charged(memory, error.spent), f"{UNUSABLE}: {error}", case)
        memory = self._charged(memory, reply.cost)
        # In a thread: statements are compared with every row they cite, which takes a while on a large cluster.
        memory, calls = await asyncio.to_thread(read_reply, case, memory, reply, tools, self.catalogue)
        if memory.ended:
            case.emit(Degraded(what="the model", because=memory.ended.removeprefix(f"{UNUSABLE}: ")))
        for claim in memory.claims:
            case.emit(TextDelta(text=f"{claim.text}\n"))
        done = memory.answered or bool(memory.ended)
        return Step(state=memory.model_dump(mode="json"), calls=tuple(calls) if not done else (), done=done)

    def _charged(self, memory: Memory, spent: Spent) -> Memory:
        """The memory after a request that cost `spent`; a reply that failed has cost something too."""
        if spent.input or spent.output:
            self.hour.add(spent)
        return memory.model_copy(update={"requests": memory.requests + 1, "spent": memory.spent.plus(spent)})

    async def _ask(
        self, case: Case, memory: Memory, request: list[Message], tools: list[ToolSchema], size: int, *, must: str
    ) -> Reply:
        """Send a request, audited before each time it leaves and after. Raises ModelError."""
        number = memory.requests + 1
        entry: JsonObject = {
            "model": self.port.model,
            "request": number,
            "digest": digest_of([m.model_dump(mode="json") for m in request]),
            "tokens": size,
        }
        left: list[int] = []

        def leaving(tokens: int) -> None:
            """A retry sends the whole case again: it is audited, and has to fit into the budget like the first."""
            again = Spent(input=sum(left), counted=False)
            if left and (why := self.budget.over(memory.spent.plus(again), tokens)):
                raise ModelError("limit", why, spent=again)
            left.append(tokens)
            case.audit("model", {**entry, "send": len(left)})

        case.emit(ModelAsked(model=self.port.model, request=number, tokens=size))
        try:
            reply = await self.port.complete(
                request,
                tools,
                seconds=max(1.0, min(self.seconds, case.meter.remaining - HEARTBEAT)),
                max_output=self.room.output,
                must_call=must,
                on_send=leaving,
            )
        except BaseException as error:
            kind = error.kind if isinstance(error, ModelError) else type(error).__name__
            case.audit("model-outcome", {"request": number, "status": str(kind)})
            raise
        offered_names = {tool.name for tool in tools}
        outcome: JsonObject = {
            "request": number,
            "status": "ok",
            "digest": digest_of(reply.model_dump(mode="json")),
            "calls": [call.name if call.name in offered_names else "unknown" for call in reply.calls[:MAX_NAMED]],
            "input": reply.cost.input,
            "output": reply.cost.output,
        }
        case.audit("model-outcome", outcome)
        return reply

    def conclude(self, diagnosis: Diagnosis, state: JsonObject) -> Diagnosis:
        """The judged diagnosis with the checked statements of the model, or a note why there are none."""
        return concluded(
            diagnosis,
            Memory.model_validate(state) if state else Memory(),
            model=self.port.model,
            budget=self.budget,
            titles=dict(self.catalogue),
        )


def _over(memory: Memory, why: str, case: Case) -> Step:
    """End the consultation, and say so; the answer is then the causes' and the playbook's words."""
    why = case.redact(why)
    case.emit(Degraded(what="the model", because=why.removeprefix(f"{UNUSABLE}: ")))
    ended = memory.with_note(why).model_copy(update={"ended": why})
    return Step(state=ended.model_dump(mode="json"), done=True)
