"""A collector on loopback, and what is reported to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import pytest
from aiohttp import web

from agent import telemetry
from agent.llm.types import Message, ModelCall, Reply, Spent
from agent.telemetry import Telemetry
from tests.agent.build import evidence
from tools.types import JsonObject, Row, ToolCall

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
Started: TypeAlias = Callable[..., Telemetry]


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
