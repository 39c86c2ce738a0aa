"""Where a value was written, so that every mistake in a world names its file, line and field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from pydantic import JsonValue

from evals.world.times import seconds_of
from tools.documents import Lines, Path, field_name, nearest
from tools.errors import DocumentError
from tools.types import JsonObject


@dataclass(frozen=True, slots=True)
class Place:
    """One value of one file, with the way to it."""

    file: str
    lines: Lines
    path: Path
    value: JsonValue

    def fail(self, problem: str) -> NoReturn:
        """Raise the DocumentError for this value."""
        raise DocumentError(self.file, nearest(self.lines, self.path), field_name(self.path), problem)

    def at(self, *tokens: str | int) -> Place:
        """A value inside this one; its value is None where it is absent."""
        value = self.value
        for token in tokens:
            if isinstance(value, dict):
                value = value.get(str(token))
            elif isinstance(value, list) and isinstance(token, int) and token < len(value):
                value = value[token]
            else:
                value = None
        return Place(self.file, self.lines, (*self.path, *tokens), value)

    def items(self) -> Iterator[Place]:
        """The members of a list; none where it is absent."""
        if self.value is None:
            return
        if not isinstance(self.value, list):
            self.fail("a list is wanted here")
        for index in range(len(self.value)):
            yield self.at(index)

    def mapping(self) -> JsonObject:
        """The value as a mapping; empty where it is absent."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            self.fail("a mapping is wanted here")
        return self.value

    def only(self, allowed: Iterable[str]) -> JsonObject:
        """The mapping, refusing fields that nobody reads."""
        known = set(allowed)
        mapping = self.mapping()
        for key in mapping:
            if key not in known:
                self.at(key).fail(f"unknown field; known here: {', '.join(sorted(known))}")
        return mapping

    def number(self, default: float | None = None) -> float:
        """The value as a number."""
        if self.value is None and default is not None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.fail(f"a number is wanted here, not {self.value!r}")
        return float(self.value)

    def text(self, default: str | None = None) -> str:
        """The value as text."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            self.fail(f"text is wanted here, not {self.value!r}")
        return self.value

    def flag(self, *, default: bool) -> bool:
        """The value as true or false."""
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            self.fail("true or false is wanted here")
        return self.value

    def choice(self, allowed: Sequence[str], default: str) -> str:
        """One of a few words."""
        value = self.text(default)
        if value not in allowed:
            self.fail(f"one of {', '.join(allowed)} is wanted here, not {value!r}")
        return value

    def seconds(self, default: float | None = None) -> float:
        """A duration or an offset from now: `90s`, `-3d2h`, `@-3d2h`, or a plain number of seconds."""
        if isinstance(self.value, str):
            try:
                return seconds_of(self.value.removeprefix("@"))
            except ValueError as error:
                self.fail(str(error))
        return self.number(default)

    def strings(self) -> dict[str, str]:
        """A mapping of text to text; numbers are taken as text."""
        out: dict[str, str] = {}
        for key, value in self.mapping().items():
            if isinstance(value, dict | list) or value is None or isinstance(value, bool):
                self.at(key).fail("text is wanted here")
            out[key] = str(value)
        return out

    def windows(self) -> tuple[tuple[float, float], ...]:
        """A list of [from, until] pairs, seconds from now."""
        out = []
        for pair in self.items():
            if not isinstance(pair.value, list) or len(pair.value) != 2:
                pair.fail("a pair [from, until] is wanted here, such as [-3h, -2h]")
            begin, end = pair.at(0).seconds(), pair.at(1).seconds()
            if begin >= end:
                pair.fail("the first of the two must be earlier")
            out.append((begin, end))
        return tuple(out)


def place_of(file: str, value: JsonValue, lines: Mapping[Path, int]) -> Place:
    """The whole of a document."""
    return Place(file, lines, (), value)
