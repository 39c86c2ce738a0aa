"""Runs a query of our own catalogue, unscoped; rows of other tenants are taken out by the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tools.arguments import QueryName
from tools.errors import BadAnswer, Unavailable
from tools.series import ordered, page_of, series_row
from tools.types import CallScope, Frozen, JsonObject, NamedQuery, Page, Ports, Row, ToolSpec, WireLimits


class Args(Frozen):
    """Which query."""

    name: QueryName


def _query(args: Args, ports: Ports) -> NamedQuery | None:
    return ports.queries.get(args.name)


def _describe(args: Args, ports: Ports) -> str:
    query = _query(args, ports)
    return query.promql if query else args.name


def _family(args: Args, ports: Ports) -> str:
    query = _query(args, ports)
    return query.family if query else "unknown"


def _window(args: Args, ports: Ports) -> tuple[float, float] | None:
    query = _query(args, ports)
    return (ports.now - query.window, ports.now) if query and query.window else None


async def _read(args: Args, ports: Ports, wire: WireLimits) -> AsyncIterator[Page]:
    query = _query(args, ports)
    if query is None:
        raise BadAnswer(f"the catalogue has no query named {args.name}")
    if ports.prom is None:
        raise Unavailable("no Prometheus is known here", hint="name one with --prometheus")
    if query.step is None:
        answer = await ports.prom.instant(query.promql, at=ports.now, wire=wire)
    else:
        start = ports.now - query.window
        answer = await ports.prom.range(query.promql, start=start, end=ports.now, step=query.step, wire=wire)
    yield page_of(ordered(answer), tenant_label=query.tenant_label, ranged=query.step is not None)


def _project(_args: Args, item: JsonObject) -> Row | None:
    return series_row(item)


TOOL = ToolSpec(
    name="named_query",
    summary="A metric query of the catalogue by its name: values, not verdicts.",
    args=Args,
    source="prometheus",
    trust="structured",
    wire="bulk",
    scope_of=lambda _args: CallScope(metrics=True),
    describe=_describe,
    family=_family,
    read=_read,
    project=_project,
    touches=("metrics",),
    window=_window,
)
