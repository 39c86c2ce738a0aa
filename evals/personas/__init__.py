"""Scripted models by name, one file each, found by themselves. A module declares `PERSONA`, (seed) → Script.

Rules: a persona sees what a model sees, the messages and tools of one request; given its seed and the requests so
far, it always says the same; none does I/O.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache

from evals.servers.model.script import Script
from tools.errors import UnknownName

Persona = Callable[[int], Script]


@cache
def _every() -> dict[str, Persona]:
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").PERSONA for name in names}


def names() -> list[str]:
    """Names of all personas."""
    return list(_every())


def load(name: str, *, seed: int = 0) -> Script:
    """A fresh persona. Raises UnknownName."""
    if name not in _every():
        raise UnknownName("persona", name, names())
    return _every()[name](seed)
