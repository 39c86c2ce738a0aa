"""The only place that decides what a model's arguments mean.

Rules: a JSON object, whole, of a tool that was offered, within bounds, without repeated keys, NaN or half characters;
anything else is a problem in one line for the model, never a repair. What a tool's own arguments may hold is the
gate's to judge.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from pydantic import JsonValue

from agent.llm.types import ModelCall, ToolSchema
from tools.types import JsonObject

ARGUMENT_BYTES: Final = 64 << 10
"""Most bytes of the arguments of one call."""
ARGUMENT_DEPTH: Final = 16
_MAX_INT_DIGITS: Final = 19


@dataclass(frozen=True, slots=True)
class Parsed:
    """A call that can be handed on."""

    id: str
    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class Problem:
    """A call that cannot be run, and why, in one line for the model."""

    id: str
    name: str
    reason: str
    again: bool
    """True where asking once more may help: the call was cut short or malformed, not out of bounds."""


class _Bad(ValueError):
    """Why arguments are refused."""


def parse(call: ModelCall, schemas: Mapping[str, ToolSchema]) -> Parsed | Problem:
    """The call's arguments as an object, or the problem with them. Never raises."""
    name = _shown(call.name)
    if call.name not in schemas:
        near = difflib.get_close_matches(call.name[:64], sorted(schemas), n=2, cutoff=0.6)
        hint = (
            f"; did you mean {' or '.join(near)}?"
            if near
            else f"; there are {', '.join(sorted(schemas)[:20]) or 'none'}"
        )
        return Problem(call.id, name, f"there is no tool named {name!r}{hint}", again=True)
    if len(call.arguments.encode("utf-8", "replace")) > ARGUMENT_BYTES:
        return Problem(call.id, name, f"the arguments are longer than {ARGUMENT_BYTES >> 10} KiB", again=False)
    if not call.complete:
        return Problem(call.id, name, "the call was cut short or its arguments are no JSON; send it whole", again=True)
    try:
        return Parsed(call.id, call.name, _arguments(call.arguments))
    except _Bad as bad:
        return Problem(call.id, name, f"the arguments are refused: {bad}", again=True)
    except RecursionError:
        return Problem(call.id, name, _TOO_DEEP, again=False)


_TOO_DEEP: Final = f"the arguments nest deeper than {ARGUMENT_DEPTH} levels"


def _arguments(text: str) -> JsonObject:
    try:
        value: JsonValue = json.loads(
            text if text.strip() else "{}", object_pairs_hook=_once, parse_constant=_constant, parse_int=_whole
        )
    except _Bad:
        raise
    except ValueError as error:
        raise _Bad(f"not JSON ({str(error)[:80]})") from None
    if not isinstance(value, dict):
        raise _Bad("not a JSON object")
    _check(value)
    return value


def _once(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Bad("a key occurs twice")
    return made


def _constant(name: str) -> NoReturn:
    raise _Bad(f"{name} is not a JSON number")


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_INT_DIGITS:
        raise _Bad("a number is too large")
    return int(digits)


def _check(value: JsonValue) -> None:
    """Depth, infinities ("1e999") and half characters, which are JSON but not data."""
    waiting: list[tuple[JsonValue, int]] = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > ARGUMENT_DEPTH:
            raise _Bad(f"they nest deeper than {ARGUMENT_DEPTH} levels")
        if isinstance(node, dict):
            waiting += [(item, depth + 1) for pair in node.items() for item in pair]
        elif isinstance(node, list):
            waiting += [(item, depth + 1) for item in node]
        elif isinstance(node, float) and node in (float("inf"), float("-inf")):
            raise _Bad("a number is too large")
        elif isinstance(node, str) and any("\ud800" <= character <= "\udfff" for character in node):
            raise _Bad("a text holds half a character")


def _shown(name: str) -> str:
    """A name fit for one line."""
    return "".join(c if c.isprintable() else "?" for c in name[:64])
