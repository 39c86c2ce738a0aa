"""Asking an endpoint: what is sent, deadlines, retries, cancellation, and every failure in one line."""

from __future__ import annotations

import asyncio
import time

import pytest

from agent.llm.capabilities import Capabilities
from agent.llm.transport import ERROR_BYTES
from agent.llm.types import FailureKind, Message, ModelCall, ModelError
from evals.servers.model import forms
from evals.servers.model.script import ScriptedCall, ScriptedReply, Wire
from tests.llm.conftest import QUESTION, TOOLS, Bench, complete

KEY = "sk-planted-canary-0123456789"
HELLO = ScriptedReply(text=("hel", "lo"), usage=(9, 2))
CALLS = ScriptedReply(calls=(ScriptedCall("pods", {"namespace": "a"}), ScriptedCall("logs")))


def fault(status: int = 200, body: bytes | str | None = None, **headers: str) -> ScriptedReply:
    """A reply that is an error, or a body of its own."""
    raw = forms.error(body) if isinstance(body, str) else body
    return ScriptedReply(
        wire=Wire(status=status, body=raw, headers={k.replace("_", "-"): v for k, v in headers.items()})
    )


# --- what is sent and what comes back ------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_words_and_calls_come_back_the_same_either_way(bench: Bench, *, stream: bool) -> None:
    reply = await bench.ask(HELLO, stream=stream)
    assert (reply.text, reply.finish, reply.model, reply.spent.counted) == ("hello", "stop", "scripted", True)
    calls = (await bench.ask(CALLS, stream=stream)).calls
    assert [(c.name, c.arguments, c.complete) for c in calls] == [
        ("pods", '{"namespace": "a"}', True),
        ("logs", "{}", True),
    ]


async def test_a_conversation_is_sent_as_the_protocol_wants_it(bench: Bench) -> None:
    server = await bench.serve(HELLO)
    chat = bench.client(server.url)
    told: list[int] = []
    conversation = (
        *QUESTION,
        Message(role="assistant", calls=(ModelCall(id="x", name="pods", arguments=""),)),
        Message(role="tool", content="3 rows", answers="x"),
    )
    await chat.complete(conversation, TOOLS, seconds=5, max_output=7, must_call="logs", on_text=told.append)
    body = server.requests[0].body
    assert body["messages"] == [
        {"role": "system", "content": "You look."},
        {"role": "user", "content": "why?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "pods", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "x", "content": "3 rows"},
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "logs"}}
    assert (body["max_tokens"], body["stream"], body["stream_options"]) == (7, True, {"include_usage": True})
    assert told[-1] == 5


async def test_half_a_character_in_evidence_can_be_sent(bench: Bench) -> None:
    server = await bench.serve(HELLO)
    chat = bench.client(server.url)
    await chat.complete((Message(role="user", content="a\ud800é"),), (), seconds=5, max_output=7)
    assert server.requests[0].body["messages"] == [{"role": "user", "content": "a?é"}]


async def test_headers_are_ours_alone_whatever_the_environment_says(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"OPENAI_{name}", "http://leak.example/leak")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leak: leak\nAuthorization: Bearer leak")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server = await bench.serve(HELLO)
    await complete(bench.client(server.url, headers={"X-Team": "gpu"}))
    seen = dict(server.requests[0].headers)
    assert not server.requests[0].authorized
    assert "leak" not in str(seen)
    assert seen["x-team"] == "gpu"
    assert set(seen) <= {
        "host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent", "x-team"
    }  # fmt: skip


async def test_the_key_is_sent_where_there_is_one(bench: Bench) -> None:
    server = await bench.serve(HELLO, key=KEY)
    chat = bench.client(server.url, key=f" {KEY}\n")
    assert (await complete(chat)).text == "hello"
    assert KEY not in repr(chat._endpoint)


# --- failures ----------------------------------------------------------------------------------------------

HTML = b"<!DOCTYPE html><html><title>Sign in</title><script>function stream(tools) {}</script></html>"
FAILURES: dict[str, tuple[ScriptedReply, FailureKind, str]] = {
    "401": (fault(401, "no"), "credentials", "refuses the key"),
    "403": (fault(403, "no"), "credentials", "refuses the key"),
    "404, a model": (fault(404, "The model `x` does not exist"), "model", "has no model"),
    "400, a model": (fault(400, "Invalid model name passed in model=x"), "model", "has no model"),
    "400, no model": (fault(400, "Model Not Exist"), "model", "has no model"),
    "404, a path": (fault(404, "Not Found"), "address", "/v1"),
    "404, a page": (fault(404, HTML), "address", "/v1"),
    "405": (fault(405, b""), "address", "/v1"),
    "307": (ScriptedReply(wire=Wire(redirect="http://169.254.169.254/x")), "address", "redirects (status 307)"),
    "301": (ScriptedReply(wire=Wire(status=301, redirect="https://elsewhere.example/")), "address", "redirects"),
    "413": (fault(413, "big"), "too-large", "too large"),
    "400, window": (fault(400, "This model's maximum context length is 8192 tokens"), "too-large", "larger window"),
    "400, filter": (fault(400, b'{"error": {"code": "content_filter", "message": "no"}}'), "refused", "content filter"),
    "429": (fault(429, "slow"), "limit", "slow down"),
    "429, quota": (fault(429, b'{"error": {"code": "insufficient_quota", "message": "pay"}}'), "limit", "pay"),
    "500": (fault(500, "boom"), "server", "status 500: boom"),
    "502, a page": (fault(502, HTML), "unreadable", "HTML"),
    "503, nothing": (fault(503, b""), "server", "status 503"),
    "418": (fault(418, b'{"detail": [{"loc": ["a"], "msg": "teapot"}]}'), "server", "teapot"),
    "200, a page": (fault(200, HTML), "unreadable", "HTML"),
    "200, no JSON": (fault(200, b"hello"), "unreadable", "choice"),
    "200, nothing": (fault(200, b""), "unreadable", "nothing"),
    "no choices": (ScriptedReply(text="x", wire=Wire(choices=False)), "unreadable", "choice"),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", FAILURES)
async def test_each_failure_is_one_clear_line(bench: Bench, name: str, *, stream: bool) -> None:
    reply, kind, words = FAILURES[name]
    with pytest.raises(ModelError) as caught:
        await bench.ask(reply, stream=stream)
    assert caught.value.kind == kind
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("where", [{"key": KEY}, {"headers": {"X-Api-Key": KEY}}])
@pytest.mark.parametrize(
    "said", [f"bad key {KEY}", f"bad key {KEY[:20]}****", f"Bearer {KEY}\r\nat https://u:p@h.example/{KEY}", KEY * 40]
)
async def test_a_key_that_the_server_echoes_is_never_shown(bench: Bench, where: dict[str, object], said: str) -> None:
    server = await bench.serve(fault(401, said))
    chat = bench.client(server.url, **where)  # type: ignore[arg-type]
    with pytest.raises(ModelError) as caught:
        await complete(chat)
    assert KEY[:16] not in str(caught.value)
    assert "example" not in str(caught.value)


async def test_an_error_in_a_stream_is_cleaned_too(bench: Bench) -> None:
    server = await bench.serve(fault(200, f'data: {{"error": "{KEY} see http://a.example/b\\n<x>"}}\n\n'.encode()))
    with pytest.raises(ModelError) as caught:
        await complete(bench.client(server.url, key=KEY))
    assert str(caught.value) == "the endpoint reports: (key) see (link) x"


@pytest.mark.parametrize("status", [400, 404, 501])
async def test_a_page_is_never_read_as_the_refusal_of_a_feature(bench: Bench, status: int) -> None:
    server = await bench.serve(fault(status, HTML))
    with pytest.raises(ModelError):
        await complete(bench.client(server.url))
    assert len(server.requests) == 1


async def test_nobody_listens(bench: Bench) -> None:
    server = await bench.serve(HELLO)
    await server.stop()
    chat = bench.client(server.url)
    with pytest.raises(ModelError, match="refuses connections") as caught:
        await complete(chat)
    assert caught.value.kind == "address"
    assert (chat.requests, bench.waits) == (3, [0.5, 2.0])


async def test_a_name_that_does_not_resolve(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def fail(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    chat = bench.client("https://no-such-host.invalid/v1")
    with pytest.raises(ModelError, match=r"no-such-host\.invalid does not resolve") as caught:
        await complete(chat)
    assert caught.value.kind == "address"
    assert chat.requests == 1


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "100.100.100.200"])
async def test_a_name_that_leads_to_a_metadata_address_is_not_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    import socket

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: [(socket.AF_INET, 1, 6, "", (address, 443))])
    chat = bench.client("https://gateway.example/v1")
    with pytest.raises(ModelError, match="never asked") as caught:
        await complete(chat)
    assert (caught.value.kind, chat.requests) == ("address", 1)


# --- retries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_twice_more(bench: Bench, status: int) -> None:
    server = await bench.serve(fault(status, "busy"), fault(status, "busy"), HELLO)
    chat = bench.client(server.url)
    assert (await complete(chat)).text == "hello"
    assert (chat.requests, bench.waits) == (3, [0.5, 2.0])


async def test_never_more_than_three_requests_for_one_failure(bench: Bench) -> None:
    server = await bench.serve(fault(503, "busy"))
    chat = bench.client(server.url)
    with pytest.raises(ModelError):
        await complete(chat)
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 413, 418])
async def test_what_will_not_pass_is_asked_once(bench: Bench, status: int) -> None:
    server = await bench.serve(fault(status, "no"))
    with pytest.raises(ModelError):
        await complete(bench.client(server.url))
    assert (len(server.requests), bench.waits) == (1, [])


async def test_a_pause_the_server_asks_for_is_kept_where_it_fits(bench: Bench) -> None:
    server = await bench.serve(fault(429, "slow", Retry_After="3"), HELLO)
    assert (await complete(bench.client(server.url))).text == "hello"
    assert bench.waits == [3.0]


async def test_a_pause_that_does_not_fit_is_told(bench: Bench) -> None:
    server = await bench.serve(fault(429, "slow", Retry_After="3600"))
    with pytest.raises(ModelError, match="wait 3600 s") as caught:
        await complete(bench.client(server.url))
    assert (caught.value.kind, len(server.requests), bench.waits) == ("limit", 1, [])


async def test_nothing_is_asked_again_once_a_reply_has_begun(bench: Bench) -> None:
    server = await bench.serve(ScriptedReply(text="hello", wire=Wire(cut=150)))
    with pytest.raises(ModelError) as caught:
        await complete(bench.client(server.url))
    assert (caught.value.kind, len(server.requests)) == ("cut", 1)


# --- time --------------------------------------------------------------------------------------------------


async def test_an_endpoint_that_never_answers_ends_at_the_deadline(bench: Bench) -> None:
    server = await bench.serve(ScriptedReply(wire=Wire(hang=True)))
    with pytest.raises(ModelError, match=r"no whole reply within 0\.1 s") as caught:
        await complete(bench.client(server.url), seconds=0.1)
    assert caught.value.kind == "timeout"


async def test_silence_inside_a_reply_ends_it(bench: Bench) -> None:
    server = await bench.serve(ScriptedReply(text="hello", wire=Wire(hang_after=200)))
    with pytest.raises(ModelError, match="fell silent") as caught:
        await complete(bench.client(server.url, idle=0.05))
    assert caught.value.kind == "timeout"


async def test_slow_drops_end_at_the_deadline(bench: Bench) -> None:
    server = await bench.serve(ScriptedReply(text=tuple("abcdefghijklmnopqrstuvwxyz" * 4), wire=Wire(drip=0.02)))
    with pytest.raises(ModelError) as caught:
        await complete(bench.client(server.url), seconds=0.15)
    assert caught.value.kind == "timeout"


async def test_an_outer_timeout_is_not_mistaken_for_ours(bench: Bench) -> None:
    server = await bench.serve(ScriptedReply(wire=Wire(hang=True)))
    chat = bench.client(server.url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await complete(chat)


async def test_the_end_is_the_end_though_the_server_holds_the_connection(bench: Bench) -> None:
    server = await bench.serve(ScriptedReply(text="hello", wire=Wire(hang_after=1 << 20)))
    assert (await complete(bench.client(server.url))).text == "hello"
    await asyncio.wait_for(server.gone.wait(), 1.0)


@pytest.mark.parametrize("wire", [Wire(hang=True), Wire(hang_after=200)])
async def test_cancelling_closes_the_connection_at_once(bench: Bench, wire: Wire) -> None:
    server = await bench.serve(ScriptedReply(text="hello", wire=wire))
    chat = bench.client(server.url)
    task = asyncio.create_task(complete(chat))
    while not server.requests:
        await asyncio.sleep(0)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.gone.wait(), 1.0)
    assert time.monotonic() - began < 0.2


# --- size --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_of_more_than_a_megabyte_is_refused(bench: Bench, *, stream: bool) -> None:
    with pytest.raises(ModelError) as caught:
        await bench.ask(ScriptedReply(text=["x" * 100_000] * 11), stream=stream)
    assert caught.value.kind == "too-large"


async def test_an_endless_stream_of_nothing_is_refused(bench: Bench) -> None:
    with pytest.raises(ModelError) as caught:
        await bench.ask(fault(200, b": still here\n" * 800_000))
    assert caught.value.kind == "too-large"


async def test_a_huge_error_page_is_read_only_in_part(bench: Bench) -> None:
    page = b'{"message": "' + b"x" * (3 * ERROR_BYTES)
    with pytest.raises(ModelError) as caught:
        await bench.ask(ScriptedReply(wire=Wire(status=418, body=page, hang_after=2 * ERROR_BYTES)))
    assert caught.value.kind == "server"


async def test_compression_that_was_not_asked_for_is_not_undone(bench: Bench) -> None:
    with pytest.raises(ModelError) as caught:
        await bench.ask(fault(200, b"\x1f\x8b\x08\x00" + b"\x00" * 50, Content_Encoding="gzip"))
    assert caught.value.kind == "unreadable"


async def test_concurrent_questions_share_a_client(bench: Bench) -> None:
    server = await bench.serve(HELLO)
    chat = bench.client(server.url, capabilities=Capabilities())
    replies = await asyncio.gather(*(complete(chat) for _ in range(20)))
    assert {reply.text for reply in replies} == {"hello"}
    assert chat.requests == 20
