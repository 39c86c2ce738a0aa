"""The part of the Common Expression Language that admission policies of worlds use, compiled to functions.

Literals, lists, maps, variables and their fields, indexing, optional fields (`.?`), `has()`, `size()`, `string()`,
`int()`, the text functions, `in`, arithmetic, comparison, `!`, `&&`, `||`, `.?`, and the macros `all`, `exists`,
`exists_one`, `filter` and `map`. A missing field is an error; `&&` and `||` absorb it where the other side decides
(cel-spec, doc/langdef.md). What is not in the subset does not compile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from evals.servers.kube.jsonpatch import same
from tools.types import JsonObject

Value = JsonValue
Scope = Mapping[str, Value]
Expression = Callable[[Scope], Value]


class CelSyntaxError(Exception):
    """The expression is outside the subset."""


class CelFailure(Exception):
    """The expression could not be evaluated, such as `no such key: x`."""


_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>r?"(?:\\.|[^"\\])*"|r?'(?:\\.|[^'\\])*')
    |(?P<name>[A-Za-z_]\w*)|(?P<op>\.\?|&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}]))""",
    re.VERBOSE,
)
_BINDING = {"?": 1, "||": 2, "&&": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "in": 4, "+": 5, "-": 5}
_BINDING |= {"*": 6, "/": 6, "%": 6, ".": 8, ".?": 8, "[": 8}
_CONSTANTS: Mapping[str, Value] = {"true": True, "false": False, "null": None}


def compiled(text: str) -> Expression:
    """An expression as a function of its variables. Raises CelSyntaxError."""
    parser = _Parser(_tokens(text))
    expression = parser.expression(0)
    if parser.peek() != ("end", ""):
        raise CelSyntaxError(f"unexpected {parser.peek()[1]!r}")
    return expression


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, stop = 0, len(text.rstrip())
    while at < stop:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise CelSyntaxError(f"cannot read {text[at : at + 12]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return [*found, ("end", "")]


@dataclass(slots=True)
class _Parser:
    """Precedence climbing over the tokens."""

    tokens: list[tuple[str, str]]
    at: int = 0

    def peek(self) -> tuple[str, str]:
        """(kind, text) of the next token."""
        return self.tokens[self.at]

    def take(self, wanted: str = "") -> str:
        """The next token, which must be `wanted` where that is given. Raises CelSyntaxError."""
        kind, text = self.tokens[self.at]
        if wanted and text != wanted:
            raise CelSyntaxError(f"{wanted!r} is wanted, not {text!r}")
        self.at += 1
        return text if kind != "end" else ""

    def expression(self, least: int) -> Expression:
        """What binds tighter than `least`. Raises CelSyntaxError."""
        left = self._prefix()
        while _BINDING.get(self.peek()[1], 0) > least and self.peek()[0] != "text":
            left = self._infix(left, self.take())
        return left

    def _prefix(self) -> Expression:
        kind, text = self.peek()
        self.take()
        if kind == "number":
            number: Value = float(text) if "." in text else int(text)
            return lambda _: number
        if kind == "text":
            literal = _literal(text)
            return lambda _: literal
        if kind == "name":
            return self._named(text)
        if text in ("!", "-"):
            inner = self.expression(7)
            return (lambda s: not _flag(inner(s))) if text == "!" else (lambda s: -_number(inner(s)))
        return self._bracketed(text)

    def _bracketed(self, text: str) -> Expression:
        if text == "(":
            inner = self.expression(0)
            self.take(")")
            return inner
        if text == "[":
            parts = self._list("]")
            return lambda s: [part(s) for part in parts]
        if text == "{":
            return self._map()
        raise CelSyntaxError(f"unexpected {text!r}")

    def _map(self) -> Expression:
        pairs: list[tuple[Expression, Expression]] = []
        while self.peek()[1] != "}":
            key = self.expression(1)
            self.take(":")
            pairs.append((key, self.expression(0)))
            if self.peek()[1] == ",":
                self.take()
        self.take("}")
        return lambda s: {str(key(s)): value(s) for key, value in pairs}

    def _list(self, end: str) -> list[Expression]:
        parts: list[Expression] = []
        while self.peek()[1] != end:
            parts.append(self.expression(0))
            if self.peek()[1] == ",":
                self.take()
        self.take(end)
        return parts

    def _named(self, name: str) -> Expression:
        if name in _CONSTANTS:
            constant = _CONSTANTS[name]
            return lambda _: constant
        if self.peek()[1] == "(" and self.peek()[0] == "op":
            self.take()
            if name == "has":
                return _has(self._list(")"))
            function = _FUNCTIONS.get(name)
            if function is None:
                raise CelSyntaxError(f"undeclared reference to {name!r}")
            parts = self._list(")")
            return lambda s: function([part(s) for part in parts])
        return lambda s: _variable(s, name)

    def _infix(self, left: Expression, operator: str) -> Expression:
        if operator in (".", ".?"):
            return self._member(left, self.take(), optional=operator == ".?")
        if operator == "[":
            key = self.expression(0)
            self.take("]")
            return lambda s: _index(left(s), key(s))
        if operator == "?":
            first = self.expression(0)
            self.take(":")
            second = self.expression(0)
            return lambda s: first(s) if _flag(left(s)) else second(s)
        right = self.expression(_BINDING[operator])
        if operator in ("&&", "||"):
            return _logical(left, right, decides=operator == "||")
        perform = _OPERATORS[operator]
        return lambda s: perform(left(s), right(s))

    def _member(self, left: Expression, name: str, *, optional: bool) -> Expression:
        if self.peek()[1] != "(":
            return (lambda s: _optional(left(s), name)) if optional else (lambda s: _index(left(s), name))
        self.take()
        if name in _MACROS:
            variable = self.take()
            self.take(",")
            body = self.expression(0)
            self.take(")")
            macro = _MACROS[name]
            return lambda s: macro(_items(left(s)), lambda value: body({**s, variable: value}))
        method = _METHODS.get(name)
        if method is None:
            raise CelSyntaxError(f"undeclared reference to {name!r}")
        parts = self._list(")")
        return lambda s: method(left(s), [part(s) for part in parts])


def _literal(text: str) -> str:
    if text.startswith("r"):
        return text[2:-1]
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), text[1:-1])


# --- evaluation --------------------------------------------------------------------------------------------


def _variable(scope: Scope, name: str) -> Value:
    if name not in scope:
        raise CelFailure(f"undeclared reference to '{name}'")
    return scope[name]


def _index(value: Value, key: Value) -> Value:
    if isinstance(value, dict) and isinstance(key, str):
        if key not in value:
            raise CelFailure(f"no such key: {key}")
        return value[key]
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool):
        if not 0 <= key < len(value):
            raise CelFailure(f"index out of bounds: {key}")
        return value[key]
    raise CelFailure("no such overload")


def _optional(value: Value, name: str) -> Value:
    """`a.?b`: nothing where it (or `a`) is absent; `orValue` fills it in."""
    return value.get(name) if isinstance(value, dict) else None


def _has(parts: list[Expression]) -> Expression:
    if len(parts) != 1:
        raise CelSyntaxError("has() takes one field")
    field = parts[0]

    def present(scope: Scope) -> Value:
        try:
            return field(scope) is not None
        except CelFailure:
            return False

    return present


def _logical(left: Expression, right: Expression, *, decides: bool) -> Expression:
    def combined(scope: Scope) -> Value:
        failure: CelFailure | None = None
        for side in (left, right):
            try:
                if _flag(side(scope)) is decides:
                    return decides
            except CelFailure as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not decides

    return combined


def _flag(value: Value) -> bool:
    if not isinstance(value, bool):
        raise CelFailure("no such overload")
    return value


def _number(value: Value) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CelFailure("no such overload")
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise CelFailure("no such overload")
    return value


def _items(value: Value) -> list[Value]:
    if isinstance(value, dict):
        return list(value)
    if not isinstance(value, list):
        raise CelFailure("no such overload")
    return value


def _ordered(one: Value, other: Value) -> int:
    if isinstance(one, str) and isinstance(other, str):
        return (one > other) - (one < other)
    first, second = _number(one), _number(other)
    return (first > second) - (first < second)


def _plus(one: Value, other: Value) -> Value:
    if isinstance(one, str) and isinstance(other, str):
        return one + other
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    return _number(one) + _number(other)


def _divided(one: Value, other: Value) -> Value:
    first, second = _number(one), _number(other)
    if not second:
        raise CelFailure("divide by zero")
    return int(first / second) if isinstance(first, int) and isinstance(second, int) else first / second


def _within(one: Value, other: Value) -> Value:
    return any(same(one, item) for item in _items(other))


_OPERATORS: Mapping[str, Callable[[Value, Value], Value]] = {
    "==": same,
    "!=": lambda one, other: not same(one, other),
    "<": lambda one, other: _ordered(one, other) < 0,
    "<=": lambda one, other: _ordered(one, other) <= 0,
    ">": lambda one, other: _ordered(one, other) > 0,
    ">=": lambda one, other: _ordered(one, other) >= 0,
    "in": _within,
    "+": _plus,
    "-": lambda one, other: _number(one) - _number(other),
    "*": lambda one, other: _number(one) * _number(other),
    "/": _divided,
    "%": lambda one, other: _number(one) % _number(other),
}


def _size(value: Value) -> Value:
    if isinstance(value, str | list | dict):
        return len(value)
    raise CelFailure("no such overload")


def _whole(value: Value) -> Value:
    try:
        return int(value) if isinstance(value, str | int | float) else int(_number(value))
    except ValueError:
        raise CelFailure(f"cannot convert {value!r} to int") from None


def _found(pattern: str, text: str) -> Value:
    """The first match, "" without one, as the regular expression library of Kubernetes has it."""
    match = re.search(pattern, text)
    return match[0] if match else ""


_FUNCTIONS: Mapping[str, Callable[[list[Value]], Value]] = {
    "size": lambda values: _size(values[0]),
    "string": lambda values: values[0] if isinstance(values[0], str) else str(values[0]),
    "int": lambda values: _whole(values[0]),
    "dyn": lambda values: values[0],
}
_METHODS: Mapping[str, Callable[[Value, list[Value]], Value]] = {
    "size": lambda value, _: _size(value),
    "startsWith": lambda value, given: _text(value).startswith(_text(given[0])),
    "endsWith": lambda value, given: _text(value).endswith(_text(given[0])),
    "contains": lambda value, given: _text(given[0]) in _text(value),
    "matches": lambda value, given: re.search(_text(given[0]), _text(value)) is not None,
    "find": lambda value, given: _found(_text(given[0]), _text(value)),
    "orValue": lambda value, given: given[0] if value is None else value,
    "hasValue": lambda value, _: value is not None,
    "lowerAscii": lambda value, _: _text(value).lower(),
}
Test = Callable[[Value], Value]
_MACROS: Mapping[str, Callable[[list[Value], Test], Value]] = {
    "all": lambda values, test: all([_flag(test(one)) for one in values]),
    "exists": lambda values, test: any([_flag(test(one)) for one in values]),
    "exists_one": lambda values, test: sum(_flag(test(one)) for one in values) == 1,
    "filter": lambda values, test: [one for one in values if _flag(test(one))],
    "map": lambda values, test: [test(one) for one in values],
}


def evaluate(text: str, variables: JsonObject) -> Value:
    """Compile and evaluate at once. Raises CelSyntaxError, CelFailure."""
    return compiled(text)(variables)
