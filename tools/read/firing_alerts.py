"""Lists alerts that are pending or firing. Their annotations are untrusted text."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tools import fields
from tools.arguments import family_of
from tools.errors import Unavailable
from tools.projection.marks import long
from tools.series import labels_key
from tools.tenancy import EXPORTED, OWN
from tools.types import CallScope, Frozen, JsonObject, Page, Ports, Row, ToolSpec, WireLimits

MAX_ALERTS = 5_000


class Args(Frozen):
    """Nothing to choose."""


async def _read(_args: Args, ports: Ports, _wire: WireLimits) -> AsyncIterator[Page]:
    if ports.prom is None:
        raise Unavailable("no Prometheus is known here", hint="name one with --prometheus")
    alerts = await ports.prom.alerts()
    more = f"{len(alerts) - MAX_ALERTS:,} more alerts were left out" if len(alerts) > MAX_ALERTS else ""
    yield Page(alerts[:MAX_ALERTS], truncated=more)


def _project(_args: Args, item: JsonObject) -> Row | None:
    labels = fields.strings(item, "labels")
    if not labels:
        return None
    shown: JsonObject = {
        "labels": dict(labels),
        "annotations": {name: long(text) for name, text in fields.strings(item, "annotations").items()},
        "state": fields.text(item, "state"),
        "activeAt": fields.text(item, "activeAt"),
        "value": fields.text(item, "value"),
    }
    return Row(key=labels_key(labels), namespace=labels.get(EXPORTED) or labels.get(OWN) or None, data=shown)


TOOL = ToolSpec(
    name="firing_alerts",
    summary="Alerts pending or firing now, with labels, annotations and since when.",
    args=Args,
    source="prometheus",
    trust="text",
    wire="interactive",
    scope_of=lambda _args: CallScope(metrics=True),
    describe=lambda _args, _ports: "GET /api/v1/alerts",
    family=family_of("alerts"),
    read=_read,
    project=_project,
    touches=("metrics",),
)
