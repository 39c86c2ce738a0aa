"""When a consultation closes (only an answer is wanted) and when it stops: calls, seconds, tokens, money, loops."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.llm.budget import CLOSE_AT, Budget
from agent.llm.memory import Memory
from agent.llm.types import Spent
from tools.limits import Meter

MAX_TURNS = 12
"""Replies of a model in one run."""
MAX_REASKS = 1
"""Times a model is asked again for a reply that could not be used."""
MAX_BARREN = 3
"""Replies in a row without anything new after which a model goes round in circles."""
LAST_SECONDS = 20.0
"""Seconds of a question from which only an answer is wanted."""
LEAST_SECONDS = 1.0
HOUR = 3_600.0


class Spending(Protocol):
    """Where tokens are counted over runs and processes."""

    def spend(self, at: float, tokens: int) -> None:
        """Count tokens."""
        ...

    def spent_since(self, at: float) -> int:
        """Tokens counted since a moment."""
        ...


@dataclass(frozen=True, slots=True)
class Hour:
    """The tokens that all questions of an installation may use in an hour."""

    store: Spending
    limit: int
    clock: Callable[[], float] = time.time
    """The host's own clock: this is bookkeeping of our spending, which --at and a world's date must not move."""

    def over(self, coming: int) -> str:
        """Why a request of `coming` tokens may not be sent; "" when it may."""
        used = self.store.spent_since(self.clock() - HOUR)
        if used + coming <= self.limit:
            return ""
        return f"{used:,} of the {self.limit:,} tokens of this hour are used (setting model_tokens_per_hour)"

    def add(self, spent: Spent) -> None:
        """Count what a request used."""
        self.store.spend(self.clock(), spent.input + spent.output)


def closing(memory: Memory, budget: Budget, meter: Meter, size: int) -> str:
    """Why only an answer is wanted now, a request of `size` tokens being due; "" while the model may go on."""
    if meter.calls >= meter.budget.calls:
        return f"all {meter.budget.calls} calls of this question are used"
    if meter.remaining < LAST_SECONDS:
        return f"the {meter.budget.seconds:g} s of this question are nearly over"
    if len(memory.turns) >= MAX_TURNS:
        return f"{MAX_TURNS} replies are enough for one question"
    if memory.reasked > MAX_REASKS:
        return "its calls could not be read"
    if memory.barren >= MAX_BARREN:
        return "the same things were asked again"
    if budget.share(memory.spent, size) >= CLOSE_AT:
        return "the budget of this question is nearly used"
    return ""


def stop(memory: Memory, budget: Budget, meter: Meter, hour: Hour, size: int, *, room: int) -> str:
    """Why no further request may be sent at all; "" when one may."""
    if memory.closing:
        return memory.notes[-1] if memory.notes else "the model gave no answer"
    if meter.remaining < LEAST_SECONDS:
        return f"the {meter.budget.seconds:g} s of this question are over"
    if size > room:
        return f"the case does not fit into the model's window ({size:,} of {room:,} tokens; setting model_window)"
    return budget.over(memory.spent, size) or hour.over(size)
