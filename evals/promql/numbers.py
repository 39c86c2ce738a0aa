"""Floating-point arithmetic as Go does it, which never raises: division by zero, overflow, domain errors.

Rule: every function here takes and returns floats, for any input including NaN and the infinities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

NAN = math.nan
INF = math.inf
Unary: TypeAlias = Callable[[float], float]
Binary: TypeAlias = Callable[[float, float], float]


def divide(a: float, b: float) -> float:
    """a / b, with infinities and NaN where b is zero."""
    try:
        return a / b
    except ZeroDivisionError:
        if a == 0 or a != a:
            return NAN
        return math.copysign(INF, a) * math.copysign(1.0, b)


def modulo(a: float, b: float) -> float:
    """Remainder with the sign of a (C's fmod)."""
    try:
        return math.fmod(a, b)
    except ValueError:
        return NAN


def power(a: float, b: float) -> float:
    """a to the b; a negative base with a broken exponent is NaN."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return -INF if a < 0 and math.fmod(b, 2) != 0 else INF
    except ValueError:
        if a != 0:
            return NAN
        odd = math.isfinite(b) and math.fmod(b, 2) in (1.0, -1.0)
        return math.copysign(INF, a) if odd else INF


def floor(value: float) -> float:
    """Largest whole number not above value; keeps infinities and the sign of zero."""
    return math.copysign(float(math.floor(value)), value) if math.isfinite(value) else value


def ceil(value: float) -> float:
    """Smallest whole number not below value; keeps infinities and the sign of zero."""
    return math.copysign(float(math.ceil(value)), value) if math.isfinite(value) else value


def largest(a: float, b: float) -> float:
    """The larger; NaN wins over everything but +Inf."""
    if a == INF or b == INF:
        return INF
    if a != a or b != b:
        return NAN
    return a if a > b else b


def smallest(a: float, b: float) -> float:
    """The smaller; NaN wins over everything but -Inf."""
    if a == -INF or b == -INF:
        return -INF
    if a != a or b != b:
        return NAN
    return a if a < b else b


def sign(value: float) -> float:
    """-1, 0 or 1; NaN stays NaN."""
    return -1.0 if value < 0 else 1.0 if value > 0 else value


def total(values: Sequence[float]) -> float:
    """Correctly rounded sum; infinities and NaN behave as in plain addition."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values, 0.0)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean of at least one value, without overflow on the way."""
    try:
        return math.fsum(values) / len(values)
    except ValueError:
        return NAN
    except OverflowError:
        return sum(value / len(values) for value in values)


def quantile(q: float, ordered: Sequence[float]) -> float:
    """The q-quantile of sorted values by linear interpolation; ±Inf for q outside [0, 1]."""
    if not ordered or q != q:
        return NAN
    if q < 0:
        return -INF
    if q > 1:
        return INF
    rank = q * (len(ordered) - 1)
    lower = int(rank)
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - lower
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def nan_first(value: float) -> tuple[int, float]:
    """Sort key under which NaN is smaller than every number."""
    return (1, value) if value == value else (0, 0.0)


def guarded(function: Unary, *, overflow: float = INF) -> Unary:
    """`function` with NaN for domain errors and `overflow` (signed as its argument) beyond the range."""

    def call(value: float) -> float:
        try:
            return function(value)
        except ValueError:
            return NAN
        except OverflowError:
            return overflow

    return call


def logarithm(function: Unary) -> Unary:
    """A logarithm that is -Inf at zero and NaN below."""

    def call(value: float) -> float:
        if value > 0:
            return function(value)
        return -INF if value == 0 else NAN

    return call


def log2(value: float) -> float:
    """Binary logarithm of a positive number, as Go computes it: the last bit matters where asin comes next."""
    fraction, exponent = math.frexp(value) if value < INF else (value, 0)
    return exponent - 1.0 if fraction == 0.5 else math.log(fraction) * (1 / math.log(2)) + exponent


def log10(value: float) -> float:
    """Decimal logarithm of a positive number, as Go computes it."""
    return log2(value) * (math.log(2) / math.log(10))


def show_float(value: float) -> str:
    """Shortest decimal that reads back the same, without exponent: Go's 'f' format with precision -1."""
    if value != value:
        return "NaN"
    if value in (INF, -INF):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    if "e" in text:
        return _plain(text)
    return text[:-2] if text.endswith(".0") else text


def _plain(text: str) -> str:
    """A float in exponent notation written out."""
    mantissa, _, exponent = text.partition("e")
    sign_text = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits, point = whole + fraction, len(whole) + int(exponent)
    if point <= 0:
        return f"{sign_text}0.{'0' * -point}{digits}".rstrip("0").rstrip(".")
    digits = digits.ljust(point, "0")
    tail = digits[point:].rstrip("0")
    return f"{sign_text}{digits[:point]}" + (f".{tail}" if tail else "")


def hyperbolic_sine(value: float) -> float:
    """sinh, with infinities beyond the range of floats."""
    try:
        return math.sinh(value)
    except OverflowError:
        return math.copysign(INF, value)


def inverse_tangent(value: float) -> float:
    """atanh, with infinities at ±1 and NaN outside."""
    if abs(value) == 1:
        return math.copysign(INF, value)
    return math.atanh(value) if abs(value) < 1 else NAN
