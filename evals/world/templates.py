"""One document that stands for many: `$repeat`, `$for` and `${name}` in object files.

`$repeat: {count: 8, index: i}` writes the document eight times with `${i}` = 0 … 7; `$for: [{team: a}, {team: b}]`
writes it once per entry, whose fields are variables (a plain entry is `${item}`). Both together multiply. A value
that is only `${i}` keeps its type; elsewhere it becomes text. `$${` stands for a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from evals.world.places import Place
from tools.types import JsonObject

MAX_COPIES = 20_000
_VARIABLE = re.compile(r"\$?\$\{([A-Za-z_][A-Za-z0-9_]*)(?:([+*])(\d{1,6}))?\}")


def copies(place: Place) -> Iterator[JsonObject]:
    """The documents that one template stands for; a plain document stands for itself."""
    body = place.mapping()
    if "$repeat" not in body and "$for" not in body:
        yield body
        return
    plain = {key: value for key, value in body.items() if key not in ("$repeat", "$for")}
    bindings = [{**entry, **number} for entry in _entries(place.at("$for")) for number in _numbers(place.at("$repeat"))]
    if len(bindings) > MAX_COPIES:
        place.fail(f"{len(bindings)} copies; at most {MAX_COPIES} are made of one document")
    for binding in bindings:
        filled = substitute(plain, binding, place)
        assert isinstance(filled, dict)
        yield filled


def _entries(place: Place) -> list[dict[str, JsonValue]]:
    if place.value is None:
        return [{}]
    return [dict(entry.value) if isinstance(entry.value, dict) else {"item": entry.value} for entry in place.items()]


def _numbers(place: Place) -> list[dict[str, JsonValue]]:
    if place.value is None:
        return [{}]
    place.only(("count", "index", "from"))
    count, first = place.at("count").number(), place.at("from").number(0)
    if not 0 <= count <= MAX_COPIES:
        place.at("count").fail(f"a number from 0 to {MAX_COPIES} is wanted here")
    name = place.at("index").text("i")
    return [{name: number} for number in range(int(first), int(first) + int(count))]


def substitute(value: JsonValue, binding: Mapping[str, JsonValue], place: Place) -> JsonValue:
    """A copy of `value` with every `${name}` (or `${i+1}`, `${i*2}`) filled in. Raises DocumentError."""
    if isinstance(value, dict):
        return {str(_fill(key, binding, place)): substitute(inner, binding, place) for key, inner in value.items()}
    if isinstance(value, list):
        return [substitute(inner, binding, place) for inner in value]
    return _fill(value, binding, place) if isinstance(value, str) else value


def _fill(text: str, binding: Mapping[str, JsonValue], place: Place) -> JsonValue:
    if "${" not in text:
        return text
    whole = _VARIABLE.fullmatch(text)
    if whole and not text.startswith("$$"):
        return _look_up(whole, binding, place)

    def replaced(match: re.Match[str]) -> str:
        return match[0][1:] if match[0].startswith("$$") else str(_look_up(match, binding, place))

    return _VARIABLE.sub(replaced, text)


def _look_up(match: re.Match[str], binding: Mapping[str, JsonValue], place: Place) -> JsonValue:
    name, operator, number = match[1], match[2], match[3]
    if name not in binding:
        known = ", ".join(sorted(binding)) or "none; the document has no $for or $repeat"
        place.fail(f"unknown variable ${{{name}}}; known here: {known}")
    value = binding[name]
    if operator is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        place.fail(f"${{{name}{operator}{number}}} needs a whole number, not {value!r}")
    return value + int(number) if operator == "+" else value * int(number)
