"""Label selectors: the grammar of Kubernetes (apimachinery `labels.Parse`), its matches and its parse errors.

A selector is a list of requirements, all of which must hold. An absent label satisfies `!=` and `notin`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evals.servers.kube.jsonread import as_list, as_object, as_text, objects_at
from evals.servers.kube.status import ApiError, bad_request
from tools.types import JsonObject

_TOKEN = re.compile(r"\s*(?:(==|!=|[=!(),<>])|([^\s=!(),<>]+))")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_OPERATORS = "in, notin, =, ==, !=, gt, lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `op` is one of in, notin, exists, absent, gt, lt."""

    key: str
    op: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, object]) -> bool:
        """True when an object with these labels satisfies the condition."""
        present = self.key in labels
        value = as_text(labels.get(self.key))
        match self.op:
            case "exists":
                return present
            case "absent":
                return not present
            case "in":
                return present and value in self.values
            case "notin":
                return not present or value not in self.values
        return present and _compare(self.op, value, self.values[0])


def _compare(op: str, value: str, bound: str) -> bool:
    try:
        left, right = int(value), int(bound)
    except ValueError:
        return False
    return left > right if op == "gt" else left < right


def label_selector(text: str) -> Callable[[Mapping[str, object]], bool] | None:
    """The test of a selector; None where it is empty and admits everything. Raises ApiError 400."""
    if not text.strip():
        return None
    requirements = _Parser(text).parse()
    return lambda labels: all(one.holds(labels) for one in requirements)


_SET_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


def selects(selector: JsonObject, labels: Mapping[str, object]) -> bool:
    """True when a LabelSelector object admits these labels; an empty one admits everything."""
    wanted = as_object(selector.get("matchLabels"))
    if any(as_text(labels.get(key)) != as_text(value) or key not in labels for key, value in wanted.items()):
        return False
    for one in objects_at(selector, "matchExpressions"):
        values = tuple(as_text(value) for value in as_list(one.get("values")))
        operator = _SET_OPERATORS.get(as_text(one.get("operator")), "in")
        if not Requirement(as_text(one.get("key")), operator, values).holds(labels):
            return False
    return True


def _unexpected(token: str, expected: str) -> ApiError:
    return bad_request(f"unable to parse requirement: found '{token}', expected: {expected}")


class _Parser:
    """Recursive descent over the tokens of one selector."""

    def __init__(self, text: str) -> None:
        self._tokens = [match[1] or match[2] for match in _TOKEN.finditer(text)]
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def parse(self) -> Sequence[Requirement]:
        """All requirements. Raises ApiError 400 with the real server's words."""
        found: list[Requirement] = []
        while True:
            found.append(self._requirement())
            token = self._next()
            if token == "":
                return found
            if token != ",":
                raise _unexpected(token, "',' or 'end of string'")
            if self._peek() in ("", ","):
                raise _unexpected(self._peek(), "identifier after ','")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), "absent")
        key = self._key()
        token = self._peek()
        if token in ("", ","):
            return Requirement(key, "exists")
        self._next()
        if token in ("in", "notin"):
            return Requirement(key, token, self._set())
        if token in ("=", "==", "!="):
            return Requirement(key, "notin" if token == "!=" else "in", (self._value(),))
        if token in ("<", ">"):
            return Requirement(key, "gt" if token == ">" else "lt", (self._number(),))
        raise _unexpected(token, _OPERATORS)

    def _key(self) -> str:
        token = self._next()
        if token in ("", "=", "==", "!=", "!", "(", ")", ",", "<", ">"):
            raise _unexpected(token, "identifier")
        if not _KEY.fullmatch(token):
            raise bad_request(
                f'unable to parse requirement: <nil>: Invalid value: "{token}": name part must consist of '
                "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            )
        return token

    def _value(self) -> str:
        if self._peek() in ("", ","):
            return ""
        token = self._next()
        if not _VALUE.fullmatch(token) or len(token) > 63:
            raise bad_request(
                f'unable to parse requirement: values[0][]: Invalid value: "{token}": a valid label must be an empty '
                "string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                "alphanumeric character"
            )
        return token

    def _number(self) -> str:
        value = self._value()
        if not re.fullmatch(r"-?\d+", value):
            raise bad_request(
                f'unable to parse requirement: values[0]: Invalid value: "{value}": '
                "for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return value

    def _set(self) -> tuple[str, ...]:
        if (token := self._next()) != "(":
            raise bad_request(f"unable to parse requirement: found '{token}' expected: '('")
        values: list[str] = []
        while True:
            token = self._next()
            if token == ")":
                return tuple(values) or ("",)
            if token == ",":
                if not values or self._peek() in (")", ","):
                    values.append("")
                continue
            if token == "" or token in ("(", "=", "==", "!=", "!", "<", ">"):
                raise _unexpected(token, "',', ')' or identifier")
            values.append(token)
            if self._peek() not in (",", ")"):
                raise _unexpected(self._peek(), "',' or ')'")
