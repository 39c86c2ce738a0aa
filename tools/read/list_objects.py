"""Lists all objects of one kind, in one namespace or in all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tools.arguments import FieldSelector, Group, Kind, Namespace, Selector, family_of, kind_scope, kubectl
from tools.projection.objects import object_row
from tools.types import Frozen, JsonObject, KindRef, Page, Ports, Row, ToolSpec, WireLimits


class Args(Frozen):
    """Which objects."""

    group: Group = ""
    kind: Kind
    namespace: Namespace | None = None
    label_selector: Selector = ""
    field_selector: FieldSelector = ""

    @property
    def ref(self) -> KindRef:
        """The kind asked for."""
        return KindRef(group=self.group, kind=self.kind)


def _describe(args: Args, _ports: Ports) -> str:
    label = f"-l {args.label_selector}" if args.label_selector else ""
    field = f"--field-selector {args.field_selector}" if args.field_selector else ""
    return kubectl("get", args.ref, args.namespace, label, field)


async def _read(args: Args, ports: Ports, wire: WireLimits) -> AsyncIterator[Page]:
    async for page in ports.kube.pages(
        args.ref,
        namespace=args.namespace,
        label_selector=args.label_selector,
        field_selector=args.field_selector,
        wire=wire,
    ):
        yield page


def _project(args: Args, item: JsonObject) -> Row | None:
    return object_row(args.ref, item)


TOOL = ToolSpec(
    name="list_objects",
    summary="All objects of one kind, in one namespace or everywhere, narrowed by label or field selector.",
    args=Args,
    source="kubernetes",
    trust="structured",
    wire="bulk",
    scope_of=lambda args: kind_scope(args.ref, args.namespace),
    describe=_describe,
    family=family_of("objects"),
    read=_read,
    project=_project,
)
