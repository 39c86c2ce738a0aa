"""Objects from what `kubectl get -o json|yaml` and `kubectl cluster-info dump` write, each field as it stands."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from tools import fields
from tools.documents import load_json, load_yaml_documents
from tools.types import JsonObject

MAX_BYTES = 256 << 20
"""Of one file."""


def objects(text: str, name: str) -> Iterator[JsonObject]:
    """Each object of a file, those of lists one by one. Raises DocumentError with file and line."""
    begin = text.lstrip()[:1]
    documents = (
        [load_json(text, name=name, max_bytes=MAX_BYTES)]
        if begin in "{["
        else load_yaml_documents(text, name=name, max_bytes=MAX_BYTES)
    )
    for document in documents:
        yield from _objects(document)


def _objects(document: JsonValue) -> Iterator[JsonObject]:
    """What a document holds; an item of a typed list has the list's version and kind."""
    if isinstance(document, list):
        for one in document:
            yield from _objects(one)
    elif isinstance(document, dict):
        kind, held = fields.text(document, "kind"), document.get("items")
        if isinstance(held, list) and (kind == "List" or kind.endswith("List")):
            given: JsonObject = {}
            if kind != "List":
                given = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")}
            for one in held:
                if isinstance(one, dict):
                    yield from _objects(given | one)
        elif document:
            yield document


def is_manifest(body: JsonObject) -> bool:
    """True for an object with a version, a kind and a name."""
    return bool(fields.text(body, "apiVersion") and fields.text(body, "kind") and fields.text(body, "metadata", "name"))
