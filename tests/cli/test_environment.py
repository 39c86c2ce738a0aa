"""Variables that make a library report, or report elsewhere: none of them has a say unless the user gave it one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plumbline import environment
from tests.cli.conftest import QUESTION
from tests.repo.test_house_style import ROOT

PATIENCE = 60.0
"""Seconds until a process that should have answered is given up."""
TRACING = {
    "LANGSMITH_TRACING": "true",
    "LANGSMITH_TRACING_V2": "true",
    "LANGCHAIN_TRACING_V2": "true",
    "LANGSMITH_API_KEY": "lsv2_pt_planted",
    "LANGCHAIN_API_KEY": "lsv2_pt_planted",
    "LANGSMITH_PROJECT": "planted",
}
BARE = """
import sys
from tools import lockdown
lockdown.apply = lambda **_: lockdown.Lockdown()
from plumbline import cli
code = cli.main(sys.argv[1:])
from langchain_core.tracers.langchain import wait_for_all_tracers
wait_for_all_tracers()
sys.exit(code)
"""
"""The command without what comes before it, and free to connect: what the variables would do if nobody took them."""
CLIENT = """
import os, sys
from plumbline.environment import scrub_client
if sys.argv[1] == "scrub":
    scrub_client(os.environ)
import logging, openai
client = openai.AsyncOpenAI(api_key="given", base_url=None if sys.argv[1] == "bare" else "http://127.0.0.1:9/v1")
print(client.base_url, client.organization, client.project, client.admin_api_key)
print(client.default_headers.get("X-Planted"), logging.getLogger("openai").level)
"""


@dataclass(slots=True)
class Sink:
    """A server that takes everything and counts it."""

    url: str
    requests: list[str] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Sink]:
    """A sink on an ephemeral port, in a thread of its own."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            seen.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST = do_PATCH = do_PUT = _take

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Sink(f"http://127.0.0.1:{server.server_address[1]}", seen)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def answered(sink: Sink, *command: str, **variables: str) -> str:
    """Ask in a process of its own; standard output."""
    environ = {**os.environ, **TRACING, "LANGSMITH_ENDPOINT": sink.url, "LANGCHAIN_ENDPOINT": sink.url, **variables}
    done = subprocess.run(
        [sys.executable, *command, "ask", "--world", "hpa-cpu", "-o", "json", QUESTION],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_variables_would_upload_whole_states_if_nobody_took_them() -> None:
    with listening() as sink:
        assert "U13" in answered(sink, "-c", BARE)
    assert [line for line in sink.requests if line.startswith("POST")]


def test_a_run_uploads_nothing() -> None:
    with listening() as sink:
        scrubbed = f"import os\nfrom plumbline.environment import scrub\nscrub(os.environ)\n{BARE}"
        assert "U13" in answered(sink, "-c", scrubbed)
        assert "U13" in answered(sink, "-m", "plumbline")
    assert sink.requests == []


def test_tracing_variables_go_and_all_others_stay() -> None:
    environ = {
        **TRACING,
        "LANGCHAIN_HANDLER": "x",
        "LANGGRAPH_STRICT_MSGPACK": "true",
        "HOME": "/h",
        "MY_LANGSMITH_": "x",
    }
    gone = environment.scrub(environ)
    assert gone == tuple(sorted([*TRACING, "LANGCHAIN_HANDLER"]))
    assert environ == {"LANGGRAPH_STRICT_MSGPACK": "true", "HOME": "/h", "MY_LANGSMITH_": "x"}
    assert environment.scrub(environ) == ()


@pytest.mark.parametrize(
    ("value", "allowed"),
    [("true", True), (" TRUE ", True), ("1", False), ("", False), ("yes", False), ("false", False)],
)
def test_only_an_explicit_opt_in_keeps_tracing(value: str, *, allowed: bool) -> None:
    environ = {**TRACING, environment.ALLOW_LANGSMITH: value, "LANGSMITH_ENDPOINT": "https://eu.example"}
    assert environment.langsmith_urls(environ) == (("https://eu.example",) if allowed else ())
    assert (environment.scrub(environ) == ()) is allowed
    assert ("LANGSMITH_TRACING" in environ) is allowed
    if allowed:
        del environ["LANGSMITH_ENDPOINT"]
        assert environment.langsmith_urls(environ) == (environment.LANGSMITH,)


def test_nothing_beside_its_arguments_steers_the_model_client() -> None:
    planted = {
        "OPENAI_BASE_URL": "https://planted.example/v1",
        "OPENAI_ORG_ID": "planted-org",
        "OPENAI_PROJECT_ID": "planted-project",
        "OPENAI_ADMIN_KEY": "planted-admin",
        "OPENAI_CUSTOM_HEADERS": "X-Planted: yes",
        "OPENAI_LOG": "debug",
        "OPENAI_API_KEY": "kept",
    }

    def client(mode: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, mode],
            cwd=ROOT,
            env={**os.environ, **planted},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    bare = "https://planted.example/v1/ planted-org planted-project planted-admin yes 10"
    assert client("bare") == bare.split(), "the variables steer it"
    assert client("scrub") == ["http://127.0.0.1:9/v1/", *["None"] * 4, "0"]
    environ = {**planted, "AZURE_OPENAI_ENDPOINT": "https://planted.example", "PLUMBLINE_MODEL": "m"}
    environment.scrub_client(environ)
    assert environ == {"OPENAI_API_KEY": "kept", "PLUMBLINE_MODEL": "m"}


def test_every_variable_the_client_reads_is_known() -> None:
    """A new version of openai that reads another variable fails here."""
    import importlib.util
    import re

    spec = importlib.util.find_spec("openai")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    read = re.compile(r"environ(?:\.get\(|\[)\s*[\"']([A-Z_0-9]+)[\"']")
    found = {
        name
        for path in folder.rglob("*.py")
        if "cli" not in path.relative_to(folder).parts
        for name in read.findall(path.read_text(encoding="utf-8"))
    }
    assert {"OPENAI_BASE_URL", "OPENAI_CUSTOM_HEADERS", "OPENAI_LOG"} <= found
    others = {name for name in found if not name.startswith(environment.CLIENT)}
    assert others <= {  # of providers that we never choose, and of pydantic
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_BEDROCK_BASE_URL",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "DEFER_PYDANTIC_BUILD",
        "GOOGLE_CLOUD_LOCATION",
        "GOOGLE_CLOUD_PROJECT",
    }
