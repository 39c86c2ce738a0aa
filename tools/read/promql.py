"""Runs a PromQL query that is not of our catalogue: parsed, bounded, narrowed to what the asker may see.

Rule: it only reads (tools/promql_reading.py), so that its answer holds no label and no number of the query's author.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import Field

from tools import fields
from tools.arguments import Moment, PromQL, family_of
from tools.errors import Unavailable
from tools.promql import guard
from tools.promql_reading import only_reads
from tools.series import free_query, free_tenant, page_of, series_row, window
from tools.types import CallScope, Frozen, JsonObject, Page, Ports, Row, ToolSpec, WireLimits

POINTS = 200
"""Points of a range query that names no step."""
FINEST = 15.0
"""Seconds; the usual scrape interval, below which there is nothing to see."""


class Args(Frozen):
    """The query; with `start` over a window (to `end`, or now), else at this moment."""

    query: PromQL
    start: Moment | None = None
    end: Moment | None = None
    step: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] | None = None


async def _read(args: Args, ports: Ports, wire: WireLimits) -> AsyncIterator[Page]:
    if ports.prom is None:
        raise Unavailable("no Prometheus is known here", hint="name one with --prometheus")
    only_reads(args.query)
    text = free_query(args.query, ports.permitted)
    span = window(args.start, args.end, ports.now)
    if span is None:
        answer = await ports.prom.instant(guard(text).query, at=ports.now, wire=wire)
    else:
        length = span[1] - span[0]
        step = args.step or max(FINEST, length / POINTS)
        checked = guard(text, window=length, step=step)
        answer = await ports.prom.range(checked.query, start=span[0], end=span[1], step=step, wire=wire)
    page = page_of(answer, tenant_label=None, ranged=span is not None)
    for item in page.items:
        item["tenant"] = free_tenant(fields.strings(item, "labels"))
    yield page


def _project(_args: Args, item: JsonObject) -> Row | None:
    return series_row(item)


def _window(args: Args, ports: Ports) -> tuple[float, float] | None:
    return None if args.start is None else (args.start, ports.now if args.end is None else args.end)


TOOL = ToolSpec(
    name="promql",
    summary="A PromQL query, now or over a window; every selector must name its metric, nothing is written into it.",
    args=Args,
    source="prometheus",
    trust="structured",
    wire="interactive",
    scope_of=lambda _args: CallScope(metrics=True, free_query=True),
    describe=lambda args, _ports: args.query,
    family=family_of("promql"),
    read=_read,
    project=_project,
    touches=("metrics/free",),
    public=True,
    window=_window,
)
