"""Generators as they are written: every shape parses, and every mistake names its field and line."""

from __future__ import annotations

import pytest

from evals.world import generators as g
from evals.world.places import place_of
from evals.world.specs import SHAPES, parse
from tools.documents import load_yaml_located
from tools.errors import DocumentError

WRITTEN = {
    "constant": "constant: 4",
    "noise": "noise: {mean: 1, spread: 0.1}",
    "ramp": "ramp: {from: 1, to: 3, start: -2h, end: -1h}",
    "saw": "saw: {low: 0, high: 1, period: 10m}",
    "pulse": "pulse: {high: 1, period: 10m, width: 60s}",
    "daily": "daily: {low: 1, high: 2, peak: -2h}",
    "bursts": "bursts: {height: 2, every: 1h, length: 90s}",
    "steps": "steps: {before: 1, then: [{at: -2h, value: 3}, {at: -1h, value: {noise: {mean: 2}}}]}",
    "counter": "counter: {rate: 2, resets: [-1h], round: true}",
    "of": "of: busy",
    "sum": "sum: [1, {noise: {mean: 0, spread: 1}}]",
    "product": "product: [2, {daily: {low: 1, high: 2}}]",
}


def read(text: str) -> g.Generator:
    value, lines = load_yaml_located(text, name="m.yaml")
    return parse(place_of("m.yaml", value, lines), "x")


def test_every_shape_is_written_here() -> None:
    assert set(WRITTEN) == set(SHAPES)


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_shape_parses_and_shows_samples(text: str) -> None:
    grid = g.Grid(-10, 10, 30.0, None, {"busy": g.Constant(1.0)})
    assert len(read(text).values(3, grid)) == 10


def test_modifiers_apply_in_the_order_scale_offset_bounds_rounding() -> None:
    shape = read("{constant: 2, scale: 3, offset: 1.4, max: 7.2, round: true}")
    assert list(shape.values(0, g.Grid(0, 1, 30.0))) == [7.0]


def test_a_bare_number_is_a_constant() -> None:
    assert read("0.5") == g.Constant(0.5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("noise: {mean: high}", "noise.mean: a number is wanted here"),
        ("noise: {mean: 1, sprad: 2}", "noise.sprad: unknown field"),
        ("wave: 3", "exactly one shape is wanted here"),
        ("{noise: {mean: 1}, daily: {low: 1, high: 2}}", "exactly one shape is wanted here"),
        ("saw: {low: 0, high: 1, period: 0s}", "saw.period: a duration above zero"),
        ("saw: {low: 0, high: 1, period: soon}", "is not a duration such as"),
        ("ramp: {from: 0, to: 1, start: -1h, end: -2h}", "start must be before end"),
        ("pulse: {high: 1, period: 1m, width: 2m}", "pulse.width: the width must lie"),
        ("steps: {before: 1, then: [{at: -1h, value: 1}, {at: -2h, value: 1}]}", "in order of time"),
        ("steps: {before: 1, then: []}", "at least one change"),
        ("{constant: 1, min: 5, max: 2}", "min is above max"),
        ("sum: []", "a list of generators"),
        ("true", "a number is wanted here"),
    ],
)
def test_a_mistake_names_its_field(text: str, problem: str) -> None:
    with pytest.raises(DocumentError, match=r"m\.yaml:1") as caught:
        read(text)
    assert problem in str(caught.value)


def test_a_mistake_names_its_line() -> None:
    with pytest.raises(DocumentError) as caught:
        read("sum:\n- 1\n- noise:\n    mean: x\n")
    assert caught.value.line == 4


def test_changing_one_signal_leaves_the_noise_of_another_alone() -> None:
    window = g.Grid(-20, 20, 30.0)
    first = parse(place_of("a", {"noise": {"mean": 1, "spread": 1}}, {}), "busy")
    again = parse(place_of("b", {"noise": {"mean": 1, "spread": 1}}, {(): 9}), "busy")
    other = parse(place_of("a", {"noise": {"mean": 1, "spread": 1}}, {}), "dram")
    assert list(first.values(5, window)) == list(again.values(5, window))
    assert list(first.values(5, window)) != list(other.values(5, window))
