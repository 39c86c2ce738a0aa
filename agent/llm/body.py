"""From messages and tool schemas to the JSON body of a chat-completions request, for what an endpoint can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from agent.llm import textcalls
from agent.llm.capabilities import Capabilities, Feature, fits_strict
from agent.llm.types import Message, ToolSchema, encodable
from tools.types import JsonObject


def build(
    messages: Sequence[Message],
    tools: Sequence[ToolSchema],
    *,
    model: str,
    can: Capabilities,
    max_output: int,
    must_call: str = "",
) -> JsonObject:
    """The body of one request. Tools the endpoint does not take are described in the system message instead."""
    shown = messages if can.tools else textcalls.as_text(messages, tools, must_call=must_call)
    made: JsonObject = {"model": model, "messages": [_message(message) for message in shown]}
    made["max_completion_tokens" if can.output_limit else "max_tokens"] = max_output
    if tools and can.tools:
        made["tools"] = [_tool(tool, strict=can.strict) for tool in tools]
        if can.parallel_tool_calls:
            made["parallel_tool_calls"] = True
        if must_call and can.tool_choice:
            made["tool_choice"] = {"type": "function", "function": {"name": must_call}}
    if can.streaming:
        made["stream"] = True
        if can.streaming_usage:
            made["stream_options"] = {"include_usage": True}
    return made


def used(made: JsonObject) -> frozenset[Feature]:
    """The features a request uses: only these can be what an endpoint refuses about it."""
    features = {feature for name, feature in _PARAMETERS.items() if name in made}
    return frozenset({*features, "strict"} if _asks_strict(made.get("tools")) else features)


_PARAMETERS: Final[dict[str, Feature]] = {
    "max_tokens": "output_limit",
    "stream_options": "streaming_usage",
    "parallel_tool_calls": "parallel_tool_calls",
    "tool_choice": "tool_choice",
    "stream": "streaming",
    "tools": "tools",
}


def _asks_strict(tools: JsonValue) -> bool:
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return any(isinstance(function, dict) and function.get("strict") is True for function in functions)


def _tool(tool: ToolSchema, *, strict: bool) -> JsonObject:
    function: JsonObject = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    if strict and fits_strict(tool.parameters):
        function["strict"] = True
    return {"type": "function", "function": function}


def _message(message: Message) -> JsonObject:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.answers, "content": encodable(message.content)}
    made: JsonObject = {"role": message.role, "content": encodable(message.content)}
    if message.calls:
        calls: list[JsonValue] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
            for call in message.calls
        ]
        made["tool_calls"] = calls
    return made
