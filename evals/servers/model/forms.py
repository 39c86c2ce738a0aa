"""A scripted reply in the JSON forms of the chat-completions API: one body, or chunks of a stream.

Rules: ids and times are fixed, so that the same script gives the same bytes; arguments are streamed in two pieces,
because clients that expect them whole should fail here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import JsonValue

from evals.servers.model.script import ChatRequest, ScriptedCall, ScriptedReply
from tools.types import JsonObject

_ID = "chatcmpl-scripted"
_CREATED = 1_700_000_000


def whole(request: ChatRequest, reply: ScriptedReply, *, number: int) -> bytes:
    """The body of a reply that is not streamed."""
    message: JsonObject = {"role": "assistant"} if reply.wire.role else {}
    text = "".join(reply.pieces)
    message["content"] = _content(text, reply) if text else None
    message.update(reply.wire.extra)
    if reply.refusal:
        message["refusal"] = reply.refusal
    calls = list(reply.calls)
    if reply.wire.legacy and calls:
        message["function_call"] = _function(calls.pop(0), reply, calls_text=None)
    if calls:
        message["tool_calls"] = [_call(c, i, reply, number) for i, c in enumerate(calls)]
    made = _frame("chat.completion", request)
    made["choices"] = [{"index": 0, "message": message, "finish_reason": reply.reason}] if reply.wire.choices else []
    if (usage := _usage(request, reply)) is not None:
        made["usage"] = usage
    return json.dumps(made).encode()


def streamed(request: ChatRequest, reply: ScriptedReply, *, number: int) -> Iterator[bytes]:
    """The events of a streamed reply."""
    if reply.wire.choices:
        for delta in _deltas(reply, number):
            yield _event(_chunk(request, reply, delta, None))
        yield _event(_chunk(request, reply, {}, reply.reason))
    options = request.body.get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True
    if asked and (usage := _usage(request, reply)) is not None:
        yield _event({**_frame("chat.completion.chunk", request), "choices": [], "usage": usage})
    if reply.wire.done:
        yield b"data: [DONE]\n\n"


def _deltas(reply: ScriptedReply, number: int) -> Iterator[JsonObject]:
    first: JsonObject = {"role": "assistant", "content": ""} if reply.wire.role else {}
    first.update(reply.wire.extra)
    if first:
        yield first
    for piece in reply.pieces:
        yield {"content": _content(piece, reply)}
    if reply.refusal:
        yield {"refusal": reply.refusal}
    for index, call in enumerate(reply.calls):
        for position, text in enumerate(_halves(call, reply)):
            yield _call_delta(call, index, position, text, reply, number)


def _call_delta(
    call: ScriptedCall, index: int, position: int, text: str | None, reply: ScriptedReply, number: int
) -> JsonObject:
    if reply.wire.legacy and index == 0:
        return {"function_call": _function(call, reply, calls_text=text) if position == 0 else {"arguments": text}}
    made: JsonObject = {"index": index} if reply.wire.indexes else {}
    if position == 0:
        made.update(_call(call, index, reply, number, calls_text=text))
    else:
        made["function"] = {"arguments": text}
    return {"tool_calls": [made]}


def _halves(call: ScriptedCall, reply: ScriptedReply) -> tuple[str | None, ...]:
    """The arguments in two pieces; an object travels in one."""
    text = call.text
    if reply.wire.arguments_as == "object" and isinstance(call.arguments, dict):
        return (None,)
    middle = len(text) // 2
    return (text[:middle], text[middle:]) if middle else (text,)


def _call(
    call: ScriptedCall, index: int, reply: ScriptedReply, number: int, *, calls_text: str | None = None
) -> JsonObject:
    made: JsonObject = {"type": "function", "function": _function(call, reply, calls_text=calls_text)}
    if reply.wire.ids:
        made["id"] = f"call_{number}_{index}" if call.id is None else call.id
    return made


def _function(call: ScriptedCall, reply: ScriptedReply, *, calls_text: str | None) -> JsonObject:
    arguments: JsonValue = call.text if calls_text is None else calls_text
    if reply.wire.arguments_as == "object" and isinstance(call.arguments, dict):
        arguments = call.arguments
    return {"name": call.name, "arguments": arguments}


def _content(text: str, reply: ScriptedReply) -> JsonValue:
    return [{"type": "text", "text": text}] if reply.wire.content_parts else text


def _usage(request: ChatRequest, reply: ScriptedReply) -> JsonObject | None:
    if reply.usage is None:
        return None
    if reply.usage == "auto":
        said = "".join(reply.pieces) + "".join(call.name + call.text for call in reply.calls)
        read, wrote = len(json.dumps(request.body)) // 4 + 1, len(said.encode("utf-8", "replace")) // 4 + 1
    else:
        read, wrote = reply.usage
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def _chunk(request: ChatRequest, reply: ScriptedReply, delta: JsonObject, finish: str | None) -> JsonObject:
    made = _frame("chat.completion.chunk", request)
    made["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish}]
    if reply.wire.usage_null:
        made["usage"] = None
    return made


def _frame(kind: str, request: ChatRequest) -> JsonObject:
    return {"id": _ID, "object": kind, "created": _CREATED, "model": request.model}


def _event(value: JsonObject) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def error(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> bytes:
    """An error body."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()
