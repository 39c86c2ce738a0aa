"""A run of the command and what its collector hears of it; the variables that turn it on, and nothing else, do."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent import telemetry
from tests.cli.conftest import QUESTION
from tests.repo.test_house_style import ROOT

PATIENCE = 60.0
ASK = (sys.executable, "-m", "plumbline", "ask", "--world", "hpa-cpu", "-o", "json", QUESTION)
pytestmark = pytest.mark.skipif(not telemetry._installed(), reason="the extra `otel` is not installed")


@dataclass(slots=True)
class Collector:
    """What arrived, by path."""

    url: str
    bodies: dict[str, list[bytes]] = field(default_factory=dict)


@contextmanager
def collecting() -> Iterator[Collector]:
    """An OTLP/HTTP collector on an ephemeral port, in a thread of its own."""
    bodies: dict[str, list[bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.setdefault(self.path, []).append(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Collector(f"http://127.0.0.1:{server.server_address[1]}", bodies)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def ask(**variables: str) -> subprocess.CompletedProcess[str]:
    """Ask in a process of its own, locked down as always."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(ASK, cwd=ROOT, env={**environ, **variables}, capture_output=True, text=True, timeout=PATIENCE)


def test_every_read_of_a_run_is_a_child_of_the_run() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with collecting() as collector:
        done = ask(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(collector.bodies) == {"/v1/traces", "/v1/metrics"}
    spans = [
        span
        for body in collector.bodies["/v1/traces"]
        for traced in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in traced.scope_spans
        for span in scope.spans
    ]
    runs = [span for span in spans if span.name == "invoke_workflow plumbline"]
    tools = [span for span in spans if span.name.startswith("execute_tool ")]
    assert len(runs) == 1
    assert len(tools) > 20
    assert len(spans) == len(runs) + len(tools)
    assert {span.parent_span_id for span in tools} == {runs[0].span_id}
    named = {pair.key: pair.value.string_value for pair in runs[0].attributes}
    assert (named["k8s.cluster.name"], named["k8s.namespace.name"]) == ("world hpa-cpu", "search")
    everything = b"".join(body for bodies in collector.bodies.values() for body in bodies)
    assert b"half idle" not in everything
    assert b"chat-70b" not in everything


def test_content_comes_along_only_after_the_opt_in() -> None:
    with collecting() as collector:
        done = ask(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, PLUMBLINE_TELEMETRY_CONTENT="true")
    assert done.returncode == 0, done.stderr
    everything = b"".join(body for bodies in collector.bodies.values() for body in bodies)
    assert b"half idle" in everything
    assert b"chat-70b" in everything


def test_a_collector_that_is_down_costs_a_note_after_the_answer() -> None:
    done = ask(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert done.returncode == 0
    assert "U13" in done.stdout
    assert done.stderr.splitlines() == ["note: telemetry for 127.0.0.1:1 is incomplete: no answer within 2 s"]


def test_nonsense_costs_a_note() -> None:
    done = ask(OTEL_EXPORTER_OTLP_ENDPOINT="localhost:4318")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL" in done.stderr
