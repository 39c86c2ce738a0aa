"""Finds what there is: the tools of tools.read and tools.draft (one `TOOL` a module), the changes of tools.write.

Rules: adding a tool or a change is adding a file; two of one name, or a module that declares none, stop the program.
A change is no tool: it can be proposed, and nothing here can call it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import cast

from pydantic import BaseModel

from tools import draft, read, write
from tools.changes import ChangeArgs, ChangeSpec
from tools.types import ToolSpec


@cache
def load() -> Mapping[str, ToolSpec[BaseModel]]:
    """All tools by name. Raises TypeError for a module without a proper TOOL, ValueError for a name used twice."""
    found: dict[str, ToolSpec[BaseModel]] = {}
    for package, effect in ((read, "read"), (draft, "draft")):
        for module in _modules(package):
            tool = getattr(module, "TOOL", None)
            if not isinstance(tool, ToolSpec) or tool.effect != effect:
                raise TypeError(f"{module.__name__} declares no TOOL of effect {effect}")
            if tool.name in found:
                raise ValueError(f"two tools are named {tool.name}")
            found[tool.name] = cast("ToolSpec[BaseModel]", tool)
    return MappingProxyType(found)


@cache
def changes() -> Mapping[str, ChangeSpec[ChangeArgs]]:
    """The catalogue of changes by name. Raises TypeError for a module without a CHANGE, ValueError as `load`."""
    found: dict[str, ChangeSpec[ChangeArgs]] = {}
    for module in _modules(write):
        change = getattr(module, "CHANGE", None)
        if not isinstance(change, ChangeSpec):
            raise TypeError(f"{module.__name__} declares no CHANGE")
        if change.name in found:
            raise ValueError(f"two changes are named {change.name}")
        found[change.name] = cast("ChangeSpec[ChangeArgs]", change)
    return MappingProxyType(found)


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        yield importlib.import_module(f"{package.__name__}.{info.name}")
