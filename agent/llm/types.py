"""What passes between the reasoner and a model endpoint: messages, tool schemas, replies, and what they cost.

Rules: plain data, no client types; a call keeps its arguments as the text the model wrote, because only the parser
in agent/llm/calls.py may decide what that text means; a call that was cut short says so and is never repaired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, TypeAlias

from tools.errors import PlumblineError
from tools.types import Frozen, JsonObject

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
FailureKind: TypeAlias = Literal[
    "credentials", "model", "address", "limit", "server", "timeout", "cut", "refused", "unreadable", "too-large"
]
BYTES_PER_TOKEN: Final = 4
"""Of UTF-8, where no server counts."""


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
    """True where the server reported them believably; False where they are estimated, wholly or in part."""

    def plus(self, other: Spent) -> Spent:
        """The sum; counted only when both are."""
        return Spent(
            input=self.input + other.input,
            output=self.output + other.output,
            counted=self.counted and other.counted,
        )


NOTHING: Final = Spent()
"""What a request cost that was not sent."""


class Reply(Frozen):
    """What came back, whole."""

    text: str = ""
    calls: tuple[ModelCall, ...] = ()
    finish: str = ""
    """The server's finish_reason, or "" where it gave none."""
    model: str = ""
    """The model that answered: as the server names it where that is a plain name, else the one asked for."""
    refusal: str = ""
    """The model's own refusal, where it sent one."""
    spent: Spent = NOTHING
    """Of the request that was answered."""
    earlier: Spent = NOTHING
    """Of the requests before it that the server refused or dropped: the whole case was sent each time."""

    @property
    def cost(self) -> Spent:
        """All that the reply cost."""
        return self.spent.plus(self.earlier)


class ModelError(PlumblineError):
    """The endpoint gave no usable reply. The run goes on without a model and says so; never a user's exit code."""

    def __init__(self, kind: FailureKind, message: str, *, hint: str = "", spent: Spent = NOTHING) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.spent = spent
        """What was sent and heard all the same, all requests together."""


OnText: TypeAlias = Callable[[int], None]
"""Told the characters received so far: progress, never the words, which are not checked yet."""
OnSend: TypeAlias = Callable[[int], None]
"""Told before each HTTP request, retries and fallbacks included, the tokens it is estimated to send. What it raises
ends `complete` with that request unsent: a ModelError with what was spent before, anything else as it is."""


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
        on_send: OnSend | None = None,
    ) -> Reply:
        """One reply within `seconds`, retries included. `must_call` names the tool the model has to call, if any."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


def tokens(text: str) -> int:
    """Tokens of a text where no server counts them: UTF-8 bytes / 4, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def encodable(text: str) -> str:
    """Text that can be encoded: half of a surrogate pair, which JSON of a cluster or a model may hold, becomes "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")
