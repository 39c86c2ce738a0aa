"""Request parameters of the Prometheus HTTP API, and its errors.

Rules: a parameter is taken from the URL and, for POST, from the form body; what is wrong with it is said in
Prometheus's own words, because clients match on them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl

from evals.promql import nodes
from evals.promql.compile import compile_query
from evals.promql.model import BadData
from evals.world.model import Matcher
from tools import fields

Form: TypeAlias = Mapping[str, Sequence[str]]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class ApiError(Exception):
    """An error as Prometheus reports it: HTTP status, errorType, message."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


def bad_parameter(name: str, message: str) -> ApiError:
    """400 for one parameter."""
    return ApiError(400, "bad_data", f'invalid parameter "{name}": {message}')


def read_form(query: str, body: bytes) -> dict[str, list[str]]:
    """Parameters of the URL and of a form body, in order. Raises ApiError for a body that is not UTF-8."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ApiError(400, "bad_data", "error parsing form values: the body is not UTF-8") from None
    found: dict[str, list[str]] = {}
    for name, value in (*parse_qsl(text, keep_blank_values=True), *parse_qsl(query, keep_blank_values=True)):
        found.setdefault(name, []).append(value)
    return found


def one(form: Form, name: str) -> str:
    """The first value of a parameter; "" where there is none."""
    return (form.get(name) or [""])[0]


def moment(form: Form, name: str, default: float | None = None) -> float:
    """A time in Unix seconds or RFC 3339; `default` where the parameter is missing or empty."""
    text = one(form, name)
    if not text and default is not None:
        return default
    value = float(text) if _NUMBER.fullmatch(text) else fields.timestamp(text)
    if value is None or not math.isfinite(value):
        lead = "" if default is None else f"Invalid time value for '{name}': "
        raise bad_parameter(name, f'{lead}cannot parse "{text}" to a valid timestamp')
    return value


def duration(form: Form, name: str) -> float:
    """A duration in seconds or in Prometheus's notation (1h30m)."""
    text = one(form, name)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise bad_parameter(name, f'cannot parse "{text}" to a valid duration')
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", text))


def limit(form: Form) -> int | None:
    """How many items at most; None for all."""
    text = one(form, "limit")
    if not text:
        return None
    if not text.isdecimal():
        raise bad_parameter("limit", "limit must be a number")
    return int(text) or None


def matchers(form: Form) -> list[tuple[Matcher, ...]]:
    """The selectors of `match[]`."""
    return [_selector(text) for text in form.get("match[]", ())]


def _selector(text: str) -> tuple[Matcher, ...]:
    try:
        node = nodes.bare(compile_query(text))
    except BadData as error:
        message = error.message.removeprefix('invalid parameter "query": ')
        if "at least one non-empty matcher" in message:
            message = "match[] must contain at least one non-empty matcher"
        raise bad_parameter("match[]", message) from None
    if not isinstance(node, nodes.Selector):
        raise bad_parameter("match[]", f"parse error: {text[:100]!r} is not a series selector")
    return node.matchers
