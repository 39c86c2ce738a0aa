"""Reads one object whole, with who wrote which of its fields."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tools.arguments import Group, Kind, Name, Namespace, family_of, kind_scope, kubectl
from tools.projection.objects import object_row
from tools.types import Frozen, JsonObject, KindRef, Page, Ports, Row, ToolSpec, WireLimits


class Args(Frozen):
    """Which object. `namespace` is absent for kinds without one."""

    group: Group = ""
    kind: Kind
    namespace: Namespace | None = None
    name: Name

    @property
    def ref(self) -> KindRef:
        """The kind asked for."""
        return KindRef(group=self.group, kind=self.kind)


async def _read(args: Args, ports: Ports, _wire: WireLimits) -> AsyncIterator[Page]:
    yield Page([await ports.kube.get(args.ref, namespace=args.namespace, name=args.name)])


def _project(args: Args, item: JsonObject) -> Row | None:
    return object_row(args.ref, item, bulk=False)


def _describe(args: Args, _ports: Ports) -> str:
    return kubectl("get", args.ref, args.namespace, args.name, "-o yaml").replace(" -A", "")


TOOL = ToolSpec(
    name="get_object",
    summary="One object whole: metadata, spec, status, and which manager wrote which fields when.",
    args=Args,
    source="kubernetes",
    trust="structured",
    wire="interactive",
    scope_of=lambda args: kind_scope(args.ref, args.namespace, args.name),
    describe=_describe,
    family=family_of("objects"),
    read=_read,
    project=_project,
)
