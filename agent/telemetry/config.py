"""What the environment says about telemetry, in OpenTelemetry's own variables.

Their meaning: opentelemetry.io/docs/specs/otel, pages protocol/exporter and configuration/sdk-environment-variables.
Rules: no endpoint, no telemetry (the specification's default of localhost is not used); a value that cannot be used
turns it off with a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL: Final = "http/protobuf"
OPT_IN: Final = "PLUMBLINE_TELEMETRY_CONTENT"
OTEL_OPT_IN: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""OpenTelemetry's own opt-in (opentelemetry-python-contrib, util/opentelemetry-util-genai)."""
_SPANS: Final = ("true", "span_only", "span_and_event")
"""Its values that put content on spans: the older form was a boolean."""


@dataclass(frozen=True, slots=True)
class Config:
    """Where to send, and whether content may go along. An empty URL means that the signal is off."""

    traces: str
    metrics: str
    content: bool

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses in use."""
        return tuple(url for url in (self.traces, self.metrics) if url)


def configure(environ: Mapping[str, str]) -> Config | str:
    """The configuration; or why telemetry is off, which is "" where nobody asked for it."""
    if _value(environ, "OTEL_SDK_DISABLED") == "true":
        return ""
    found: dict[str, str] = {}
    for signal in ("traces", "metrics"):
        name, url, path = _endpoint(environ, signal)
        if url and (problem := _problem(url)):
            return f"telemetry is off: {name} {problem}"
        found[signal] = f"{url.rstrip('/')}{path}" if url and path else url
    if not any(found.values()):
        return ""
    protocol = _protocol(environ, tuple(signal for signal, url in found.items() if url))
    if protocol:
        return f"telemetry is off: {protocol}; Plumbline speaks {PROTOCOL} only (port 4318 of a collector)"
    return Config(traces=found["traces"], metrics=found["metrics"], content=_content(environ))


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()


def _endpoint(environ: Mapping[str, str], signal: str) -> tuple[str, str, str]:
    """(the variable that names it, its URL, the path to append); the URL is "" where the signal is off."""
    upper = signal.upper()
    if _value(environ, f"OTEL_{upper}_EXPORTER") == "none":
        return "", "", ""
    own = f"OTEL_EXPORTER_OTLP_{upper}_ENDPOINT"
    if url := environ.get(own, "").strip():
        return own, url, ""
    return ENDPOINT, environ.get(ENDPOINT, "").strip(), f"/v1/{signal}"


def _problem(url: str) -> str:
    """What is wrong with a URL, without quoting it: it may hold a password."""
    hint = "write http://HOST:4318 or https://HOST"
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    return "" if fine and url.isprintable() and " " not in url else f"is no http or https URL; {hint}"


def _protocol(environ: Mapping[str, str], signals: tuple[str, ...]) -> str:
    """The variable that asks for a protocol we do not speak, or ""."""
    for signal in signals:
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
        name = own if _value(environ, own) else "OTEL_EXPORTER_OTLP_PROTOCOL"
        if _value(environ, name) not in ("", PROTOCOL):
            return f"{name} is not {PROTOCOL}"
    return ""


def _content(environ: Mapping[str, str]) -> bool:
    """Ours decides where it is set; else OpenTelemetry's."""
    if own := _value(environ, OPT_IN):
        return own == "true"
    return _value(environ, OTEL_OPT_IN) in _SPANS
