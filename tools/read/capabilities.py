"""Says what the cluster serves: its version, and every kind with its group and verbs (discovery)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import JsonValue

from tools.arguments import family_of
from tools.types import CallScope, Frozen, JsonObject, KindRef, Page, Ports, Row, ToolSpec, WireLimits

_DISCOVERY = KindRef(kind="APIResource")


class Args(Frozen):
    """Nothing to choose."""


async def _read(_args: Args, ports: Ports, _wire: WireLimits) -> AsyncIterator[Page]:
    found = await ports.kube.discovery()
    items: list[JsonObject] = [{"key": "server", "version": found.server_version}]
    for resource in found.resources:
        verbs: list[JsonValue] = list(resource.verbs)
        items.append(
            {
                "key": str(KindRef(group=resource.group, kind=resource.kind)),
                "group": resource.group,
                "version": resource.version,
                "kind": resource.kind,
                "namespaced": resource.namespaced,
                "verbs": verbs,
            }
        )
    yield Page(items)


def _project(_args: Args, item: JsonObject) -> Row | None:
    key = item.pop("key")
    return Row(key=str(key), data=item)


TOOL = ToolSpec(
    name="capabilities",
    summary="What the cluster serves: version, kinds, groups, verbs.",
    args=Args,
    source="kubernetes",
    trust="structured",
    wire="interactive",
    scope_of=lambda _args: CallScope(kinds=(_DISCOVERY,)),
    describe=lambda _args, _ports: "kubectl api-resources",
    family=family_of("discovery"),
    read=_read,
    project=_project,
    touches=("APIResource",),
    public=True,
)
