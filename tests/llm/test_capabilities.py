"""What an endpoint refuses is given up, in order, and remembered; the probe reports it."""

from __future__ import annotations

import pytest

from agent.llm.capabilities import ORDER, UNNAMED_TRIES, Capabilities, Feature, fits_strict, named, probe
from agent.llm.types import ModelError
from evals.servers.model import forms
from evals.servers.model.script import ChatRequest, ScriptedCall, ScriptedReply, Wire
from tests.llm.conftest import PODS, QUESTION, Bench, complete
from tools.types import JsonObject

HELLO = ScriptedReply(text="hello")
CALL = ScriptedReply(calls=(ScriptedCall("pods", {"namespace": "a"}),))


class Refusing:
    """A server that refuses, in words of its own, every request that `when` holds for."""

    def __init__(self, when: str, words: str, *, status: int = 400) -> None:
        self.when, self.words, self.status = when, words, status

    def reply(self, request: ChatRequest) -> ScriptedReply:
        """An error, or a call."""
        if self.when in request.body or self.when == "always":
            return ScriptedReply(wire=Wire(status=self.status, body=forms.error(self.words)))
        if not request.tools:
            return ScriptedReply(text='```tool\n{"name": "pods", "arguments": {}}\n```')
        return CALL


@pytest.mark.parametrize(
    ("parameter", "feature"),
    [
        ("stream_options", "streaming_usage"),
        ("parallel_tool_calls", "parallel_tool_calls"),
        ("tool_choice", "tool_choice"),
        ("stream", "streaming"),
        ("tools", "tools"),
    ],
)
async def test_a_refused_parameter_is_dropped_at_once_and_for_good(
    bench: Bench, parameter: str, feature: Feature
) -> None:
    server = await bench.serve(HELLO, refuses=(parameter,))
    chat = bench.client(server.url)
    await complete(chat, must_call="pods")
    await complete(chat, must_call="pods")
    assert [parameter in record.body for record in server.requests] == [True, False, False]
    assert chat.requests == 3
    assert chat.capabilities == Capabilities().without(feature)


async def test_the_newer_name_of_the_output_limit(bench: Bench) -> None:
    server = await bench.serve(HELLO, refuses=("max_tokens",))
    chat = bench.client(server.url)
    await complete(chat)
    await complete(chat)
    assert [record.body.get("max_completion_tokens") for record in server.requests] == [None, 100, 100]


async def test_strict_is_dropped_where_it_was_sent(bench: Bench) -> None:
    closed = PODS.model_copy(update={"parameters": {"type": "object", "properties": {}, "additionalProperties": False}})
    server = await bench.serve(HELLO, refuses=("strict",))
    chat = bench.client(server.url)
    await chat.complete(QUESTION, (closed,), seconds=5, max_output=10)
    assert ["'strict': True" in str(record.body) for record in server.requests] == [True, False]
    assert chat.capabilities == Capabilities().without("strict")


@pytest.mark.parametrize(
    ("when", "words", "lost"),
    [
        ("tools", '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "tools"),
        ("tools", "registry/library/small does not support tools", "tools"),
        ("stream", "Streaming is not supported", "streaming"),
        ("parallel_tool_calls", "Parallel tool calls are not supported by this engine", "parallel_tool_calls"),
    ],
)
@pytest.mark.parametrize("status", [400, 404, 422, 501])
async def test_refusals_in_the_words_of_servers(
    bench: Bench, when: str, words: str, lost: Feature, status: int
) -> None:
    server = await bench.serve(script=Refusing(when, words, status=status))
    chat = bench.client(server.url)
    reply = await complete(chat)
    assert [call.name for call in reply.calls] == ["pods"]
    assert chat.capabilities == Capabilities().without(lost)


async def test_without_tools_they_are_described_and_calls_are_read_from_text(bench: Bench) -> None:
    server = await bench.serve(script=Refusing("tools", "tools are not supported"))
    reply = await complete(bench.client(server.url))
    first = server.requests[-1].body["messages"]
    assert isinstance(first, list)
    assert "List pods." in str(first[0])
    assert [(call.name, call.complete) for call in reply.calls] == [("pods", True)]


async def test_an_unnamed_refusal_tries_in_order_and_keeps_what_worked(bench: Bench) -> None:
    server = await bench.serve(script=Refusing("parallel_tool_calls", "bad request"))
    chat = bench.client(server.url)
    await complete(chat)
    assert chat.capabilities == Capabilities().without("streaming_usage").without("parallel_tool_calls")


async def test_a_request_refused_in_every_form_fails_in_the_servers_words_and_forgets_nothing(bench: Bench) -> None:
    server = await bench.serve(script=Refusing("always", "the moon is in the wrong phase"))
    chat = bench.client(server.url)
    with pytest.raises(ModelError, match="moon") as caught:
        await complete(chat)
    assert caught.value.kind == "server"
    assert chat.requests <= UNNAMED_TRIES + 1
    assert chat.capabilities == Capabilities()


def test_a_refusal_names_only_what_was_used() -> None:
    words = "tool_choice needs tools; stream_options needs stream"
    assert named(words, frozenset({"tools"})) == "tools"
    assert named(words, frozenset({"streaming", "streaming_usage"})) == "streaming_usage"
    assert named("no idea", frozenset(ORDER)) is None


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {}}, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
    ],
)
def test_strict_is_asked_only_for_schemas_that_qualify(schema: JsonObject, *, fits: bool) -> None:
    assert fits_strict(schema) is fits


# --- the probe ---------------------------------------------------------------------------------------------

TWICE = ScriptedReply(calls=(ScriptedCall("ping", {"number": 1}), ScriptedCall("ping", {"number": 2})))


async def test_a_full_endpoint_probes_well(bench: Bench) -> None:
    server = await bench.serve(HELLO, TWICE)
    report = await probe(bench.client(server.url))
    assert report.usable
    assert all(line.ok for line in report.lines)
    assert report.capabilities == Capabilities()


async def test_a_poor_endpoint_says_what_is_absent(bench: Bench) -> None:
    server = await bench.serve(HELLO, HELLO, refuses=("stream_options", "parallel_tool_calls", "strict"))
    report = await probe(bench.client(server.url))
    absent = {line.name for line in report.lines if not line.ok}
    assert absent == {"tool calls", "parallel calls", "parallel_tool_calls", "strict", "streaming_usage", "usage"}


async def test_an_endpoint_that_cannot_be_asked_is_one_line(bench: Bench) -> None:
    server = await bench.serve(HELLO, key="right-key-123")
    report = await probe(bench.client(server.url, key="wrong-key-123"))
    assert not report.usable
    assert [line.name for line in report.lines] == ["reply"]
    assert "refuses the key" in report.lines[0].detail
