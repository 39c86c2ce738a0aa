"""Telemetry that is on: steps of a run become spans and histograms with the names of agent/conventions.py.

Rules: whatever goes wrong in here is one note, never an exception of the run; names and values that a model or a
server wrote are taken only from known, small sets or by a strict shape; the text of an exception is never recorded.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from agent import conventions as names
from agent import telemetry
from agent.llm.types import ChatPort, Message, ModelError, Reply
from agent.telemetry.config import Config
from agent.telemetry.content import Content
from agent.telemetry.traced import TracedChat
from tools import registry
from tools.redact import Redactor
from tools.types import UNREAD, Evidence, Scope, ToolCall

if TYPE_CHECKING:
    from types import TracebackType

    from agent.telemetry.sdk import OpenSpan, Sdk, Value

WORKFLOW = "plumbline"
_NAME = re.compile(r"[\w.:/@+\-]{1,100}", re.ASCII)


@dataclass(slots=True)
class _Place:
    """What the steps inside a run share with it."""

    session: str
    cluster: str
    namespace: str = ""

    @property
    def attributes(self) -> dict[str, Value]:
        """What every step inside says of it."""
        found: dict[str, Value] = {names.CONVERSATION_ID: self.session, names.CLUSTER_NAME: self.cluster}
        if self.namespace:
            found[names.NAMESPACE_NAME] = self.namespace
        return found


_place: ContextVar[_Place | None] = ContextVar("plumbline_telemetry_place", default=None)


class Recording(telemetry.Telemetry):
    """Records runs and sends them to the user's collector."""

    def __init__(self, config: Config, *, version: str) -> None:
        super().__init__()
        self._config = config
        self._version = version
        self._sdk: Sdk | None = None
        self._over = False
        self._content: Content | None = None

    @property
    def on(self) -> bool:
        """True until it is closed, or could not be started."""
        return not self._over

    def redact_with(self, redactor: Redactor) -> None:
        """Content goes through this redactor, where the user opted in to content at all."""
        self._content = Content(redactor) if self._config.content else None

    def run(self, *, session: str, cluster: str, question: str = "") -> telemetry.Run:
        """See Telemetry.run."""
        return _Run(self, _Place(session, _plain(cluster)), question)

    def chat(
        self, model: str, *, address: str, messages: Sequence[Message] = (), max_output: int | None = None
    ) -> telemetry.Chat:
        """See Telemetry.chat."""
        return _Chat(self, _known(model), address, messages, max_output)

    def traced(self, port: ChatPort) -> ChatPort:
        """See Telemetry.traced."""
        return TracedChat(port, self)

    def tool(self, call: ToolCall, *, evidence: str) -> telemetry.Tool:
        """See Telemetry.tool. A name that is no tool of ours is recorded as another one."""
        return _Tool(self, call, evidence)

    def close(self, seconds: float = telemetry.EXIT_SECONDS) -> None:
        """See Telemetry.close. Nothing is recorded afterwards."""
        sdk, self._sdk, self._over = self._sdk, None, True
        if sdk is not None and (problem := sdk.close(seconds)):
            self.notes.append(problem)

    def sdk(self) -> Sdk | None:
        """The SDK, started by the first who asks; None where that failed, or after the end."""
        if self._sdk is None and not self._over:
            try:
                from agent.telemetry.sdk import Sdk

                self._sdk = Sdk(self._config, version=self._version)
            except Exception as error:  # a variable of OpenTelemetry's own that it cannot use, or a broken installation
                self._over = True
                self.notes.append(f"telemetry is off: the exporter did not start ({type(error).__name__})")
        return self._sdk

    def content(self, make: Callable[[Content], str]) -> str:
        """Content as text, or "" where it may not leave."""
        return make(self._content) if self._content is not None else ""

    @contextmanager
    def safely(self) -> Iterator[None]:
        """A fault of ours is a note, once, and no fault of the run."""
        try:
            yield
        except Exception as error:
            note = f"telemetry: a span is incomplete ({type(error).__name__})"
            if note not in self.notes:
                self.notes.append(note)


@dataclass(slots=True)
class _Open:
    """A span under way, where there is one."""

    owner: Recording
    span: OpenSpan | None = None
    began: float = 0.0
    error: str = ""
    metric: dict[str, Value] = field(default_factory=dict)
    """Attributes of its measurements."""

    def start(self, name: str, attributes: Mapping[str, Value], *, client: bool = False) -> None:
        """Begin the span as a child of the current one."""
        self.began = time.perf_counter()
        if (sdk := self.owner.sdk()) is not None:
            self.span = sdk.start(name, attributes, client=client)

    def set(self, key: str, value: Value | None) -> None:
        """An attribute; "" and None are left out."""
        if self.span is not None and value not in ("", None):
            self.span.set(key, value)

    def content(self, key: str, make: Callable[[Content], str]) -> None:
        """An attribute with content, where it may leave."""
        if self.span is not None:
            self.set(key, self.owner.content(make))

    def measure(self, histogram: names.Histogram, value: float, **more: str) -> None:
        """One measurement, in the context of the span."""
        if self.span is not None and (sdk := self.owner.sdk()) is not None:
            kind = {names.TOKEN_TYPE: more["token"]} if "token" in more else {}
            sdk.measure(histogram, value, {**self.metric, **kind})

    def end(self, error: BaseException | None, duration: names.Histogram) -> None:
        """End the span; how long it took is measured either way."""
        if self.span is None:
            return
        kind = _kind(error) if error is not None else self.error
        if kind:
            self.metric[names.ERROR_TYPE] = kind
            self.span.fail(kind)
        self.measure(duration, time.perf_counter() - self.began)
        self.span.end()


class _Run(telemetry.Run):
    __slots__ = ("_open", "_place", "_question", "_token")

    def __init__(self, owner: Recording, place: _Place, question: str) -> None:
        self._open, self._place, self._question = _Open(owner), place, question
        self._token: Token[_Place | None] | None = None

    def __enter__(self) -> Self:
        step = self._open
        with step.owner.safely():
            self._token = _place.set(self._place)
            step.metric[names.WORKFLOW_NAME] = WORKFLOW
            operation = {names.OPERATION_NAME: names.INVOKE_WORKFLOW, names.WORKFLOW_NAME: WORKFLOW}
            step.start(f"{names.INVOKE_WORKFLOW} {WORKFLOW}", {**operation, **self._place.attributes})
            if self._question:
                step.content(names.INPUT_MESSAGES, lambda content: content.question(self._question))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open.owner.safely():
            self._open.end(error, names.WORKFLOW_DURATION)
            if self._token is not None:
                _place.reset(self._token)

    def over(self, scope: Scope) -> None:
        """See Run.over."""
        with self._open.owner.safely():
            if scope.namespaces is not None and len(scope.namespaces) == 1:
                self._place.namespace = _plain(scope.namespaces[0])
                self._open.set(names.NAMESPACE_NAME, self._place.namespace)


class _Chat(telemetry.Chat):
    __slots__ = ("_address", "_first", "_max_output", "_messages", "_model", "_open")

    def __init__(
        self, owner: Recording, model: str, address: str, messages: Sequence[Message], max_output: int | None
    ) -> None:
        self._open, self._model, self._address = _Open(owner), model, address
        self._messages, self._max_output = messages, max_output
        self._first = False

    def __enter__(self) -> Self:
        step = self._open
        with step.owner.safely():
            step.metric = {
                names.OPERATION_NAME: names.CHAT,
                names.PROVIDER_NAME: names.OPENAI,
                names.REQUEST_MODEL: self._model,
                **_server(self._address),
            }
            place = _place.get()
            session = {names.CONVERSATION_ID: place.session} if place else {}
            attributes = {**step.metric, **session, names.REQUEST_STREAM: True}
            step.start(f"{names.CHAT} {self._model}", attributes, client=True)
            step.set(names.REQUEST_MAX_TOKENS, self._max_output)
            if self._messages:
                step.content(names.INPUT_MESSAGES, lambda content: content.messages(self._messages))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open.owner.safely():
            self._open.end(error, names.OPERATION_DURATION)

    def heard(self, characters: int) -> None:
        """See Chat.heard."""
        if self._first:
            return
        self._first = True
        with self._open.owner.safely():
            seconds = time.perf_counter() - self._open.began
            self._open.set(names.RESPONSE_TIME_TO_FIRST_CHUNK, seconds)
            self._open.measure(names.TIME_TO_FIRST_CHUNK, seconds)

    def replied(self, reply: Reply) -> None:
        """See Chat.replied."""
        step = self._open
        with step.owner.safely():
            if reply.model:
                step.metric[names.RESPONSE_MODEL] = _known(reply.model)
                step.set(names.RESPONSE_MODEL, _known(reply.model))
            finish = reply.finish if reply.finish in names.FINISH_REASONS else names.OTHER
            step.set(names.RESPONSE_FINISH_REASONS, (finish,))
            if reply.spent.counted:  # the conventions forbid to report tokens that nobody counted
                step.set(names.USAGE_INPUT_TOKENS, reply.spent.input)
                step.set(names.USAGE_OUTPUT_TOKENS, reply.spent.output)
                step.measure(names.TOKEN_USAGE, reply.spent.input, token="input")
                step.measure(names.TOKEN_USAGE, reply.spent.output, token="output")
            step.content(names.OUTPUT_MESSAGES, lambda content: content.reply(reply, finish))


class _Tool(telemetry.Tool):
    __slots__ = ("_call", "_evidence", "_open")

    def __init__(self, owner: Recording, call: ToolCall, evidence: str) -> None:
        self._open, self._call, self._evidence = _Open(owner), call, evidence

    def __enter__(self) -> Self:
        step = self._open
        with step.owner.safely():
            name = self._call.tool if self._call.tool in registry.load() else names.OTHER
            step.metric = {names.TOOL_NAME: name, names.TOOL_TYPE: names.FUNCTION}
            place = _place.get()
            attributes = {names.OPERATION_NAME: names.EXECUTE_TOOL, names.TOOL_CALL_ID: self._evidence, **step.metric}
            step.start(f"{names.EXECUTE_TOOL} {name}", {**attributes, **(place.attributes if place else {})})
            step.content(names.TOOL_CALL_ARGUMENTS, lambda content: content.arguments(self._call.args))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open.owner.safely():
            self._open.end(error, names.TOOL_DURATION)

    def brought(self, evidence: Evidence) -> None:
        """See Tool.brought."""
        with self._open.owner.safely():
            if evidence.status in UNREAD:
                self._open.error = evidence.status
            self._open.content(names.TOOL_CALL_RESULT, lambda content: content.result(evidence))


def _kind(error: BaseException) -> str:
    """error.type of an exception: a ModelError's kind, else the name of its class."""
    return error.kind if isinstance(error, ModelError) else type(error).__name__


def _known(model: str) -> str:
    """A model's name, if it looks like one; a server may claim anything."""
    return model if _NAME.fullmatch(model) and "//" not in model else names.OTHER


def _plain(text: str) -> str:
    """One short line of printable text."""
    return "".join(character for character in text if character.isprintable())[:200]


def _server(address: str) -> dict[str, Value]:
    """server.address and server.port of a base URL."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return {}
    return {names.SERVER_ADDRESS: host, names.SERVER_PORT: port} if host else {}
