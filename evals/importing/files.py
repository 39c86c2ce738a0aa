"""The files of a case, sorted by how they are read; bounded, and never outside the folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evals.importing.case import FILE
from evals.importing.described import is_described
from evals.recording.writer import LeftOut
from tools.errors import SettingsError

MAX_FILES, MAX_BYTES = 20_000, 1 << 30
"""Files of a case, and bytes of all of them."""
HEAD = 4096
"""Bytes of a text that tell what it is."""
METRICS = (".om", ".prom", ".openmetrics", ".metrics")


@dataclass(slots=True)
class Files:
    """What is in a folder."""

    folder: Path
    manifests: list[Path] = field(default_factory=list)
    csv: list[Path] = field(default_factory=list)
    metrics: list[Path] = field(default_factory=list)
    described: list[Path] = field(default_factory=list)
    """What begins as the texts of `kubectl describe` do."""
    texts: list[Path] = field(default_factory=list)
    """All else, such as logs."""
    left_out: list[LeftOut] = field(default_factory=list)

    def name(self, path: Path) -> str:
        """A path as reports name it."""
        return path.relative_to(self.folder).as_posix()

    def read(self, paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
        """(name, text) of each; what is no UTF-8 has marks for the bytes that are none."""
        for path in paths:
            yield self.name(path), path.read_text(encoding="utf-8-sig", errors="replace")


def walk(folder: Path) -> Files:
    """Every file of a folder, by name. Raises SettingsError where there are too many, or one cannot be read."""
    found, count, total = Files(folder), 0, 0
    for path in _paths(folder):
        if path.is_symlink() or not path.is_file():
            found.left_out.append(LeftOut(found.name(path), "links and devices are not read"))
            continue
        if not os.access(path, os.R_OK):
            raise SettingsError(f"cannot read {path}", hint="take it out of the folder, or allow reading it")
        count, total = count + 1, total + path.stat().st_size
        if count > MAX_FILES or total > MAX_BYTES:
            limit = f"{MAX_FILES:,} files or {MAX_BYTES >> 20:,} MiB"
            raise SettingsError(f"{folder} holds more than {limit}", hint="import a part of it")
        if path != folder / FILE:
            _list_of(path, found).append(path)
    return found


def _list_of(path: Path, found: Files) -> list[Path]:
    suffix = path.suffix.lower()
    if suffix in (".json", ".yaml", ".yml"):
        return found.manifests
    if suffix == ".csv":
        return found.csv
    if suffix in METRICS:
        return found.metrics
    with path.open("rb") as file:
        return found.described if is_described(file.read(HEAD)) else found.texts


def _paths(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(parent) / name
        for name in folders:
            if (Path(parent) / name).is_symlink():
                yield Path(parent) / name
