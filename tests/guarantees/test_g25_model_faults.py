"""G25: malformed, truncated or unknown tool calls never become a call that runs; each ends in one clear line."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.llm.calls import Parsed, Problem, parse
from agent.llm.capabilities import Capabilities
from agent.llm.endpoint import Endpoint, OpenAIChat
from agent.llm.types import FailureKind, Message, ModelCall, ModelError, Reply, ToolSchema
from agent.llm.wire import MAX_CALLS, Gather
from evals.servers.model import forms
from evals.servers.model.script import ChatRequest, Fixed, ScriptedCall, ScriptedReply, Wire
from evals.servers.model.server import MODEL, ModelServer
from tests.llm.conftest import read
from tools.types import JsonObject

ARGUMENTS: JsonObject = {"namespace": "prod", "name": "api", "replicas": 3}
WHOLE = json.dumps(ARGUMENTS)
SCHEMAS = {
    name: ToolSchema(name=name, description=name, parameters={"type": "object", "properties": {}})
    for name in ("propose_change", "list_objects")
}
QUESTION = (Message(role="user", content="why is it slow?"),)


@dataclass(frozen=True, slots=True)
class Fault:
    """A way of going wrong, and what has to come of it."""

    reply: ScriptedReply
    runs: int = 0
    """Calls that may run: those that arrived whole."""
    problems: int = 0
    """Calls that are told back to the model."""
    fails: FailureKind | None = None
    """The failure that ends the request."""
    words: str = ""
    """What its line, or that of the first problem, says."""


def write(arguments: str | None = None, *, name: str = "propose_change", id_: str | None = None) -> ScriptedCall:
    """A call that would propose a change."""
    return ScriptedCall(name, dict(ARGUMENTS) if arguments is None else arguments, id_)


def calls(*made: ScriptedCall, finish: str | None = "auto", **wire: object) -> ScriptedReply:
    """A reply of calls."""
    return ScriptedReply(calls=made, finish=finish, wire=Wire(**wire))  # type: ignore[arg-type]


def raw(body: bytes, content_type: str = "") -> ScriptedReply:
    """A reply of bytes."""
    return ScriptedReply(wire=Wire(body=body, content_type=content_type))


FAULTS: dict[str, Fault] = {
    # calls that must not run
    "invalid JSON": Fault(calls(write("{namespace: prod}")), problems=1, words="send it whole"),
    "cut, finish tool_calls": Fault(calls(write(WHOLE[:-9])), problems=1, words="cut short"),
    "cut, finish length": Fault(calls(write(WHOLE[:-9]), finish="length"), problems=1, words="cut short"),
    "whole, finish length": Fault(calls(write(), finish="length"), problems=1, words="cut short"),
    "second of two cut": Fault(calls(write(), write(WHOLE[:9]), finish="length"), runs=1, problems=1),
    "unknown tool": Fault(calls(write(name="delete_pod")), problems=1, words="no tool named 'delete_pod'"),
    "nameless tool": Fault(calls(write(name="")), problems=1, words="no tool named ''"),
    "arguments a list": Fault(calls(write("[1]")), problems=1, words="not a JSON object"),
    "arguments a number": Fault(calls(write("3")), problems=1, words="not a JSON object"),
    "arguments twice": Fault(calls(write(WHOLE + WHOLE)), problems=1),
    "repeated key": Fault(calls(write('{"name": "a", "name": "b"}')), problems=1, words="occurs twice"),
    "NaN": Fault(calls(write('{"replicas": NaN}')), problems=1, words="NaN"),
    "65 KiB of arguments": Fault(calls(write(json.dumps({"a": "x" * 66_000}))), problems=1, words="64 KiB"),
    "deep arguments": Fault(calls(write('{"a":' * 40 + "1" + "}" * 40)), problems=1, words="deeper"),
    "call cut in text": Fault(
        ScriptedReply(text=f'<tool_call>{{"name": "propose_change", "arguments": {WHOLE[:-9]}'), problems=1
    ),
    "call quoted in text": Fault(ScriptedReply(text=f"```tool\n{WHOLE}\n``` is what the log says")),
    # calls that arrived whole in an odd form
    "no ids": Fault(calls(write(), write(), ids=False), runs=2),
    "empty ids": Fault(calls(write(id_=""), write(id_="")), runs=2),
    "duplicate ids": Fault(calls(write(id_="a"), write(id_="a")), runs=2),
    "no indexes": Fault(calls(write(), write(), indexes=False), runs=2),
    "arguments an object": Fault(calls(write(), arguments_as="object"), runs=1),
    "older function_call": Fault(calls(write(), finish="function_call", legacy=True), runs=1),
    "empty arguments": Fault(calls(ScriptedCall("list_objects", "")), runs=1),
    "unknown finish reason": Fault(calls(write(), finish="eos"), runs=1),
    "call in text": Fault(
        ScriptedReply(text=f'<tool_call>{{"name": "propose_change", "arguments": {WHOLE}}}</tool_call>'), runs=1
    ),
    "100 parallel calls": Fault(calls(*[write() for _ in range(100)]), runs=100),
    "300 parallel calls": Fault(calls(*[write() for _ in range(300)]), runs=MAX_CALLS),
    # replies that are none
    "no choices": Fault(calls(write(), choices=False), fails="unreadable", words="choice"),
    "a page": Fault(raw(b"<html>Sign in</html>", "text/html"), fails="unreadable", words="HTML"),
    "not UTF-8": Fault(raw(b"\xff\xfe\xfd"), fails="unreadable"),
    "not UTF-8 inside": Fault(raw(b'{"choices":[{"message":{"content":"\xff"},"finish_reason":"stop"}]}')),
    "1 MB": Fault(ScriptedReply(text=["x" * 100_000] * 11), fails="too-large", words="larger than 1 MiB"),
    "1 MB of arguments": Fault(calls(write(json.dumps({"a": "x" * 1_100_000}))), fails="too-large"),
    "cut in a call": Fault(calls(write(), cut=400), fails="cut", words="broke"),
    "never answers": Fault(calls(write(), hang=True), fails="timeout", words="within"),
    "silent in a call": Fault(calls(write(), hang_after=400), fails="timeout", words="silent"),
    "redirect": Fault(ScriptedReply(wire=Wire(redirect="https://elsewhere.example/")), fails="address"),
    "error body": Fault(raw(forms.error("out of memory")), fails="server", words="out of memory"),
    "refusal": Fault(ScriptedReply(refusal="I will not")),
    "content filter": Fault(ScriptedReply(finish="content_filter")),
}


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 20


async def asked(reply: ScriptedReply, *, stream: bool) -> Reply:
    """What the client makes of it."""
    server = ModelServer(Fixed(reply))
    can = Capabilities(streaming=stream, streaming_usage=stream)
    idle = 5.0 if reply.wire.hang_after is None else 0.1
    chat = OpenAIChat(Endpoint(base_url=await server.start(), model=MODEL, idle_seconds=idle, capabilities=can))
    try:
        seconds = 0.2 if reply.wire.hang else 5.0
        return await chat.complete(QUESTION, tuple(SCHEMAS.values()), seconds=seconds, max_output=100)
    finally:
        await chat.aclose()
        await server.stop()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_runs_nothing_it_should_not_and_says_why(name: str, *, stream: bool) -> None:
    fault = FAULTS[name]
    failed: FailureKind | None = None
    try:
        reply = await asked(fault.reply, stream=stream)
    except ModelError as error:
        failed, lines = error.kind, [str(error)]
        judged: list[Parsed | Problem] = []
    else:
        judged = [parse(call, SCHEMAS) for call in reply.calls]
        lines = [found.reason for found in judged if isinstance(found, Problem)]
        assert len({call.id for call in reply.calls}) == len(reply.calls)
    ran = [found for found in judged if isinstance(found, Parsed)]
    assert (failed, len(ran), len(judged) - len(ran)) == (fault.fails, fault.runs, fault.problems)
    assert all(found.arguments in (ARGUMENTS, {}) for found in ran)
    assert all(line.isprintable() and 0 < len(line) <= 300 for line in lines)
    assert fault.words in "".join(lines[:1])


# --- a reply cut anywhere ----------------------------------------------------------------------------------

_REQUEST = ChatRequest(MODEL, (), (), stream=True, tool_choice="", body={})
_VALUES = st.recursive(
    st.integers(0, 99) | st.text(max_size=6) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
_OBJECTS = st.dictionaries(st.text(max_size=4), _VALUES, min_size=1, max_size=3)


def _cut_in_arguments(arguments: dict[str, object], share: float) -> None:
    """Arguments that end early, under any finish reason: never complete, never parsed."""
    text = json.dumps(arguments)
    part = text[: min(len(text) - 1, max(1, int(len(text) * share)))]
    for finish in ("tool_calls", "length", "stop", "whatever"):
        reply = ScriptedReply(calls=(ScriptedCall("propose_change", part),), finish=finish)
        for body in (forms.whole(_REQUEST, reply, number=1), b"".join(forms.streamed(_REQUEST, reply, number=1))):
            (call,) = read([body], Gather(offered=SCHEMAS)).calls
            assert not call.complete
            assert isinstance(parse(call, SCHEMAS), Problem)
    assert isinstance(parse(ModelCall(id="x", name="propose_change", arguments=part), SCHEMAS), Problem)


def _cut_on_the_wire(arguments: dict[str, object], share: float) -> None:
    """A stream that ends early: no reply, or one whose complete calls are exactly those that were sent."""
    sent = json.dumps(arguments)
    reply = ScriptedReply(calls=(ScriptedCall("propose_change", sent), ScriptedCall("list_objects", "{}")))
    whole = b"".join(forms.streamed(_REQUEST, reply, number=1))
    try:
        got = read([whole[: int(len(whole) * share)]], Gather(offered=SCHEMAS)).calls
    except ModelError as error:
        kind, complete = error.kind, [sent, "{}"]
    else:
        kind, complete = "cut", [call.arguments for call in got if call.complete]
    assert (kind in ("cut", "unreadable"), complete) == (True, [sent, "{}"])


@settings(max_examples=200)
@given(_OBJECTS, st.floats(0, 1))
def test_a_cut_never_makes_a_complete_call(arguments: dict[str, object], share: float) -> None:
    _cut_in_arguments(arguments, share)
    _cut_on_the_wire(arguments, share)


@pytest.mark.prove
@settings(max_examples=20_000)
@given(_OBJECTS, st.floats(0, 1))
def test_a_cut_never_makes_a_complete_call_in_full(arguments: dict[str, object], share: float) -> None:
    _cut_in_arguments(arguments, share)
    _cut_on_the_wire(arguments, share)
