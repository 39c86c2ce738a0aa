"""Scripted endpoints and clients of them, closed when a test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import pytest

from agent.llm.capabilities import Capabilities
from agent.llm.endpoint import Endpoint, OpenAIChat
from agent.llm.stream import Intake
from agent.llm.types import Message, Reply, ToolSchema
from agent.llm.wire import Gather
from evals.servers.model.script import Fixed, Script, ScriptedReply
from evals.servers.model.server import MODEL, ModelServer

PODS = ToolSchema(
    name="pods",
    description="List pods.",
    parameters={"type": "object", "properties": {"namespace": {"type": "string"}}, "additionalProperties": False},
)
LOGS = ToolSchema(name="logs", description="Read logs.", parameters={"type": "object", "properties": {}})
TOOLS = (PODS, LOGS)
QUESTION = (Message(role="system", content="You look."), Message(role="user", content="why?"))


@dataclass(slots=True)
class Bench:
    """Starts servers and clients; `waits` are the pauses the clients would have made."""

    waits: list[float] = field(default_factory=list)
    _closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def serve(
        self, *replies: ScriptedReply, script: Script | None = None, key: str = "", refuses: tuple[str, ...] = ()
    ) -> ModelServer:
        """A server that answers with these replies in turn."""
        server = ModelServer(script or Fixed(*replies), key=key, refuses=refuses)
        await server.start()
        self._closing.append(server.stop)
        return server

    def client(
        self,
        url: str,
        *,
        model: str = MODEL,
        key: str = "",
        headers: dict[str, str] | None = None,
        idle: float = 5.0,
        capabilities: Capabilities | None = None,
    ) -> OpenAIChat:
        """A client that never really sleeps between attempts."""

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        endpoint = Endpoint(
            base_url=url, model=model, key=key, headers=headers or {}, idle_seconds=idle, capabilities=capabilities
        )
        made = OpenAIChat(endpoint, sleep=sleep, jitter=lambda: 1.0)
        self._closing.append(made.aclose)
        return made

    async def ask(self, *replies: ScriptedReply, stream: bool = True) -> Reply:
        """What a client makes of one reply."""
        server = await self.serve(*replies)
        chat = self.client(server.url, capabilities=Capabilities(streaming=stream, streaming_usage=stream))
        return await complete(chat)

    def closing(self, close: Callable[[], Awaitable[None]]) -> None:
        """Close this too."""
        self._closing.append(close)

    async def close(self) -> None:
        """Close everything, newest first."""
        for close in reversed(self._closing):
            await close()


def read(chunks: Iterable[bytes], gather: Gather) -> Reply:
    """The reply in an answer's bytes. Raises ModelError."""
    intake = Intake(gather)
    for chunk in chunks:
        intake.feed(chunk)
    intake.end()
    return gather.reply()


async def complete(chat: OpenAIChat, *, seconds: float = 5.0, must_call: str = "") -> Reply:
    """One reply to the usual question."""
    return await chat.complete(QUESTION, TOOLS, seconds=seconds, max_output=100, must_call=must_call)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A bench, cleared away at the end."""
    made = Bench()
    yield made
    await made.close()
