"""What a model's arguments mean, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.llm.calls import ARGUMENT_BYTES, ARGUMENT_DEPTH, Parsed, Problem, parse
from agent.llm.types import ModelCall
from tests.llm.conftest import TOOLS

SCHEMAS = {tool.name: tool for tool in TOOLS}


def parsed(arguments: str, *, name: str = "pods", complete: bool = True) -> Parsed | Problem:
    """What becomes of a call."""
    return parse(ModelCall(id="x", name=name, arguments=arguments, complete=complete), SCHEMAS)


@pytest.mark.parametrize(
    ("text", "args"), [("{}", {}), ("", {}), (" ", {}), ('{"namespace": "a"}', {"namespace": "a"})]
)
def test_an_object_is_taken(text: str, args: dict[str, str]) -> None:
    assert parsed(text) == Parsed("x", "pods", {**args})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "not a JSON object"),
        ('"a"', "not a JSON object"),
        ("null", "not a JSON object"),
        ("{'a': 1}", "not JSON"),
        ('{"a": 1} {"b": 2}', "not JSON"),
        ('{"a": 1, "a": 2}', "a key occurs twice"),
        ('{"a": {"b": 1, "b": 1}}', "a key occurs twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ('{"a": "\\ud800"}', "half a character"),
        ('{"\\ud800": 1}', "half a character"),
        ('{"a": ' + "[" * ARGUMENT_DEPTH + "]" * ARGUMENT_DEPTH + "}", "deeper"),
        ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", "deeper"),
    ],
)
def test_what_is_no_plain_object_is_refused_in_one_line(text: str, words: str) -> None:
    found = parsed(text)
    assert isinstance(found, Problem)
    assert words in found.reason
    assert "\n" not in found.reason


def test_as_deep_as_allowed_is_taken() -> None:
    depth = ARGUMENT_DEPTH - 1
    assert isinstance(parsed('{"a": ' + "[" * depth + "]" * depth + "}"), Parsed)


def test_a_call_cut_short_is_never_run_and_asked_again() -> None:
    found = parsed("{}", complete=False)
    assert isinstance(found, Problem)
    assert found.again
    assert "cut short" in found.reason


def test_too_long_arguments_are_not_asked_again() -> None:
    found = parsed(json.dumps({"a": "x" * ARGUMENT_BYTES}))
    assert isinstance(found, Problem)
    assert not found.again


def test_an_unknown_tool_is_told_with_near_names() -> None:
    found = parsed("{}", name="pod")
    assert isinstance(found, Problem)
    assert found.reason == "there is no tool named 'pod'; did you mean pods?"
    other = parsed("{}", name="rm -rf\r\n/")
    assert isinstance(other, Problem)
    assert "there are logs, pods" in other.reason
    assert other.reason.isprintable()


@settings(max_examples=300)
@given(st.text(max_size=60), st.sampled_from(["pods", "", "x\n"]), st.sampled_from(["whole", "cut"]))
def test_nothing_raises(text: str, name: str, form: str) -> None:
    found = parsed(text, name=name, complete=form == "whole")
    assert isinstance(found, Parsed) <= (form == "whole" and name == "pods")
