"""Marks that a projection leaves for the redactor: hide this, this is a secret, cut this, this repeats.

Rules: a mark is an ordinary string or object to everybody else, and no mark leaves the gate.
"""

from __future__ import annotations

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
    """An object that thousands of others repeat (containers of one template): kept once."""

    __slots__ = ()


def long(text: str) -> str:
    """`text`, marked to be cut when it is longer than LONG."""
    return Long(text) if len(text) > LONG else text
