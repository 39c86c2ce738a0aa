"""Takes secrets out of everything that leaves the gate, and invisible characters with them.

Rules: what structure marks as hidden is replaced first, then shapes in text, then values known to be secret.
A replacement is `‹redacted:kind:hash4›` under a key of this installation: equal secrets stay recognisably equal
and nothing else can be learned. A redacted value never stands for the real one (see `is_redacted`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import marshal
import math
import urllib.parse
from collections.abc import Iterable

from pydantic import JsonValue

from tools.projection.marks import LONG, Hidden, HiddenSecret, Long, Shared
from tools.redaction import patterns
from tools.redaction.cleaning import clean
from tools.types import JsonObject, Row

WORLD_KEY = b"plumbline recorded worlds: not a secret"
"""Key for worlds and evals, where answers must be the same everywhere."""
_CACHE = 65_536
"""Strings remembered; labels, images and reasons repeat over thousands of objects."""
_SHARED = 8_192
"""Repeating objects remembered."""
_KNOWN = 1_024
"""Values remembered as secret; beyond them structure and shapes still hold."""
_MIN_KNOWN = 8
_GRAM = 5
_STRIDE = 4


class Redactor:
    """Redacts text and rows. Remembers secrets it has met, so that they are known when they turn up elsewhere."""

    def __init__(self, key: bytes, *, known: Iterable[str] = ()) -> None:
        """`known`: our own credentials. Values shorter than 8 characters are left out, they would match by chance."""
        self._key = key
        self._cache: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._shared: dict[bytes, tuple[JsonObject, int]] = {}
        self._key_tuples: set[tuple[str, ...]] = set()
        self._known: dict[str, str] = {}
        self._grams: dict[str, list[tuple[str, int]]] = {}
        self._learned = 0
        for value in known:
            self.learn(value)

    def learn(self, value: str, *, kind: str = "known") -> None:
        """Remember a secret: it, its base64 and its URL-encoded form are redacted from now on."""
        if len(value) < _MIN_KNOWN or value in self._known or self._learned >= _KNOWN or patterns.MARK in value:
            return
        self._learned += 1
        mark = self.pseudonym(value, kind)
        for form in _forms(value):
            if len(form) >= _MIN_KNOWN and form not in self._known:
                self._known[form] = mark
                for offset in range(_STRIDE):
                    self._grams.setdefault(form[offset : offset + _GRAM], []).append((form, offset))
        self._cache.clear()
        self._key_tuples.clear()
        self._shared.clear()

    def pseudonym(self, value: str, kind: str) -> str:
        """The stable replacement of one value; of a replacement itself: what is redacted once stays as it is."""
        if patterns.WHOLE_MARK.fullmatch(value):
            return value
        mac = hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"{patterns.MARK}{kind}:{mac.hexdigest()[:4]}›"

    def text(self, text: str) -> tuple[str, int]:
        """`text` as it may leave the gate, and how many secrets were replaced."""
        shown = self._cache.get(text)
        if shown is None:
            shown = self._redact(text)
        return shown, self._counts.get(text, 0)

    def row(self, row: Row) -> tuple[Row, int]:
        """The row as it may leave the gate. Its data is changed in place: a projection hands over what it made."""
        known = self._learned
        count = self._tree(row.data)
        if self._learned != known:
            count += self._tree(row.data)
        key, keyed = self.text(row.key)
        if key == row.key:
            return row, count
        return Row(key=key, namespace=row.namespace, data=row.data), count + keyed

    def value(self, value: JsonValue) -> tuple[JsonValue, int]:
        """Any JSON value as it may leave the gate; containers are changed in place."""
        holder: JsonObject = {"value": value}
        count = self._tree(holder)
        return holder["value"], count

    def _tree(self, root: JsonObject) -> int:
        """Redact a tree in place, without recursion; returns the number of replacements."""
        count = 0
        stack: list[JsonObject | list[JsonValue]] = [root]
        while stack:
            node = stack.pop()
            if type(node) is dict:
                keys = tuple(node)
                if keys not in self._key_tuples:
                    count += self._clean_keys(node, keys)
                count += self._level(node, node.items(), stack)
            else:
                count += self._level(node, enumerate(node), stack)
        return count

    def _level(
        self,
        node: JsonObject | list[JsonValue],
        pairs: Iterable[tuple[str | int, JsonValue]],
        stack: list[JsonObject | list[JsonValue]],
    ) -> int:
        """Redact the strings of one object or list, and put what is nested on the stack. Written for speed."""
        count = 0
        cache = self._cache
        for key, value in pairs:
            kind = type(value)
            if kind is str:
                shown = cache.get(value)  # type: ignore[arg-type]
                if shown is None:
                    shown = self._redact(value)  # type: ignore[arg-type]
                if shown is not value:
                    node[key] = shown  # type: ignore[index]
                    count += self._counts.get(value, 0)  # type: ignore[arg-type]
            elif kind is dict or kind is list:
                stack.append(value)  # type: ignore[arg-type]
            elif value is not None and kind is not int and kind is not bool:
                node[key], hidden = self._odd(value)  # type: ignore[index]
                count += hidden
        return count

    def _odd(self, value: JsonValue) -> tuple[JsonValue, int]:
        """What a projection marked, and numbers that JSON cannot say."""
        if isinstance(value, Shared):
            return self._share(value)
        if isinstance(value, Long):
            shown, count = self.text(str(value))
            return f"{shown[:LONG]}… ({len(shown):,} characters)" if len(shown) > LONG else shown, count
        if isinstance(value, Hidden):
            if isinstance(value, HiddenSecret):
                self.learn(str(value), kind="secret")
            return self.pseudonym(str(value), "hidden"), 1
        if isinstance(value, float) and not math.isfinite(value):
            return number_text(value), 0
        return value, 0

    def _share(self, value: Shared) -> tuple[JsonValue, int]:
        """The repeated part once, from then on the same one; the object's own fields each time."""
        # marshal only as the fastest way to bytes that are equal for equal plain data; nothing is ever loaded from it
        key = hashlib.blake2b(marshal.dumps(dict(value), 2), digest_size=16).digest()
        known = self._shared.get(key)
        if known is None:
            plain = dict(value)
            value.finish(plain)
            known = (plain, self._tree(plain))
            if len(self._shared) >= _SHARED:
                self._shared.clear()
            self._shared[key] = known
        return {**known[0], **value.own}, known[1] + self._tree(value.own)

    def _clean_keys(self, node: JsonObject, keys: tuple[str, ...]) -> int:
        """Redact the keys of one object, in place and in order."""
        shown = [self.text(str(key)) for key in keys]
        count = sum(n for _, n in shown)
        names = [name for name, _ in shown]
        if list(keys) != names:
            values = list(node.values())
            node.clear()
            node.update(zip(names, values, strict=True))
        elif len(self._key_tuples) < _CACHE:
            self._key_tuples.add(keys)
        return count

    def _redact(self, text: str) -> str:
        if len(self._cache) >= _CACHE:
            self._cache.clear()
            self._counts.clear()
        cleaned = clean(text)
        spans = patterns.find(cleaned) if not patterns.is_plain(cleaned) else []
        shown, count = self._replace(cleaned, spans)
        if self._grams:
            shown, extra = self._replace_known(shown)
            count += extra
        if shown == text:
            shown = text
        self._cache[text] = shown
        if count:
            self._counts[text] = count
        return shown

    def _replace(self, text: str, spans: list[patterns.Span]) -> tuple[str, int]:
        if not spans:
            return text, 0
        parts: list[str] = []
        position = 0
        for start, end, kind in spans:
            parts += text[position:start], self.pseudonym(text[start:end], kind)
            position = end
        parts.append(text[position:])
        return "".join(parts), len(spans)

    def _replace_known(self, text: str) -> tuple[str, int]:
        """Replace known values; every value of at least 8 characters shows one of its 5-grams at each 4th place."""
        if len(text) < _MIN_KNOWN:
            return text, 0
        spans: list[tuple[int, int, str]] = []
        grams = self._grams
        for place in range(0, len(text) - _GRAM + 1, _STRIDE):
            for form, offset in grams.get(text[place : place + _GRAM], ()):
                start = place - offset
                if start >= 0 and text.startswith(form, start):
                    spans.append((start, start + len(form), self._known[form]))
        parts: list[str] = []
        position = count = 0
        for start, end, mark in sorted(spans, key=lambda s: (s[0], -s[1])):
            if start >= position:
                parts += text[position:start], mark
                position = end
                count += 1
            elif end > position:
                position = end
        parts.append(text[position:])
        return "".join(parts), count


def is_redacted(value: JsonValue) -> bool:
    """True when a pseudonym stands anywhere in `value`: such a value may never enter a plan."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            if patterns.MARK in node:
                return True
        elif isinstance(node, dict):
            stack.extend(node.values())
            stack.extend(node)
        elif isinstance(node, list):
            stack.extend(node)
    return False


def number_text(value: float) -> str:
    """A number JSON cannot say, as Prometheus writes it: NaN, +Inf, -Inf."""
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def _forms(value: str) -> list[str]:
    raw = value.encode("utf-8", "surrogatepass")
    standard = base64.b64encode(raw).decode().rstrip("=")
    return list(
        dict.fromkeys(
            (
                value,
                standard,
                standard.replace("+", "-").replace("/", "_"),
                urllib.parse.quote(raw, safe=""),
                urllib.parse.quote_plus(raw),
                value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"),
            )
        )
    )
