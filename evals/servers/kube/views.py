"""Objects and lists as bytes, in the representation a client asked for: as they are, as Table, or metadata only.

Lists are joined from the cached bytes of their items; nothing is parsed or dumped twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from evals.servers.kube.calls import Answer
from evals.servers.kube.convert import converts, served_form
from evals.servers.kube.kinds import Resource
from evals.servers.kube.negotiate import Wanted
from evals.servers.kube.store import Item, encode
from evals.servers.kube.tables import Printer, column_definitions
from tools.types import JsonObject

TABLE, PARTIAL, PARTIAL_LIST = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
OBJECT_KINDS = (TABLE, PARTIAL)
LIST_KINDS = (TABLE, PARTIAL_LIST)


def object_body(resource: Resource, item: Item) -> JsonObject:
    """The object as a JSON value, kind and apiVersion first."""
    body = served_form(resource, item.body)
    return {"kind": resource.kind, "apiVersion": resource.api_version, **body}


def object_bytes(resource: Resource, item: Item) -> bytes:
    """The object as JSON, kind and apiVersion first."""
    body = encode(served_form(resource, item.body)) if converts(resource) else item.json
    return encode({"kind": resource.kind, "apiVersion": resource.api_version})[:-1] + b"," + body[1:]


def partial(item: Item) -> JsonObject:
    """The PartialObjectMetadata of an object."""
    return {"kind": PARTIAL, "apiVersion": "meta.k8s.io/v1", "metadata": item.metadata}


def answer(body: JsonObject, wanted: Wanted, *, status: int = 200) -> Answer:
    """A JSON value as an answer in the encoding wanted."""
    return _encoded(encode(body), wanted, status=status)


def object_answer(resource: Resource, item: Item, wanted: Wanted, printer: Printer) -> Answer:
    """One object as an answer."""
    if wanted.kind == TABLE:
        return answer(table([item], printer, {"resourceVersion": item.metadata["resourceVersion"]}), wanted)
    if wanted.kind == PARTIAL:
        return answer(partial(item), wanted)
    if wanted.encoding == "yaml":
        return answer(object_body(resource, item), wanted)
    return _encoded(object_bytes(resource, item), wanted)


def list_answer(
    resource: Resource, items: Sequence[Item], metadata: JsonObject, wanted: Wanted, printer: Printer
) -> Answer:
    """A list as an answer."""
    if wanted.kind == TABLE:
        return answer(table(items, printer, metadata), wanted)
    kind, api_version = resource.list_kind or f"{resource.kind}List", resource.api_version
    if wanted.kind == PARTIAL_LIST:
        kind, api_version = PARTIAL_LIST, "meta.k8s.io/v1"
        parts = [encode(partial(item)) for item in items]
    elif resource.custom:
        parts = [object_bytes(resource, item) for item in items]
        metadata = {"continue": "", **metadata}
    elif converts(resource):
        parts = [encode(served_form(resource, item.body)) for item in items]
    else:
        parts = [item.json for item in items]
    head = encode({"kind": kind, "apiVersion": api_version, "metadata": metadata})[:-1]
    return _encoded(head + b',"items":[' + b",".join(parts) + b"]}", wanted)


def table(items: Sequence[Item], printer: Printer, metadata: JsonObject) -> JsonObject:
    """The Table of some objects."""
    return {
        "kind": TABLE,
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": list(column_definitions(printer)),
        "rows": [printer.row(item) for item in items],
    }


class _Plain(yaml.CSafeDumper):
    """Dumps without anchors: an API server never writes them."""

    def ignore_aliases(self, data: object) -> bool:
        """Always: every repeat is written out."""
        return True


def _encoded(data: bytes, wanted: Wanted, *, status: int = 200) -> Answer:
    if wanted.encoding == "yaml":
        data = yaml.dump(json.loads(data), Dumper=_Plain, allow_unicode=True).encode("utf-8")
    return Answer(data, wanted.content_type, status)
