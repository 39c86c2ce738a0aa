"""Settings of an endpoint that are refused before anything is sent, and TLS."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from agent.llm.endpoint import Endpoint, OpenAIChat
from agent.llm.types import ModelError
from evals.servers.model.script import ScriptedReply
from tests.llm.conftest import Bench, complete
from tools.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "http:// or https://"),
        ("localhost:11434/v1", "http:// or https://"),
        ("ftp://h.example/v1", "http:// or https://"),
        ("https://", "http:// or https://"),
        ("https:///v1", "http:// or https://"),
        ("https://h.example:99999/v1", "http:// or https://"),
        ("https://[::1/v1", "http:// or https://"),
        ("https://h.example/v1\r\nX: y", "http:// or https://"),
        ("https://h.example\\@evil.example/", "http:// or https://"),
        ("https://user:pw@h.example/v1", "user name or password"),
        ("https://@h.example/v1", "user name or password"),
        ("https://h.example/v1?key=x", "query"),
        ("https://h.example/v1?", "query"),
        ("https://h.example/v1#x", "fragment"),
        ("http://h.example/v1", "plain HTTP"),
        ("http://10.0.0.7:8000/v1", "plain HTTP"),
        ("http://localhost.evil.example/v1", "plain HTTP"),
        ("http://127.0.0.1.evil.example/v1", "plain HTTP"),
        ("http://2852039166/v1", "plain HTTP"),
        ("http://169.254.169.254/latest", "never asked"),
        ("https://169.254.0.1/v1", "never asked"),
        ("https://[fe80::1]/v1", "never asked"),
        ("https://[fe80::1%25eth0]/v1", "never asked"),
        ("https://[fd00:ec2::254]/v1", "never asked"),
        ("https://[::ffff:169.254.169.254]/v1", "never asked"),
        ("https://0.0.0.0/v1", "never asked"),
    ],
)
def test_an_address_that_cannot_or_must_not_be_asked(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        OpenAIChat(Endpoint(base_url=url, model="m"))
    assert caught.value.hint
    assert "pw" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url", ["http://localhost:11434/v1", "http://127.0.0.1:8000", "http://[::1]:8000/v1/", "https://h.example/v1"]
)
async def test_an_address_that_can_be_asked(url: str) -> None:
    chat = OpenAIChat(Endpoint(base_url=url, model="m"))
    assert chat.address == url.rstrip("/")
    await chat.aclose()


async def test_plain_http_where_it_is_allowed() -> None:
    await OpenAIChat(Endpoint(base_url="http://h.example/v1", model="m", allow_plain_http=True)).aclose()


@pytest.mark.parametrize("model", ["", "  ", "a\nb"])
def test_a_model_needs_a_name(model: str) -> None:
    with pytest.raises(SettingsError, match="no model"):
        OpenAIChat(Endpoint(base_url="https://h.example/v1", model=model))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "a\x00"),
        ("X-A", "ä"),
        ("X A", "a"),
        ("X-A:", "a"),
        ("", "a"),
        ("X-A\r\nX-B", "a"),
        ("Authorization", "Bearer x"),
        ("HOST", "h.example"),
        ("Content-Length", "3"),
        ("content-encoding", "gzip"),
        ("Transfer-Encoding", "chunked"),
    ],
)
def test_a_header_that_would_change_what_a_request_is(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        OpenAIChat(Endpoint(base_url="https://h.example/v1", model="m", headers={name: value}))
    assert str(caught.value).isprintable()


def test_a_key_no_header_can_carry() -> None:
    with pytest.raises(SettingsError, match="key") as caught:
        OpenAIChat(Endpoint(base_url="https://h.example/v1", model="m", key="sk-1\nX: y"))
    assert "sk-1" not in str(caught.value)


def test_secrets_are_not_in_the_representation() -> None:
    shown = repr(Endpoint(base_url="https://h.example/v1", model="m", key="sk-1", headers={"X-Api-Key": "hush"}))
    assert "sk-1" not in shown
    assert "hush" not in shown


# --- TLS ---------------------------------------------------------------------------------------------------

BODY = b'{"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}'


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_certificates_are_verified_and_ssl_cert_file_counts(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k", "-out", "c", "-days", "1"]
    args += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:gateway.example"]
    subprocess.run(["openssl", "req", "-x509", *args], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        chat = bench.client(f"https://127.0.0.1:{port}/v1")
        with pytest.raises(ModelError, match="certificate problem") as caught:
            await complete(chat)
        assert (caught.value.kind, chat.requests) == ("address", 1)
        assert "SSL_CERT_FILE" in str(caught.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "c"))
        assert (await complete(bench.client(f"https://127.0.0.1:{port}/v1"))).text == "hello"
        # behind a name, the address is connected to, and the name is what the certificate has to say
        at_home = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: at_home)
        assert (await complete(bench.client(f"https://gateway.example:{port}/v1"))).text == "hello"
        with pytest.raises(ModelError, match="certificate problem"):
            await complete(bench.client(f"https://elsewhere.example:{port}/v1"))


async def test_tls_to_a_plain_server_says_so(bench: Bench) -> None:
    server = await bench.serve(ScriptedReply())
    chat = bench.client(server.url.replace("http:", "https:"))
    with pytest.raises(ModelError, match="plain HTTP") as caught:
        await complete(chat)
    assert (caught.value.kind, chat.requests) == ("address", 1)


def test_a_ca_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        OpenAIChat(Endpoint(base_url="https://h.example/v1", model="m"))
