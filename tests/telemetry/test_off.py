"""When telemetry is off, and what is said of settings that cannot be used."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from agent import telemetry
from tools.redact import WORLD_KEY, Redactor

if TYPE_CHECKING:
    pass


from tests.telemetry.collecting import (
    SECRET,
    VERSION,
    Sink,
    Started,
    installed,
    work,
)


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
    assert "pip install '.[otel]'" in found.notes[0]
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
