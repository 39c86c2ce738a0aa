"""Our own syntax tree: plain, typed, checked once, so that evaluation asks no questions of the parser's objects.

Rules: nodes are compared by identity; the compiler makes equal subtrees of one query the same object, which is
what lets the evaluator compute them once. Durations and times are milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from evals.world.model import Matcher

At: TypeAlias = int | Literal["start", "end"] | None
"""The @ modifier: a moment, an end of the query's own range, or none."""
Cardinality: TypeAlias = Literal["one-to-one", "many-to-one", "one-to-many"]


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """A number literal."""

    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Selector:
    """An instant vector selector; the metric name is one of its matchers."""

    matchers: tuple[Matcher, ...]
    offset: int
    at: At


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A range vector selector."""

    selector: Selector
    range: int


@dataclass(frozen=True, slots=True, eq=False)
class Subquery:
    """An expression evaluated over a window; step 0 means the engine's default."""

    expr: Node
    range: int
    step: int
    offset: int
    at: At


@dataclass(frozen=True, slots=True, eq=False)
class Paren:
    """Parentheses; kept because absent() looks through none."""

    expr: Node


@dataclass(frozen=True, slots=True, eq=False)
class Negate:
    """Unary minus."""

    expr: Node


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A function call."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """An aggregation; `without` inverts the meaning of `labels`."""

    op: str
    expr: Node
    param: Node | None
    labels: tuple[str, ...]
    without: bool


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """How series of two vectors find each other."""

    card: Cardinality
    on: bool
    labels: tuple[str, ...]
    include: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """A binary operation; `scalars` tells which sides are scalars."""

    op: str
    left: Node
    right: Node
    matching: Matching
    as_bool: bool
    scalars: tuple[bool, bool]


Node: TypeAlias = Number | Text | Selector | Window | Subquery | Paren | Negate | Call | Aggregate | Operation


def bare(node: Node) -> Node:
    """The node without the parentheses around it."""
    while isinstance(node, Paren):
        node = node.expr
    return node
