"""A collector that misbehaves, and what else must not hurt a run."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    pass


from tests.telemetry.collecting import (
    READ,
    Sink,
    Started,
    installed,
    listening,
    work,
)


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
    if fault == "down":
        for thread in exporting():
            thread.join(2)
        assert not exporting(), "nothing tries again behind a run that has ended"


def exporting() -> list[threading.Thread]:
    """Threads of the SDK that still send spans."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("OtelBatch")]


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
