"""The causes Plumbline knows, one module each, found by themselves: agent/diagnosers/FAMILY/CAUSE.py."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import cast

from agent.analysis.diagnoser import Diagnoser


@cache
def load() -> dict[str, Diagnoser]:
    """All diagnosers by cause id, in order of id. Raises RuntimeError when two modules claim one cause."""
    found: dict[str, Diagnoser] = {}
    for family in pkgutil.iter_modules(__path__):
        package = importlib.import_module(f"{__name__}.{family.name}")
        for info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            cause = module.CAUSE.id
            if cause in found:
                raise RuntimeError(f"cause {cause} is declared twice")
            found[cause] = cast(Diagnoser, module)
    return dict(sorted(found.items()))
