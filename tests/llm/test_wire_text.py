"""Tool calls written in the text of a reply."""

from __future__ import annotations

import json

import pytest

from agent.llm import textcalls
from agent.llm.types import Message, ModelCall, Reply
from agent.llm.wire import Gather
from tests.llm.conftest import TOOLS, read

NAMES = ("pods", "logs")
ONE = '{"name": "pods", "arguments": {"namespace": "a"}}'
TWO = '{"name": "logs", "arguments": {}}'


def said(text: str, finish: str = "stop") -> Reply:
    """A reply whose text is this."""
    body = {"choices": [{"message": {"content": text}, "finish_reason": finish}]}
    return read([json.dumps(body).encode()], Gather(offered=NAMES))


FORMS = {
    "tags": f"<tool_call>{ONE}</tool_call>",
    "tags on lines": f"<tool_call>\n{ONE}\n</tool_call>\n",
    "tags without end": f"<tool_call>{ONE}",
    "json fence": f"```json\n{ONE}\n```",
    "bare fence": f"```\n{ONE}\n```",
    "our own fence": f"```tool\n{ONE}\n```",
    "mistral": f"[TOOL_CALLS] [{ONE}]",
    "mistral, newer": '[TOOL_CALLS]pods[ARGS]{"namespace": "a"}',
    "mistral, with an id": '[TOOL_CALLS]pods[CALL_ID]abc123def[ARGS] {"namespace": "a"}\n',
    "llama": f"<|python_tag|>{ONE}",
    "llama, ended": f"<|python_tag|>{ONE}<|eom_id|>",
    "parameters": f"<|python_tag|>{ONE.replace('arguments', 'parameters')}",
    "as the protocol nests it": f'<tool_call>{{"type": "function", "function": {ONE}}}</tool_call>',
    "arguments as text": '<tool_call>{"name": "pods", "arguments": "{\\"namespace\\": \\"a\\"}"}</tool_call>',
    "nothing but JSON": ONE,
    "a list": f"[{ONE}]",
}


MARKED = [form for form in FORMS if form not in ("nothing but JSON", "a list")]


@pytest.mark.parametrize(
    ("before", "form"), [("", form) for form in FORMS] + [("Let me look.\n", form) for form in MARKED]
)
def test_a_call_in_text_is_read(before: str, form: str) -> None:
    reply = said(before + FORMS[form])
    assert [(c.name, json.loads(c.arguments), c.complete) for c in reply.calls] == [("pods", {"namespace": "a"}, True)]
    assert reply.text == before.strip()


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{ONE}</tool_call><tool_call>{TWO}</tool_call>",
        f"```tool\n{ONE}\n{TWO}\n```",
        f"<|python_tag|>{ONE};\n{TWO}",
        f"[TOOL_CALLS][{ONE}, {TWO}]",
        '[TOOL_CALLS]pods[ARGS]{"namespace": "[TOOL_CALLS]"}\n[TOOL_CALLS]logs[ARGS]{}',
        f"```json\n{ONE}\n```\n\n```json\n{TWO}\n```",
    ],
)
def test_several_calls_in_text_are_read_in_order(text: str) -> None:
    calls = said(text).calls
    assert [call.name for call in calls] == ["pods", "logs"]
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize(
    "text",
    [
        f"The log says <tool_call>{ONE}</tool_call> which is odd.",
        f"It reads:\n```yaml\n<tool_call>{ONE}</tool_call>\n```\n",
        f"<tool_call>{ONE.replace('pods', 'delete')}</tool_call>",
        '```json\n{"kind": "Pod"}\n```',
        '```json\n{"name": "pods"}\n```',
        f"```json\n[{ONE}, 3]\n```",
        "```\nplain output\n```",
        f"I would call {ONE}",
        "[TOOL_CALLS]delete[ARGS]{}",
        "[TOOL_CALLS]pods[ARGS]{} is what it says",
        "[TOOL_CALLS]pods[ARGS]{}[TOOL_CALLS]delete[ARGS]{}",
    ],
)
def test_what_is_quoted_unknown_or_no_call_stays_text(text: str) -> None:
    reply = said(text)
    assert (reply.calls, reply.text) == ((), text)


@pytest.mark.parametrize(
    "text",
    [
        FORMS["tags"][:-25],
        "<tool_call>" + ONE[:-1],
        "```tool\n" + ONE[:-6],
        '[TOOL_CALLS] [{"name": "pods"',
        '[TOOL_CALLS]pods[ARGS]{"n',
    ],
)
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_block_that_does_not_close_is_a_call_cut_short(text: str, finish: str) -> None:
    assert [call.complete for call in said(text, finish).calls] == [False]


def test_a_reply_out_of_length_never_ends_in_a_complete_call() -> None:
    assert [call.complete for call in said(FORMS["our own fence"], "length").calls] == [False]


def test_text_is_not_read_for_calls_beside_real_ones() -> None:
    value = {"content": FORMS["tags"], "tool_calls": [{"id": "x", "function": {"name": "logs", "arguments": "{}"}}]}
    raw = json.dumps({"choices": [{"message": value, "finish_reason": "tool_calls"}]}).encode()
    assert [call.name for call in read([raw], Gather(offered=NAMES)).calls] == ["logs"]


def test_a_conversation_without_tool_messages_says_the_same() -> None:
    call = ModelCall(id="x", name="pods", arguments='{\n"namespace": "a"}')
    conversation = (
        Message(role="system", content="You look."),
        Message(role="user", content="why?"),
        Message(role="assistant", content="First pods.", calls=(call,)),
        Message(role="tool", content="3 rows", answers="x"),
        Message(role="user", content="go on"),
    )
    made = textcalls.as_text(conversation, TOOLS, must_call="logs")
    assert [m.role for m in made] == ["system", "user", "assistant", "user"]
    assert "pods: List pods." in made[0].content
    assert "must call `logs`" in made[0].content
    assert made[3].content == "Result of pods:\n3 rows\n\ngo on"
    words, calls = textcalls.find(made[2].content, NAMES)
    assert (words, [(c.name, json.loads(c.arguments)) for c in calls]) == (
        "First pods.",
        [("pods", {"namespace": "a"})],
    )


def test_tools_are_described_where_there_is_no_system_message() -> None:
    made = textcalls.as_text([Message(role="user", content="why?")], TOOLS, must_call="")
    assert [m.role for m in made] == ["system", "user"]
