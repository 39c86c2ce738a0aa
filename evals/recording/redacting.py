"""What of a live object may stand in a file: the product's own redaction, without its shortening.

Rules: structure first (variables, flags, headers, annotations with secret names, the last applied copy), then
shapes in text, then values known to be secret; a Secret is never written; ConfigMap data as the product shows it.
"""

from __future__ import annotations

import json

from pydantic import JsonValue

from tools import fields
from tools.documents import load_json
from tools.errors import DocumentError
from tools.projection.hiding import config_data, hide, secret
from tools.projection.marks import Long
from tools.projection.metadata import LAST_APPLIED
from tools.redact import WORLD_KEY, Redactor
from tools.redaction.names import is_secret
from tools.types import JsonObject

MAX_APPLIED = 1 << 20
"""Characters of a last applied copy that are read."""


class Redacting:
    """Redacts what is recorded; remembers secrets it has met, and counts what it replaced."""

    def __init__(self, key: bytes = WORLD_KEY) -> None:
        self._redactor = Redactor(key)
        self.replaced = 0
        """Values replaced so far."""

    def text(self, text: str) -> str:
        """Text as it may be written."""
        shown, count = self._redactor.text(text)
        self.replaced += count
        return shown

    def labels(self, labels: dict[str, str]) -> dict[str, str]:
        """A series' labels as they may be written."""
        return {name: self.text(value) for name, value in labels.items()}

    def body(self, body: JsonObject) -> JsonObject | None:
        """A copy of an object as it may be written; None for a Secret."""
        if body.get("kind") in ("Secret", "SecretList"):
            return None
        copy: JsonObject = json.loads(json.dumps(body))
        self._structure(copy)
        shown, count = self._redactor.value(_whole(copy))
        self.replaced += count
        assert isinstance(shown, dict)
        return shown

    def _structure(self, copy: JsonObject) -> None:
        if copy.get("kind") == "ConfigMap":
            copy["data"] = config_data(fields.mapping(copy, "data"))
            copy.pop("binaryData", None)
        annotations = fields.mapping(fields.mapping(copy, "metadata"), "annotations")
        for key, value in annotations.items():
            if key == LAST_APPLIED and isinstance(value, str):
                annotations[key] = self._applied(value)
            elif isinstance(value, str) and is_secret(key.rpartition("/")[2]):
                annotations[key] = secret(value)
        hide(copy)

    def _applied(self, text: str) -> str:
        """The last applied copy, redacted as the object itself; nothing of one that cannot be read."""
        try:
            applied = load_json(text, name="last-applied", max_bytes=MAX_APPLIED)
        except DocumentError:
            return ""
        shown = self.body(applied) if isinstance(applied, dict) else None
        return "" if shown is None else json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def _whole(value: JsonValue) -> JsonValue:
    """The same data with long text kept whole: a file is no screen."""
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return str.__str__(value) if isinstance(value, Long) else value
