"""Finds which series exist: their label sets, for one selector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import Field

from tools import fields
from tools.arguments import PromQL, family_of
from tools.errors import Unavailable
from tools.series import free_tenant, labels_key, selectors
from tools.types import CallScope, Frozen, JsonObject, Page, Ports, Row, ToolSpec, WireLimits


class Args(Frozen):
    """Which series, and how far back they may have been seen."""

    match: PromQL
    hours: Annotated[float, Field(gt=0, le=24 * 31, allow_inf_nan=False)] = 1.0
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


async def _read(args: Args, ports: Ports, _wire: WireLimits) -> AsyncIterator[Page]:
    if ports.prom is None:
        raise Unavailable("no Prometheus is known here", hint="name one with --prometheus")
    found = await ports.prom.series(
        selectors([args.match], ports.permitted),
        start=ports.now - args.hours * 3600,
        end=ports.now,
        limit=args.limit + 1,
    )
    more = f"more than {args.limit} series; narrow the selector" if len(found) > args.limit else ""
    yield Page([{"labels": dict(labels)} for labels in found[: args.limit]], truncated=more)


def _project(_args: Args, item: JsonObject) -> Row | None:
    labels = fields.strings(item, "labels")
    return Row(key=labels_key(labels), namespace=free_tenant(labels), data={"labels": dict(labels)})


TOOL = ToolSpec(
    name="find_series",
    summary="Label sets of the series that match one selector.",
    args=Args,
    source="prometheus",
    trust="structured",
    wire="interactive",
    scope_of=lambda _args: CallScope(metrics=True, free_query=True),
    describe=lambda args, _ports: f"series {args.match}",
    family=family_of("promql"),
    read=_read,
    project=_project,
    touches=("metrics/free",),
    public=True,
)
