"""Lists events, of one namespace or all, of one object or all. Their messages are untrusted text."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tools.arguments import Kind, Name, Namespace, family_of, kind_scope, kubectl
from tools.projection.objects import object_row
from tools.types import Frozen, JsonObject, KindRef, Page, Ports, Row, ToolSpec, WireLimits

_EVENT = KindRef(kind="Event")


class Args(Frozen):
    """Whose events: by namespace, and by kind and name of the object they are about."""

    namespace: Namespace | None = None
    kind: Kind | None = None
    name: Name | None = None

    @property
    def selector(self) -> str:
        """The field selector for the object the events are about."""
        pairs = (("involvedObject.kind", self.kind), ("involvedObject.name", self.name))
        return ",".join(f"{field}={value}" for field, value in pairs if value)


async def _read(args: Args, ports: Ports, wire: WireLimits) -> AsyncIterator[Page]:
    async for page in ports.kube.pages(_EVENT, namespace=args.namespace, field_selector=args.selector, wire=wire):
        yield page


def _project(_args: Args, item: JsonObject) -> Row | None:
    return object_row(_EVENT, item)


def _describe(args: Args, _ports: Ports) -> str:
    return kubectl("get", _EVENT, args.namespace, f"--field-selector {args.selector}" if args.selector else "")


TOOL = ToolSpec(
    name="list_events",
    summary="Events with their counts and times, of everything or of one object.",
    args=Args,
    source="kubernetes",
    trust="text",
    wire="bulk",
    scope_of=lambda args: kind_scope(_EVENT, args.namespace, args.name or ""),
    describe=_describe,
    family=family_of("events"),
    read=_read,
    project=_project,
    touches=("Event",),
)
