"""Marks that a projection leaves for the redactor: hide this, this is a secret, cut this, this repeats.

Rules: a mark is an ordinary string or object to everybody else, and no mark leaves the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import JsonValue

LONG = 1_024
"""Characters of an annotation or message shown; the rest is counted."""


class Hidden(str):
    """A value that is not to be shown; it leaves the gate only as a pseudonym."""

    __slots__ = ()


class HiddenSecret(Hidden):
    """As Hidden, and the value is a secret wherever else it appears."""

    __slots__ = ()


class Long(str):
    """Text that is redacted whole and then cut: cutting first could leave half a secret that no rule knows."""

    __slots__ = ()


class Shared(dict[str, JsonValue]):
    """What thousands of objects repeat (the spec of one template): finished and redacted once, then kept once.

    `own` are the fields that differ from object to object; `finish` hides, in place, what must not be shown.
    """

    __slots__ = ("finish", "own")

    def __init__(
        self,
        repeated: Mapping[str, JsonValue],
        own: dict[str, JsonValue],
        finish: Callable[[dict[str, JsonValue]], None],
    ) -> None:
        super().__init__(repeated)
        self.own = own
        self.finish = finish


def long(text: str) -> str:
    """`text`, marked to be cut when it is longer than LONG."""
    return Long(text) if len(text) > LONG else text
