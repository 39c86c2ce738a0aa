"""Citations as a model writes them, read with good will: `E15`, `[E15]`, `E42/row key/status/phase`, `E15, E16`.

Rule: a citation names evidence or it is none. A row or a path that does not stand there is dropped, never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic import JsonValue

from agent.grounding.shelf import Path, Place, Shelf
from tools.naming import unescaped

MAX_CITES = 40
MAX_CITE = 2_000
_HEAD = re.compile(r"(?:^|(?<=[\s,;\[(]))[eE](\d{1,6})(?=[/\s,;:\].)#]|$)")
MARK = re.compile(r"\s?[\[(【][eE]\d{1,6}(?:[/,;\s][^\[\]【】]{0,200})?[\])】]")
"""A citation inside the words."""
_NUMBERED = re.compile(r"\s*/?#(\d{1,6})(?![\w-])")
"""A row by its number, as tables shown to a model name rows whose keys are long."""
_OUTER = " \t`'\"[]().,;:#"


def heads(cites: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(evidence id, rest) of each citation."""
    for cite in list(cites)[:MAX_CITES]:
        text = cite[:MAX_CITE]
        found = list(_HEAD.finditer(text))[:MAX_CITES]
        for at, match in enumerate(found):
            end = found[at + 1].start() if at + 1 < len(found) else len(text)
            yield f"E{int(match[1])}", text[match.end() : end]


def place_of(shelf: Shelf, rest: str) -> Place | None:
    """The row or value that the rest of a citation names; None for the whole evidence."""
    if (numbered := _NUMBERED.match(rest)) and 0 < int(numbered[1]) <= len(shelf.rows):
        row = int(numbered[1]) - 1
        return Place(row, _path(shelf.rows[row].data, rest[numbered.end() :].rstrip(" ,;]`.)")))
    body = rest.strip().lstrip("/#:").rstrip(" ,;]`.)")
    if not body:
        return None
    for text in dict.fromkeys((body, unescaped(body), body.strip(_OUTER))):
        ends = [len(text), *(at for at in range(len(text) - 1, 0, -1) if text[at] == "/")][:64]
        for end in ends:
            number = _row(shelf, text[:end].strip())
            if number is not None:
                return Place(number, _path(shelf.rows[number].data, text[end:]))
    return None


def _row(shelf: Shelf, key: str) -> int | None:
    number = shelf.by_key.get(key)
    if number is None and key:
        holders = shelf.holders.get(key.lower(), [])
        whole = [row for row in holders if shelf.rows[row].key.lower().rpartition("/")[2] == key.lower()]
        number = whole[0] if len(whole) == 1 else None
    return number


def _path(data: JsonValue, rest: str) -> Path:
    """As much of a path as stands there; keys may themselves have slashes or dots."""
    steps = [step for step in re.split(r"/|\.(?=[A-Za-z])|\[(?=\d)", rest.strip("/ ")) if step][:64]
    path: Path = ()
    value, at = data, 0
    while at < len(steps):
        for end in range(len(steps), at, -1):
            step = _step(value, steps[at:end])
            if step is not None:
                path, at = (*path, step), end
                value = value[step] if isinstance(value, dict) and isinstance(step, str) else _item(value, step)
                break
        else:
            return path
    return path


def _step(value: JsonValue, steps: list[str]) -> str | int | None:
    if isinstance(value, dict):
        for joint in ("/", "."):
            joined = unescaped(joint.join(steps)).strip("'\"]")
            if joined in value:
                return joined
        mixed = [key for key in value if re.split(r"[/.]", key) == steps] if len(steps) > 1 else []
        return mixed[0] if mixed else None
    digits = steps[0].strip("[] ")
    if isinstance(value, list) and len(steps) == 1 and digits.isascii() and digits.isdigit() and len(digits) < 7:
        return int(digits) if int(digits) < len(value) else None
    return None


def _item(value: JsonValue, step: str | int) -> JsonValue:
    return value[step] if isinstance(value, list) and isinstance(step, int) else None
