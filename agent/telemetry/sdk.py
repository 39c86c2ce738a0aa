"""The only module that imports opentelemetry: providers of our own, exporters that give up quietly, one note at most.

Rules: no global provider, so that no library starts to report through ours; the exporter's HTTP session takes nothing
from the environment (proxy, .netrc), because only the address that the user set may be spoken to; the resource names
the program, never its command line, which holds the question.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import TypeAlias
from urllib.parse import urlsplit

import requests
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.version import __version__ as sdk_version

from agent import conventions
from agent.telemetry.config import Config

Value: TypeAlias = str | bool | int | float | tuple[str, ...]
QUEUE = 2_048
"""Spans waiting at most; more are dropped."""


class OpenSpan:
    """A span under way, current in this task until it ends."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token = contexts.attach(trace.set_span_in_context(span))

    def set(self, key: str, value: Value) -> None:
        """Set an attribute."""
        self._span.set_attribute(key, value)

    def fail(self, kind: str) -> None:
        """Mark it as an error of this error.type, without words."""
        self._span.set_attribute(conventions.ERROR_TYPE, kind)
        self._span.set_status(trace.StatusCode.ERROR)

    def end(self) -> None:
        """End it and make its parent current again."""
        self._span.end()
        contexts.detach(self._token)


class Sdk:
    """Providers, exporters and their threads. Raises ValueError and the like where OTEL_* settings make no sense."""

    def __init__(self, config: Config, *, version: str) -> None:
        _silence()
        self._urls = config.urls
        self._losses = _Losses()
        resource = _resource(version)
        self._spans = TracerProvider(resource=resource, shutdown_on_exit=False, meter_provider=NoOpMeterProvider())
        self._exporters: list[_SpanExporter | _MetricExporter] = []
        readers = []
        if config.traces:
            spans = _SpanExporter(config.traces, self._losses)
            processor = BatchSpanProcessor(spans, max_queue_size=QUEUE, meter_provider=NoOpMeterProvider())
            self._spans.add_span_processor(processor)
            self._exporters.append(spans)
        if config.metrics:
            points = _MetricExporter(config.metrics, self._losses)
            readers.append(PeriodicExportingMetricReader(points))
            self._exporters.append(points)
        self._metrics = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._tracer = self._spans.get_tracer("plumbline", version)
        self._meter = self._metrics.get_meter("plumbline", version)
        self._histograms: dict[str, Histogram] = {}

    def start(self, name: str, attributes: Mapping[str, Value], *, client: bool) -> OpenSpan:
        """Begin a span as a child of the current one."""
        kind = trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL
        return OpenSpan(self._tracer.start_span(name, kind=kind, attributes=attributes))

    def measure(self, histogram: conventions.Histogram, value: float, attributes: Mapping[str, Value]) -> None:
        """Record one value."""
        made = self._histograms.get(histogram.name)
        if made is None:
            made = self._histograms[histogram.name] = self._meter.create_histogram(
                histogram.name,
                histogram.unit,
                histogram.description,
                explicit_bucket_boundaries_advisory=histogram.boundaries,
            )
        made.record(value, attributes)

    def close(self, seconds: float) -> str:
        """Flush and stop within `seconds`; says what was lost, or "". A thread that hangs is left behind: a daemon."""
        deadline = time.monotonic() + seconds
        threads = [_started(self._spans.shutdown), _started(self._metrics.shutdown)]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        late = any(thread.is_alive() for thread in threads)
        if late:
            for exporter in self._exporters:
                exporter.shutdown()  # ends its waiting between retries
        if not late and not self._losses.batches:
            return ""
        where = ", ".join(dict.fromkeys(_shown(url) for url in self._urls))
        why = f"no answer within {seconds:g} s" if late else "the collector did not take it"
        return f"telemetry for {where} is incomplete: {why}"


class _Losses:
    """Counts batches that were given up."""

    __slots__ = ("batches",)

    def __init__(self) -> None:
        self.batches = 0


class _SpanExporter(OTLPSpanExporter):
    """Counts what it could not deliver."""

    def __init__(self, url: str, losses: _Losses) -> None:
        super().__init__(endpoint=url, session=_session())
        self._losses = losses

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = super().export(spans)
        self._losses.batches += result is not SpanExportResult.SUCCESS
        return result


class _MetricExporter(OTLPMetricExporter):
    """Counts what it could not deliver."""

    def __init__(self, url: str, losses: _Losses) -> None:
        super().__init__(endpoint=url, session=_session())
        self._losses = losses

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Send all points."""
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self._losses.batches += result is not MetricExportResult.SUCCESS
        return result


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def _resource(version: str) -> Resource:
    """Who reports; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are on top."""
    ours = Resource(
        {
            "service.name": "plumbline",
            "service.version": version,
            "service.instance.id": str(uuid.uuid4()),
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": sdk_version,
        }
    )
    return ours.merge(OTELResourceDetector().detect())


def _silence() -> None:
    """What the SDK logs would be tracebacks on the user's terminal; what counts of it becomes our note."""
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _started(stop: Callable[[], None]) -> Thread:
    def quietly() -> None:
        with suppress(Exception):  # it raises when it was late; the note says so already
            stop()

    thread = Thread(target=quietly, daemon=True)
    thread.start()
    return thread


def _shown(url: str) -> str:
    """Host and port, without whatever else a URL may hold."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2]
