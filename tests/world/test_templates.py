"""Templates: one document for many, variables that keep their type, and mistakes that are named."""

from __future__ import annotations

import pytest

from evals.world.places import place_of
from evals.world.templates import copies
from tools.documents import load_yaml_located
from tools.errors import DocumentError
from tools.types import JsonObject


def made(text: str) -> list[JsonObject]:
    value, lines = load_yaml_located(text, name="o.yaml")
    return list(copies(place_of("o.yaml", value, lines)))


def test_repeat_counts_and_keeps_numbers_as_numbers() -> None:
    assert made('{$repeat: {count: 2}, name: "gpu-${i}", number: "${i}"}') == [
        {"name": "gpu-0", "number": 0},
        {"name": "gpu-1", "number": 1},
    ]


def test_for_takes_entries_with_fields_or_plain_ones() -> None:
    assert made('{$for: [{a: x, n: [1, 2]}], name: "${a}", list: "${n}"}') == [{"name": "x", "list": [1, 2]}]
    assert made('{$for: [p, q], name: "${item}"}') == [{"name": "p"}, {"name": "q"}]


def test_for_and_repeat_multiply() -> None:
    names = [body["name"] for body in made('{$for: [a, b], $repeat: {count: 2, from: 1}, name: "${item}${i}"}')]
    assert names == ["a1", "a2", "b1", "b2"]


def test_numbers_can_be_moved_and_keys_filled_in() -> None:
    assert made('{$repeat: {count: 1, from: 3, index: n}, "k-${n+10}": "${n*2}"}') == [{"k-13": 6}]


def test_a_doubled_dollar_stays_a_variable_of_somebody_else() -> None:
    assert made('{$repeat: {count: 1}, script: "echo $${HOME} ${i}"}') == [{"script": "echo ${HOME} 0"}]


def test_a_plain_document_is_left_alone() -> None:
    assert made('{script: "echo ${HOME}"}') == [{"script": "echo ${HOME}"}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{$for: [a], name: "${itme}"}', "unknown variable ${itme}; known here: item"),
        ("{$repeat: {count: 100000}, name: x}", "a number from 0 to 20000"),
        ("{$repeat: {count: two}, name: x}", "a number is wanted here"),
        ("{$repeat: {cuont: 2}, name: x}", "unknown field"),
        ("{$for: 3, name: x}", "a list is wanted here"),
        ('{$for: [a], name: "${item+1}"}', "needs a whole number"),
        ("{$for: " + str(list(range(200))) + ", $repeat: {count: 200}, name: x}", "at most 20000 are made"),
    ],
)
def test_a_mistake_is_named(text: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        made(text)
    assert problem in str(caught.value)
    assert caught.value.line == 1
