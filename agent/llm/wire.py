"""From the chunks, or the one body, of a chat completion to one Reply: every quirk of a server ends here.

Rules: pure; bytes that are not UTF-8 are replaced; what is missing is made up only where it carries no meaning (ids,
indexes, roles); arguments are never repaired; a call that may have been cut short is marked; sizes are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from agent import links
from agent.llm import textcalls
from agent.llm.counting import counted
from agent.llm.types import ModelCall, ModelError, Reply, Spent, encodable

REPLY_BYTES: Final = 1 << 20
"""Most bytes of one reply: text, arguments and reasoning together; also of one streamed event."""
MAX_CALLS: Final = 128
"""Calls kept of one reply; the rest is dropped and counted."""
_NAME: Final = 128
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_MODEL: Final = re.compile(r"[A-Za-z0-9._:@/-]{1,100}")
_HOST: Final = re.compile(r"[A-Za-z0-9-]\.[A-Za-z]|//")
"""What a host's name, or an address, has: no name of a model that comes from a server may."""
_FINISH: Final = re.compile(r"[A-Za-z_-]{1,32}")
_CUTTING: Final = frozenset({"length", "max_tokens", "content_filter"})
"""Finish reasons that say the reply stopped before the model was done."""
_HIDDEN: Final = ("reasoning_content", "reasoning", "thinking")
"""Where servers put what the model thinks: counted, never shown."""
_ERROR_DEPTH: Final = 16
_ERROR_NODES: Final = 512
"""How far into an error body its words are looked for."""


class Broken(ModelError):
    """What should be JSON is not."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    broken: bool = False
    """Arguments that came as something that is neither text nor an object."""


class Gather:
    """Gathers the chunks of one reply.

    `offered` are the names of the tools that calls in a text may use; made-up ids begin with `prefix`; `shown` makes
    the words of an error fit to be shown; `asked` is the model that was asked; `sent` are the estimated tokens of the
    request, and `max_output` those it asked for at most.
    """

    def __init__(
        self,
        *,
        offered: Collection[str] = (),
        prefix: str = "call",
        shown: Callable[[str], str] = str,
        asked: str = "",
        sent: int = 0,
        max_output: int = 0,
    ) -> None:
        self._offered, self._prefix, self._shown = frozenset(offered), prefix, shown
        self._asked, self._sent, self._max_output = asked, sent, max_output
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[object, _Call] = {}
        self._last: _Call | None = None
        self._bytes = 0
        self._usage: JsonValue = None
        self._model = asked
        self._choices = False
        self.finish = ""
        self.done = False
        """True once the server said that the stream ends ([DONE])."""
        self.characters = 0
        """Characters of text and arguments so far."""
        self.dropped = 0
        """Calls beyond MAX_CALLS."""

    # --- taking in -----------------------------------------------------------------------------------------

    def event(self, data: str) -> None:
        """Take the data of one streamed event. Raises ModelError (unreadable, server, too-large)."""
        if data.strip() == "[DONE]":
            self.done = True
        elif data.strip() and not self.done:
            self.chunk(_parsed(data))

    def body(self, data: bytes) -> None:
        """Take a whole body. Raises ModelError (unreadable, server, too-large)."""
        self.chunk(_parsed(data.decode("utf-8", "replace")))
        self.done = True

    def chunk(self, value: JsonValue) -> None:
        """Take one chunk, or a whole body, as JSON."""
        if not isinstance(value, dict):
            raise ModelError("unreadable", "the endpoint answered with JSON that is no chat completion")
        if value.get("error") or value.get("object") == "error":
            raise ModelError("server", f"the endpoint reports: {self._shown(error_words(value))}")
        if isinstance(value.get("usage"), dict):
            self._usage = value["usage"]
        if isinstance(model := value.get("model"), str):
            self._model = _model(model, self._asked)
        choices = value.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                self._choice(choice)

    def _choice(self, choice: dict[str, JsonValue]) -> None:
        self._choices = True
        parts = [part for part in (choice.get("delta"), choice.get("message")) if isinstance(part, dict) and part]
        for part in parts[:1]:
            self._part(part)
        if isinstance(choice.get("text"), str):
            self._say(choice["text"])
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            self.finish = finish if _FINISH.fullmatch(finish) else "unknown"

    def _part(self, part: dict[str, JsonValue]) -> None:
        self._content(part.get("content"))
        if isinstance(refusal := part.get("refusal"), str):
            self._refusal.append(self._counted(refusal))
        for name in _HIDDEN:
            if isinstance(hidden := part.get(name), str):
                self._counted(hidden)
        calls = part.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                self._call(call, position=position)
        if isinstance(legacy := part.get("function_call"), dict):
            self._call({"index": "function_call", "function": legacy}, position=0)

    def _content(self, content: JsonValue) -> None:
        """Content as text, as null, or as a list of parts."""
        if isinstance(content, str):
            self._say(content)
        for piece in content if isinstance(content, list) else ():
            if isinstance(piece, str):
                self._say(piece)
            elif isinstance(piece, dict) and isinstance(refusal := piece.get("refusal"), str):
                self._refusal.append(self._counted(refusal))
            elif isinstance(piece, dict) and piece.get("type") in ("text", "output_text", None):
                self._content(piece["text"] if isinstance(piece.get("text"), str) else None)

    def _say(self, text: JsonValue) -> None:
        if isinstance(text, str):
            self._text.append(self._counted(text))
            self.characters += len(text)

    def _counted(self, text: str) -> str:
        self._bytes += len(text.encode("utf-8", "replace"))
        if self._bytes > REPLY_BYTES:
            raise ModelError("too-large", f"the reply is larger than {REPLY_BYTES >> 20} MiB")
        return text

    # --- calls ---------------------------------------------------------------------------------------------

    def _call(self, delta: dict[str, JsonValue], *, position: int) -> None:
        inner = delta.get("function")
        function = inner if isinstance(inner, dict) else delta
        id_, name = _text_of(delta.get("id")), _text_of(function.get("name"))
        call = self._which(delta.get("index"), id_, name, position)
        if call is None:
            return
        call.id = call.id or id_
        if name and name != call.name and len(call.name) <= _NAME:
            call.name += self._counted(name)
        self._arguments(call, function.get("arguments"))

    def _which(self, index: JsonValue, id_: str, name: str, position: int) -> _Call | None:
        """The call a delta belongs to: by index, by a new id, else the last one. None beyond MAX_CALLS."""
        if not isinstance(index, (int, str)):
            return self._unindexed(id_, name, position)
        call = self._calls.get(index)
        if call is not None and id_ and call.id and id_ != call.id and name:
            return self._new(("again", index, id_))  # a server that gives every call the same index
        return self._new(index) if call is None else self._keep(call)

    def _unindexed(self, id_: str, name: str, position: int) -> _Call | None:
        last = self._last
        if last is None or name or (id_ and last.id and id_ != last.id) or position:
            return self._new(("added", len(self._calls) + self.dropped))
        return last

    def _keep(self, call: _Call) -> _Call:
        self._last = call
        return call

    def _new(self, key: object) -> _Call | None:
        if key in self._calls:
            return self._keep(self._calls[key])
        if len(self._calls) >= MAX_CALLS:
            self.dropped += 1
            return None
        self._last = self._calls[key] = _Call()
        return self._last

    def _arguments(self, call: _Call, arguments: JsonValue) -> None:
        """Arguments as text, as text in pieces, as an object instead of text, or missing."""
        if isinstance(arguments, str):
            piece = arguments
        elif arguments is None:
            return
        else:
            piece, whole = textcalls.dumped(arguments)
            call.broken = call.broken or not whole or not isinstance(arguments, dict)
        call.arguments.append(self._counted(piece))
        self.characters += len(piece)

    # --- giving out ----------------------------------------------------------------------------------------

    def reply(self) -> Reply:
        """The reply.

        Raises ModelError: `cut` where the stream ended without saying so, `unreadable` where nothing was in it.
        """
        if not self._choices and (self.done or not self._bytes):
            raise ModelError("unreadable", "the endpoint answered without any choice")
        if not self.done and not self.finish:
            raise ModelError("cut", "the reply was cut off before its end")
        text = encodable("".join(self._text))
        calls = self._native()
        if not calls:
            text, calls = self._from_text(text)
        refusal = encodable("".join(self._refusal)).strip()
        if not refusal and self.finish == "content_filter" and not calls:
            refusal = "the endpoint's content filter stopped the reply"
        return Reply(
            text=text,
            calls=tuple(calls),
            finish=self.finish,
            model=self._model,
            refusal=refusal,
            spent=self.spent,
        )

    def _native(self) -> list[ModelCall]:
        made = [call for call in self._calls.values() if call.name or call.arguments]
        ids = _unique([call.id for call in made], self._prefix)
        calls = []
        for number, (call, id_) in enumerate(zip(made, ids, strict=True), start=1):
            arguments = encodable("".join(call.arguments))
            cut = self._may_be_cut(last=number == len(made))
            whole = not call.broken and not cut and closes(arguments)
            calls.append(
                ModelCall(id=id_, name=encodable(call.name)[:_NAME], arguments=arguments or "{}", complete=whole)
            )
        return calls

    def _from_text(self, text: str) -> tuple[str, list[ModelCall]]:
        text, found = textcalls.find(text, self._offered)
        self.dropped += max(0, len(found) - MAX_CALLS)
        found = found[:MAX_CALLS]
        ids = _unique([""] * len(found), self._prefix)
        calls = []
        for number, (call, id_) in enumerate(zip(found, ids, strict=True), start=1):
            whole = call.complete and not self._may_be_cut(last=number == len(found)) and closes(call.arguments)
            calls.append(ModelCall(id=id_, name=call.name, arguments=call.arguments, complete=whole))
        return text, calls

    def _may_be_cut(self, *, last: bool) -> bool:
        """Only the last call can have been cut short by the end of the reply; earlier ones had to close first."""
        return last and self.finish in _CUTTING

    @property
    def begun(self) -> bool:
        """True once anything of a reply was heard."""
        return self._bytes > 0 or self._usage is not None

    @property
    def spent(self) -> Spent:
        """What the request cost, as far as the reply has come."""
        return counted(self._usage, sent=self._sent, heard=self._bytes, max_output=self._max_output)


def closes(arguments: str) -> bool:
    """True where arguments are empty (which means none) or JSON to their end."""
    if not arguments.strip():
        return True
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True


def error_words(value: JsonValue) -> str:
    """What an error body says, wherever the server put it; "" where it says nothing."""
    waiting: list[tuple[JsonValue, int]] = [(value, 0)]
    for _ in range(_ERROR_NODES):
        if not waiting:
            break
        node, depth = waiting.pop()
        if isinstance(node, str) and node:
            return node
        inner: list[JsonValue] = []
        if isinstance(node, list):
            inner = node[:_ERROR_NODES]
        elif isinstance(node, dict):
            inner = [node.get(name) for name in ("error", "message", "msg", "detail", "error_description")]
        if depth < _ERROR_DEPTH:
            waiting += [(item, depth + 1) for item in reversed(inner)]
    return ""


def _parsed(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        page = text.lstrip()[:200].lower().startswith(("<!doctype", "<html", "<?xml", "<head", "<body"))
        what = "an HTML page" if page else "something that is not JSON" if text else "nothing"
        raise Broken(
            "unreadable",
            f"the endpoint answered with {what}",
            hint="check that the base URL is that of an OpenAI-compatible API; it usually ends in /v1",
        ) from None
    return value


def _model(named: str, asked: str) -> str:
    """The name a server gives its model where nothing in it can link or speak, else the one that was asked for."""
    plain = _MODEL.fullmatch(named) and not _HOST.search(named) and links.strip(named) == (named, 0)
    return named if plain or named == asked else asked


def _text_of(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _unique(ids: list[str], prefix: str) -> list[str]:
    """Ids that are present, plain and without repeats; the others are made up."""
    taken = {id_ for id_ in ids if _ID.fullmatch(id_)}
    seen: set[str] = set()
    made: list[str] = []
    number = 0
    for id_ in ids:
        if not _ID.fullmatch(id_) or id_ in seen:
            number += 1
            while f"{prefix}{number:05d}" in taken | seen:
                number += 1
            id_ = f"{prefix}{number:05d}"
        seen.add(id_)
        made.append(id_)
    return made
