"""OpenTelemetry spans and metrics of runs, for those who set an endpoint; nothing, not even an import, for others.

Rules: only an address that the user set is ever spoken to; nothing here can fail, delay or change a run; what was
asked, read or written leaves only after an opt-in, and then redacted. The SDK is loaded by the first run that is
recorded, so that its threads start after the process has given up its powers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self, TypeAlias

from agent.telemetry.config import Config, configure
from tools.types import Evidence, Scope, ToolCall

if TYPE_CHECKING:
    from types import TracebackType

    from agent.llm.types import ChatPort, Message, Reply
    from tools.redact import Redactor

    Raised: TypeAlias = type[BaseException] | None

EXIT_SECONDS = 2.0
"""How long the last flush may take."""
INSTALL = "in a checkout of Plumbline: pip install '.[otel]'"
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class Step:
    """A part of a run while it goes on; `with` bounds it. This one records nothing."""

    __slots__ = ()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: Raised, error: BaseException | None, trace: TracebackType | None) -> None:
        """End; an exception passes on."""


class Run(Step):
    """One question, from the start of its graph to its end."""

    __slots__ = ()

    def over(self, scope: Scope) -> None:
        """Say which namespaces it looks at, once that is known."""


class Chat(Step):
    """One request to a model, its retries included."""

    __slots__ = ()

    def heard(self, characters: int) -> None:
        """Say that something of the reply arrived; the first time counts."""

    def replied(self, reply: Reply) -> None:
        """Say what came back."""


class Tool(Step):
    """One call through the gate."""

    __slots__ = ()

    def brought(self, evidence: Evidence) -> None:
        """Say what it brought."""


_RUN, _CHAT, _TOOL = Run(), Chat(), Tool()


class Telemetry:
    """What a run reports to. This one is off: it costs a method call."""

    def __init__(self, notes: Sequence[str] = ()) -> None:
        self.notes = list(notes)
        """What the user should know, one line each: why it is off though asked for, or that something was lost."""

    @property
    def on(self) -> bool:
        """Whether anything is recorded."""
        return False

    def redact_with(self, redactor: Redactor) -> None:
        """Give the means of redaction. Until then no content is recorded, whatever the user opted in to."""

    def run(self, *, session: str, cluster: str, question: str = "") -> Run:
        """A run of a session on a cluster. Tool calls and chats inside it, in any task, become its children."""
        return _RUN

    def chat(
        self, model: str, *, address: str, messages: Sequence[Message] = (), max_output: int | None = None
    ) -> Chat:
        """A streamed request to `model` at the base URL `address`, with at most `max_output` tokens of answer."""
        return _CHAT

    def traced(self, port: ChatPort) -> ChatPort:
        """The port with a chat around each of its requests; where telemetry is off, the port itself."""
        return port

    def tool(self, call: ToolCall, *, evidence: str) -> Tool:
        """A call that will become the evidence of that id."""
        return _TOOL

    def close(self, seconds: float = EXIT_SECONDS) -> None:
        """Send what is left, for at most `seconds`. Look at `notes` afterwards."""


OFF = Telemetry()
"""For whoever reports to nobody."""


def open(environ: Mapping[str, str], *, version: str) -> Telemetry:
    """Telemetry as the environment wants it; off, with a note, where it cannot be had. Never raises.

    `environ`: the process's own; the exporter itself looks there for headers and certificates (OTEL_EXPORTER_OTLP_*).
    """
    config = configure(environ)
    if isinstance(config, str):
        return Telemetry([config] if config else [])
    if not _installed():
        return Telemetry([f"telemetry is off: an OTLP endpoint is set, but the exporter is missing; {INSTALL}"])
    from agent.telemetry.recording import Recording

    return Recording(config, version=version)


def endpoint_urls(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses that telemetry will speak to, for the lockdown; none where it is off."""
    config = configure(environ)
    return config.urls if isinstance(config, Config) and _installed() else ()


def _installed() -> bool:
    try:
        return all(find_spec(name) for name in _NEEDED)
    except ModuleNotFoundError:
        return False
