"""What passes between the reasoner and a model endpoint: messages, tool schemas, replies, and what they cost.

Rules: plain data, no client types; a call keeps its arguments as the text the model wrote, because only the parser
in agent/llm/calls.py may decide what that text means; a call that was cut short says so and is never repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from tools.errors import PlumblineError
from tools.types import Frozen, JsonObject

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
FailureKind: TypeAlias = Literal[
    "credentials", "model", "address", "limit", "server", "timeout", "cut", "refused", "unreadable", "too-large"
]


class ToolSchema(Frozen):
    """One tool as a model sees it."""

    name: str
    description: str
    parameters: JsonObject
    """JSON Schema of the arguments."""


class ModelCall(Frozen):
    """One tool call as a model wrote it."""

    id: str
    """Unique within a reply; made up by us where the server left it out."""
    name: str
    arguments: str
    """The text of the arguments: JSON, or whatever the model wrote instead."""
    complete: bool = True
    """False where the reply ended inside it, or its JSON does not close: never run as anything but a re-asked read."""


class Message(Frozen):
    """One message of a request."""

    role: Role
    content: str = ""
    calls: tuple[ModelCall, ...] = ()
    """Of an assistant: the calls it made."""
    answers: str = ""
    """Of a tool message: the id of the call it answers."""


class Spent(Frozen):
    """Tokens of one request, or of several together."""

    input: int = 0
    output: int = 0
    counted: bool = True
    """True where the server reported them; False where they are UTF-8 bytes / 4."""

    def plus(self, other: Spent) -> Spent:
        """The sum; counted only when both are."""
        return Spent(
            input=self.input + other.input,
            output=self.output + other.output,
            counted=self.counted and other.counted,
        )


class Reply(Frozen):
    """What came back, whole."""

    text: str = ""
    calls: tuple[ModelCall, ...] = ()
    finish: str = ""
    """The server's finish_reason, or "" where it gave none."""
    model: str = ""
    """The model that answered, as the server names it."""
    refusal: str = ""
    """The model's own refusal, where it sent one."""
    spent: Spent = Spent()


class ModelError(PlumblineError):
    """The endpoint gave no usable reply. The run goes on without a model and says so; never a user's exit code."""

    def __init__(self, kind: FailureKind, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


OnText: TypeAlias = Callable[[int], None]
"""Told the characters received so far: progress, never the words, which are not checked yet."""


class ChatPort(Protocol):
    """A chat-completions endpoint. `complete` raises ModelError, and CancelledError at once when cancelled."""

    model: str
    """The model asked for."""
    address: str
    """Base URL, for the record."""

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        *,
        seconds: float,
        max_output: int,
        must_call: str = "",
        on_text: OnText | None = None,
    ) -> Reply:
        """One reply within `seconds`, retries included. `must_call` names the tool the model has to call, if any."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


def tokens(text: str) -> int:
    """Tokens of a text where no server counts them: UTF-8 bytes / 4, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // 4)
