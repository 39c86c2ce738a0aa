"""Graders: pure functions from a scenario and a run record to a grade, one file each, found by themselves.

A module declares `GRADE`, a function (Scenario, RunRecord) → Grade. None calls a model, none does I/O.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache

from evals.types import Grade, RunRecord, Scenario

Grader = Callable[[Scenario, RunRecord], Grade]


@cache
def load() -> dict[str, Grader]:
    """All graders by module name."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").GRADE for name in names}
