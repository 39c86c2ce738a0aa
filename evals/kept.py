"""The evidence of a run as it is kept: one JSON text for each piece, read when it is looked at.

Most of a stored sample is evidence, and a grader looks at little of it: reading all of it each time would make
grading stored runs several times slower.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, TypeAlias

from pydantic import JsonValue, PlainSerializer, PlainValidator, ValidationError

from tools.types import Evidence


class Kept(Mapping[str, Evidence]):
    """Evidence by id, in the order of the run. Looking at a piece that is none raises KeyError, as a missing one."""

    __slots__ = ("_read", "texts")

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        """The JSON of each piece."""
        self._read: dict[str, Evidence] = {}

    @classmethod
    def of(cls, evidence: Mapping[str, Evidence]) -> Kept:
        """From evidence that has been read."""
        kept = cls({name: one.model_dump_json() for name, one in evidence.items()})
        kept._read.update(evidence)
        return kept

    def __getitem__(self, name: str) -> Evidence:
        """A piece. Raises KeyError."""
        if name not in self._read:
            try:
                self._read[name] = Evidence.model_validate_json(self.texts[name])
            except ValidationError:
                raise KeyError(name) from None
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """The ids."""
        return iter(self.texts)

    def __len__(self) -> int:
        """How many pieces."""
        return len(self.texts)

    def __eq__(self, other: object) -> bool:
        """The same texts under the same ids."""
        return isinstance(other, Kept) and self.texts == other.texts

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def taken(cls, value: object) -> Kept:
        """From a mapping of evidence, read or not. Raises ValueError."""
        if isinstance(value, Kept):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("evidence is a mapping from ids")
        return cls.of({str(name): Evidence.model_validate(one) for name, one in value.items()})


def _plain(kept: Kept) -> dict[str, JsonValue]:
    return {name: json.loads(text) for name, text in kept.texts.items()}


KeptField: TypeAlias = Annotated[Kept, PlainValidator(Kept.taken), PlainSerializer(_plain)]
"""As a field of a record; written as an object of objects."""
