"""Tolerant accessors: what they read, and that no data makes them raise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from tools import fields
from tools.types import JsonObject

OBJECT: JsonObject = {
    "a": {"b": [{"c": "x"}, None, 7, {"c": None}]},
    "n": "16Gi",
    "labels": {"s": "x", "i": 1, "t": True, "z": None, "l": [1]},
}


def test_reading() -> None:
    assert fields.text(OBJECT, "a", "b", 0, "c") == "x"
    assert fields.text(OBJECT, "a", "b", 2) == ""
    assert fields.dig(OBJECT, "a", "b", 9) is None
    assert fields.dig(OBJECT, "a", 0) is None
    assert fields.items(OBJECT, "a", "b") == [{"c": "x"}, {"c": None}]
    assert fields.number(OBJECT, "n") == 16 * 2**30
    assert fields.strings(OBJECT, "labels") == {"s": "x", "i": "1", "t": "true", "l": "[1]"}
    assert fields.texts({"x": ["a", 1, None]}, "x") == ["a"]
    assert fields.flag({"x": True}, "x") is True
    assert fields.flag({"x": "true"}, "x") is None
    assert fields.mapping(None) == {}


@pytest.mark.parametrize(
    ("written", "value"),
    [("8", 8.0), ("500m", 0.5), ("1e3", 1000.0), ("1E3", 1000.0), ("1E", 1e18), ("1.5Gi", 1.5 * 2**30),
     ("100Ki", 102400.0),
     ("2k", 2000.0), ("-3M", -3e6), ("0", 0.0), (".5", 0.5), ("5.", 5.0), ("250u", 250e-6), ("7n", 7e-9)],
)  # fmt: skip
def test_quantities(written: str, value: float) -> None:
    assert fields.quantity(written) == pytest.approx(value)


@pytest.mark.parametrize(
    "written", ["", "x", "1K", "1kB", "1 Gi", "Gi", "1e", "NaN", "inf", "1e400", "--1", "1mi", "٣", "9" * 99]
)
def test_what_is_no_quantity(written: str) -> None:
    assert fields.quantity(written) is None


@pytest.mark.parametrize(
    ("written", "value"),
    [("2026-11-21T04:04:03Z", 1795233843.0), ("2026-11-21T04:04:03.250000Z", 1795233843.25),
     ("2026-11-21T05:04:03+01:00", 1795233843.0), ("2026-11-21T04:04:03.123456789Z", 1795233843.123456789)],
)  # fmt: skip
def test_times(written: str, value: float) -> None:
    assert fields.timestamp(written) == pytest.approx(value, abs=1e-6)
    assert fields.timestamp(fields.rfc3339(value)) == int(value)


@pytest.mark.parametrize(
    "written", [None, 7, "", "2026-13-01T00:00:00Z", "2026-11-21", "2026-11-21T04:04:03", "x" * 99]
)
def test_what_is_no_time(written: JsonValue) -> None:
    assert fields.timestamp(written) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
PATHS = st.lists(st.sampled_from(["a", "b", "c"]) | st.integers(-3, 3), max_size=4)


@given(ANYTHING, PATHS)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_nothing_raises(value: JsonValue, path: list[str | int]) -> None:
    for read in (fields.dig, fields.text, fields.number, fields.items, fields.texts, fields.strings, fields.flag):
        read(value, *path)
    fields.timestamp(value)
