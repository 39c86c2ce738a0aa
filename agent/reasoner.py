"""What drives a run: one protocol, whether rules or a language model stand behind it.

A reasoner may only produce ToolCalls, words, and choices of scope and families; it judges nothing (diagnosers do)
and touches nothing (the gate does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.analysis.diagnoser import Diagnoser
from agent.types import Diagnosis, Intent
from tools.types import ApiResource, Scope, ToolCall


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of the target before anything is read for the question."""

    served: Mapping[tuple[str, str], ApiResource]
    """(group, kind) → resource."""
    metrics: bool
    """True when a Prometheus can be asked."""
    diagnosers: Mapping[str, Diagnoser] = field(default_factory=dict)


class Reasoner(Protocol):
    """Plans reads and words answers."""

    name: str

    def plan(self, intent: Intent, scope: Scope, ground: Ground) -> list[ToolCall]:
        """The calls that the question needs, each once. A plan may add to the needs of causes, never take away."""
        ...

    def narrate(self, diagnosis: Diagnosis) -> str:
        """A few sentences over the findings; every fact in them stands in the diagnosis."""
        ...

    def suggest(self, diagnosis: Diagnosis) -> Sequence[str]:
        """What can be asked next, ready to type."""
        ...
