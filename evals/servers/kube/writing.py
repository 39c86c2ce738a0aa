"""What every write needs at hand: the store, the kinds, admission, the clock; and the options writes share."""

from __future__ import annotations

from dataclasses import dataclass

from evals.servers.kube.access import Authority
from evals.servers.kube.admission import Admission
from evals.servers.kube.calls import Call
from evals.servers.kube.convert import stored_form
from evals.servers.kube.kinds import Kinds, Resource
from evals.servers.kube.status import Cause, invalid
from evals.servers.kube.store import Item, Store
from evals.world.model import World
from tools.types import JsonObject


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of one server that writes work with."""

    world: World
    kinds: Kinds
    store: Store
    admission: Admission
    authority: Authority

    @property
    def now(self) -> float:
        """The world's clock."""
        return self.world.clock.now

    def keep(self, resource: Resource, body: JsonObject, *, keep: bool) -> Item:
        """Store an object, or (a dry run) only show what it would look like."""
        kept_as, stored = stored_form(resource, body, self.kinds)
        if keep:
            return self.store.put(kept_as, stored)
        return Item(kept_as, stored, 0, self.now)


def dry_run(call: Call, options: str) -> bool:
    """True for `dryRun=All`; `options` names the kind of the refusal. Raises ApiError 422."""
    value = call.query.get("dryRun")
    if value not in (None, "All"):
        cause: Cause = ("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: "All"', "dryRun")
        raise invalid(options, "meta.k8s.io", "", [cause])
    return value is not None
