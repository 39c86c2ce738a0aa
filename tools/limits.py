"""How much one question may cost: calls, seconds, and bytes over the wire.

Rules: a budget only ever shrinks; time is a monotonic clock handed in, never the wall clock; running out is a
refusal that says so, and never an exception that loses what was read before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tools.errors import Refused
from tools.types import BULK, INTERACTIVE, WireClass, WireLimits

MODEL_ROWS = 200
"""Rows of one piece of evidence rendered for a model; diagnosers see all of them."""
MODEL_BYTES = 8 << 10
"""Bytes of one piece of evidence rendered for a model."""
MAX_ROWS = 200_000
"""Rows one call may keep: twenty times the largest cluster we are measured on (10,000 pods)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Calls and seconds one question may use."""

    calls: int
    seconds: float


MODEL_BUDGET = Budget(calls=30, seconds=120.0)
"""What a language model may spend on a question."""
NEEDS_BUDGET = Budget(calls=200, seconds=60.0)
"""What the needs of the catalogue of causes may spend on a question."""


class Meter:
    """Counts one question's calls and seconds against its budget.

    `calls` and `seconds`: what an earlier part of the same run used, so that a resume begins no new budget. With
    `waiting` the time does not run before `begin`.
    """

    def __init__(
        self,
        budget: Budget = NEEDS_BUDGET,
        *,
        calls: int = 0,
        seconds: float = 0.0,
        waiting: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self.calls = calls
        self._clock = clock
        self._before = seconds
        self._start = None if waiting else clock()

    def begin(self) -> None:
        """Let the time run, if it does not yet."""
        if self._start is None:
            self._start = self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds used, earlier parts of the run included."""
        return self._before + (0.0 if self._start is None else self._clock() - self._start)

    @property
    def remaining(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.budget.seconds - self.elapsed)

    def charge(self) -> None:
        """Count one call. Raises Refused when the calls or the seconds are used up."""
        if self.calls >= self.budget.calls:
            raise Refused(f"all {self.budget.calls} calls of this question are used", hint="ask a narrower one")
        if self.remaining <= 0:
            raise Refused(f"the {self.budget.seconds:g} s of this question are over", hint="ask a narrower one")
        self.calls += 1

    def wire(self, wire: WireClass) -> WireLimits:
        """The limits for one call of that class: never later than the question's own end."""
        limits = INTERACTIVE if wire == "interactive" else BULK
        return replace(limits, seconds=min(limits.seconds, self.remaining))
