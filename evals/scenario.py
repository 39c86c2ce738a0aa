"""Scenario files: one YAML document each, found by themselves under evals/scenarios."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from evals.types import Scenario
from evals.world.load import Blueprint, blueprint
from tools.documents import Lines, load_yaml_located, nearest
from tools.errors import DocumentError, UnknownName
from tools.types import JsonObject

M = TypeVar("M", bound=BaseModel)
FOLDER = Path(__file__).parent / "scenarios"


def load_file(path: Path) -> Scenario:
    """One scenario. Raises DocumentError with file, line and field."""
    text = path.read_text(encoding="utf-8")
    value, lines = load_yaml_located(text, name=path.name)
    if not isinstance(value, dict):
        raise DocumentError(path.name, 1, "", "a scenario is a mapping: name, world, question, expect")
    scenario = validated(Scenario, {"name": path.stem, **value}, lines, path.name)
    if scenario.name != path.stem:
        raise DocumentError(path.name, lines.get(("name",)), "name", f"must be the file's own name, {path.stem!r}")
    return scenario.beside(path.parent.absolute())


def validated(model: type[M], value: JsonObject, lines: Lines, file: str) -> M:
    """A document as a model. Raises DocumentError with file, line and field of the first thing wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = first["loc"]
        raise DocumentError(file, nearest(lines, place), ".".join(map(str, place)), str(first["msg"])) from None


def plan_of(scenario: Scenario) -> Blueprint:
    """The blueprint of its world. Raises UnknownName and DocumentError."""
    world, *overlays = scenario.layers
    return blueprint(world, overlays=overlays)


def load_all(pattern: str = "*", folder: Path = FOLDER) -> list[Scenario]:
    """Scenarios whose name or tag matches a shell pattern, by name. Raises UnknownName when none does."""
    every = [load_file(path) for path in sorted(folder.glob("*.yaml"))]
    chosen = [
        s for s in every if fnmatch.fnmatchcase(s.name, pattern) or any(fnmatch.fnmatchcase(t, pattern) for t in s.tags)
    ]
    if not chosen:
        raise UnknownName("scenario", pattern, [s.name for s in every] + [t for s in every for t in s.tags])
    return chosen
