"""The states of a proposal and what may follow what. Everything that affects the state machine stands in this table.

Rules: a state changes only by a transition of the table, and only by compare-and-set in the store; a final state has
no transition; the diagram in the docs is made from the table.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

State: TypeAlias = Literal[
    "draft",
    "previewed",
    "awaiting approval",
    "approved",
    "claimed",
    "applying",
    "applied",
    "verified",
    "needs human",
    "undone",
    "refused",
    "rejected",
    "expired",
    "stale",
    "revoked",
    "unknown",
]
Move: TypeAlias = Literal[
    "preview",
    "submit",
    "approve",
    "reject",
    "revoke",
    "expire",
    "refuse",
    "go stale",
    "claim",
    "release",
    "write",
    "done",
    "lose",
    "adopt",
    "pass",
    "escalate",
    "undo",
]
TRANSITIONS: dict[tuple[State, Move], State] = {
    ("draft", "preview"): "previewed",
    ("draft", "refuse"): "refused",
    ("draft", "reject"): "rejected",
    ("previewed", "submit"): "awaiting approval",
    ("previewed", "go stale"): "stale",
    ("previewed", "expire"): "expired",
    ("previewed", "reject"): "rejected",
    ("awaiting approval", "approve"): "approved",
    ("awaiting approval", "reject"): "rejected",
    ("awaiting approval", "revoke"): "revoked",
    ("awaiting approval", "expire"): "expired",
    ("awaiting approval", "go stale"): "stale",
    ("approved", "revoke"): "revoked",
    ("approved", "expire"): "expired",
    ("approved", "claim"): "claimed",
    ("claimed", "release"): "approved",
    ("claimed", "revoke"): "revoked",
    ("claimed", "expire"): "expired",
    ("claimed", "go stale"): "stale",
    ("claimed", "refuse"): "refused",
    ("claimed", "write"): "applying",
    ("applying", "done"): "applied",
    ("applying", "release"): "claimed",
    ("applying", "go stale"): "stale",
    ("applying", "refuse"): "refused",
    ("applying", "lose"): "unknown",
    ("unknown", "adopt"): "applied",
    ("unknown", "escalate"): "needs human",
    ("applied", "pass"): "verified",
    ("applied", "escalate"): "needs human",
    ("applied", "undo"): "undone",
    ("verified", "undo"): "undone",
    ("needs human", "undo"): "undone",
}
FINAL: frozenset[State] = frozenset(get_args(State)) - {source for source, _ in TRANSITIONS}
"""States that nothing follows."""
OPEN: frozenset[State] = frozenset({"previewed", "awaiting approval", "approved", "claimed", "applying", "unknown"})
"""States in which a proposal holds its object: no other proposal on it may be previewed meanwhile."""
TAKES_EFFECT: frozenset[State] = frozenset({"applying", "applied", "verified", "needs human", "undone", "unknown"})
"""States in which a write may have reached the cluster."""


class NotAllowed(ValueError):
    """A move that the table does not have."""


def after(state: State, move: Move) -> State:
    """The state that follows. Raises NotAllowed."""
    try:
        return TRANSITIONS[state, move]
    except KeyError:
        raise NotAllowed(f"a proposal that is {state} cannot {move}") from None


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "  [*] --> draft"]
    lines += [f"  {_node(source)} --> {_node(target)}: {move}" for (source, move), target in TRANSITIONS.items()]
    lines += [f"  {_node(state)} --> [*]" for state in get_args(State) if state in FINAL]
    return "\n".join(lines)


def _node(state: State) -> str:
    return state.replace(" ", "_")
