"""Bounds of what is read from an endpoint: the tokens it reports, the time its bytes take, how deep they nest."""

from __future__ import annotations

import json
import time

import pytest
from pydantic import JsonValue

from agent.llm.stream import Events, Intake
from agent.llm.types import ModelError
from agent.llm.wire import Gather, error_words
from tests.llm.test_wire import called, got, holds, message, piece
from tools.types import JsonObject


def spent(read: JsonValue, wrote: JsonValue, *, sent: int = 6_000, heard: int = 40) -> tuple[int, int, bool]:
    """What a reply of `heard` bytes to a request of `sent` bytes, asked for 100 tokens, is said to have cost."""
    usage: JsonObject = {"prompt_tokens": read, "completion_tokens": wrote}
    reply = got(message({"content": "x" * heard}, usage=usage), sent="x" * sent)
    return reply.spent.input, reply.spent.output, reply.spent.counted


def test_a_report_of_tokens_that_can_be_true_is_believed() -> None:
    assert spent(1_500, 10) == (1_500, 10, True)
    assert spent(750, 200) == (750, 200, True)
    assert spent(6_500, 10) == (6_500, 10, True)
    assert spent(12, 10, sent=150) == (12, 10, True), "of a small request most bytes are the protocol's"


@pytest.mark.parametrize("huge", [7_025, 1 << 40, 1 << 80])
def test_a_report_of_tokens_that_cannot_be_true_is_held_to_its_bounds(huge: int) -> None:
    assert spent(1, 10) == (750, 10, False)
    assert spent(1_500, 1, heard=8_000) == (1_500, 1_000, False)
    assert spent(huge, 10) == (7_024, 10, False)
    assert spent(1_500, huge) == (1_500, 200, False)
    assert spent(1_500, huge, heard=5_000) == (1_500, 5_000, False)


def test_an_event_of_endless_empty_lines_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        got(*[b"data:\n" * 10] * 6_000)
    assert caught.value.kind == "too-large"


def test_many_small_chunks_of_one_event_take_no_longer_than_their_bytes() -> None:
    events = Events()
    lines = [b"data:" + b"x" * 90 + b"\n"] * 9_000
    began = time.process_time()
    assert all(not events.feed(line) for line in lines)
    assert len(events.feed(b"\n")[0]) == 9_000 * 91 - 1
    assert time.process_time() - began < 0.5


def test_blank_bytes_before_a_reply_are_looked_at_once() -> None:
    intake = Intake(Gather())
    began = time.process_time()
    for _ in range(1 << 16):
        intake.feed(b"\n" * 15)
    assert time.process_time() - began < 1.0


def test_a_name_in_endless_pieces_is_cut() -> None:
    calls = called(*(piece(0, name) for name in ["ab", "cd"] * 200), piece(0, "", "{}"))
    assert len(calls[0].name) == 128


@pytest.mark.parametrize("depth", [50, 700, 900, 990])
@pytest.mark.parametrize("shape", ["list", "dict", "arguments", "text"])
def test_nesting_at_any_depth_ends_in_a_reply_or_one_line(shape: str, depth: int) -> None:
    lists, dicts = "[" * depth + "1" + "]" * depth, '{"error":' * depth + "1" + "}" * depth
    call = f'{{"name": "pods", "arguments": {lists}}}'
    raw = {
        "list": f'{{"error": {lists}}}',
        "dict": f'{{"error": {dicts}}}',
        "arguments": f'{{"choices":[{{"message":{{"tool_calls":[{{"function":{call}}}]}},"finish_reason":"stop"}}]}}',
        "text": json.dumps({"choices": [{"message": {"content": call}, "finish_reason": "stop"}]}),
    }[shape]
    for body in (raw.encode(), b"data: " + raw.encode() + b"\n\ndata: [DONE]\n\n"):
        holds(body)


def test_an_error_is_found_a_few_levels_down_and_nowhere_deeper() -> None:
    assert error_words([{"detail": [{"loc": ["a"]}, {"msg": "why"}]}]) == "why"
    value: JsonValue = "why"
    for _ in range(100_000):
        value = [value]
    assert error_words(value) == ""
    assert error_words([[]] * 100_000) == ""
