"""What an endpoint can do, learnt from what it refuses, or asked outright by a probe.

Rules: a feature is given up only when the endpoint refuses a request that uses it, in a fixed order, cheapest first;
what worked is remembered for the endpoint, so that the next request is right at once; tools go last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Final, Literal, Protocol, TypeAlias

from agent.llm.types import ChatPort, Message, ModelError, Reply, ToolSchema
from tools.types import JsonObject

Feature: TypeAlias = Literal[
    "output_limit", "streaming_usage", "parallel_tool_calls", "strict", "tool_choice", "streaming", "tools"
]
ORDER: Final[tuple[Feature, ...]] = (
    "streaming_usage",
    "parallel_tool_calls",
    "strict",
    "tool_choice",
    "streaming",
    "tools",
)
"""Which feature is given up first where the endpoint does not say which one it refuses."""
UNNAMED_TRIES: Final = 4
"""Features given up one after another, at most, for refusals that name none."""
PROBE_SECONDS: Final = 30.0
_PROBE_OUTPUT: Final = 200

_NAMES: Final[dict[Feature, str]] = {
    "output_limit": r"\bmax_(completion_)?tokens\b",
    "streaming_usage": r"stream_options|include_usage",
    "parallel_tool_calls": r"parallel[_ ]tool|parallel[_ ]function",
    "strict": r"\bstrict\b|json[_ ]schema|response_format|additionalProperties",
    "tool_choice": r"tool[_ ]choice",
    "streaming": r"\bstream(ing|ed)?\b",
    "tools": r"\btools?\b|\bfunctions?\b|function[_ ]call|tool[_ ]call|tool[_ ]use|tool[_ ]choice",
}
"""The words by which servers name what they refuse; the more specific ones first."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What may be used in a request to one endpoint."""

    tools: bool = True
    """False: tools are described in the system message, and calls are read from the text."""
    tool_choice: bool = True
    parallel_tool_calls: bool = True
    """Whether the parameter may be sent; False says nothing about how many calls a reply may hold."""
    strict: bool = True
    """Whether a schema that qualifies is sent with `strict`."""
    streaming: bool = True
    streaming_usage: bool = True
    output_limit: bool = False
    """False: the limit is sent as `max_tokens`, which all but the newest models know; True: `max_completion_tokens`."""

    def without(self, feature: Feature) -> Capabilities:
        """The same with one feature given up; `output_limit` changes the name of the parameter instead."""
        match feature:
            case "output_limit":
                return replace(self, output_limit=not self.output_limit)
            case "streaming_usage":
                return replace(self, streaming_usage=False)
            case "parallel_tool_calls":
                return replace(self, parallel_tool_calls=False)
            case "strict":
                return replace(self, strict=False)
            case "tool_choice":
                return replace(self, tool_choice=False)
            case "streaming":
                return replace(self, streaming=False, streaming_usage=False)
            case "tools":
                return replace(self, tools=False, tool_choice=False, parallel_tool_calls=False, strict=False)

    def lines(self) -> tuple[tuple[str, bool], ...]:
        """(name, usable) of each, for a person to read."""
        return tuple((field.name, bool(getattr(self, field.name))) for field in fields(self))


def named(message: str, used: frozenset[Feature]) -> Feature | None:
    """The feature a refusal names, among those the refused request used; None where it names none of them."""
    found = (
        feature for feature, words in _NAMES.items() if feature in used and re.search(words, message, re.IGNORECASE)
    )
    return next(found, None)


def next_unnamed(used: frozenset[Feature]) -> Feature | None:
    """The feature to give up next where the refusal names none."""
    return next((feature for feature in ORDER if feature in used), None)


def fits_strict(schema: JsonObject) -> bool:
    """True where a schema meets the rules of strict tools: every object is closed and requires all it has.

    Source: OpenAI, "Structured model outputs", supported schemas.
    """
    waiting: list[object] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if node.get("type") == "object" and not _closed(node):
                return False
            waiting.extend(node.values())
    return True


def _closed(node: dict[str, object]) -> bool:
    properties, required = node.get("properties"), node.get("required", [])
    names = set(properties) if isinstance(properties, dict) else set()
    asked = {str(name) for name in required} if isinstance(required, list) else set()
    return node.get("additionalProperties") is False and names == asked


# --- the probe ---------------------------------------------------------------------------------------------


class Learning(ChatPort, Protocol):
    """A port that remembers what its endpoint can do."""

    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class Probed:
    """One line of the report."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What an endpoint can do, as it answered."""

    capabilities: Capabilities
    lines: tuple[Probed, ...]

    @property
    def usable(self) -> bool:
        """True where the endpoint answered at all."""
        return self.lines[0].ok


_PING: Final = ToolSchema(
    name="ping",
    description="Report one number.",
    parameters={
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
        "additionalProperties": False,
    },
)
_ASK: Final = (
    Message(role="system", content="You test a connection. Follow the instruction exactly."),
    Message(role="user", content="Call ping twice in one reply: once with number 1 and once with number 2."),
)
_DETAILS: Final[dict[str, tuple[str, str]]] = {
    "tools": ("accepted", "refused: tools are described in the prompt and calls are read from the text"),
    "tool_choice": ("accepted", "refused: the model chooses whether to call"),
    "parallel_tool_calls": ("accepted", "refused: the parameter is left out"),
    "strict": ("accepted", "refused: schemas are sent without strict"),
    "streaming": ("accepted", "refused: replies arrive whole, without progress"),
    "streaming_usage": ("accepted", "refused: tokens are counted as bytes / 4"),
}


async def probe(port: Learning, *, seconds: float = PROBE_SECONDS) -> ProbeReport:
    """Ask an endpoint for a word and for two calls, and report what it accepted. Never raises ModelError."""
    try:
        hello = await port.complete(
            (Message(role="user", content="Reply with the one word: ready"),),
            (),
            seconds=seconds,
            max_output=_PROBE_OUTPUT,
        )
    except ModelError as error:
        return ProbeReport(port.capabilities, (Probed("reply", False, str(error)),))
    lines = [Probed("reply", True, f"{hello.model or port.model} answered")]
    try:
        reply = await port.complete(_ASK, (_PING,), seconds=seconds, max_output=_PROBE_OUTPUT, must_call=_PING.name)
    except ModelError as error:
        return ProbeReport(port.capabilities, (*lines, Probed("tool calls", False, str(error))))
    lines += _called(reply)
    found = dict(port.capabilities.lines())
    lines += [Probed(name, found[name], words[0 if found[name] else 1]) for name, words in _DETAILS.items()]
    lines.append(_counted(reply))
    return ProbeReport(port.capabilities, tuple(lines))


def _called(reply: Reply) -> Iterable[Probed]:
    good = [call for call in reply.calls if call.name == _PING.name and call.complete]
    yield Probed(
        "tool calls", bool(good), "the model called" if good else "the model did not call the tool it was told to"
    )
    many = len(good) > 1
    yield Probed("parallel calls", many, f"{len(good)} in one reply" if good else "no calls to count")


def _counted(reply: Reply) -> Probed:
    detail = f"{reply.spent.input} in, {reply.spent.output} out"
    return Probed("usage", reply.spent.counted, detail if reply.spent.counted else f"not reported; estimated {detail}")
