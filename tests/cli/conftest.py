"""The command line in this process, against worlds served from another thread over real HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
from pydantic import BaseModel, ConfigDict

from evals.servers.kube.server import KubeServer
from evals.servers.prom.server import PromServer
from evals.world.load import load
from evals.world.model import World
from tools import lockdown
from tools.types import JsonObject


class Loose(BaseModel):
    """Part of a contract that has its own test; what a test does not look at is left out."""

    model_config = ConfigDict(extra="ignore")


class Subject(Loose):
    """Whom a finding is about."""

    kind: str
    namespace: str | None
    name: str


class Cited(Loose):
    """One quotation."""

    evidence: str


class Found(Loose):
    """A finding."""

    cause: str
    subject: Subject
    refs: list[Cited]


class Lack(Loose):
    """Something missing."""

    need: str
    because: str


class Item(Loose):
    """A piece of evidence."""

    id: str
    source: str
    observedAt: str


class Scoped(Loose):
    """What was looked at."""

    namespaces: list[str] | None
    permitted: list[str] | None


class Answer(Loose):
    """`-o json` of a question."""

    question: str
    status: str
    scope: Scoped
    findings: list[Found]
    missing: list[Lack]
    evidence: list[Item]


class Said(Loose):
    """An event of a replay."""

    type: str
    evidence: str = ""


class Replay(Loose):
    """`replay -o json`."""

    kind: str
    items: list[Said]


class Row(Loose):
    """A session."""

    id: str


class Rows(Loose):
    """`sessions -o json`."""

    items: list[Row]


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on stderr; fails when there is more, less, or a traceback."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("plumbline: ")
        return lines[0].removeprefix("plumbline: ")

    @property
    def json(self) -> JsonObject:
        """Standard output as JSON."""
        body = json.loads(self.out)
        assert isinstance(body, dict)
        return body

    @property
    def answer(self) -> Answer:
        """Standard output as an answer."""
        return Answer.model_validate_json(self.out)


Command: TypeAlias = Callable[..., Done]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state_dir: Path) -> None:
    """A home of the test's own; and this process, unlike a real one, keeps its powers."""
    for name in ("KUBECONFIG", "NO_COLOR", "COLUMNS", "PLUMBLINE_CONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr(lockdown, "apply", lambda **_: lockdown.Lockdown(files="", network="", programs=""))


@pytest.fixture
def plumbline(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command; what it wrote and how it ended."""
    from plumbline.cli import main

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = main(arguments)
        written = capsys.readouterr()
        return Done(code, written.out, written.err)

    return run


@dataclass(slots=True)
class Site:
    """A served world: what to give the command so that it looks there."""

    world: World
    kube: KubeServer
    prom: PromServer
    kubeconfig: Path
    prom_url: str

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags naming both servers."""
        return ("--kubeconfig", str(self.kubeconfig), "--prometheus", self.prom_url)


Serve: TypeAlias = Callable[..., Site]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve a world, by name or made by hand, with extra faults; stopped when the test is over."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    started: list[KubeServer | PromServer] = []

    def start(name: str | World = "hpa-cpu", *faults: JsonObject) -> Site:
        world = load(name) if isinstance(name, str) else name
        world.faults += faults
        kube, prom = KubeServer(world), PromServer(world)
        for server in (kube, prom):
            asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
            started.append(server)
        path = tmp_path / f"kubeconfig-{kube.port}"
        path.write_text(json.dumps(kube.kubeconfig()))
        return Site(world, kube, prom, path, prom.url)

    yield start
    for server in started:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def newest_session(plumbline: Command) -> str:
    """The session asked last."""
    return Rows.model_validate_json(plumbline("sessions", "-o", "json").out).items[0].id


QUESTION = "why are team search's H100s half idle?"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")
"""What must never reach a terminal from data (tab and newline are ours)."""
