"""A hostile endpoint: what it breaks, what it gets printed, what it hides of its cost, and where its name leads."""

from __future__ import annotations

import ipaddress
import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from agent.llm.capabilities import probe
from agent.llm.counting import MAX_SENDS
from agent.llm.endpoint import Endpoint, OpenAIChat
from agent.llm.failures import Words
from agent.llm.transport import forbidden
from agent.llm.types import FailureKind, Message, ModelError, Reply, Spent, tokens
from evals.judge import score
from evals.servers.model import forms
from evals.servers.model.script import ScriptedReply, Wire
from evals.servers.model.server import MODEL
from tests.llm.conftest import QUESTION, TOOLS, Bench, complete
from tests.render.build import diagnosis

KEY = "sk-live-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
HELLO = ScriptedReply(text="hello")
DEEP = b"[" * 700 + b"]" * 700
EVIDENCE = (Message(role="user", content="a row of evidence\n" * 400),)


def answered(status: int, body: bytes | str, **headers: str) -> ScriptedReply:
    """An answer of these bytes, or an error of these words."""
    raw = forms.error(body) if isinstance(body, str) else body
    return ScriptedReply(
        wire=Wire(status=status, body=raw, headers={k.replace("_", "-"): v for k, v in headers.items()})
    )


async def failure(bench: Bench, *replies: ScriptedReply, key: str = KEY) -> ModelError:
    """How asking such an endpoint fails."""
    server = await bench.serve(*replies)
    with pytest.raises(ModelError) as caught:
        await complete(bench.client(server.url, key=key))
    return caught.value


# --- what breaks nothing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": %s}' % DEEP, "server"),
        (401, b'{"error": %s}' % DEEP, "credentials"),
        (200, b'{"error": %s}' % DEEP, "server"),
        (200, b'data: {"error": %s}\n\n' % DEEP, "server"),
        (400, b'{"error": {"code": %s, "message": %s}}' % (DEEP, DEEP), "server"),
    ],
)
async def test_an_error_of_any_depth_is_one_line(bench: Bench, status: int, body: bytes, kind: FailureKind) -> None:
    error = await failure(bench, answered(status, body))
    assert (error.kind, len(str(error).splitlines())) == (kind, 1)


async def test_a_probe_and_a_judge_outlive_it(bench: Bench) -> None:
    server = await bench.serve(answered(400, b'{"error": %s}' % DEEP))
    chat = bench.client(server.url)
    assert not (await probe(chat)).usable
    judged = await score(chat, diagnosis(), seconds=5)
    assert (judged.clarity, judged.input > 100) == (None, True)
    assert judged.failure


@pytest.mark.parametrize("where", ["feed", "end"])
async def test_whatever_reading_a_reply_raises_is_unreadable(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def breaks(*_args: object) -> None:
        raise RecursionError

    monkeypatch.setattr(f"agent.llm.stream.Intake.{where}", breaks)
    error = await failure(bench, answered(200, b"{}"))
    assert (error.kind, "RecursionError" in error.message) == ("unreadable", True)


@pytest.mark.parametrize("told", ["on_send", "on_text"])
async def test_what_the_caller_raises_is_the_callers(bench: Bench, told: str) -> None:
    def stop(_number: int) -> None:
        raise ZeroDivisionError

    server = await bench.serve(HELLO)
    chat = bench.client(server.url)
    with pytest.raises(ZeroDivisionError):
        await chat.complete(QUESTION, (), seconds=5, max_output=9, **{told: stop})  # type: ignore[arg-type]
    assert len(server.requests) == (0 if told == "on_send" else 1)


# --- what is printed ---------------------------------------------------------------------------------------

HOSTILE = (
    "ask @here", "ask ＠channel", "<!channel>", "<@U123>", "at евил。рф/login", "203.0.113.9:8080/x", "mailto:x@evil",
    "tel:+4912", "localhost:8080/x", "evil。com/q", "evil.example", "https:evil", "[a](//b/c)", "ev\u200bil.example/x",
)  # fmt: skip
PARTS = ("@", "евил", "203.", "evil.", "mailto:", "tel:", ":8080", "//", "<", "https:", "example")


@pytest.mark.parametrize("said", HOSTILE)
@pytest.mark.parametrize("status", [200, 401, 500])
async def test_no_link_and_no_mention_of_a_server_is_shown(bench: Bench, said: str, status: int) -> None:
    error = await failure(bench, answered(status, f"boom {said} boom"))
    shown = str(error).removeprefix("127.0.0.1:")
    assert "boom" in shown
    assert not [part for part in PARTS if part in shown]


@pytest.mark.parametrize(
    "form",
    [
        KEY, KEY[len(KEY) // 2 - 6 :], KEY[5:16], KEY.swapcase(), KEY.replace("-", "\u2011"), "-".join(KEY),
        " ".join(KEY), "\u200b".join(KEY), KEY[:20] + "\r\n" + KEY[20:], KEY.translate({ord("A"): "Ａ"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", [{"key": KEY}, {"headers": {"X-Api-Key": KEY}}])
async def test_no_part_of_a_key_is_shown(bench: Bench, where: dict[str, object], form: str) -> None:
    server = await bench.serve(answered(401, f"bad: {form}"))
    with pytest.raises(ModelError) as caught:
        await complete(bench.client(server.url, **where))  # type: ignore[arg-type]
    letters = [c for c in str(caught.value).partition("(status 401)")[2].casefold() if c.isalnum()]
    # beside the mark, at most a rest too short to tell
    assert "".join(letters).startswith("badkey")
    assert len("".join(letters).removeprefix("badkey").partition("checkthekey")[0]) < 8


def test_words_beside_a_key_stay() -> None:
    plain = Words([KEY], ["inference-team"]).plain
    assert plain(f"the key {KEY} of inference-team is wrong") == "the key (key) of (key) is wrong"
    assert plain("inference is down: ABCDEFG, team") == "inference is down: ABCDEFG, team"
    assert Words(["abcd"]).plain("a key AB-CD and bcda") == "a key (key) and bcda"
    assert Words(["", "ab", "----"]).plain("ab cd") == "ab cd"


async def test_the_name_a_server_gives_its_model_is_not_shown(bench: Bench) -> None:
    body = {
        "model": "https://evil.example/pixel",
        "choices": [{"message": {"content": "ready"}, "finish_reason": "stop"}],
    }
    server = await bench.serve(answered(200, json.dumps(body).encode()))
    chat = bench.client(server.url)
    assert (await complete(chat)).model == chat.model
    assert "evil" not in str((await probe(chat)).lines)


# --- what it costs -----------------------------------------------------------------------------------------


async def counting(bench: Bench, *replies: ScriptedReply, idle: float = 5.0) -> tuple[Reply | ModelError, list[int]]:
    """What comes of asking about evidence, and the tokens of each request as they were told."""
    server = await bench.serve(*replies)
    chat, told = bench.client(server.url, idle=idle), list[int]()
    try:
        got: Reply | ModelError = await chat.complete(EVIDENCE, TOOLS, seconds=5, max_output=50, on_send=told.append)
    except ModelError as error:
        got = error
    assert len(told) == len(server.requests) == chat.requests
    assert all(abs(n - tokens(json.dumps(r.body))) < 20 for n, r in zip(told, server.requests, strict=True))
    return got, told


async def test_every_request_is_told_before_it_is_sent_and_counted(bench: Bench) -> None:
    got, told = await counting(bench, answered(503, "busy"), answered(400, "no stream_options"), HELLO)
    assert isinstance(got, Reply)
    assert len(told) == 3
    assert got.earlier == Spent(input=told[0] + told[1], counted=False)
    assert got.cost == got.spent.plus(got.earlier)
    assert got.spent.input >= told[2] // 2


async def test_a_server_cannot_have_a_case_sent_more_than_a_few_times(bench: Bench) -> None:
    parameters = ("stream_options", "parallel_tool_calls", "stream", "tools", "max_tokens", "max_completion_tokens")
    replies = [
        reply
        for name in parameters
        for reply in (answered(429, "slow", Retry_After="0"), answered(400, f"unsupported: {name}"))
    ]
    got, told = await counting(bench, *replies)
    assert isinstance(got, ModelError)
    assert len(told) == MAX_SENDS == 6
    assert got.spent == Spent(input=sum(told), counted=False)
    assert got.kind in ("server", "limit")


async def test_no_more_is_sent_once_the_caller_says_so(bench: Bench) -> None:
    server = await bench.serve(answered(503, "busy"))
    told: list[int] = []

    def once(sent: int) -> None:
        if told:
            raise ModelError("limit", "enough")
        told.append(sent)

    with pytest.raises(ModelError, match="enough") as caught:
        await bench.client(server.url).complete(EVIDENCE, (), seconds=5, max_output=9, on_send=once)
    assert (len(server.requests), caught.value.spent.input) == (1, told[0])


@pytest.mark.parametrize(
    ("reply", "kind", "heard"),
    [
        (ScriptedReply(text=["x"] * 400, wire=Wire(cut=900)), "cut", True),
        (ScriptedReply(text=["x"] * 400, wire=Wire(hang_after=900)), "timeout", True),
        (ScriptedReply(text=["x" * 100_000] * 11), "too-large", True),
        (answered(418, "teapot"), "server", False),
        (answered(200, b'{"usage": {"prompt_tokens": 1, "completion_tokens": 1}, "error": "x"}'), "server", False),
    ],
)
async def test_a_reply_that_fails_costs_too(
    bench: Bench, reply: ScriptedReply, kind: FailureKind, *, heard: bool
) -> None:
    got, told = await counting(bench, reply, idle=0.1)
    assert isinstance(got, ModelError)
    assert (got.kind, got.spent.counted) == (kind, False)
    assert got.spent.input >= sum(told) // 2
    assert (got.spent.output > 0) is heard


async def test_the_deadline_keeps_what_was_spent(bench: Bench) -> None:
    server = await bench.serve(ScriptedReply(wire=Wire(hang=True)))
    with pytest.raises(ModelError) as caught:
        await bench.client(server.url).complete(EVIDENCE, (), seconds=0.1, max_output=9)
    assert (caught.value.kind, caught.value.spent.input > 1_500) == ("timeout", True)


async def test_what_never_reached_a_server_costs_nothing(bench: Bench) -> None:
    server = await bench.serve(HELLO)
    await server.stop()
    with pytest.raises(ModelError) as caught:
        await complete(bench.client(server.url))
    assert caught.value.spent == Spent(counted=caught.value.spent.counted)


async def test_a_lying_count_is_not_believed(bench: Bench) -> None:
    for usage in ((1, 1), (1 << 40, 1 << 40)):
        server = await bench.serve(ScriptedReply(text="hello", usage=usage))
        reply = await bench.client(server.url).complete(EVIDENCE, (), seconds=5, max_output=50)
        assert not reply.spent.counted
        assert 900 <= reply.spent.input <= 10_000
        assert reply.spent.output <= 100


async def test_a_pause_given_as_a_date_is_kept_by_the_servers_clock(bench: Bench) -> None:
    now = datetime(2031, 5, 6, tzinfo=UTC)
    date, until = (format_datetime(at, usegmt=True) for at in (now, now + timedelta(seconds=4)))
    server = await bench.serve(answered(429, "slow", Date=date, Retry_After=until), HELLO)
    assert (await complete(bench.client(server.url))).text == "hello"
    assert bench.waits == [4.0]


# --- where its name leads ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::169.254.169.254",
        "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0:a9fe:a9fe", "fd00:ec2::254", "fd20:ce::254",
        "168.63.129.16", "64:ff9b::168.63.129.16", "100.100.100.200", "2002:6464:64c8::", "fe80::1", "::", "0.0.0.0",
        "2001:0:a9fe:a9fe::1", "ff02::1",
    ],
)  # fmt: skip
def test_metadata_addresses_in_every_wrapping_are_forbidden(address: str) -> None:
    assert forbidden(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["::1", "127.0.0.1", "10.0.0.7", "64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:10.0.0.7", "fd00::7"]
)
def test_other_addresses_are_not(address: str) -> None:
    assert not forbidden(ipaddress.ip_address(address))


class Names:
    """Resolves one name to the next of these lists each time, and everything else as ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers, self.asked, self._real = list(answers), 0, socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: object, port: object, *_args: object, **_kwargs: object) -> list[object]:
        if host not in ("gateway.example", b"gateway.example"):
            return self._real(host, port, *_args, **_kwargs)  # type: ignore[arg-type, return-value]
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


async def named(bench: Bench, url: str) -> Reply:
    """What an endpoint at this port says under a name."""
    path = url.rpartition(":")[2]
    chat = OpenAIChat(Endpoint(base_url=f"http://gateway.example:{path}", model=MODEL, allow_plain_http=True))
    bench.closing(chat.aclose)
    return await complete(chat)


async def test_what_is_connected_to_is_what_was_checked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await bench.serve(HELLO)
    names = Names(monkeypatch, ["127.0.0.1"], ["127.0.0.9"])
    assert (await named(bench, server.url)).text == "hello"
    assert names.asked == 1
    assert dict(server.requests[0].headers)["host"].startswith("gateway.example:")


async def test_the_next_address_of_a_name_is_tried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await bench.serve(HELLO)
    Names(monkeypatch, ["127.0.0.9", "127.0.0.1"])
    assert (await named(bench, server.url)).text == "hello"
    assert len(server.requests) == 1


async def test_one_forbidden_address_forbids_the_name(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await bench.serve(HELLO)
    Names(monkeypatch, ["127.0.0.1", "169.254.169.254"])
    with pytest.raises(ModelError, match="never asked"):
        await named(bench, server.url)
    assert not server.requests
