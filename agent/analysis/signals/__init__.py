"""Named signals: one test on one subject, shared by the cause it confirms and the neighbours it rules out.

A module here is found by itself: it declares `SIGNALS`, a map from name to a pure function
(View, ResourceRef) → Reading. Names are unique over all modules.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from agent.analysis.judging import Signal


@cache
def load() -> dict[str, Signal]:
    """All signals by name. Raises RuntimeError when two modules claim one name."""
    found: dict[str, Signal] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda i: i.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for name, signal in module.SIGNALS.items():
            if name in found:
                raise RuntimeError(f"signal {name!r} is declared twice")
            found[name] = signal
    return found
