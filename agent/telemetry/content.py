"""Questions, messages, arguments and results as telemetry may carry them once the user opted in.

Rules: redacted as a whole before anything is cut, so that no half of a secret slips through; no URL, because whoever
reads traces may click on it, and nothing that could become one where a model wrote it; every length is bounded.
Shapes: semantic-conventions-genai, docs/gen-ai/gen-ai-{input,output}-messages.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

from pydantic import JsonValue

from agent import links
from agent.llm.types import Message, ModelCall, Reply
from tools.redact import Redactor
from tools.types import Evidence, JsonObject

MAX_TEXT = 4_096
"""Characters of one text; more are counted, not sent."""
MAX_ITEMS = 50
"""Messages, rows or members of one list or object."""
MAX_DEPTH = 12
MORE = "…"
_URL = re.compile(r"(?i)\b[a-z][a-z0-9+.\-]{1,30}:[/\\]{2}\S*|\b(?:javascript|data|mailto|vbscript):\S+|\bwww\.\S+")


class Content:
    """Turns what was said into JSON texts under one redactor."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def question(self, text: str) -> str:
        """What a person asked."""
        return _text([self._fit({"role": "user", "parts": _said(text)}, _without_urls)])

    def messages(self, messages: Sequence[Message]) -> str:
        """A request: its newest messages."""
        fitted: list[JsonValue] = []
        for message in messages[-MAX_ITEMS:]:
            fitted.append(self._fit(_message(message), _strict if message.role == "assistant" else _without_urls))
        return _text(fitted)

    def reply(self, reply: Reply, finish: str) -> str:
        """An answer of a model."""
        parts = [*_said(reply.text or reply.refusal), *map(_call, reply.calls)]
        return _text([self._fit({"role": "assistant", "parts": parts, "finish_reason": finish}, _strict)])

    def arguments(self, arguments: JsonObject) -> str:
        """Arguments of a call; a model may have written them."""
        return _text(self._fit(arguments, _strict))

    def result(self, evidence: Evidence) -> str:
        """What a call brought."""
        rows: list[JsonValue] = [{"key": row.key, "data": row.data} for row in evidence.rows[:MAX_ITEMS]]
        brought: JsonObject = {
            "evidence": evidence.id,
            "query": evidence.query,
            "status": evidence.status,
            "detail": evidence.detail,
            "rows": rows,
            "more": len(evidence.rows) - len(rows),
        }
        return _text(self._fit(brought, _without_urls))

    def _fit(self, value: JsonValue, clean: Callable[[str], str]) -> JsonValue:
        """A copy, redacted, without links, cut to size: in this order."""
        redacted, _ = self._redactor.value(_copy(value))
        return _short(redacted, clean)


def _text(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _said(text: str) -> list[JsonValue]:
    return [{"type": "text", "content": text}] if text else []


def _call(call: ModelCall) -> JsonValue:
    arguments: JsonValue = call.arguments
    with suppress(ValueError, RecursionError):  # what is no JSON stays the text it is
        arguments = json.loads(call.arguments)
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments}


def _message(message: Message) -> JsonValue:
    if message.role == "tool":
        return {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": message.answers, "response": message.content}],
        }
    return {"role": message.role, "parts": [*_said(message.content), *map(_call, message.calls)]}


def _copy(value: JsonValue, depth: int = 0) -> JsonValue:
    """The value without what lies too deep, for the redactor to change in place."""
    if depth > MAX_DEPTH and isinstance(value, dict | list):
        return MORE
    if isinstance(value, dict):
        return {key: _copy(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item, depth + 1) for item in value]
    return value


def _short(value: JsonValue, clean: Callable[[str], str]) -> JsonValue:
    if isinstance(value, dict):
        return {_cut(clean(key)): _short(item, clean) for key, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list):
        return [_short(item, clean) for item in value[:MAX_ITEMS]]
    return _cut(clean(value)) if isinstance(value, str) else value


def _cut(text: str) -> str:
    more = len(text) - MAX_TEXT
    return f"{text[:MAX_TEXT]}{MORE} {more:,} more characters" if more > 0 else text


def _strict(text: str) -> str:
    """A model's words without anything that could become a link."""
    return links.strip(text)[0]


def _without_urls(text: str) -> str:
    """What was read, without URLs; names of images and hosts stay."""
    return _URL.sub(links.REMOVED, text)
