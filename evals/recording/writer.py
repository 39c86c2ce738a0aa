"""Writes a world folder from what was read: objects, series, logs, alerts, and a report of what is not in it.

Rules: everything passes the redaction here, whoever calls; equal input gives equal bytes; a folder that holds
something is never touched; files are written beside and renamed, so that a folder is whole or absent.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import JsonValue

from evals.recording.redacting import Redacting
from evals.recording.timing import relative_time, relative_times
from evals.world.layers import MAX_LOG
from evals.world.manifests import Identity, identity_of, mapping, printed
from evals.world.model import Key, RawSeries, key_of
from evals.world.samples import written
from evals.world.times import offset_of, stamp
from tools.errors import SettingsError
from tools.types import JsonObject

OBJECTS_BYTES = 4 << 20
"""Bytes of one file of objects; a world's file has at most 8 MiB."""
SAMPLES_BYTES = 128 << 20
"""Bytes of one file of samples before it is packed; a world reads at most 256 MiB of one."""
_SAFE = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9_.]{0,251}[a-zA-Z0-9])?")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_GROUP = re.compile(r"(?:[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?){0,20})?")
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something a world does not hold, and why."""

    what: str
    why: str


@dataclass(slots=True)
class Recorded:
    """What a world is written from. Times inside objects are absolute (RFC 3339), those of series Unix seconds."""

    description: str
    now: int
    """The moment of recording, Unix seconds."""
    kubernetes: str = "1.36"
    prometheus: str = "3.x"
    sample_interval: float = 30.0
    objects: list[JsonObject] = field(default_factory=list)
    """Whole manifests, events among them."""
    series: list[RawSeries] = field(default_factory=list)
    """One entry a series; labels include __name__, times ascend."""
    logs: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    """(namespace, pod, container or container/previous) → log."""
    definitions: list[JsonObject] = field(default_factory=list)
    """Kinds beyond the built-in ones: {group, version, kind, plural, namespaced}."""
    alerts: list[JsonObject] = field(default_factory=list)
    faults: list[JsonObject] = field(default_factory=list)
    access: JsonObject = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a recording."""

    folder: Path
    objects: int
    series: int
    samples: int
    logs: int
    redacted: int
    """Values replaced by pseudonyms."""
    left_out: tuple[LeftOut, ...]


def check_free(folder: Path) -> None:
    """Raises SettingsError where something stands already, or where nothing can be put."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise SettingsError(f"{folder} holds something already", hint="name a new folder; nothing is ever overwritten")
    if not folder.parent.is_dir():
        raise SettingsError(f"there is no folder {folder.parent}", hint="make it first")


def write_world(folder: Path, recorded: Recorded) -> Written:
    """Write the folder whole, or leave nothing. Raises SettingsError where it exists or the disk refuses."""
    check_free(folder)
    try:
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise SettingsError(f"{folder.parent} cannot be written: {error.strerror}") from None
    try:
        done = _Writing(beside, recorded).run()
        beside.chmod(0o755)
        os.rename(beside, folder)
        return replace(done, folder=folder)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already where all went well


class _Writing:
    """One folder on its way."""

    def __init__(self, folder: Path, recorded: Recorded) -> None:
        self._folder, self._recorded = folder, recorded
        self._redacting = Redacting()
        self._left_out = list(recorded.left_out)

    def run(self) -> Written:
        """Write everything."""
        recorded = self._recorded
        objects = self._objects()
        series = self._series()
        logs = self._logs()
        self._settings()
        done = Written(
            folder=self._folder,
            objects=objects,
            series=len(series),
            samples=sum(len(one.times) for one in series),
            logs=logs,
            redacted=self._redacting.replaced,
            left_out=tuple(sorted(set(self._left_out), key=lambda one: (one.what, one.why))),
        )
        self._put("report.json", json.dumps(report(done, recorded), indent=2, ensure_ascii=False) + "\n")
        return done

    def _put(self, name: str, text: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "replace"))

    def _objects(self) -> int:
        whole: dict[Identity, JsonObject] = {}
        for body in self._recorded.objects:
            try:
                identity = identity_of(body)
            except ValueError as error:
                self._left_out.append(LeftOut("an object", str(error)))
                continue
            shown = self._redacting.body(body)
            why = "Secrets are never recorded" if shown is None else unwritable(shown)
            if not (_KIND.fullmatch(identity[1]) and _GROUP.fullmatch(identity[0])):
                why = "its kind is no name of a kind"  # it names a file
            if shown is None or why:
                self._left_out.append(LeftOut(printed(identity), why))
            else:
                # Without it a world would add the usual writers of its own objects.
                mapping(shown, "metadata").setdefault("managedFields", [])
                whole[identity] = shown
        files: dict[str, list[str]] = {}
        sizes: dict[str, int] = {}
        for identity in sorted(whole):
            base = ".".join(filter(None, (identity[1], identity[0])))
            text = as_yaml(relative_times(whole[identity], self._recorded.now))
            sizes[base] = sizes.get(base, 0) + len(text.encode("utf-8", "replace")) + 5
            number = sizes[base] // OBJECTS_BYTES
            name = f"objects/{base}{f'-{number}' if number else ''}.yaml"
            files.setdefault(name, []).append(text)
        for name, texts in files.items():
            self._put(name, "\n---\n".join(texts) + "\n")
        return len(whole)

    def _series(self) -> list[RawSeries]:
        unique: dict[Key, RawSeries] = {}
        for one in self._recorded.series:
            labels = self._redacting.labels(dict(one.labels))
            unique.setdefault(key_of(labels), replace(one, labels=labels))
        for number, text in enumerate(_parts(written(unique.values(), self._recorded.now))):
            path = self._folder / "metrics" / f"recorded-{number}.samples.gz"
            path.parent.mkdir(exist_ok=True)
            packed = io.BytesIO()
            with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0, compresslevel=6) as stream:
                stream.write(text.encode("utf-8", "replace"))
            path.write_bytes(packed.getvalue())
        return list(unique.values())

    def _logs(self) -> int:
        count = 0
        for (namespace, pod, container), raw in sorted(self._recorded.logs.items()):
            name, _, previous = container.partition("/")
            what = f"log of {namespace}/{pod}/{container}"
            if not all(_SAFE.fullmatch(part) for part in (namespace, pod, name)) or previous not in ("", "previous"):
                self._left_out.append(LeftOut(what, "its name is no name of a container"))
                continue
            if len(raw) > MAX_LOG // 2:
                self._left_out.append(LeftOut(what, f"only its last {MAX_LOG // 2:,} bytes were kept"))
            text = raw[-(MAX_LOG // 2) :].decode("utf-8", "replace")
            lines = self._redacting.text(text).split("\n")
            self._put(f"logs/{namespace}/{pod}/{container}.log", "\n".join(self._line(line) for line in lines))
            count += 1
        return count

    def _line(self, line: str) -> str:
        first, space, rest = line.partition(" ")
        moment = relative_time(first, self._recorded.now)
        return f"{moment.removeprefix('@')}{space}{rest}" if moment.startswith("@@") and space else line

    def _settings(self) -> None:
        recorded = self._recorded
        settings: dict[str, JsonValue] = {
            "description": self._redacting.text(recorded.description),
            "recorded": True,
            "now": stamp(recorded.now),
            "kubernetes": recorded.kubernetes,
            "prometheus": recorded.prometheus,
            "sample_interval": f"{recorded.sample_interval:g}s",
        }
        rows = {"definitions": recorded.definitions, "alerts": recorded.alerts, "faults": recorded.faults}
        for name, entries in rows.items():
            shown = [kept for entry in entries if (kept := self._redacting.body(entry)) is not None]
            if shown:
                settings[name] = relative_times(list(shown), recorded.now)
        if recorded.access:
            settings["access"] = recorded.access
        self._put("world.yaml", "".join(f"{key}: {as_yaml(value)}\n" for key, value in settings.items()))


def _parts(lines: Iterator[str]) -> Iterator[str]:
    """Lines gathered into files."""
    held: list[str] = []
    size = 0
    for line in lines:
        if held and size + len(line) > SAMPLES_BYTES:
            yield "".join(held)
            held, size = [], 0
        held.append(line)
        size += len(line)
    if held:
        yield "".join(held)


def as_yaml(value: JsonValue) -> str:
    """JSON that every YAML reader takes for the same data: characters YAML calls line breaks are escaped."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1 if isinstance(value, dict) else None)
    return _BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def unwritable(body: JsonObject) -> str:
    """Why an object would mean something else in a world; "" where it would not."""
    stack: list[JsonValue] = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            odd = next((key for key in node if key.startswith("$")), None)
            if odd is not None:
                return f"its field {odd[:40]} would be a directive of a world"
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        elif offset_of(node) is not None:
            return f"its value {str(node)[:40]} would be a time of a world"
    return ""


def report(done: Written, recorded: Recorded) -> dict[str, JsonValue]:
    """What the folder holds, and what it does not and why."""
    counts: Mapping[str, int] = {
        "objects": done.objects,
        "series": done.series,
        "samples": done.samples,
        "logs": done.logs,
        "redacted values": done.redacted,
    }
    rows: Sequence[JsonValue] = [{"what": one.what, "why": one.why} for one in done.left_out]
    return {"recorded": stamp(recorded.now), **counts, "left out": list(rows)}
