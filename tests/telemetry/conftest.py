"""Fixtures: a collector, and telemetry that sends to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from agent import telemetry
from agent.telemetry import Telemetry
from tools.redact import WORLD_KEY, Redactor

if TYPE_CHECKING:
    pass


from tests.telemetry.collecting import (
    VERSION,
    Sink,
    Started,
    listening,
)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with listening() as found:
        yield found


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of OpenTelemetry from outside."""
    for name in [name for name in os.environ if name.startswith(("OTEL_", "PLUMBLINE_TELEMETRY"))]:
        monkeypatch.delenv(name)


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
