"""A case for a model to look at, and an endpoint in this process that answers from a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.events import Event
from agent.llm.budget import Budget
from agent.llm.limits import Hour
from agent.llm.messages import Room
from agent.llm.reasoner import LanguageModel
from agent.llm.types import Message, ModelCall, ModelError, OnSend, OnText, Reply, Spent, ToolSchema
from agent.llm.types import tokens as estimated
from agent.reasoner import Case
from agent.types import Intent
from tests.render.build import diagnosis
from tools import registry
from tools.limits import MODEL_BUDGET, Meter
from tools.limits import Budget as Calls
from tools.types import Evidence, JsonObject, Row, Scope, ToolCall, canonical

NOW = 1_778_594_400.0


def pods(count: int = 3, name: str = "E4") -> tuple[ToolCall, Evidence]:
    """A list of pods as it was read."""
    call = ToolCall(tool="list_objects", args={"kind": "Pod", "namespace": "search"})
    rows = tuple(
        Row(
            key=f"search/chat-{number}",
            namespace="search",
            data={
                "metadata": {"name": f"chat-{number}", "namespace": "search", "uid": f"uid-{number}"},
                "status": {"phase": "Running"},
            },
        )
        for number in range(count)
    )
    evidence = Evidence(
        id=name,
        tool="list_objects",
        source="kubernetes",
        family="objects",
        query="kubectl get pod -n search",
        call_digest=call.digest,
        status="ok" if rows else "empty",
        observed_at=NOW,
        rows=rows,
        digest="0" * 64,
    )
    return call, evidence


@dataclass(slots=True)
class Desk:
    """What a case reports back."""

    events: list[Event] = field(default_factory=list)
    audited: list[tuple[str, JsonObject]] = field(default_factory=list)

    def audit(self, kind: str, body: JsonObject) -> str:
        """Keep an audit entry."""
        self.audited.append((kind, body))
        return "0" * 64


def case(
    desk: Desk | None = None, *, gathered: Sequence[tuple[ToolCall, Evidence]] | None = None, **changes: object
) -> Case:
    """A case with one finding and one list of pods; `changes` replace fields."""
    desk = desk or Desk()
    values: dict[str, object] = {
        "question": "why are team search's H100s half idle?",
        "intent": Intent(question="", topic="utilization", families=("gpu",)),
        "scope": Scope(asked="team search", namespaces=("search",)),
        "mode": "propose",
        "now": NOW,
        "diagnosis": diagnosis(),
        "judged": True,
        "gathered": [pods()] if gathered is None else gathered,
        "derived": [],
        "tools": list(registry.load().values()),
        "queries": {"gpu_busy_mean_30m": "dcgm"},
        "earlier": "",
        "meter": Meter(MODEL_BUDGET, clock=lambda: 0.0),
        "audit": desk.audit,
        "redact": lambda text: text.replace("hunter2", "‹redacted›"),
        "emit": desk.events.append,
    }
    return Case(**{**values, **changes})  # type: ignore[arg-type]


class Canned:
    """A ChatPort that gives its replies in turn; an error among them is raised."""

    model = "canned"
    address = "http://127.0.0.1:1/v1"

    def __init__(self, *replies: Reply | ModelError) -> None:
        self.replies = list(replies)
        self.requests: list[list[Message]] = []
        self.must: list[str] = []

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        *,
        seconds: float,
        max_output: int,
        must_call: str = "",
        on_text: OnText | None = None,
        on_send: OnSend | None = None,
    ) -> Reply:
        """The next reply; the last one again once they run out."""
        if on_send is not None:
            on_send(sum(estimated(message.content) for message in messages))
        self.requests.append(list(messages))
        self.must.append(must_call)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, ModelError):
            raise reply
        return reply

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class Counter:
    """Tokens counted over runs, in memory."""

    entries: list[tuple[float, int]] = field(default_factory=list)

    def spend(self, at: float, tokens: int) -> None:
        """Count tokens."""
        self.entries.append((at, tokens))

    def spent_since(self, at: float) -> int:
        """Tokens counted since a moment."""
        return sum(tokens for when, tokens in self.entries if when > at)


def called(name: str, arguments: JsonObject | str, number: int = 1) -> ModelCall:
    """A call as a model writes it."""
    text = arguments if isinstance(arguments, str) else canonical(arguments).decode()
    return ModelCall(id=f"c{number}", name=name, arguments=text)


def calling(*calls: ModelCall, tokens: int = 100) -> Reply:
    """A reply with calls."""
    return Reply(calls=calls, finish="tool_calls", spent=Spent(input=tokens, output=10))


def answering(*claims: tuple[str, str], tokens: int = 100) -> Reply:
    """A reply that answers with (text, citation) claims."""
    said: list[JsonObject] = [{"text": text, "cites": [cite]} for text, cite in claims]
    return calling(called("answer", {"claims": list(said)}), tokens=tokens)


def model(port: Canned, *, tokens: int = 100_000, window: int = 128_000, hour: int = 10**6) -> LanguageModel:
    """A reasoner on such an endpoint."""
    return LanguageModel(
        port=port,
        budget=Budget(tokens=tokens),
        room=Room(window=window, output=1_000),
        seconds=60.0,
        hour=Hour(store=Counter(), limit=hour),
        catalogue=(("U13", "HPA on a resource metric"), ("U01", "idle while allocated")),
    )


def few_calls(calls: int) -> Meter:
    """A meter with so many calls left."""
    return Meter(Calls(calls=calls, seconds=120.0), clock=lambda: 0.0)
