"""Proposes one change of the catalogue. A draft is stored for people to look at; the cluster is not touched.

Rule: what was asked for is decided from typed arguments alone; the prose beside them is kept and counts for nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, TypeAlias

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator

from tools import fields, registry
from tools.arguments import family_of, kind_scope
from tools.changes import ChangeArgs, ChangeSpec, DraftOrder
from tools.errors import Denied, Refused, Unavailable
from tools.types import CallScope, Frozen, JsonObject, Page, Ports, ResourceRef, Row, ToolSpec, WireLimits

Change: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Because: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Cite: TypeAlias = Annotated[str, StringConstraints(pattern=r"^E[1-9][0-9]{0,5}(/[^\x00-\x1f\x7f]+)?$", max_length=1024)]
_PLACE = ("group", "kind", "namespace", "name")
_SHOWN = 3
"""Values of a choice that are shown; a wrong one is answered with all of them."""


def _line(spec: ChangeSpec[ChangeArgs]) -> str:
    """A change for a model to choose by: its name, the arguments beside its target, and the kinds it is made for."""
    known = spec.args.model_json_schema()
    asked = []
    for name in spec.args.model_fields.keys() - {*_PLACE}:
        values = fields.texts(known, "properties", name, "enum")
        asked.append(f"{name}={'|'.join(values)}" if 0 < len(values) <= _SHOWN else name)
    order = list(spec.args.model_fields)
    asked.sort(key=lambda text: order.index(text.partition("=")[0]))
    kinds = " ".join(kind.kind for kind in spec.kinds)
    return f"{spec.name}({', '.join(asked)}) {kinds}"


_SHAPE: JsonObject = {
    "type": "object",
    "maxProperties": 20,
    "properties": {name: {"type": "string"} for name in _PLACE},
    "required": ["name"],
    "anyOf": [{"description": _line(spec)} for spec in registry.changes().values()],
}
"""What a model is shown of the catalogue: one line a change, because every request carries it. The gate checks all."""


class Args(Frozen):
    """What to change, why, and the evidence that bears it: two channels, one a metric or status of the target."""

    change: Change
    args: Annotated[JsonObject, WithJsonSchema(_SHAPE)]
    because: Because
    cites: Annotated[tuple[Cite, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _change_exists(self) -> Args:
        try:
            _spec(self).parse(self.args)
        except Refused as refused:
            spec = registry.changes().get(self.change)
            known = f"it is {spec.call}" if spec else f"the changes are: {', '.join(registry.changes())}"
            raise ValueError(f"{refused.message}; {known}") from None
        return self


def _spec(args: Args) -> ChangeSpec[ChangeArgs]:
    spec = registry.changes().get(args.change)
    if spec is None:
        raise Refused("there is no such change")
    return spec


def _target(args: Args) -> ResourceRef:
    spec = _spec(args)
    return spec.parse(args.args).ref


def _scope(args: Args) -> CallScope:
    target = _target(args)
    return kind_scope(target.kind_ref, target.namespace, target.name)


async def _read(args: Args, ports: Ports, _wire: WireLimits) -> AsyncIterator[Page]:
    if ports.drafting is None or ports.scope is None:
        raise Unavailable("no proposal can be stored here")
    order = DraftOrder(change=args.change, args=args.args, because=args.because, cites=args.cites)
    try:
        yield Page([await ports.drafting.draft(order, ports.scope)])
    except Refused as refused:
        raise Denied(str(refused)) from None


def _describe(args: Args, _ports: Ports) -> str:
    """Without the name, which is whatever was asked for until it is found among what was read."""
    target = _target(args)
    where = f" in {target.namespace}" if target.namespace else ""
    return f"propose {args.change} of one {target.kind}{where}"


def _project(_args: Args, item: JsonObject) -> Row | None:
    data = {key: value for key, value in item.items() if key != "proposal"}
    return Row(key=fields.text(item, "proposal"), namespace=fields.text(item, "namespace") or None, data=data)


TOOL = ToolSpec(
    name="propose_change",
    summary="Store a draft of one change for people to review; it changes nothing by itself.",
    args=Args,
    source="derived",
    trust="structured",
    wire="interactive",
    scope_of=_scope,
    describe=_describe,
    family=family_of("draft"),
    read=_read,
    project=_project,
    effect="draft",
    touches=tuple(sorted({str(kind) for spec in registry.changes().values() for kind in spec.kinds})),
)
