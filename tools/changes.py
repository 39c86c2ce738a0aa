"""Changes as data: what a change of the catalogue declares, what an order for one holds, and who takes it.

Rules: everything a change declares is a pure function of its typed arguments and of the object as the API server
returned it; it sets whole fields of one object by one JSON merge patch; an order is kept as a draft and does nothing.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar

from pydantic import Field, JsonValue, ValidationError

from tools import fields
from tools.errors import Refused, first_problem
from tools.naming import Frozen, JsonObject, KindRef, ResourceRef, Scope

Path: TypeAlias = tuple[str, ...]
Tier: TypeAlias = Literal["A", "B", "C", "D"]
"""Risk, from A (small and undone at once) to D; B and above count as risky."""
Comparator: TypeAlias = Literal["<=", ">=", "=="]
PLAN_ANNOTATION = "plumbline.dev/plan"
"""Annotation that a write leaves on its object: the digest of the plan, so that a restart can tell its own work."""
RELATED = "plumbline.dev/related"
"""Key beside apiVersion and spec under which objects read besides the target are handed to a change."""


class ChangeArgs(Frozen, ABC):
    """Typed arguments of a change; they name one object."""

    KINDS: ClassVar[tuple[KindRef, ...]]
    """The kinds the change may touch."""

    @property
    @abstractmethod
    def ref(self) -> ResourceRef:
        """The object named."""


A = TypeVar("A", bound=ChangeArgs)


class Wanted(Frozen):
    """One field of the target and the value a change gives it; a list is one value."""

    path: Path
    value: JsonValue
    """null takes the field away."""
    absent: JsonValue = None
    """What the field means where it is absent."""


class Blast(Frozen):
    """How far a change reaches."""

    replicas_before: int | None = None
    replicas_after: int | None = None
    gpus_before: float | None = None
    gpus_after: float | None = None
    """GPUs that the target asks for; of a node, GPUs that new pods can get; of a queue, its quota."""
    restarts: bool = False
    """True where pods are replaced or end."""


class Verification(Frozen):
    """What must be seen after the change: a named query over the target's pods, a field or a condition of it."""

    query: str = ""
    """Name of a query of the catalogue; holds where every row of the target's pods does."""
    field: Path = ()
    """Or a field of the object: a boolean counts 1 or 0, an absent number 0."""
    condition: str = ""
    """Or the type of a condition in its status: its `status` is what is compared."""
    comparator: Comparator
    bound: float | str
    settle: float
    """Seconds after the write before anything counts."""
    window: float
    """Seconds over which it must hold."""


@dataclass(frozen=True, slots=True)
class ChangeSpec(Generic[A]):
    """One change of the catalogue: plain data and pure functions, one per file in tools/write."""

    name: str
    summary: str
    args: type[A]
    wants: Callable[[A, JsonObject], tuple[Wanted, ...]]
    """The fields it would set; none where the object does not have what the arguments name."""
    refusal: Callable[[A, JsonObject], str]
    """Why this object must not be changed so, in one line; "" where it may."""
    tier: Callable[[A, JsonObject], Tier]
    blast: Callable[[A, JsonObject], Blast]
    verification: Callable[[A, JsonObject], tuple[Verification, ...]]
    """All of it must hold; the most telling first."""
    guards: tuple[Path, ...] = ()
    """Fields, besides those it sets, that must not have moved between preview and apply."""
    reads: tuple[KindRef, ...] = ()
    """Kinds of the target's namespace that it has to see besides the target: see `with_related`."""

    @property
    def kinds(self) -> tuple[KindRef, ...]:
        """The kinds it may touch."""
        return self.args.KINDS

    def parse(self, args: JsonObject) -> A:
        """The typed arguments. Raises Refused with one line that says what is wrong with them."""
        try:
            return self.args.model_validate(args)
        except ValidationError as error:
            raise Refused(f"args of {self.name}: {first_problem(error)}") from None

    def patch(self, args: A, obj: JsonObject) -> JsonObject:
        """The JSON merge patch of the object: the fields that would change, and no others."""
        return patch_of(self.wants(args, obj), obj)

    def objection(self, args: A, obj: JsonObject) -> str:
        """Why this object must not be changed so, in one line; "" where it may.

        What holds for every change, then the change's own `refusal`, then whether anything would change at all.
        """
        return self._unfit(args, obj) or self.refusal(args, obj) or self._nothing(args, obj)

    def _unfit(self, args: A, obj: JsonObject) -> str:
        target = args.ref
        if target.kind_ref not in self.kinds or not is_object(obj, target):
            return f"the object read is not {target}"
        if fields.text(obj, "metadata", "deletionTimestamp"):
            return f"{target} is being deleted"
        for owner in fields.items(obj, "metadata", "ownerReferences") if target.kind != "Workload" else ():
            if fields.flag(owner, "controller"):
                return f"{target} belongs to {fields.text(owner, 'kind')} {fields.text(owner, 'name')}: change that"
        return ""

    def _nothing(self, args: A, obj: JsonObject) -> str:
        wants = self.wants(args, obj)
        if not patch_of(wants, obj):
            return f"{args.ref} already has what {self.name} would set"
        for want in wants:
            for length in range(1, len(want.path) + 1):
                if _is_null(obj, want.path[:length]):
                    return f"{'.'.join(want.path[:length])} is null, which could not be restored"
        return ""

    @property
    def call(self) -> str:
        """The change as a person would write it: `scale(group, kind, ...)`."""
        return f"{self.name}({', '.join(self.args.model_fields)})"


# --- objects, patches ----------------------------------------------------------------------------------------


def is_object(obj: JsonObject, ref: ResourceRef) -> bool:
    """True where the object says that it is the one; what a list item leaves out about its kind is no contradiction."""
    api, kind = fields.text(obj, "apiVersion"), fields.text(obj, "kind")
    group = api.rpartition("/")[0]
    named = fields.text(obj, "metadata", "name") == ref.name
    placed = fields.text(obj, "metadata", "namespace") == (ref.namespace or "")
    return named and placed and kind in ("", ref.kind) and (not api or group == ref.group)


def with_related(obj: JsonObject, related: Mapping[KindRef, Iterable[JsonObject]]) -> JsonObject:
    """The object together with others of its namespace that were read, for changes that have `reads`."""
    return {**obj, RELATED: {str(kind): [*objects] for kind, objects in related.items()}}


def related(obj: JsonObject, kind: KindRef) -> list[JsonObject] | None:
    """The other objects of a kind; None where they were not read."""
    found = fields.dig(obj, RELATED, str(kind))
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else None


def patch_of(wants: Iterable[Wanted], obj: JsonObject) -> JsonObject:
    """The merge patch that sets the fields, without those that stand already. What it holds is shared with nobody."""
    patch: JsonObject = {}
    for want in wants:
        standing = fields.dig(obj, *want.path)
        if _same(standing, want.value) and not (want.value is None and _is_null(obj, want.path)):
            continue
        *above, last = want.path
        here = patch
        for key in above:
            inner = here.setdefault(key, {})
            if not isinstance(inner, dict):
                raise ValueError(f"two values for {'.'.join(want.path)}")
            here = inner
        here[last] = copy.deepcopy(want.value)
    return patch


def _is_null(obj: JsonObject, path: Path) -> bool:
    above = fields.dig(obj, *path[:-1])
    return isinstance(above, dict) and path[-1] in above and above[path[-1]] is None


def _same(one: JsonValue, other: JsonValue) -> bool:
    """Equal, and not one a boolean and the other a number."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


# --- orders --------------------------------------------------------------------------------------------------


class DraftOrder(Frozen):
    """A change that somebody proposes, and why. `because` is prose and counts for nothing; `cites` must bear it."""

    change: str
    args: JsonObject
    because: str
    cites: Annotated[tuple[str, ...], Field(max_length=20)]
    """`E15`, `E42/row key` or `E42/row key/path/to/field`."""


class Drafting(Protocol):
    """Checks an order against what was read, and stores it as a draft."""

    async def draft(self, order: DraftOrder, scope: Scope) -> JsonObject:
        """The stored draft: at least `proposal`, `state`, `namespace`. Raises Refused with one line saying why not."""
        ...
