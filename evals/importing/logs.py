"""Logs of containers: whose they are is told by the path, or by the marks that `kubectl cluster-info dump` writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath

from tools import fields
from tools.types import JsonObject

Key = tuple[str, str, str]
"""(namespace, pod, container or container/previous)."""
_MARK = re.compile(rb"(?m)^==== START logs for container (\S+) of pod ([^/\s]+)/(\S+) ====\n")
_END = re.compile(rb"(?m)^==== END logs for container .*\n?")
_KUBELET = re.compile(r"([a-z0-9.-]+)_([a-z0-9.-]+)_[0-9a-f-]{8,}")
_LINK = re.compile(r"([a-z0-9.-]+)_([a-z0-9.-]+)_([a-z0-9.-]+)-[0-9a-f]{64}")
_CRI = re.compile(rb"(?m)^(\S+) (?:stdout|stderr) [FP] ")


def logs(path: PurePath, raw: bytes, pods: Mapping[str, list[JsonObject]]) -> Iterator[tuple[Key, bytes]]:
    """Every log in a file, none where it is not clear whose it is. `path` is relative; `pods` by name."""
    if is_dump(raw):
        yield from _dumped(raw)
        return
    key = _named(path, pods)
    if key is not None:
        yield key, _CRI.sub(rb"\1 ", raw)


def is_dump(raw: bytes) -> bool:
    """True for a file of a dump, whose logs may all be empty."""
    return _MARK.search(raw) is not None


def _dumped(raw: bytes) -> Iterator[tuple[Key, bytes]]:
    """The parts of a file of a dump."""
    pieces = _MARK.split(raw)[1:]
    for container, namespace, pod, text in zip(pieces[::4], pieces[1::4], pieces[2::4], pieces[3::4], strict=True):
        body = _END.split(text)[0]
        if body.strip():
            yield (namespace.decode(), pod.decode(), container.decode()), body


def _named(path: PurePath, pods: Mapping[str, list[JsonObject]]) -> Key | None:
    """Whose log this is by its path: forms are in docs/importing-cases.md."""
    parts = path.parts
    stem = path.name.removesuffix(".log").removesuffix(".txt")
    if match := _LINK.fullmatch(stem):
        return match[2], match[1], match[3]
    if len(parts) >= 3 and (match := _KUBELET.fullmatch(parts[-3])) and stem.isdecimal():
        return match[1], match[2], parts[-2]
    if len(parts) >= 4 and stem == "previous" and _is_pod(parts[-3], parts[-4], pods):
        return parts[-4], parts[-3], f"{parts[-2]}/previous"
    name, _, previous = stem.partition(".")
    suffix = "/previous" if previous == "previous" else ""
    if len(parts) >= 3 and (not previous or suffix) and _is_pod(parts[-2], parts[-3], pods):
        return parts[-3], parts[-2], name + suffix
    return _of_a_pod(stem, pods)


def _is_pod(name: str, namespace: str, pods: Mapping[str, list[JsonObject]]) -> bool:
    """True for a pod that is known; where no pod is, for every name."""
    return not pods or any(fields.text(one, "metadata", "namespace") == namespace for one in pods.get(name, ()))


def _of_a_pod(stem: str, pods: Mapping[str, list[JsonObject]]) -> Key | None:
    """`POD`, `POD-CONTAINER` or `POD_CONTAINER`, with `.previous` or `-previous` behind, of a pod that is known."""
    base = re.sub(r"[.-]previous$", "", stem)
    suffix = "/previous" if base != stem else ""
    found = set[Key]()
    for name, bodies in pods.items():
        rest = base.removeprefix(name)
        if rest == base or len(bodies) != 1:
            continue
        containers = list(_containers(bodies[0]))
        namespace = fields.text(bodies[0], "metadata", "namespace")
        if not rest and len(containers) == 1:
            found.add((namespace, name, containers[0] + suffix))
        elif rest[:1] in ("-", "_", ".") and rest[1:] in containers:
            found.add((namespace, name, rest[1:] + suffix))
    return found.pop() if len(found) == 1 else None


def _containers(pod: JsonObject) -> Iterator[str]:
    for key in ("initContainers", "containers"):
        yield from (fields.text(one, "name") for one in fields.items(pod, "spec", key))


def by_name(objects: Iterable[JsonObject]) -> dict[str, list[JsonObject]]:
    """The pods among objects, by their names."""
    found: dict[str, list[JsonObject]] = {}
    for body in objects:
        if body.get("kind") == "Pod":
            found.setdefault(fields.text(body, "metadata", "name"), []).append(body)
    return found
