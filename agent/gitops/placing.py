"""Where in a checkout an object is declared, and in which file a field of it has to be changed.

Rules: one place or none: where several would do, the reader is asked for a narrower folder; a field is changed where
it is set last (the overlay before the base); a base that others build from is never changed for one of them; what the
source says must be what the cluster says, or the two have drifted and nothing is written.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import JsonValue

from agent.gitops import kustomize
from agent.gitops.checkout import Checkout
from agent.gitops.fields import FieldEdit, Named, Path, agrees, located, value_in
from agent.gitops.kustomize import Built
from tools import fields
from tools.errors import Refused
from tools.types import JsonObject, ResourceRef
from tools.yamledit import Edit

MAX_NAMED = 5
"""Places named in a refusal."""
MAX_SAID = 80
"""Characters of a value in a refusal."""
_PLAIN = re.compile(r"[A-Za-z0-9.*|/-]{0,100}")
"""Regular expressions that are tried: names, `.*` and `|`, which cannot take long."""


Spot: TypeAlias = tuple[str, int, Edit]
"""File, document and edit: what `Changes.add` takes."""


@dataclass(slots=True)
class Changes:
    """What is to be changed: edits by file and document, and files that are new."""

    edits: dict[str, list[tuple[int, Edit]]] = field(default_factory=dict)
    new: dict[str, JsonValue] = field(default_factory=dict)

    def add(self, file: str, document: int, edit: Edit) -> None:
        """One more edit."""
        self.edits.setdefault(file, []).append((document, edit))


def find(checkout: Checkout, target: ResourceRef) -> Built:
    """Where the object is declared. Raises Refused where it is nowhere, or in several places."""
    found = [one for one in kustomize.everything(checkout) if one.is_target(target)]
    narrowed = [one for one in found if _asked_for(checkout, one)]
    if not narrowed:
        helm = f"; its charts ({', '.join(checkout.charts[:MAX_NAMED])}) are templates" if checkout.charts else ""
        lost = [name for name in checkout.unread if not any(name.startswith(f"{c}/") for c in checkout.charts)]
        unread = f"; not read: {'; '.join(lost[:MAX_NAMED])}" if lost else ""
        where = checkout.asked or "the checkout"
        raise Refused(f"{target} is declared nowhere in {where}{helm}{unread}", hint="change it where it is declared")
    if len(narrowed) > 1:
        places = ", ".join(sorted({one.chain[0] if one.chain else one.declared.file for one in narrowed})[:MAX_NAMED])
        raise Refused(f"{target} is declared in several places: {places}", hint="name one of them with --source")
    return narrowed[0]


def _asked_for(checkout: Checkout, one: Built) -> bool:
    top = one.chain[0] if one.chain else posixpath.dirname(one.declared.file)
    return not checkout.asked or top == checkout.asked or top.startswith(f"{checkout.asked}/")


def place(checkout: Checkout, found: Built, edits: Sequence[FieldEdit]) -> Changes:
    """Each edit in the file where it belongs. Raises Refused in one line."""
    changes = Changes()
    built = [one for top in kustomize.tops(checkout) for one in kustomize.build(checkout, top)]
    for edit in edits:
        overlays = ((folder, _in_overlay(checkout, folder, found, edit)) for folder in found.chain)
        folder, spot = next(((folder, spot) for folder, spot in overlays if spot is not None), (None, None))
        if _is_shared(built, found, folder):
            _as_patch(checkout, found, edit, changes)
        else:
            own = found.declared
            changes.add(*(spot or _in_document(own.file, own.document, own.data, edit)))
    return changes


def _is_shared(built: Sequence[Built], found: Built, folder: str | None) -> bool:
    """True where what sets a field, an overlay or else the declaration, is built into more than one thing."""
    if folder is None:
        return sum(one.declared == found.declared for one in built) > 1
    return len({one.chain[0] for one in built if folder in one.chain}) > 1


# --- in a manifest -----------------------------------------------------------------------------------------------


def _in_document(file: str, document: int, data: JsonValue, edit: FieldEdit) -> Spot:
    """Where a manifest or strategic merge patch has the field. Raises Refused where it cannot have it, or drifted."""
    try:
        path, there = located(data, edit.path)
    except KeyError as missing:
        raise Refused(f"{file} has no {missing.args[0]} in {edit}", hint="add it there by hand") from None
    if there:
        _check_drift(file, value_in(data, path), edit)
    return file, document, Edit(path, edit.value, remove=edit.value is None)


def _check_drift(file: str, standing: JsonValue, edit: FieldEdit) -> None:
    """Raises Refused where the source says another value than the cluster."""
    if not agrees(standing, edit.before):
        said, live = (json.dumps(value, ensure_ascii=False) for value in (standing, edit.before))
        raise Refused(
            f"{file} says {edit} is {_short(said)}, and the cluster says {_short(live)}: they have drifted",
            hint="let the source be applied first",
        )


def _short(text: str) -> str:
    return text if len(text) <= MAX_SAID else f"{text[:MAX_SAID]}…"


# --- in an overlay -----------------------------------------------------------------------------------------------


def _in_overlay(checkout: Checkout, folder: str, found: Built, edit: FieldEdit) -> Spot | None:
    """Where the kustomization of a folder sets the field; None where it does not."""
    data = kustomize.kustomization(checkout, folder)
    name = checkout.kustomization(folder)
    if edit.path == ("spec", "replicas"):
        for at, entry in enumerate(fields.items(data, "replicas")):
            if fields.text(entry, "name") in (found.declared.ref.name, found.name):
                _check_drift(name, fields.dig(entry, "count"), edit)
                return name, 0, Edit(("replicas", at, "count"), edit.value)
    for file, document, patch, aim in _patch_files(checkout, folder, data):
        if isinstance(patch, list):
            number = _operation(patch, edit)
            if number is not None and _aims(name, aim, found):
                _check_drift(file, fields.dig(patch[number], "value"), edit)
                return file, document, Edit((number, "value"), edit.value)
        elif _has(patch, edit.path) and (_aims(name, aim, found) if aim else _is_of(patch, found)):
            return _in_document(file, document, patch, edit)
    for inline in _inline_patches(data):
        if spelled_in(inline, edit.path):
            raise Refused(f"{name} sets {edit} in a patch written inside it", hint=f"set it there to {edit.value!r}")
    return None


def _patch_files(checkout: Checkout, folder: str, data: JsonValue) -> Iterator[tuple[str, int, JsonValue, JsonObject]]:
    """(file, document, body, target) of the patches that a kustomization takes from files; {} aims by its own names."""
    listed: list[tuple[str, JsonObject]] = []
    for field_ in ("patches", "patchesJson6902"):
        for entry in fields.items(data, field_):
            listed.append((fields.text(entry, "path"), fields.mapping(entry, "target")))
    listed += [(entry, {}) for entry in fields.texts(data, "patchesStrategicMerge")]
    for path, aim in listed:
        file = posixpath.normpath(posixpath.join(folder, path)) if path and "\n" not in path else ""
        for number, body in enumerate(checkout.documents.get(file, ())):
            yield file, number, body, aim


def _aims(name: str, aim: JsonObject, found: Built) -> bool:
    """True where the `target` of a patch chooses the object. Raises Refused for one that is not understood.

    Kustomize takes group, kind, name and namespace of a target as anchored regular expressions.
    """
    if not aim:
        return False
    ref = found.declared.ref
    own = {
        "group": (ref.group,),
        "version": (ref.version,),
        "kind": (ref.kind,),
        "name": (ref.name, found.name),
        "namespace": (ref.namespace or "", found.namespace or ""),
    }
    if unknown := sorted(aim.keys() - own.keys()):
        raise Refused(f"{name} chooses what it patches by {unknown[0]}", hint="change that patch by hand")
    for key, values in own.items():
        wanted = fields.text(aim, key)
        if not _PLAIN.fullmatch(wanted):
            raise Refused(f"{name} chooses what it patches by the {key} {wanted[:80]!r}", hint="change that by hand")
        if wanted and not any(re.fullmatch(wanted, value) for value in values):
            return False
    return True


def _inline_patches(data: JsonValue) -> list[str]:
    written = [fields.text(entry, "patch") for entry in fields.items(data, "patches")]
    return [text for text in (*written, *fields.texts(data, "patchesStrategicMerge")) if "\n" in text]


def spelled_in(text: str, path: Path) -> bool:
    """True where a patch that is text seems to set the field: its last name stands there as a key or a pointer."""
    last = next((token for token in reversed(path) if isinstance(token, str)), "")
    return f"{last}:" in text or f"/{last}" in text


def _is_of(patch: JsonValue, found: Built) -> bool:
    """True where a strategic merge patch without a target names the object."""
    ref = found.declared.ref
    named = fields.text(patch, "metadata", "name") in (ref.name, found.name)
    api = fields.text(patch, "apiVersion")
    alike = fields.text(patch, "kind") == ref.kind and (not api or api.rpartition("/")[0] == ref.group)
    placed = fields.text(patch, "metadata", "namespace") in ("", ref.namespace or "", found.namespace or "")
    return named and placed and alike


def _has(patch: JsonValue, path: Path) -> bool:
    try:
        return located(patch, path)[1]
    except KeyError:
        return False


def _operation(patch: list[JsonValue], edit: FieldEdit) -> int | None:
    """The operation of a JSON patch that puts a value at the very field; positions of list items are not guessed at."""
    if any(isinstance(token, Named) for token in edit.path):
        return None
    pointer = "".join(f"/{str(token).replace('~', '~0').replace('/', '~1')}" for token in edit.path)
    for at, operation in enumerate(patch):
        if fields.text(operation, "path") == pointer and fields.text(operation, "op") in ("replace", "add"):
            return at
    return None


def _as_patch(checkout: Checkout, found: Built, edit: FieldEdit, changes: Changes) -> None:
    """A field of a shared base, set for one overlay: in a patch that it has for the object, or in a new one."""
    folder = found.chain[0]
    if edit.value is None:
        raise Refused(f"{edit} stands in a base that others build from", hint="take it away there by hand")
    data = kustomize.kustomization(checkout, folder)
    for file, document, patch, aim in _patch_files(checkout, folder, data):
        if isinstance(patch, dict) and not aim and _is_of(patch, found):
            _grow(file, document, patch, edit, changes)
            return
    ref = found.declared.ref
    file = posixpath.join(folder, f"patch-{ref.kind.lower()}-{ref.name}.yaml")
    if file in checkout.texts:
        raise Refused(f"{file} is there already and is no patch of {folder}", hint="set the field there by hand")
    body = changes.new.get(file)
    if body is None:
        body = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}}
        listed = data.get("patches") if isinstance(data, dict) else None
        patches: list[JsonValue] = [*(listed if isinstance(listed, list) else []), {"path": posixpath.basename(file)}]
        changes.add(checkout.kustomization(folder), 0, Edit(("patches",), patches))
    changes.new[file] = _with(body, edit.path, edit.value)


def _grow(file: str, document: int, patch: JsonValue, edit: FieldEdit, changes: Changes) -> None:
    """Add a field to a strategic merge patch, with the list items on the way to it."""
    try:
        path, _ = located(patch, edit.path)
        changes.add(file, document, Edit(path, edit.value))
    except KeyError:
        top = next(at for at, token in enumerate(edit.path) if isinstance(token, Named))
        above = edit.path[:top]
        merged = value_in(_with(patch, edit.path, edit.value), tuple(str(token) for token in above))
        changes.add(file, document, Edit(tuple(str(token) for token in above), merged))


def _with(data: JsonValue, path: Path, value: JsonValue) -> JsonValue:
    """A copy with the value at the path; objects and named items on the way are made."""
    if not path:
        return value
    token, rest = path[0], path[1:]
    if isinstance(token, Named):
        items = list(data) if isinstance(data, list) else []
        at = next((n for n, item in enumerate(items) if fields.text(item, "name") == token.name), len(items))
        if at == len(items):
            items.append({"name": token.name})
        items[at] = _with(items[at], rest, value)
        return items
    here: dict[str, JsonValue] = dict(data) if isinstance(data, Mapping) else {}
    here[token] = _with(here.get(token), rest, value)
    return here
