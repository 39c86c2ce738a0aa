"""The worlds that come with Plumbline, by name."""

from __future__ import annotations

from pathlib import Path

from tools import fields
from tools.documents import load_yaml

FOLDER = Path(__file__).parent.parent / "worlds"


def worlds(folder: Path = FOLDER) -> list[tuple[str, str]]:
    """(name, description) of each world folder, by name."""
    found: list[tuple[str, str]] = []
    for path in sorted(folder.glob("*/world.yaml")):
        document = load_yaml(path.read_text(encoding="utf-8"), name=str(path))
        found.append((path.parent.name, fields.text(document, "description")))
    return found
