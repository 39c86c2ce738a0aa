"""A model endpoint whose requests are recorded: the same port to its caller, with a span around each request."""

from __future__ import annotations

from collections.abc import Sequence

from agent.llm.types import ChatPort, Message, OnSend, OnText, Reply, ToolSchema
from agent.telemetry import Telemetry


class TracedChat:
    """Passes every request on and records it. Raises what the port raises."""

    def __init__(self, port: ChatPort, telemetry: Telemetry) -> None:
        self.model, self.address = port.model, port.address
        self._port, self._telemetry = port, telemetry

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
        """One reply, as the port gives it."""
        with self._telemetry.chat(self.model, address=self.address, messages=messages, max_output=max_output) as chat:

            def heard(characters: int) -> None:
                chat.heard(characters)
                if on_text is not None:
                    on_text(characters)

            reply = await self._port.complete(
                messages,
                tools,
                seconds=seconds,
                max_output=max_output,
                must_call=must_call,
                on_text=heard,
                on_send=on_send,
            )
            chat.replied(reply)
        return reply

    async def aclose(self) -> None:
        """Close the port."""
        await self._port.aclose()
