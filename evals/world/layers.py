"""One folder of a world, read and checked: its settings, object documents, metric specs, logs and reactions.

Rules: a folder is read once per process and content; every mistake is a DocumentError with file, line and field;
nothing outside the folder is read, and files, sizes and counts are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from evals.world.manifests import Identity, identity_of
from evals.world.places import Place
from evals.world.templates import copies
from tools.documents import load_yaml_documents_located
from tools.errors import DocumentError, UnknownName

WORLDS = Path(__file__).resolve().parent.parent / "worlds"
MAX_FILE = 8 << 20
MAX_FILES = 2_000
MAX_LOG = 16 << 20
MAX_LAYERS = 16

SETTINGS = (
    "name",
    "description",
    "extends",
    "recorded",
    "now",
    "kubernetes",
    "prometheus",
    "sample_interval",
    "access",
    "alerts",
    "faults",
    "definitions",
)


@dataclass(frozen=True, slots=True)
class Document:
    """One object document after its templates were filled in; it may be a whole object or a patch."""

    identity: Identity
    place: Place


@dataclass(frozen=True, slots=True)
class Layer:
    """One parsed folder."""

    name: str
    folder: Path
    settings: Place
    documents: tuple[Document, ...]
    metrics: tuple[Place, ...]
    recordings: tuple[Path, ...]
    """Files of samples: OpenMetrics text, or the compact form."""
    logs: tuple[Path, ...]
    reactions: tuple[Place, ...]


_cache: dict[tuple[tuple[str, int, int], ...], Layer] = {}


def known_worlds() -> list[str]:
    """Names of the worlds that ship with the evals."""
    return sorted(entry.parent.name for entry in WORLDS.glob("*/world.yaml"))


def folder_of(name_or_path: str, beside: Path | None = None) -> Path:
    """The folder of a world: a path, a neighbour of another world, or a shipped name. Raises UnknownName."""
    direct = Path(name_or_path)
    candidates = [direct] if "/" in name_or_path or direct.is_absolute() else []
    if beside is not None:
        candidates.append(beside.parent / name_or_path)
    if "/" not in name_or_path:
        candidates += [WORLDS / name_or_path]
    for folder in candidates:
        if (folder / "world.yaml").is_file():
            return folder.resolve()
    raise UnknownName("world", name_or_path, known_worlds())


def read_layer(folder: Path) -> Layer:
    """The folder's layer, from the cache when no file of it has changed. Raises DocumentError."""
    files = _files(folder)
    key = tuple((str(path), stat.st_mtime_ns, stat.st_size) for path in files for stat in (path.stat(),))
    layer = _cache.get(key)
    if layer is None:
        if len(_cache) > 512:
            _cache.clear()
        layer = _cache[key] = _read(folder, files)
    return layer


def _files(folder: Path) -> list[Path]:
    files = [folder / "world.yaml"]
    for extra in ("reactions.yaml",):
        if (folder / extra).is_file():
            files.append(folder / extra)
    for pattern in (
        "objects/*.yaml",
        "metrics/*.yaml",
        "metrics/*.om",
        "metrics/*.samples",
        "metrics/*.samples.gz",
        "logs/*/*/*.log",
        "logs/*/*/*/*.log",
    ):
        files += sorted(folder.glob(pattern))
    if len(files) > MAX_FILES:
        raise DocumentError(str(folder), None, "", f"{len(files)} files; a world has at most {MAX_FILES}")
    return files


def _read(folder: Path, files: list[Path]) -> Layer:
    def within(part: str) -> list[Path]:
        return [path for path in files if path.relative_to(folder).parts[0] == part]

    settings = _one(folder / "world.yaml", folder)
    settings.only(SETTINGS)
    documents: list[Document] = []
    for path in within("objects"):
        for document in _all(path, folder):
            documents.extend(_objects(document))
    metrics = within("metrics")
    return Layer(
        name=settings.at("name").text(folder.name),
        folder=folder,
        settings=settings,
        documents=tuple(documents),
        metrics=tuple(p for path in metrics if path.suffix == ".yaml" for p in _all(path, folder)),
        recordings=tuple(path for path in metrics if path.suffix != ".yaml"),
        logs=tuple(within("logs")),
        reactions=tuple(p for path in within("reactions.yaml") for p in _one(path, folder).items()),
    )


def _all(path: Path, folder: Path) -> list[Place]:
    name = f"{folder.name}/{path.relative_to(folder)}"
    return [
        Place(name, lines, (), value)
        for value, lines in load_yaml_documents_located(read_text(path, name), name=name, max_bytes=MAX_FILE)
    ]


def _one(path: Path, folder: Path) -> Place:
    places = _all(path, folder)
    if len(places) != 1:
        raise DocumentError(f"{folder.name}/{path.name}", None, "", "exactly one document is wanted here")
    return places[0]


def read_text(path: Path, name: str, limit: int = MAX_FILE) -> str:
    """A text file of bounded size. Raises DocumentError."""
    try:
        if path.stat().st_size > limit:
            raise DocumentError(name, None, "", f"larger than {limit:,} bytes")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(name, None, "", f"not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise DocumentError(name, None, "", f"cannot be read: {error.strerror}") from None


def _objects(document: Place) -> list[Document]:
    if isinstance(document.value, list):
        return [made for entry in document.items() for made in _objects(entry)]
    if document.mapping().get("kind") == "List" and document.at("items").value is not None:
        return [made for entry in document.at("items").items() for made in _objects(entry)]
    out = []
    for body in copies(document):
        place = Place(document.file, document.lines, document.path, body)
        try:
            out.append(Document(identity_of(body), place))
        except ValueError as error:
            place.fail(str(error))
    return out


def chain(folder: Path) -> list[Layer]:
    """The layers of a world from its base up. Raises DocumentError on a cycle, UnknownName on a missing base."""
    out: list[Layer] = []
    seen: list[Path] = []
    current: Path | None = folder
    while current is not None:
        if current in seen or len(seen) >= MAX_LAYERS:
            names = " → ".join(path.name for path in (*seen, current))
            out[-1].settings.at("extends").fail(f"worlds extend each other in a circle: {names}")
        seen.append(current)
        layer = read_layer(current)
        out.append(layer)
        base: JsonValue = layer.settings.at("extends").value
        current = folder_of(layer.settings.at("extends").text(), current) if base is not None else None
    return out[::-1]
