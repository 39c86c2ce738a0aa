"""Tool calls as text: how tools are described to an endpoint that takes none, and how calls are read back.

Rules: only names that were offered count as calls; only blocks that end the reply do, so that a call quoted in the
middle of a sentence or inside another block stays text; a block that does not close is a call cut short.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from agent.llm.types import Message, ModelCall, ToolSchema

_MAX_BLOCKS: Final = 128
_OPENINGS: Final = re.compile(
    r"(?P<xml><tool_call>)|(?P<fence>```(?:tool|tool_call|json)?[ \t]*\n)"
    r"|(?P<mistral>\[TOOL_CALLS\])|(?P<llama><\|python_tag\|>)"
)
_CLOSINGS: Final = {"xml": "</tool_call>", "fence": "```", "mistral": "", "llama": ""}
_NEXT: Final = "[TOOL_CALLS]"
_NAMED: Final = re.compile(r"\s*(?P<name>[\w.-]{1,128})(?:\[CALL_ID\]\w{1,64})?\[ARGS\]\s*")
_LLAMA_ENDS: Final = ("<|eom_id|>", "<|eot_id|>")


@dataclass(frozen=True, slots=True)
class Written:
    """One call found in a text, before it has an id."""

    name: str
    arguments: str
    complete: bool


def find(text: str, names: Collection[str]) -> tuple[str, tuple[Written, ...]]:
    """The text before the calls that end it, and those calls; (text, ()) where it ends in none."""
    if not names:
        return text, ()
    if (bare := _bare(text, names)) is not None:
        return "", bare
    blocks = _blocks(text)
    start, found = len(text), list[Written]()
    for begin, end, kind in reversed(blocks):
        if text[end:start].strip():
            break
        calls = _read(text[begin:end], kind, names)
        if not calls:
            break
        start, found = begin, [*calls, *found]
    return (text[:start].rstrip(), tuple(found)) if found else (text, ())


def _blocks(text: str) -> list[tuple[int, int, str]]:
    """(begin, end, kind) of every block, nested ones skipped; at most `_MAX_BLOCKS`, the last ones never lost."""
    blocks: list[tuple[int, int, str]] = []
    at = 0
    while (opening := _OPENINGS.search(text, at)) is not None:
        kind = opening.lastgroup or ""
        closing = _CLOSINGS[kind]
        close = text.find(closing, opening.end()) if closing else len(text)
        at = len(text) if close < 0 else close + len(closing)
        blocks.append((opening.start(), at, kind))
    return blocks[-_MAX_BLOCKS:]


def _read(block: str, kind: str, names: Collection[str]) -> list[Written]:
    opening = _OPENINGS.match(block)
    body = block[opening.end() if opening else 0 :]
    closing = _CLOSINGS[kind]
    closed = bool(closing) and body.endswith(closing)
    body = body[: len(body) - len(closing)] if closed else body
    for mark in _LLAMA_ENDS if kind == "llama" else ():
        body = body.removesuffix(mark)
    if kind == "mistral" and _NAMED.match(body):
        return _named(body, names)
    values = _values(body.strip())
    if values is None:
        return _cut(body, names)
    calls = [call for value in values if (call := _call(value, names)) is not None]
    return calls if len(calls) == len(values) else []


def _named(body: str, names: Collection[str]) -> list[Written]:
    """Calls as newer Mistral templates write them: a name, a mark, one JSON object; the first mark is taken off."""
    calls: list[Written] = []
    at, decoder = 0, json.JSONDecoder()
    while (begun := _NAMED.match(body, at)) is not None and begun["name"] in names:
        try:
            end = decoder.raw_decode(body, begun.end())[1]
        except (ValueError, RecursionError):
            return [*calls, Written(begun["name"], body[begun.end() :], False)]
        calls.append(Written(begun["name"], body[begun.end() : end], True))
        at = end + len(body[end:]) - len(body[end:].lstrip())
        if at == len(body):
            return calls
        if not body.startswith(_NEXT, at):
            return []
        at += len(_NEXT)
    return []


def _bare(text: str, names: Collection[str]) -> tuple[Written, ...] | None:
    """A reply that is nothing but calls as JSON, without any mark around it."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")):
        return None
    values = _values(stripped)
    calls = [call for value in values or () if (call := _call(value, names)) is not None]
    return tuple(calls) if values and len(calls) == len(values) else None


def _values(body: str) -> list[JsonValue] | None:
    """JSON objects of a block: one, a list, or one a line (also separated by ";"). None where it is no JSON."""
    try:
        value: JsonValue = json.loads(body)
        return value if isinstance(value, list) else [value]
    except (ValueError, RecursionError):
        pass
    lines = [line.strip().rstrip(";") for line in body.splitlines() if line.strip()]
    try:
        return [json.loads(line) for line in lines] if len(lines) > 1 else None
    except (ValueError, RecursionError):
        return None


def _call(value: JsonValue, names: Collection[str]) -> Written | None:
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    holder = inner if isinstance(inner, dict) else value
    name = holder.get("name")
    key = "arguments" if "arguments" in holder else "parameters"
    if not isinstance(name, str) or name not in names or key not in holder:
        return None
    arguments = holder[key]
    text, whole = (arguments, True) if isinstance(arguments, str) else dumped(arguments)
    return Written(name, text or "{}", whole)


def dumped(arguments: JsonValue) -> tuple[str, bool]:
    """Arguments that came as JSON, as text; ("", False) where they nest too deep for that."""
    try:
        return json.dumps(arguments, ensure_ascii=False), True
    except (ValueError, RecursionError):
        return "", False


def _cut(body: str, names: Collection[str]) -> list[Written]:
    """A block that is no JSON but begins as a call of an offered tool: reported as cut short, never repaired."""
    begun = re.match(r'[\[\s]*\{\s*"name"\s*:\s*"([^"\\]{1,128})"', body)
    if begun is None or begun[1] not in names:
        return []
    arguments = re.search(r'"(?:arguments|parameters)"\s*:\s*', body)
    return [Written(begun[1], body[arguments.end() :] if arguments else "", False)]


# --- the other direction -----------------------------------------------------------------------------------

_HOW: Final = """
You can call tools. To call, end your reply with one fenced block tagged `tool` that holds one JSON object per line:
```tool
{"name": "<tool>", "arguments": {<arguments>}}
```
Write nothing after the block. The results come in the next message. Tools, with the JSON Schema of their arguments:
"""


def describe(tools: Sequence[ToolSchema], *, must_call: str) -> str:
    """What the system message says to an endpoint that takes no tools."""
    lines = [
        f"- {tool.name}: {tool.description} {json.dumps(tool.parameters, separators=(',', ':'), ensure_ascii=False)}"
        for tool in tools
    ]
    must = [f"In this reply you must call `{must_call}`."] if must_call else []
    return "\n".join([_HOW.strip("\n"), *lines, *must])


def as_text(messages: Sequence[Message], tools: Sequence[ToolSchema], *, must_call: str) -> list[Message]:
    """The same conversation without tool messages: calls become blocks, results become user messages."""
    made: list[Message] = []
    described = describe(tools, must_call=must_call) if tools else ""
    if described and not (messages and messages[0].role == "system"):
        made.append(Message(role="system", content=described))
        described = ""
    called = {call.id: call.name for message in messages for call in message.calls}
    for message in messages:
        if message.role == "system" and described:
            made.append(Message(role="system", content=f"{message.content}\n\n{described}"))
            described = ""
        elif message.role == "tool":
            name = called.get(message.answers, "the call")
            _join(made, Message(role="user", content=f"Result of {name}:\n{message.content}"))
        elif message.calls:
            text = "\n".join(filter(None, (message.content, _block(message.calls))))
            made.append(Message(role="assistant", content=text))
        else:
            _join(made, message)
    return made


def _join(made: list[Message], message: Message) -> None:
    """Append; two user messages in a row become one, because many chat templates refuse them."""
    if made and made[-1].role == message.role == "user":
        made[-1] = Message(role="user", content=f"{made[-1].content}\n\n{message.content}")
    else:
        made.append(message)


def _block(calls: Iterable[ModelCall]) -> str:
    lines = [f'{{"name": {json.dumps(call.name)}, "arguments": {_one_line(call.arguments)}}}' for call in calls]
    return "\n".join(["```tool", *lines, "```"])


def _one_line(arguments: str) -> str:
    """Arguments as JSON on one line; text that is no JSON becomes a JSON string."""
    try:
        return json.dumps(json.loads(arguments or "{}"), ensure_ascii=False)
    except (ValueError, RecursionError):
        return json.dumps(arguments)
