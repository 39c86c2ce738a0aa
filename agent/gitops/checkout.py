"""A checkout of a repository, read once: every manifest in it, and where it stands.

Rules: only files below its root are read, never through a link that leads out of it; number and size are bounded, and
what is left out is said; a file that is no plain YAML (a Helm template) declares nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from tools import fields
from tools.documents import load_yaml_documents
from tools.errors import DocumentError, SettingsError
from tools.types import ResourceRef

MAX_FILES = 20_000
"""Manifests of one checkout that are read; large fleet repositories have a few thousand."""
MAX_BYTES = 2 << 20
SUFFIXES = (".yaml", ".yml")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
CHART = "Chart.yaml"
_LEFT_OUT = frozenset((".git", "node_modules", ".venv", "vendor", ".terraform"))


@dataclass(frozen=True, slots=True)
class Declared:
    """One object as a file declares it."""

    file: str
    """Relative to the root, with slashes."""
    document: int
    """Which non-empty document of the file."""
    ref: ResourceRef
    data: JsonValue


@dataclass(slots=True)
class Checkout:
    """What was read."""

    root: Path
    asked: str
    """The folder that was named, relative to the root; "" for the root itself."""
    texts: dict[str, str] = field(default_factory=dict)
    documents: dict[str, list[JsonValue]] = field(default_factory=dict)
    objects: list[Declared] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """Files that hold no plain YAML, with why."""
    charts: list[str] = field(default_factory=list)
    """Folders of Helm charts."""

    def below(self, folder: str) -> list[str]:
        """Files in a folder and those below it."""
        return [name for name in self.texts if not folder or name.startswith(f"{folder}/")]

    def kustomization(self, folder: str) -> str:
        """The kustomization file of a folder; "" where it has none."""
        names = (f"{folder}/{name}" if folder else name for name in KUSTOMIZATIONS)
        return next((name for name in names if name in self.texts), "")


def open_checkout(folder: Path) -> Checkout:
    """Read a checkout, from the root of its repository on. Raises SettingsError in one line."""
    if not folder.is_dir():
        raise SettingsError(f"{folder} is no folder", hint="give the folder of a checkout with --source")
    asked = folder.resolve()
    root = next((above for above in (asked, *asked.parents) if (above / ".git").exists()), asked)
    checkout = Checkout(root=root, asked="" if root == asked else asked.relative_to(root).as_posix())
    for path in _manifests(root):
        _read(checkout, path)
    if not checkout.texts and not checkout.unread:
        raise SettingsError(f"{folder} holds no manifest", hint="give the folder of a checkout with --source")
    return checkout


def _manifests(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, names, files in os.walk(root, followlinks=False):
        names[:] = sorted(name for name in names if name not in _LEFT_OUT)
        for name in sorted(files):
            path = Path(folder, name)
            wanted = path.suffix in SUFFIXES or name in KUSTOMIZATIONS
            if wanted and not path.is_symlink() and path.is_file():
                found.append(path)
            if len(found) > MAX_FILES:
                raise SettingsError(
                    f"{root} holds more than {MAX_FILES} manifests", hint="give a smaller folder with --source"
                )
    return found


def _read(checkout: Checkout, path: Path) -> None:
    name = path.relative_to(checkout.root).as_posix()
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            checkout.unread.append(f"{name}: larger than {MAX_BYTES >> 20} MiB")
            return
        text = body.decode()
        documents = load_yaml_documents(text, name=name)
    except (OSError, UnicodeDecodeError, DocumentError) as error:
        checkout.unread.append(f"{name}: {getattr(error, 'problem', '') or type(error).__name__}")
        return
    checkout.texts[name], checkout.documents[name] = text, documents
    if path.name == CHART:
        checkout.charts.append(path.parent.relative_to(checkout.root).as_posix())
    for number, data in enumerate(documents):
        ref = declared_ref(data)
        if ref is not None:
            checkout.objects.append(Declared(name, number, ref, data))


def declared_ref(data: JsonValue) -> ResourceRef | None:
    """What a document declares; None where it is no object."""
    kind, name = fields.text(data, "kind"), fields.text(data, "metadata", "name")
    api = fields.text(data, "apiVersion")
    if not kind or not name or not api:
        return None
    group, _, version = api.rpartition("/")
    namespace = fields.text(data, "metadata", "namespace") or None
    return ResourceRef(group=group, version=version, kind=kind, namespace=namespace, name=name)
