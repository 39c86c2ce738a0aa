"""What the change engine works with: its ports, its store, its limits, and who may stop it.

Rules: no model and no wall clock in here: time is the API server's; what was not read is not known, and what is not
known is a no; the store and the audit log are asked to write before anything starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.changes.ledger import Ledger
from agent.changes.patches import Path
from agent.changes.plans import Plan
from agent.changes.records import Proposal
from agent.changes.states import Move, after
from tools import registry
from tools.changes import ChangeArgs, ChangeSpec
from tools.errors import PlumblineError, Unavailable, UnknownName, UserError
from tools.naming import KindRef
from tools.redact import Redactor
from tools.types import Audit, Evidence, Frozen, JsonObject, KubePort, ResourceRef, ToolCall
from tools.writing import Writer

MAX_LISTED = 5000
"""Objects of one kind in one namespace that a preview looks at; beyond them it does not know enough."""
NOTE = 500
"""Characters of a reason that are kept."""


class Floor(Frozen):
    """Replicas that a service keeps whatever is proposed: its service-level objective, said by its owners."""

    namespace: str
    name: str
    """Of the workload, or of what scales it."""
    replicas: int


class Limits(Frozen):
    """How far the engine goes, and for how long."""

    expiry: float = 4 * 3600.0
    """Seconds from the preview to the end of plan and approvals."""
    lease: float = 300.0
    """Seconds for which a claim holds: longer than the longest answer to a patch."""
    hour_objects: int = 10
    """Objects that an hour's writes may touch."""
    hour_namespaces: int = 3
    """Namespaces that an hour's writes may touch; what has none counts as one."""
    hour_steps: int = 2
    """Writes of one object within an hour, undos apart: each step is bounded, and so are they together."""
    gpus: float = 64.0
    """GPUs that one plan may take, give back or restart."""
    floors: tuple[Floor, ...] = ()
    gpu_hour: float | None = None
    """Price of a GPU-hour where it is known."""
    currency: str = "USD"


class Look(Protocol):
    """Reads evidence through the gate, as of a moment on the server's clock."""

    async def __call__(self, calls: Sequence[ToolCall], *, at: float) -> Sequence[tuple[ToolCall, Evidence]]:
        """Every call with what it brought, in order."""
        ...


class Brakes(Protocol):
    """Kill switch and freeze windows: a deny wins, and one that cannot be read denies."""

    async def stopped(self, target: ResourceRef, at: float) -> str:
        """Why no write on the object may start at that moment, in one line; "" where one may."""
        ...


class Quorum(Protocol):
    """Checks the approvals of a plan again."""

    def __call__(self, row: Proposal, plan: Plan, at: float) -> str:
        """Why the plan is not approved now, in one line; "" while it is."""
        ...


class NotNow(UserError):
    """Nothing was decided about the proposal: it stays as it is, and the same may be tried again."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One process that previews, applies and verifies, with the applier's credentials."""

    ledger: Ledger
    writer: Writer
    kube: KubePort
    """Lists what a change has to see besides its target, raw."""
    look: Look
    audit: Audit
    brakes: Brakes
    quorum: Quorum
    policy: Callable[[], str]
    """Version of the policy in force."""
    redactor: Redactor
    name: str
    """Of this applier: stable over restarts, and no two that run have the same."""
    limits: Limits = field(default_factory=Limits)
    changes: Mapping[str, ChangeSpec[ChangeArgs]] = field(default_factory=registry.changes)

    def proposal(self, name: str) -> Proposal:
        """The stored proposal. Raises UnknownName."""
        found = self.ledger.get(name)
        if found is None:
            raise UnknownName("proposal", name, ())
        return found

    def spec(self, row: Proposal) -> ChangeSpec[ChangeArgs]:
        """The change that is proposed. Raises UserError for one that the catalogue does not have."""
        found = self.changes.get(row.change)
        if found is None:
            raise UserError(f"there is no change named {row.change[:80]}", hint="propose one of the catalogue")
        return found

    def move(self, row: Proposal, move: Move, *, at: float, note: str = "", **fields: object) -> Proposal:
        """Write a move to the audit log, then make it. Raises NotAllowed, AuditUnavailable, what the ledger raises."""
        clean = self.redactor.text(note)[0][:NOTE]
        digest = fields.get("digest", row.digest)
        entry: JsonObject = {"proposal": row.id, "move": move, "state": after(row.state, move), "digest": str(digest)}
        self.audit.append("change", {**entry, "actor": self.name, "at": at, "note": clean})
        try:
            return self.ledger.move(row, move, actor=self.name, at=at, note=clean, **fields)
        except UserError as error:
            self.audit.append("change-failed", {"proposal": row.id, "move": move, "why": one_line(error)})
            raise


def one_line(error: PlumblineError) -> str:
    """What an error says, as a reason."""
    return " ".join(error.message.split())[:NOTE]


async def listed(kube: KubePort, kind: KindRef, namespace: str | None) -> list[JsonObject]:
    """All objects of a kind in a namespace, raw; none where the cluster does not serve the kind.

    Raises PortError where they cannot be read, NotNow where there are too many to know them all.
    """
    served = await kube.discovery()
    if served.find(kind) is None:
        if kind.group in served.unreachable:
            raise Unavailable(f"the API server does not say now whether it serves {kind}")
        return []
    found: list[JsonObject] = []
    async for page in kube.pages(kind, namespace=namespace):
        if page.truncated or len(found) + len(page.items) > MAX_LISTED:
            raise NotNow(f"there are more {kind} in {namespace} than can be read", hint="nothing was changed")
        found += page.items
    return found


def dotted(path: Path) -> str:
    """A field path as people write it."""
    return ".".join(path)
