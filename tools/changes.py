"""Changes as data: what a change of the catalogue declares, what an order for one holds, and who takes it.

Rules: an order is kept as a draft and does nothing; a draft changes nothing in a cluster, and nothing here approves
or applies one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Generic, Literal, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, Field, JsonValue, ValidationError

from tools.errors import Refused, first_problem
from tools.naming import Frozen, JsonObject, KindRef, ResourceRef, Scope

Tier: TypeAlias = Literal["A", "B", "C", "D"]
"""Risk, from A (small and undone at once) to D; B and above count as risky."""
PLAN_ANNOTATION = "plumbline.dev/plan"
"""Annotation that a write leaves on its object: the digest of the plan, so that a restart can tell its own work."""
A = TypeVar("A", bound=BaseModel)


class Wanted(Frozen):
    """One field of the target and the value a change gives it."""

    path: tuple[str, ...]
    value: JsonValue
    absent: JsonValue = None
    """What the field means where it is absent."""


@dataclass(frozen=True, slots=True)
class ChangeSpec(Generic[A]):
    """One change of the catalogue: plain data and pure functions, one per file in tools/write."""

    name: str
    summary: str
    args: type[A]
    kinds: tuple[KindRef, ...]
    """The kinds it may touch; each of its targets is of one of them."""
    target: Callable[[A], ResourceRef]
    """The one object that arguments name."""
    wants: Callable[[A], tuple[Wanted, ...]]
    """The fields it would set."""
    tier: Tier

    def parse(self, args: JsonObject) -> A:
        """The typed arguments. Raises Refused with one line that says what is wrong with them."""
        try:
            return self.args.model_validate(args)
        except ValidationError as error:
            raise Refused(f"args of {self.name}: {first_problem(error)}") from None

    @property
    def call(self) -> str:
        """The change as a person would write it: `scale(group, kind, ...)`."""
        return f"{self.name}({', '.join(self.args.model_fields)})"


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
