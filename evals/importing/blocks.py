"""The text of `kubectl describe` as a tree: entries with a value and the lines below them.

Rules: indentation alone says what belongs to what; lines below an entry stay text until somebody asks for them as
entries or as a table, because arguments and messages may look like anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

_ENTRY = re.compile(r"([^\s:][^:]*?|\S+?):(?:\s+(.*))?")
_NOTHING = frozenset({"", "<none>", "<unset>", "<unknown>", "<nil>"})


@dataclass(frozen=True, slots=True)
class Entry:
    """`Key:  value` and the lines below it, as they stand."""

    key: str
    value: str
    """ "" where there is none, or `<none>` stands there."""
    below: tuple[str, ...]

    def entries(self) -> dict[str, Entry]:
        """The lines below as entries; of several with one key the last."""
        return {one.key: one for one in read(self.below)}

    def values(self) -> list[str]:
        """The value and each line below: lists such as labels and taints."""
        return [text for text in (self.value, *(line.strip() for line in self.below)) if text not in _NOTHING]

    def pairs(self, separator: str) -> dict[str, str]:
        """`values` as key and value; a line without the separator goes on with the value before it."""
        found: dict[str, str] = {}
        last = ""
        for text in self.values():
            key, found_one, value = text.partition(separator)
            if found_one and " " not in key:
                last = key
                found[key] = value.strip()
            elif last:
                found[last] = f"{found[last]}\n{text}" if found[last] else text
        return found

    def map(self) -> dict[str, str]:
        """The entries below as key and value."""
        return {key: one.value for key, one in self.entries().items()}

    def table(self) -> list[dict[str, str]]:
        """The rows of a table below, by the names of its columns; they begin where the names begin."""
        lines = [line for line in self.below if line.strip()]
        if not lines:
            return []
        begins = [match.start() for match in re.finditer(r"(?:(?<=\s\s)|^|(?<=^\s))\S", lines[0])]
        names = _cells(lines[0], begins)
        rows = [_cells(line, begins) for line in lines[1:] if not set(line) <= set(" -")]
        return [dict(zip(names, row, strict=True)) for row in rows]


Entries = Mapping[str, Entry]


def read(lines: Sequence[str]) -> Iterator[Entry]:
    """The entries of a block: lines at its smallest indentation that have a key, each with what is deeper below."""
    filled = [line for line in lines if line.strip()]
    base = min((_indent(line) for line in filled), default=0)
    key, value, below = "", "", list[str]()
    for line in filled:
        match = _ENTRY.fullmatch(line.strip()) if _indent(line) == base else None
        if match is not None:
            if key:
                yield Entry(key, value, tuple(below))
            text = (match[2] or "").strip()
            key, value, below = match[1], "" if text in _NOTHING else text, []
        elif key:
            below.append(line)
    if key:
        yield Entry(key, value, tuple(below))


def moment(text: str) -> str | None:
    """RFC 3339 of a time as describe prints it, such as `Sun, 03 May 2026 14:00:00 +0000`."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _cells(line: str, begins: Sequence[int]) -> list[str]:
    ends = [*begins[1:], None]
    return [line[begin:end].strip() for begin, end in zip(begins, ends, strict=True)]
