"""The one door through which YAML and JSON text enters: plain data only, and nothing that can blow up.

Rules: no aliases, anchors or tags; no duplicate keys; bounded size and depth; a refusal names file and line.
YAML means its JSON-like core: true, false, null, numbers; everything else (dates, yes, on, 0644) stays text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeAlias

import yaml
from pydantic import JsonValue

from tools.errors import DocumentError

MAX_BYTES = 8 << 20
"""Largest document: the largest world file we ship is below 2 MiB, so this is four times our own need."""
MAX_DEPTH = 64
"""Deepest nesting; a Kubernetes CRD schema stays below 40."""
MAX_DOCUMENTS = 20_000
"""Most documents in one multi-document YAML text."""

Path: TypeAlias = tuple[str | int, ...]
Lines: TypeAlias = Mapping[Path, int]

_INT = re.compile(r"[-+]?\d{1,64}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS: dict[str, JsonValue] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


def load_yaml(text: str, *, name: str, max_bytes: int = MAX_BYTES) -> JsonValue:
    """The one document in `text`; None for an empty one. Raises DocumentError naming `name` and the line."""
    return load_yaml_located(text, name=name, max_bytes=max_bytes)[0]


def load_yaml_located(text: str, *, name: str, max_bytes: int = MAX_BYTES) -> tuple[JsonValue, Lines]:
    """As load_yaml, with the line (from 1) of every value by its path; `()` is the document itself."""
    documents = load_yaml_documents_located(text, name=name, max_bytes=max_bytes)
    if len(documents) > 1:
        raise DocumentError(name, documents[1][1].get(()), "", "one document is wanted, and here begins another")
    return documents[0] if documents else (None, {})


def load_yaml_documents(text: str, *, name: str, max_bytes: int = MAX_BYTES) -> list[JsonValue]:
    """All documents in `text` (separated by `---`), empty ones left out. Raises DocumentError."""
    return [value for value, _ in load_yaml_documents_located(text, name=name, max_bytes=max_bytes)]


def load_yaml_documents_located(text: str, *, name: str, max_bytes: int = MAX_BYTES) -> list[tuple[JsonValue, Lines]]:
    """As load_yaml_documents, each with its lines."""
    _check_size(text, name, max_bytes)
    documents: list[tuple[JsonValue, Lines]] = []
    try:
        events = iter(yaml.parse(text, Loader=_LOADER))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                builder = _Builder(name)
                value = builder.build(events)
                if value is not None:
                    documents.append((value, builder.lines))
                if len(documents) > MAX_DOCUMENTS:
                    raise DocumentError(name, None, "", f"more than {MAX_DOCUMENTS} documents")
    except yaml.YAMLError as error:
        raise DocumentError(name, _line_of(error), "", _problem(error)) from None
    return documents


def load_json(text: str, *, name: str, max_bytes: int = MAX_BYTES) -> JsonValue:
    """The JSON value in `text`. Raises DocumentError on duplicate keys, NaN, Infinity and over the limits."""
    _check_size(text, name, max_bytes)
    _check_nesting(text, name)
    try:
        value: JsonValue = json.loads(
            text,
            object_pairs_hook=_unique_pairs,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=_bounded_float,
        )
    except json.JSONDecodeError as error:
        raise DocumentError(name, error.lineno, "", f"not JSON: {error.msg}") from None
    except ValueError as error:
        raise DocumentError(name, None, "", str(error)) from None
    return value


def locate(text: str, path: Path) -> int | None:
    """Line (from 1) of the value at `path`, or of its nearest parent; None where the text is unreadable."""
    try:
        _, lines = load_yaml_located(text, name="")
    except DocumentError:
        return None
    return nearest(lines, path)


def nearest(lines: Lines, path: Path) -> int | None:
    """The line of `path`, or of the closest parent that has one."""
    for end in range(len(path), -1, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def field_name(path: Path) -> str:
    """A path as people write it: `steps[2].expect`."""
    out = ""
    for token in path:
        if isinstance(token, int):
            out += f"[{token}]"
        else:
            out += f".{token}" if out else str(token)
    return out


# --- YAML --------------------------------------------------------------------------------------------------


class _Builder:
    """Turns the events of one document into plain data, checking each rule as it goes. Not recursive."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {}

    def build(self, events: Iterator[yaml.Event]) -> JsonValue:
        """Consume events up to the end of the document."""
        root: list[JsonValue] = []
        stack: list[_Open] = []
        for event in events:
            if isinstance(event, yaml.DocumentEndEvent):
                break
            if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                stack.pop()
                continue
            line = event.start_mark.line + 1 if event.start_mark else 0
            self._refuse_references(event, line, stack)
            self._take(event, line, stack, root)
        return root[0] if root else None

    def _take(self, event: yaml.Event, line: int, stack: list[_Open], root: list[JsonValue]) -> None:
        parent = stack[-1] if stack else None
        if parent is not None and parent.wants_key:
            parent.key = self._key(event, line, parent)
            self.lines[(*parent.path, parent.key)] = line
            return
        value, opened = self._value(event, line, stack)
        if parent is None:
            path: Path = ()
            root.append(value)
        else:
            path = parent.add(value)
        self.lines.setdefault(path, line)
        if opened:
            if len(stack) >= MAX_DEPTH:
                self._fail(line, path[:4], f"nested deeper than {MAX_DEPTH} levels")
            stack.append(_Open(path, value))

    def _value(self, event: yaml.Event, line: int, stack: list[_Open]) -> tuple[JsonValue, bool]:
        if isinstance(event, yaml.MappingStartEvent):
            return {}, True
        if isinstance(event, yaml.SequenceStartEvent):
            return [], True
        if isinstance(event, yaml.ScalarEvent):
            if not event.implicit[0]:
                return str(event.value), False
            value = _scalar(str(event.value))
            if isinstance(value, float) and not math.isfinite(value):
                self._fail(line, stack[-1].path if stack else (), "number out of range")
            return value, False
        self._fail(line, (), f"unexpected {type(event).__name__}")

    def _key(self, event: yaml.Event, line: int, parent: _Open) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._fail(line, parent.path, "a key must be plain text")
        key = str(event.value)
        if isinstance(parent.value, dict) and key in parent.value:
            self._fail(line, (*parent.path, key), "the same key twice")
        if event.implicit[0] and key == "<<":
            self._fail(line, (*parent.path, key), "merge keys are not allowed; write the fields out")
        return key

    def _refuse_references(self, event: yaml.Event, line: int, stack: list[_Open]) -> None:
        path = stack[-1].path if stack else ()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._fail(line, path, "anchors and aliases are not allowed; write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._fail(line, path, f"tags are not allowed ({tag}); quote the value instead")

    def _fail(self, line: int, path: Path, problem: str) -> NoReturn:
        raise DocumentError(self.name, line, field_name(path), problem)


class _Open:
    """A mapping or sequence still being filled."""

    __slots__ = ("key", "path", "value")

    def __init__(self, path: Path, value: JsonValue) -> None:
        self.path = path
        self.value = value
        self.key: str | None = None

    @property
    def wants_key(self) -> bool:
        """True when the next scalar is a key of a mapping."""
        return isinstance(self.value, dict) and self.key is None

    def add(self, value: JsonValue) -> Path:
        """Put `value` in; returns its path."""
        if isinstance(self.value, list):
            self.value.append(value)
            return (*self.path, len(self.value) - 1)
        assert isinstance(self.value, dict)
        assert self.key is not None
        path = (*self.path, self.key)
        self.value[self.key] = value
        self.key = None
        return path


def _scalar(text: str) -> JsonValue:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return text if _octal_like(text) else int(text)
    if _FLOAT.fullmatch(text) and len(text) <= 64:
        return float(text)
    return text


def _octal_like(text: str) -> bool:
    """`0644` means 420 to YAML 1.1 and 644 to YAML 1.2: kept as text, so that nobody guesses."""
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits.startswith("0")


def _line_of(error: yaml.YAMLError) -> int | None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 1 if mark is not None else None


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    return f"not YAML: {problem}"


# --- limits and JSON ---------------------------------------------------------------------------------------


def _check_size(text: str, name: str, max_bytes: int) -> None:
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise DocumentError(name, None, "", f"{size:,} bytes; at most {max_bytes:,} are read")


_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def _check_nesting(text: str, name: str) -> None:
    """Refuse deep JSON before the decoder (which recurses) sees it."""
    depth = 0
    for match in _STRINGS_AND_BRACKETS.finditer(text):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                line = text.count("\n", 0, match.start()) + 1
                raise DocumentError(name, line, "", f"nested deeper than {MAX_DEPTH} levels")
        elif token in "]}":
            depth -= 1


def _unique_pairs(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the same key twice: {twice[:80]!r}")
    return value


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _bounded_int(digits: str) -> int:
    if len(digits) > 64:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _bounded_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:80]} is out of range")
    return value
