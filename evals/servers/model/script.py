"""What a scripted model sees of a request, and what it answers: both plain data.

Rules: a script decides words and calls; how they travel (streamed or whole, and every way of going wrong) is said in
the reply's `wire` and done by the server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from pydantic import JsonValue

from agent.llm.types import Message, ModelCall, ToolSchema
from tools.types import JsonObject

ArgumentsAs: TypeAlias = Literal["text", "object"]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request as a script sees it."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...]
    stream: bool
    tool_choice: str
    """Name of the tool that must be called; "auto", "none", "required" or "" as sent."""
    body: JsonObject
    """Everything as it arrived."""

    @property
    def question(self) -> str:
        """The last message of the user."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")

    def offers(self, name: str) -> bool:
        """True where a tool of that name may be called."""
        return any(tool.name == name for tool in self.tools)


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """One tool call. `arguments` is an object, or the raw text to send as it is."""

    name: str
    arguments: JsonObject | str = field(default_factory=dict)
    id: str | None = None
    """None: a fresh one; "": sent empty."""

    @property
    def text(self) -> str:
        """The arguments as text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Wire:
    """How a reply travels. The defaults are what a faultless server does."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent instead of the reply, as it is; with `content_type`."""
    content_type: str = ""
    hang: bool = False
    """Never answer."""
    hang_after: int | None = None
    """Send so many bytes of the body, or all of it where it is shorter, then fall silent."""
    drip: float = 0.0
    """Seconds of silence before each piece of a stream."""
    cut: int | None = None
    """Bytes of the body after which the connection is closed."""
    redirect: str = ""
    done: bool = True
    """False: a stream ends without [DONE]."""
    ids: bool = True
    """False: calls carry no ids."""
    indexes: bool = True
    """False: call deltas carry no index."""
    arguments_as: ArgumentsAs = "text"
    legacy: bool = False
    """Use `function_call` for the first call."""
    content_parts: bool = False
    """Content as a list of parts."""
    role: bool = True
    choices: bool = True
    """False: no choice at all."""
    usage_null: bool = False
    """`"usage": null` in every chunk."""
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    """Further fields of the message or of its first delta, such as reasoning_content."""


FAULTLESS = Wire()


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """What a model says."""

    text: str | Sequence[str] = ""
    """Words; as several pieces, each is a chunk of a stream."""
    calls: tuple[ScriptedCall, ...] = ()
    finish: str | None = "auto"
    """"auto": "tool_calls" where there are calls, else "stop"; None: sent as null."""
    usage: tuple[int, int] | Literal["auto"] | None = "auto"
    """(prompt, completion) tokens; "auto" counts bytes / 4; None reports nothing."""
    refusal: str = ""
    wire: Wire = FAULTLESS

    @property
    def pieces(self) -> tuple[str, ...]:
        """The words in the pieces they are streamed in."""
        return ((self.text,) if self.text else ()) if isinstance(self.text, str) else tuple(self.text)

    @property
    def reason(self) -> str | None:
        """The finish_reason sent."""
        if self.finish == "auto":
            return "tool_calls" if self.calls else "stop"
        return self.finish


class Script(Protocol):
    """A scripted model."""

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """What it answers. Called once per request, in order."""
        ...


class Fixed:
    """Answers with a list of replies in turn; the last one repeats."""

    def __init__(self, *replies: ScriptedReply) -> None:
        if not replies:
            raise ValueError("a script needs a reply")
        self._replies = replies
        self._next = 0

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """The next one."""
        chosen = self._replies[min(self._next, len(self._replies) - 1)]
        self._next += 1
        return chosen


# --- reading a request -------------------------------------------------------------------------------------


def read_request(body: JsonObject) -> ChatRequest:
    """A typed view of a body. Raises ValueError saying what is wrong with it."""
    messages, tools = body.get("messages"), body.get("tools", [])
    if not isinstance(body.get("model"), str):
        raise ValueError("model: a string is required")
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages: a list with at least one message is required")
    if not isinstance(tools, list):
        raise ValueError("tools: a list is required")
    return ChatRequest(
        model=str(body["model"]),
        messages=tuple(_message(message) for message in messages),
        tools=tuple(_tool(tool) for tool in tools),
        stream=body.get("stream") is True,
        tool_choice=_choice(body.get("tool_choice")),
        body=body,
    )


def _message(value: JsonValue) -> Message:
    if not isinstance(value, dict) or value.get("role") not in ("system", "user", "assistant", "tool"):
        raise ValueError("messages: each needs a role")
    content, calls = value.get("content"), value.get("tool_calls")
    return Message.model_validate(
        {
            "role": value["role"],
            "content": content if isinstance(content, str) else "",
            "calls": tuple(_call(call) for call in calls) if isinstance(calls, list) else (),
            "answers": value.get("tool_call_id", ""),
        }
    )


def _call(value: JsonValue) -> ModelCall:
    function = _object(_object(value, "tool_calls").get("function"), "tool_calls")
    return ModelCall(
        id=str(_object(value, "tool_calls").get("id", "")),
        name=str(function.get("name", "")),
        arguments=str(function.get("arguments", "")),
    )


def _tool(value: JsonValue) -> ToolSchema:
    function = _object(_object(value, "tools").get("function"), "tools")
    return ToolSchema(
        name=str(function.get("name", "")),
        description=str(function.get("description", "")),
        parameters=_object(function.get("parameters", {}), "tools"),
    )


def _choice(value: JsonValue) -> str:
    if isinstance(value, dict):
        return str(_object(value.get("function"), "tool_choice").get("name", ""))
    return value if isinstance(value, str) else ""


def _object(value: JsonValue, field_name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise ValueError(f"{field_name}: an object is required")
    return value
