"""Spans and metrics of a run, by the conventions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from agent import conventions as names
from agent.llm.types import Message, ModelError, OnText, Reply, Spent, ToolSchema
from agent.telemetry import Telemetry
from tools.types import Scope

if TYPE_CHECKING:
    pass


from tests.telemetry.collecting import (
    READ,
    SECRET,
    VERSION,
    Sink,
    Started,
    asked,
    installed,
    plain,
    reply,
    work,
)


@installed
async def test_a_run_is_one_trace(started: Started, sink: Sink) -> None:
    found = started()
    await work(found)
    await asyncio.to_thread(found.close)
    assert found.notes == []
    run, chat = sink.one("invoke_workflow plumbline"), sink.one("chat m")
    tools = sink.spans["execute_tool list_objects"]
    assert len(tools) == 2
    assert run.parent_span_id == b""
    assert {span.parent_span_id for span in (chat, *tools)} == {run.span_id}
    assert {span.trace_id for span in (run, chat, *tools)} == {run.trace_id}
    assert (run.kind, chat.kind, tools[0].kind) == (1, 3, 1), "INTERNAL, CLIENT, INTERNAL"
    assert {run.status.code, chat.status.code, *(tool.status.code for tool in tools)} == {0}
    assert plain(run.attributes) == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "plumbline",
        "gen_ai.conversation.id": "abc",
        "k8s.cluster.name": "prod",
    }
    attributes = plain(chat.attributes)
    assert 0 <= float(str(attributes.pop("gen_ai.response.time_to_first_chunk"))) < 10
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.conversation.id": "abc",
        "gen_ai.request.model": "m",
        "gen_ai.request.max_tokens": 500,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ["tool_calls"],
        "gen_ai.usage.input_tokens": 900,
        "gen_ai.usage.output_tokens": 40,
        "server.address": "llm.example",
        "server.port": 443,
    }
    assert sorted(str(plain(tool.attributes)["gen_ai.tool.call.id"]) for tool in tools) == ["E1", "E2"]
    assert plain(tools[0].attributes).items() >= {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "list_objects",
        "gen_ai.tool.type": "function",
        "gen_ai.conversation.id": "abc",
        "k8s.cluster.name": "prod",
    }.items()  # fmt: skip
    resource = sink.resources[0]
    assert (resource["service.name"], resource["service.version"]) == ("plumbline", VERSION)
    assert not [key for key in resource if key.startswith("process.")]


@installed
async def test_metrics_have_the_units_and_buckets_of_the_conventions(started: Started, sink: Sink) -> None:
    found = started()
    await work(found)
    await asyncio.to_thread(found.close)
    expected = {
        names.TOKEN_USAGE: 2,
        names.OPERATION_DURATION: 1,
        names.TIME_TO_FIRST_CHUNK: 1,
        names.WORKFLOW_DURATION: 1,
        names.TOOL_DURATION: 1,
    }
    assert set(sink.metrics) == {histogram.name for histogram in expected}
    for histogram, series in expected.items():
        assert sink.metrics[histogram.name].unit == histogram.unit
        points = sink.points(histogram.name)
        assert len(points) == series, histogram.name
        assert tuple(points[0].explicit_bounds) == histogram.boundaries
    tokens = {str(plain(point.attributes)["gen_ai.token.type"]): point for point in sink.points(names.TOKEN_USAGE.name)}
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 900.0, "output": 40.0}
    assert plain(tokens["input"].attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-1",
        "gen_ai.token.type": "input",
        "server.address": "llm.example",
        "server.port": 443,
    }
    assert [point.count for point in sink.points(names.TOOL_DURATION.name)] == [2]
    assert plain(sink.points(names.TOOL_DURATION.name)[0].attributes) == {
        "gen_ai.tool.name": "list_objects",
        "gen_ai.tool.type": "function",
    }


@installed
async def test_tokens_that_nobody_counted_are_not_reported(started: Started, sink: Sink) -> None:
    found = started()
    with found.chat("m", address="http://127.0.0.1:8000/v1") as chat:
        chat.replied(reply(spent=Spent(input=9, output=9, counted=False)))
    await asyncio.to_thread(found.close)
    attributes = plain(sink.one("chat m").attributes)
    assert not [key for key in attributes if "usage" in key]
    assert names.TOKEN_USAGE.name not in sink.metrics
    assert attributes["server.port"] == 8000


@installed
async def test_concurrent_steps_are_children_of_their_own_parents(started: Started, sink: Sink) -> None:
    found = started()
    gates = [asyncio.Event() for _ in range(20)]

    async def read(session: str, number: int) -> None:
        with found.tool(READ, evidence=f"{session}{number}"):
            if number:
                await gates[number - 1].wait()  # each goes on when the one before it is about to end
            await asyncio.create_task(think(f"{session}{number}"))
            gates[number].set()

    async def think(model: str) -> None:
        with found.chat(model, address="http://127.0.0.1/v1"):
            await asyncio.sleep(0)

    async def run(session: str, numbers: range) -> None:
        with found.run(session=session, cluster="c"):
            await asyncio.gather(*(read(session, number) for number in numbers))

    await asyncio.gather(run("a", range(0, 20, 2)), run("b", range(1, 20, 2)))
    await asyncio.to_thread(found.close)
    runs = {str(plain(s.attributes)[names.CONVERSATION_ID]): s for s in sink.spans["invoke_workflow plumbline"]}
    tools = {str(plain(s.attributes)[names.TOOL_CALL_ID]): s for s in sink.spans["execute_tool list_objects"]}
    assert len(tools) == 20
    for key, tool in tools.items():
        chat = sink.one(f"chat {key}")
        assert chat.parent_span_id == tool.span_id
        assert tool.parent_span_id == runs[key[0]].span_id
        assert plain(chat.attributes)[names.CONVERSATION_ID] == key[0]
    assert runs["a"].trace_id != runs["b"].trace_id


@installed
async def test_the_one_namespace_of_a_run_is_named(started: Started, sink: Sink) -> None:
    found = started()
    for session, namespaces in (("one", ("search",)), ("two", ("search", "ml")), ("all", None)):
        with found.run(session=session, cluster="c") as run:
            run.over(Scope(asked="x", namespaces=namespaces))
            with found.tool(READ, evidence="E1"):
                pass
    await asyncio.to_thread(found.close)
    for spans in sink.spans.values():
        found_names = {str(plain(s.attributes)[names.CONVERSATION_ID]): plain(s.attributes) for s in spans}
        assert found_names["one"][names.NAMESPACE_NAME] == "search"
        assert names.NAMESPACE_NAME not in {**found_names["two"], **found_names["all"]}


@installed
async def test_a_run_that_ended_leaves_nothing_to_the_next(started: Started, sink: Sink) -> None:
    found = started()
    for session in ("one", "two"):
        with found.run(session=session, cluster="c"):
            pass
    with found.tool(READ, evidence="E1"):
        pass
    await asyncio.to_thread(found.close)
    spans = [span for same in sink.spans.values() for span in same]
    assert len(spans) == 3
    assert {span.parent_span_id for span in spans} == {b""}
    assert names.CONVERSATION_ID not in plain(sink.one("execute_tool list_objects").attributes)


class Port:
    """A model endpoint that answers, or fails."""

    model, address = "m", "http://127.0.0.1:8000/v1"

    def __init__(self, failure: ModelError | None = None) -> None:
        self.failure, self.closed = failure, False

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        *,
        on_text: OnText | None = None,
        **asked: object,
    ) -> Reply:
        said = (asked["seconds"], asked["max_output"], asked["must_call"], len(tools))
        assert said == (9.0, 77, "answer", 1)
        if self.failure:
            raise self.failure
        if on_text is not None:
            on_text(5)
        return reply()

    async def aclose(self) -> None:
        self.closed = True


@installed
async def test_an_endpoint_is_traced_and_behaves_as_before(started: Started, sink: Sink) -> None:
    found, heard = started(), list[int]()
    schema = ToolSchema(name="answer", description="", parameters={})
    for port in (Port(), Port(ModelError("server", SECRET))):
        assert Telemetry().traced(port) is port
        traced = found.traced(port)
        assert (traced.model, traced.address) == (port.model, port.address)
        request = traced.complete(
            asked(), [schema], seconds=9.0, max_output=77, must_call="answer", on_text=heard.append
        )
        with found.run(session="s", cluster="c"):
            if port.failure:
                with pytest.raises(ModelError, match="ghp"):
                    await request
            else:
                assert await request == reply()
        await traced.aclose()
        assert port.closed
    assert heard == [5]
    await asyncio.to_thread(found.close)
    good, bad = sorted(sink.spans["chat m"], key=lambda span: span.status.code)
    assert plain(good.attributes)[names.USAGE_INPUT_TOKENS] == 900
    assert names.RESPONSE_TIME_TO_FIRST_CHUNK in plain(good.attributes)
    assert (plain(bad.attributes)["error.type"], bad.status.code) == ("server", 2)
    assert {good.parent_span_id, bad.parent_span_id} == {s.span_id for s in sink.spans["invoke_workflow plumbline"]}
