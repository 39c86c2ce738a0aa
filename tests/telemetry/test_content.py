"""What of a run leaves this host: nothing of its content unless asked for, then redacted and bounded."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from agent import conventions as names
from agent import telemetry
from agent.llm.types import Message, ModelCall, ModelError
from tests.agent.build import evidence
from tools.types import JsonObject, Row, ToolCall

if TYPE_CHECKING:
    pass


from tests.telemetry.collecting import (
    QUESTION,
    READ,
    SECRET,
    VERSION,
    Sink,
    Started,
    installed,
    plain,
    reply,
    work,
)


@installed
async def test_content_stays_here_by_default(started: Started, sink: Sink) -> None:
    found = started(PLUMBLINE_TELEMETRY_CONTENT="false", OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true")
    await work(found)
    await asyncio.to_thread(found.close)
    for spans in sink.spans.values():
        for span in spans:
            assert not set(plain(span.attributes)) & set(names.CONTENT)
            assert not span.events
    assert not [
        word for word in (QUESTION, SECRET, "registry.example", "evil", "brief") if word.encode() in sink.everything
    ]


@installed
@pytest.mark.parametrize(
    "variables",
    [
        {"PLUMBLINE_TELEMETRY_CONTENT": "true"},
        {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "True"},
        {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"},
    ],
)
async def test_content_that_was_opted_in_to_is_redacted(
    started: Started, sink: Sink, variables: Mapping[str, str]
) -> None:
    found = started(**variables)
    await work(found)
    await asyncio.to_thread(found.close)
    assert SECRET.encode() not in sink.everything
    assert b"evil.example" not in sink.everything
    run, chat = plain(sink.one("invoke_workflow plumbline").attributes), plain(sink.one("chat m").attributes)
    tool = plain(sink.spans["execute_tool list_objects"][0].attributes)
    question = json.loads(str(run[names.INPUT_MESSAGES]))
    assert question[0]["role"] == "user"
    assert question[0]["parts"][0]["content"].startswith(f"{QUESTION} ‹redacted:")
    messages = json.loads(str(chat[names.INPUT_MESSAGES]))
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert messages[2]["parts"][0]["type"] == "tool_call"
    assert messages[2]["parts"][0]["arguments"]["name"] == "x"
    assert messages[3]["parts"][0] == {"type": "tool_call_response", "id": "c1", "response": "see ‹link removed›"}
    answer = json.loads(str(chat[names.OUTPUT_MESSAGES]))
    assert answer[0]["finish_reason"] == "tool_calls"
    assert answer[0]["parts"][0]["content"] == "look at ‹link removed› now"
    assert json.loads(str(tool[names.TOOL_CALL_ARGUMENTS])) == READ.args
    result = json.loads(str(tool[names.TOOL_CALL_RESULT]))
    assert result["rows"][0]["data"]["data"]["image"] == "registry.example/app:v1"
    assert result["rows"][0]["data"]["data"]["password"].startswith("‹redacted:")


@installed
async def test_without_a_redactor_no_content_leaves(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    started(PLUMBLINE_TELEMETRY_CONTENT="true")
    found = telemetry.open(os.environ, version=VERSION)
    await work(found)
    await asyncio.to_thread(found.close)
    assert sink.one("chat m").name
    assert QUESTION.encode() not in sink.everything


@installed
async def test_what_a_model_or_a_server_wrote_names_nothing(started: Started, sink: Sink) -> None:
    found = started()
    for name in ("canary", "x" * 10_000, "a\udc80", "https://canary.example"):
        with found.tool(ToolCall(tool=name), evidence="E1"):
            pass
    with found.chat("m\ncanary", address="http://[bad") as chat:
        chat.replied(reply(model="https://canary.example/x", finish="canary"))
    await asyncio.to_thread(found.close)
    assert found.notes == []
    assert b"canary" not in sink.everything
    assert len(sink.spans["execute_tool _OTHER"]) == 4
    attributes = plain(sink.one("chat _OTHER").attributes)
    assert attributes[names.RESPONSE_MODEL] == "_OTHER"
    assert attributes[names.RESPONSE_FINISH_REASONS] == ["_OTHER"]


@installed
async def test_content_of_any_shape_arrives_in_bounds(started: Started, sink: Sink) -> None:
    found = started(PLUMBLINE_TELEMETRY_CONTENT="true")
    deep: JsonObject = {"a": "end"}
    for _ in range(200):
        deep = {"a": deep}
    wide: JsonObject = {"list": list(range(10_000)), "text": "y" * 100_000, "half": "\udc80", "\udfff": 1}
    for args in (deep, wide):
        with found.tool(ToolCall(tool="list_objects", args=args), evidence="E1") as tool:
            tool.brought(evidence("E1", "list_objects", [Row(key=str(n), data={}) for n in range(999)], "objects"))
    broken = ModelCall(id="c", name="x", arguments='{"a":' * 50_000)
    with found.chat(
        "m", address="http://h", messages=[Message(role="user", content=f"m{n}") for n in range(200)]
    ) as chat:
        chat.replied(reply(text="", calls=(broken,)))
    await asyncio.to_thread(found.close)
    assert found.notes == []
    tools = [plain(span.attributes) for span in sink.spans["execute_tool list_objects"]]
    assert len(tools) == 2
    assert all(len(str(tool[names.TOOL_CALL_ARGUMENTS])) < 10_000 for tool in tools)
    assert json.loads(str(tools[1][names.TOOL_CALL_RESULT]))["more"] == 949
    messages = json.loads(str(plain(sink.one("chat m").attributes)[names.INPUT_MESSAGES]))
    assert [m["parts"][0]["content"] for m in messages] == [f"m{n}" for n in range(150, 200)]


@installed
async def test_errors_have_a_type_and_no_words(started: Started, sink: Sink) -> None:
    found = started(PLUMBLINE_TELEMETRY_CONTENT="true")
    with pytest.raises(ModelError), found.chat("m", address="http://127.0.0.1/v1"):
        raise ModelError("limit", f"too many requests for {SECRET}")
    with found.tool(READ, evidence="E1") as tool:
        tool.brought(evidence("E1", "list_objects", [], "objects", "denied", "rule x"))
    with pytest.raises(asyncio.CancelledError), found.run(session="s", cluster="c"):
        raise asyncio.CancelledError(SECRET)
    await asyncio.to_thread(found.close)
    kinds = {name: (s[0].status.code, plain(s[0].attributes)["error.type"]) for name, s in sink.spans.items()}
    assert kinds == {
        "chat m": (2, "limit"),
        "execute_tool list_objects": (2, "denied"),
        "invoke_workflow plumbline": (2, "CancelledError"),
    }
    assert {span.status.message for spans in sink.spans.values() for span in spans} == {""}
    for metric, kind in (
        (names.OPERATION_DURATION, "limit"),
        (names.TOOL_DURATION, "denied"),
        (names.WORKFLOW_DURATION, "CancelledError"),
    ):
        assert plain(sink.points(metric.name)[0].attributes)["error.type"] == kind
    assert SECRET.encode() not in sink.everything
