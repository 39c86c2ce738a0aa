"""Finds the tools: every module of tools.read and tools.write declares exactly one `TOOL`.

Rules: adding a tool is adding a file; two tools of one name, or a module without a tool, stop the program.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import cast

from pydantic import BaseModel

from tools import read, write
from tools.types import ToolSpec


@cache
def load() -> Mapping[str, ToolSpec[BaseModel]]:
    """All tools by name. Raises TypeError for a module without a proper TOOL, ValueError for a name used twice."""
    found: dict[str, ToolSpec[BaseModel]] = {}
    for package, effect in ((read, "read"), (write, "write")):
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            tool = getattr(module, "TOOL", None)
            if not isinstance(tool, ToolSpec) or tool.effect != effect:
                raise TypeError(f"{module.__name__} declares no TOOL of effect {effect}")
            if tool.name in found:
                raise ValueError(f"two tools are named {tool.name}")
            found[tool.name] = cast("ToolSpec[BaseModel]", tool)
    return MappingProxyType(found)
