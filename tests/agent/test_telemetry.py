"""Telemetry against a collector on loopback: what is sent, what is not, and that nothing of it can hurt a run."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest
from aiohttp import web

from agent import conventions as names
from agent import telemetry
from agent.llm.types import Message, ModelCall, ModelError, OnSend, OnText, Reply, Spent, ToolSchema
from agent.telemetry import Telemetry
from tests.agent.build import evidence
from tools.redact import WORLD_KEY, Redactor
from tools.types import JsonObject, Row, Scope, ToolCall

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

installed = pytest.mark.skipif(not telemetry._installed(), reason="the extra `otel` is not installed")
QUESTION = "why is quokka-7 idle?"
SECRET = "ghp_R4nd0mT0kenValueOf36Characters0abcde"
VERSION = "1.2.3"
READ = ToolCall(tool="list_objects", args={"kind": "Pod", "namespace": "search"})
Value: TypeAlias = str | int | float | bool | list[str]


def plain(pairs: object) -> dict[str, Value]:
    """Attributes of a protobuf message as a dictionary."""
    found: dict[str, Value] = {}
    for pair in pairs:  # type: ignore[attr-defined]
        one: KeyValue = pair
        kind = one.value.WhichOneof("value")
        found[one.key] = (
            [item.string_value for item in one.value.array_value.values]
            if kind == "array_value"
            else getattr(one.value, str(kind))
        )
    return found


@dataclass(slots=True)
class Sink:
    """A collector that keeps what it got, or misbehaves."""

    url: str = ""
    status: int = 200
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: answer at once. The fixture sets it at the start and at the end."""
    bodies: list[bytes] = field(default_factory=list)
    spans: dict[str, list[Span]] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    resources: list[dict[str, Value]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Keep one export."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        body = await request.read()
        self.bodies.append(body)
        await self.hold.wait()
        if request.path == "/v1/traces":
            for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(plain(traced.resource.attributes))
                for scope in traced.scope_spans:
                    for span in scope.spans:
                        self.spans.setdefault(span.name, []).append(span)
        elif request.path == "/v1/metrics":
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scoped in measured.scope_metrics:
                    self.metrics.update({metric.name: metric for metric in scoped.metrics})
        return web.Response(status=self.status, text="Internal Traceback" if self.status != 200 else "")

    def one(self, name: str) -> Span:
        """The only span of that name."""
        assert len(self.spans.get(name, [])) == 1, (name, sorted(self.spans))
        return self.spans[name][0]

    def points(self, name: str) -> list[HistogramDataPoint]:
        """Points of a histogram."""
        return list(self.metrics[name].histogram.data_points)

    @property
    def everything(self) -> bytes:
        """All bytes that arrived."""
        return b"".join(self.bodies)


@asynccontextmanager
async def listening() -> AsyncIterator[Sink]:
    """A collector on an ephemeral port."""
    sink = Sink()
    sink.hold.set()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", sink.take)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    sink.url = f"http://{host}:{port}"
    try:
        yield sink
    finally:
        sink.hold.set()
        await runner.cleanup()


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with listening() as found:
        yield found


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of OpenTelemetry from outside."""
    for name in [name for name in os.environ if name.startswith(("OTEL_", "PLUMBLINE_TELEMETRY"))]:
        monkeypatch.delenv(name)


Started: TypeAlias = Callable[..., Telemetry]


@pytest.fixture
def started(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Started:
    """Telemetry that sends to the sink, with more variables if given."""

    def start(**variables: str) -> Telemetry:
        for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, **variables}.items():
            monkeypatch.setenv(name, value)
        found = telemetry.open(os.environ, version=VERSION)
        found.redact_with(Redactor(WORLD_KEY))
        return found

    return start


def asked(system: str = "be brief") -> list[Message]:
    """A request with a secret in it."""
    return [
        Message(role="system", content=system),
        Message(role="user", content=f"{QUESTION} password={SECRET}"),
        Message(role="assistant", calls=(call(),)),
        Message(role="tool", content="see https://evil.example/a?b=c", answers="c1"),
    ]


def call() -> ModelCall:
    return ModelCall(id="c1", name="list_objects", arguments=json.dumps({"name": "x", "token": SECRET}))


def reply(**changes: object) -> Reply:
    told = Reply(text=f"look at https://evil.example/{SECRET} now", calls=(call(),), finish="tool_calls", model="m-1")
    return told.model_copy(update={"spent": Spent(input=900, output=40), **changes})


def brought(status: str = "ok") -> JsonObject:
    return {"status": status, "data": {"image": "registry.example/app:v1", "password": SECRET}}


async def work(found: Telemetry) -> None:
    """A run with two concurrent reads and a chat."""
    with found.run(session="abc", cluster="prod", question=f"{QUESTION} {SECRET}"):

        async def read(number: int) -> None:
            with found.tool(READ, evidence=f"E{number}") as tool:
                await asyncio.sleep(0)
                tool.brought(evidence(f"E{number}", "list_objects", [Row(key="a", data=brought())], "objects"))

        await asyncio.gather(read(1), read(2))
        with found.chat("m", address="https://llm.example/v1", messages=asked(), max_output=500) as chat:
            chat.heard(1)
            chat.heard(2)
            chat.replied(reply())


# --- off ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "  "},
        {"OTEL_SERVICE_NAME": "x", "PLUMBLINE_TELEMETRY_CONTENT": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "True"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
        },
    ],
)
async def test_it_is_off_without_an_endpoint_and_loads_nothing(
    environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "agent.telemetry.recording", raising=False)
    found = telemetry.open(environ, version=VERSION)
    found.redact_with(Redactor(WORLD_KEY))
    await work(found)
    found.close()
    assert not found.on
    assert found.notes == []
    assert telemetry.endpoint_urls(environ) == ()
    assert not [name for name in sys.modules if name.startswith(("opentelemetry", "agent.telemetry.recording"))]


async def test_an_endpoint_without_the_extra_is_one_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(telemetry, "find_spec", missing)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    found = telemetry.open(environ, version=VERSION)
    await work(found)
    found.close()
    assert not found.on
    assert len(found.notes) == 1
    assert "pip install 'plumbline[otel]'" in found.notes[0]
    assert telemetry.endpoint_urls(environ) == ()


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"ftp://u:{SECRET}@h"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://u:{SECRET}@h:99999"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a\r\nb: c"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "nonsense"}, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4317", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_one_note(environ: Mapping[str, str], named: str) -> None:
    found = telemetry.open(environ, version=VERSION)
    assert not found.on
    assert len(found.notes) == 1
    assert named in found.notes[0]
    assert SECRET not in found.notes[0]
    assert telemetry.endpoint_urls(environ) == ()


@installed
def test_the_lockdown_is_told_every_address_in_use() -> None:
    assert telemetry.endpoint_urls({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318/x/"}) == (
        "http://h:4318/x/v1/traces",
        "http://h:4318/x/v1/metrics",
    )
    own = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://m/in"}
    assert telemetry.endpoint_urls(own) == ("http://h:4318/v1/traces", "https://m/in")
    assert telemetry.endpoint_urls({**own, "OTEL_TRACES_EXPORTER": "none"}) == ("https://m/in",)
    assert telemetry.endpoint_urls({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://t/in"}) == ("https://t/in",)


@installed
async def test_a_setting_of_the_sdk_that_makes_no_sense_is_one_note(
    started: Started, sink: Sink, capfd: pytest.CaptureFixture[str]
) -> None:
    found = started(OTEL_METRIC_EXPORT_INTERVAL="-1", OTEL_RESOURCE_ATTRIBUTES="nonsense")
    await work(found)
    await asyncio.to_thread(found.close)
    assert found.notes == ["telemetry is off: the exporter did not start (ValueError)"]
    assert not found.on
    assert sink.bodies == []
    assert capfd.readouterr() == ("", "")


# --- on ----------------------------------------------------------------------------------------------------


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
        seconds: float,
        max_output: int,
        must_call: str = "",
        on_text: OnText | None = None,
        on_send: OnSend | None = None,
    ) -> Reply:
        assert (seconds, max_output, must_call, len(tools)) == (9.0, 77, "answer", 1)
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


# --- a collector that misbehaves ---------------------------------------------------------------------------


@installed
@pytest.mark.parametrize("fault", ["down", "hangs", 500, 503, 404])
async def test_a_bad_collector_costs_one_note(
    started: Started,
    sink: Sink,
    capfd: pytest.CaptureFixture[str],
    fault: str | int,
) -> None:
    root = io.StringIO()  # where a program that embeds us keeps its own log
    handler = logging.StreamHandler(root)
    logging.getLogger().addHandler(handler)
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))  # and nobody listens
    variables = (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}"} if fault == "down" else {}
    )
    if fault == "hangs":
        sink.hold.clear()
    if isinstance(fault, int):
        sink.status = fault
    found = started(**variables)
    begun = time.monotonic()
    await work(found)
    worked = time.monotonic() - begun
    await asyncio.to_thread(found.close, 0.5)
    took = time.monotonic() - begun - worked
    sink.hold.set()
    closed.close()
    logging.getLogger().removeHandler(handler)
    assert worked < 1.0, "the run itself waits for nobody"
    assert took < 1.5
    assert len(found.notes) == 1
    assert found.notes[0].startswith("telemetry for 127.0.0.1:")
    assert "\n" not in found.notes[0]
    assert "Traceback" not in found.notes[0]
    assert capfd.readouterr() == ("", "")
    assert root.getvalue() == ""
    assert not found.on


@installed
async def test_more_spans_than_the_queue_holds_are_dropped_and_nobody_waits(
    started: Started, sink: Sink, capfd: pytest.CaptureFixture[str]
) -> None:
    sink.hold.clear()
    found = started()
    begun = time.monotonic()
    for _ in range(6_000):
        with found.tool(READ, evidence="E1"):
            pass
    assert time.monotonic() - begun < 5.0
    await asyncio.to_thread(found.close, 0.1)
    sink.hold.set()
    assert len(found.notes) == 1
    assert capfd.readouterr() == ("", "")


@installed
async def test_only_the_address_that_was_set_is_spoken_to(
    started: Started, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        found = started(OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER="planted")
        await work(found)
        await asyncio.to_thread(found.close)
        assert proxy.bodies == []
    assert sink.one("chat m").name


@installed
async def test_other_libraries_do_not_report_through_ours(started: Started, sink: Sink) -> None:
    from opentelemetry import trace

    found = started()
    with found.run(session="s", cluster="c"), trace.get_tracer("another").start_as_current_span("theirs"):
        pass
    await asyncio.to_thread(found.close)
    assert list(sink.spans) == ["invoke_workflow plumbline"]


@installed
async def test_after_the_end_nothing_is_recorded_and_nothing_fails(started: Started, sink: Sink) -> None:
    found = started()
    await work(found)
    await asyncio.to_thread(found.close)
    sent = len(sink.bodies)
    await work(found)
    await asyncio.to_thread(found.close)
    assert len(sink.bodies) == sent
    assert found.notes == []
