"""Lists the values of one label among the series of one selector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import Field

from tools import fields
from tools.arguments import LabelName, PromQL, family_of
from tools.errors import Unavailable
from tools.series import selectors
from tools.tenancy import EXPORTED, OWN
from tools.types import CallScope, Frozen, JsonObject, Page, Ports, Row, ToolSpec, WireLimits


class Args(Frozen):
    """Which label, of which series, and how far back they may have been seen."""

    label: LabelName
    match: PromQL
    hours: Annotated[float, Field(gt=0, le=24 * 31, allow_inf_nan=False)] = 1.0
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


async def _read(args: Args, ports: Ports, _wire: WireLimits) -> AsyncIterator[Page]:
    if ports.prom is None:
        raise Unavailable("no Prometheus is known here", hint="name one with --prometheus")
    found = await ports.prom.label_values(
        args.label,
        selectors([args.match], ports.permitted),
        start=ports.now - args.hours * 3600,
        end=ports.now,
        limit=args.limit + 1,
    )
    more = f"more than {args.limit} values; narrow the selector" if len(found) > args.limit else ""
    yield Page([{"value": value} for value in found[: args.limit]], truncated=more)


def _project(args: Args, item: JsonObject) -> Row | None:
    value = fields.text(item, "value")
    tenant = value if args.label in (OWN, EXPORTED) else None
    return Row(key=value, namespace=tenant or None, data={"label": args.label, "value": value})


TOOL = ToolSpec(
    name="label_values",
    summary="Values of one label among the series that match one selector.",
    args=Args,
    source="prometheus",
    trust="structured",
    wire="interactive",
    scope_of=lambda _args: CallScope(metrics=True, free_query=True),
    describe=lambda args, _ports: f"label values of {args.label} in {args.match}",
    family=family_of("promql"),
    read=_read,
    project=_project,
    touches=("metrics/free",),
    public=True,
)
