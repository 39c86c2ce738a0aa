"""Every quirk of a compatible server, from bytes to a Reply."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agent.llm.stream import Events
from agent.llm.types import ModelCall, ModelError, Reply, tokens
from agent.llm.wire import MAX_CALLS, REPLY_BYTES, Gather
from tests.llm.conftest import read
from tools.types import JsonObject

NAMES = ("pods", "logs")


def sse(*chunks: JsonValue, done: bool = True) -> bytes:
    """Chunks as a stream."""
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    return b"".join(events) + (b"data: [DONE]\n\n" if done else b"")


def delta(value: JsonObject, finish: str | None = None) -> JsonObject:
    """One streamed chunk."""
    return {"choices": [{"index": 0, "delta": value, "finish_reason": finish}]}


def message(value: JsonObject, finish: str | None = "stop", **extra: JsonValue) -> bytes:
    """One whole body."""
    return json.dumps({"choices": [{"index": 0, "message": value, "finish_reason": finish}], **extra}).encode()


def got(*chunks: bytes, sent: str = "", asked: str = "", most: int = 100) -> Reply:
    """The reply in these bytes."""
    gather = Gather(offered=NAMES, prefix="made", asked=asked, sent=tokens(sent), max_output=most)
    return read(chunks, gather)


def piece(index: int | None, name: str = "", arguments: JsonValue = "", id_: str | None = None) -> JsonObject:
    """One call delta."""
    made: JsonObject = {"function": {"arguments": arguments, **({"name": name} if name else {})}}
    if index is not None:
        made["index"] = index
    if id_ is not None:
        made["id"] = id_
    return made


def called(*pieces: JsonObject, finish: str = "tool_calls") -> tuple[ModelCall, ...]:
    """The calls of a stream, one delta per chunk."""
    return got(sse(*(delta({"tool_calls": [p]}) for p in pieces), delta({}, finish))).calls


def shown(calls: Sequence[ModelCall]) -> list[tuple[str, str, bool]]:
    """What matters of calls."""
    return [(call.name, call.arguments, call.complete) for call in calls]


# --- calls in deltas and bodies ----------------------------------------------------------------------------


def test_pieces_of_parallel_calls_are_joined_by_their_index() -> None:
    calls = called(piece(0, "pods", '{"a"', "x"), piece(1, "logs", "{", "y"), piece(0, "", ":1}"), piece(1, "", "}"))
    assert calls == (
        ModelCall(id="x", name="pods", arguments='{"a":1}'),
        ModelCall(id="y", name="logs", arguments="{}"),
    )


@pytest.mark.parametrize("id_", [None, "", "with space", "x" * 65, "a\r\nb"])
def test_a_missing_empty_or_unusable_id_is_made_up(id_: str | None) -> None:
    assert [c.id for c in called(piece(0, "pods", "{}", id_), piece(1, "logs", "{}", id_))] == [
        "made00001",
        "made00002",
    ]


def test_repeated_ids_are_told_apart_and_a_made_up_one_never_collides() -> None:
    calls = called(*(piece(i, "pods", "{}", id_) for i, id_ in enumerate(["a", "a", "made00001", "a"])))
    assert [call.id for call in calls] == ["a", "made00002", "made00001", "made00003"]


def test_deltas_without_an_index_go_to_the_call_that_was_begun_last() -> None:
    calls = called(piece(None, "pods", '{"a":', "x"), piece(None, "", "1}"), piece(None, "logs", "{}", "y"))
    assert shown(calls) == [("pods", '{"a":1}', True), ("logs", "{}", True)]


def test_several_whole_calls_in_one_delta_without_index() -> None:
    calls = got(sse(delta({"tool_calls": [piece(None, "pods", "{}"), piece(None, "pods", "{}")]}, "tool_calls"))).calls
    assert len(calls) == 2


def test_every_call_with_the_same_index_but_an_id_of_its_own() -> None:
    calls = called(piece(0, "pods", '{"a":1}', "x"), piece(0, "logs", "{}", "y"))
    assert shown(calls) == [("pods", '{"a":1}', True), ("logs", "{}", True)]


def test_a_name_repeated_in_every_chunk_counts_once() -> None:
    assert shown(called(piece(0, "pods", "{", "x"), piece(0, "pods", "}", "x"))) == [("pods", "{}", True)]


def test_a_name_in_pieces_is_joined() -> None:
    assert shown(called(piece(0, "po", "", "x"), piece(0, "ds", "{}"))) == [("pods", "{}", True)]


def test_arguments_as_an_object_become_text() -> None:
    assert shown(called(piece(0, "pods", {"namespace": "a"}))) == [("pods", '{"namespace": "a"}', True)]


@pytest.mark.parametrize("wrong", [[1], 3, True])
def test_arguments_that_are_neither_text_nor_object_are_not_a_complete_call(wrong: JsonValue) -> None:
    assert called(piece(0, "pods", wrong))[0].complete is False


@pytest.mark.parametrize("nothing", ["", None, "  "])
def test_empty_arguments_are_no_arguments(nothing: JsonValue) -> None:
    assert json.loads(called(piece(0, "pods", nothing))[0].arguments.strip() or "{}") == {}
    assert called(piece(0, "pods", nothing))[0].complete


def test_the_older_function_call() -> None:
    streamed = got(
        sse(
            delta({"function_call": {"name": "pods", "arguments": "{"}}),
            delta({"function_call": {"arguments": "}"}}, "function_call"),
        )
    )
    whole = got(message({"content": None, "function_call": {"name": "pods", "arguments": "{}"}}, "function_call"))
    assert shown(streamed.calls) == shown(whole.calls) == [("pods", "{}", True)]


def test_a_hundred_parallel_calls_are_kept_and_beyond_the_limit_they_are_counted() -> None:
    assert len(called(*(piece(i, "pods", "{}") for i in range(100)))) == 100
    gather = Gather()
    reply = read([sse(delta({"tool_calls": [piece(i, "pods", "{}") for i in range(200)]}, "tool_calls"))], gather)
    assert (len(reply.calls), gather.dropped) == (MAX_CALLS, 200 - MAX_CALLS)


# --- calls cut short ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("finish", ["tool_calls", "length", "stop", "content_filter"])
@pytest.mark.parametrize("arguments", ['{"a": "b', '{"a"', "{", '{"a": 1}, {"b'])
def test_arguments_that_do_not_close_are_a_call_cut_short(finish: str, arguments: str) -> None:
    assert called(piece(0, "pods", arguments), finish=finish)[0].complete is False


@pytest.mark.parametrize("arguments", ["", "{}", '{"a": 1}'])
def test_the_last_call_of_a_reply_that_ran_out_of_length_counts_as_cut_short(arguments: str) -> None:
    calls = called(piece(0, "pods", "{}"), piece(1, "logs", arguments), finish="length")
    assert [call.complete for call in calls] == [True, False]


def test_arguments_are_never_repaired() -> None:
    assert called(piece(0, "pods", '{"a": "b'))[0].arguments == '{"a": "b'


# --- words -------------------------------------------------------------------------------------------------


def test_null_content_and_a_missing_role() -> None:
    assert got(message({"content": None})).text == ""
    assert got(sse(delta({"content": None}), delta({"content": "a"}, "stop"))).text == "a"


def test_content_as_a_list_of_parts() -> None:
    parts: JsonValue = [{"type": "text", "text": "a"}, "b", {"type": "image_url"}, {"type": "refusal", "refusal": "no"}]
    reply = got(message({"content": parts}))
    assert (reply.text, reply.refusal) == ("ab", "no")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_what_the_model_thinks_is_counted_and_never_shown(name: str) -> None:
    reply = got(sse(delta({name: "secret thought"}), delta({"content": "a"}, "stop")))
    assert reply.text == "a"
    assert reply.spent.output == -(-len("secret thoughta") // 4)


def test_an_unknown_finish_reason_is_kept_and_a_hostile_one_is_not() -> None:
    assert got(message({"content": "a"}, "eos")).finish == "eos"
    assert got(message({"content": "a"}, "see http://x.example\n")).finish == "unknown"


def test_the_models_name_is_kept_only_where_it_is_a_name() -> None:
    for name in ("org/model-7b:q4", "meta-llama/Llama-3.1-8B", "gpt-4.1-mini", "asked.gguf"):
        assert got(message({"content": "a"}, model=name), asked="asked.gguf").model == name


@pytest.mark.parametrize(
    "name",
    ["<b>a b</b>", "https://evil.example/pixel.png", "//evil/x", "evil.example", "evil.example/x", "EVIL.EXAMPLE:80/x",
     "203.0.113.9:8080/x", "localhost:8080/x", "@here", "mailto:x", "tel:123", "a" * 101, "", "see the finding", 7,
     "евил.рф", "evil\u3002com", "nvidia.com/gpu", "javascript:x"],
)  # fmt: skip
def test_a_models_name_that_could_link_or_speak_is_the_asked_one(name: JsonValue) -> None:
    assert got(message({"content": "a"}, model=name), asked="asked").model == "asked"
    assert got(sse({**delta({"content": "a"}, "stop"), "model": name}), asked="asked").model == "asked"


def test_refusals() -> None:
    assert got(sse(delta({"refusal": "I "}), delta({"refusal": "won't"}, "stop"))).refusal == "I won't"
    assert "content filter" in got(message({"content": ""}, "content_filter")).refusal


def test_half_a_surrogate_pair_can_be_encoded_afterwards() -> None:
    reply = got(b'{"choices":[{"message":{"content":"a\\ud800"},"finish_reason":"stop"}]}')
    assert reply.text.encode() == b"a?"


# --- usage -------------------------------------------------------------------------------------------------


def test_usage_in_a_last_chunk_without_choices_and_null_before() -> None:
    last: JsonObject = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    reply = got(sse({**delta({"content": "a"}, "stop"), "usage": None}, last))
    assert (reply.spent.input, reply.spent.output, reply.spent.counted) == (9, 2, True)


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": True}, "9"]
)
def test_without_usable_usage_tokens_are_bytes_over_four(usage: JsonValue) -> None:
    reply = got(message({"content": "äöü"}, usage=usage), sent="x" * 9)
    assert (reply.spent.input, reply.spent.output, reply.spent.counted) == (3, 2, False)


# --- streams -----------------------------------------------------------------------------------------------


def test_a_stream_may_end_without_done_once_it_gave_a_reason() -> None:
    assert got(sse(delta({"content": "a"}, "stop"), done=False)).text == "a"


def test_a_stream_may_end_without_a_reason_once_it_said_done() -> None:
    assert got(sse(delta({"content": "a"}))).text == "a"


def test_a_stream_that_just_ends_was_cut() -> None:
    with pytest.raises(ModelError, match="cut off") as caught:
        got(sse(delta({"content": "a"}), done=False))
    assert caught.value.kind == "cut"


def test_a_stream_that_ends_inside_an_event_was_cut() -> None:
    with pytest.raises(ModelError) as caught:
        got(sse(delta({"content": "a"}), delta({"content": "b"}), done=False)[:-30])
    assert caught.value.kind == "cut"


def test_line_ends_comments_and_split_bytes_do_not_matter() -> None:
    raw = b": hello\r\n" + sse(delta({"content": "ä"}, "stop")).replace(b"\n", b"\r\n").replace(
        b"\\u00e4", "ä".encode()
    )
    assert got(*(bytes([byte]) for byte in raw)).text == "ä"


def test_a_body_where_a_stream_was_expected() -> None:
    assert got(b"\n " + message({"content": "a"})).text == "a"


def test_an_error_inside_a_stream_is_told() -> None:
    with pytest.raises(ModelError, match="out of memory") as caught:
        got(sse(delta({"content": "a"}), {"error": {"message": "out of memory"}}))
    assert caught.value.kind == "server"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"[]", "no chat completion"),
        (b'{"choices": []}', "without any choice"),
        (b'{"ok": true}', "without any choice"),
        (b"", "nothing"),
        (b"\xff\xfe\x00", "without any choice"),
        (b'{"choices": [{"mess', "not JSON"),
        (b"data: {oops\n\n", "not JSON"),
        (b"data: {oops", "without any choice"),
        (b"[" * 100_000, "not JSON"),
        (sse({"choices": []}), "without any choice"),
    ],
)
def test_what_cannot_be_read_says_so(raw: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        got(raw)
    assert caught.value.kind == "unreadable"


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert got(b'{"choices":[{"message":{"content":"a\xff"},"finish_reason":"stop"}]}').text == "a\ufffd"


@pytest.mark.parametrize(
    "raw",
    [
        [message({"content": "x" * (REPLY_BYTES + 1)})],
        [message({"content": "x"}, pad="x" * REPLY_BYTES)],
        [b"data: " + b"x" * (REPLY_BYTES + 1)],
        [sse(delta({"content": "x" * 100_000}), done=False)] * 11,
        [sse(delta({"reasoning_content": "x" * 100_000}), done=False)] * 11,
        [sse(delta({"tool_calls": [piece(0, "", "x" * 100_000)]}), done=False)] * 11,
    ],
)
def test_too_large_a_reply_is_refused(raw: list[bytes]) -> None:
    with pytest.raises(ModelError) as caught:
        got(*raw)
    assert caught.value.kind == "too-large"


def test_an_event_of_several_lines() -> None:
    assert Events().feed(b"data: a\ndata:b\nid: 1\n\n") == ["a\nb"]


# --- anything at all ---------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4) | st.sampled_from(["pods", "{", "stop"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "index", "id",
             "finish_reason", "usage", "error", "function_call", "refusal", "text", "type"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


_CHUNKS = st.lists(_JSON | st.builds(lambda d: {"choices": [{"delta": d}]}, _JSON), max_size=4)


def holds(raw: bytes) -> None:
    """Nothing but a Reply with distinct ids, or a ModelError of one line."""
    try:
        reply = got(raw)
    except ModelError as error:
        lines = str(error).splitlines()
    else:
        lines = ["fine"]
        assert len({call.id for call in reply.calls}) == len(reply.calls)
    assert len(lines) == 1


@settings(max_examples=300)
@given(_CHUNKS, st.sampled_from(["streamed", "ended", "whole"]))
def test_any_json_ends_in_a_reply_or_one_line(chunks: list[JsonValue], form: str) -> None:
    holds(json.dumps(chunks[0] if chunks else None).encode() if form == "whole" else sse(*chunks, done=form == "ended"))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_reply_or_one_line(raw: bytes) -> None:
    holds(raw)
