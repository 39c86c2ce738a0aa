"""The command as a process of its own: Ctrl-C, closed pipes, full disks, lockdown, the kubectl plugin."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evals.servers.prom.real import available
from evals.world.load import load
from evals.world.model import Clock, World
from plumbline.worlds import run_clock
from tests.cli.conftest import QUESTION, Command, Replay, Serve, newest_session
from tests.repo.test_house_style import ROOT

COMMAND = (sys.executable, "-m", "plumbline")
PATIENCE = 30.0
"""Seconds until a process that should have answered is given up."""


@contextmanager
def started(*arguments: str, stdout: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A command under way; killed when the test is over."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until `condition()` holds; fails after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def test_ctrl_c_keeps_the_run_and_it_is_finished_later(plumbline: Command, serve: Serve) -> None:
    site = serve("hpa-cpu", {"server": "kube", "match": "/apis/autoscaling", "hang": True, "count": 1})
    with started("ask", *site.flags, QUESTION) as process:
        wait_for(lambda: any("autoscaling" in r.path for r in site.kube.requests), "the read that hangs")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    session = newest_session(plumbline)
    assert f"--resume {session}" in err
    done = plumbline("ask", *site.flags, "--resume", session)
    assert done.code == 0
    assert "U13" in done.out
    types = [e.type for e in Replay.model_validate_json(plumbline("replay", session, "-o", "json").out).items]
    assert types.index("cancelled") < types.index("answered")


def test_ctrl_c_leaves_nothing_of_a_recording(serve: Serve, tmp_path: Path) -> None:
    site = serve("hpa-cpu", {"server": "kube", "match": "/apis/autoscaling", "hang": True, "count": 1})
    out = tmp_path / "out"
    out.mkdir()
    with started("record", *site.flags, "--out", str(out / "w")) as process:
        wait_for(lambda: any("autoscaling" in r.path for r in site.kube.requests), "the read that hangs")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert list(out.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error(state_dir: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with started("ask", "--world", "fleet", "why are the GPUs idle?", stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output_is_one_line() -> None:
    with open("/dev/full", "w") as full, started("demo", stdout=full.fileno()) as process:
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert err.startswith("plumbline: cannot write the output: No space left on device")
    assert len(err.splitlines()) == 1


SMALL_FILES = """
import resource, runpy, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
runpy.run_module("plumbline", run_name="__main__")
"""
"""The command, where no file can grow beyond 512 bytes: a full disk, without one."""


def test_a_full_state_directory_stops_before_anything_is_read(serve: Serve) -> None:
    site = serve()
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, "ask", *site.flags, QUESTION],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [r for r in site.kube.requests if r.path.endswith(("/pods", "/nodes", "/deployments"))]


def test_as_a_kubectl_plugin_the_usage_says_so(tmp_path: Path) -> None:
    link = tmp_path / "kubectl-plumbline"
    link.write_text("import sys\nfrom plumbline.__main__ import main\nsys.exit(main())\n")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(link), "ask", "--help"], env=environ, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.stdout.startswith("usage: kubectl plumbline ask")


def test_on_a_terminal_progress_shows_at_once_and_is_taken_away() -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "demo", "--no-color"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=slave,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    os.close(slave)
    seen = b""
    try:
        while b"calls" not in seen and (chunk := _read(master)):
            seen += chunk
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        os.close(master)
    assert process.returncode == 0
    assert "● U13" in out
    assert "\x1b" not in out
    steps = seen.decode().split("\r\x1b[2K")
    assert steps[1].startswith("starting")
    assert any(step.startswith("reading ") for step in steps)
    assert any("found U13" in step for step in steps)
    assert steps[-1] == "" or steps[-1].startswith("evidence: plumbline evidence ")


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError:
        return b""


def twins() -> World:
    """The world in which two namespaces hold a Deployment of one name."""
    world = load("hpa-cpu")
    for twin in json.loads(json.dumps(world.objects)):
        if twin["kind"] == "Deployment" and twin["metadata"]["name"] == "chat-70b":
            twin["metadata"].update({"namespace": "research", "uid": "twin"})
            world.objects.append(twin)
    return world


def test_without_a_terminal_candidates_are_listed_and_none_is_guessed(plumbline: Command, serve: Serve) -> None:
    site = serve(twins())
    done = plumbline("ask", *site.flags, "why is chat-70b slow?")
    assert done.code == 2
    assert done.out == ""
    assert "search/Deployment/chat-70b" in done.err
    assert "research/Deployment/chat-70b" in done.err
    assert f"--resume {newest_session(plumbline)}" in done.err
    named = plumbline("ask", *site.flags, "-o", "json", "why is search/Deployment/chat-70b slow?")
    assert named.code == 0
    assert named.answer.scope.namespaces == ["search"]


@pytest.mark.parametrize(("typed", "code"), [("1\n", 0), ("9\n", 2), ("x\n", 2), ("", 2)])
def test_a_person_chooses_between_candidates(
    plumbline: Command, serve: Serve, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    person = io.StringIO(typed)
    person.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", person)
    done = plumbline("ask", *serve(twins()).flags, "-o", "json", "why is chat-70b slow?")
    assert done.code == code
    assert "number: " in done.err
    if code == 0:
        assert done.answer.scope.namespaces in (["search"], ["research"])


def test_world_serve_is_a_cluster_to_others(plumbline: Command, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "served"
    with started("world", "serve", "hpa-cpu", "--kubeconfig-out", str(kubeconfig)) as process:
        assert process.stdout is not None
        said = dict(line.split(None, 1) for line in (process.stdout.readline() for _ in range(5)) if line.strip())
        url = said["prometheus"].strip()
        done = plumbline("ask", "--kubeconfig", str(kubeconfig), "--prometheus", url, "-o", "json", QUESTION)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert done.code == 0
    assert done.answer.findings[0].cause == "U13"
    assert kubeconfig.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not available(), reason="no prometheus and promtool on PATH")
def test_world_serve_with_a_real_prometheus_is_answered_alike(plumbline: Command, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "served"
    flags = ("--prometheus-bin", "--history", "1h", "--anchor", "now", "--kubeconfig-out", str(kubeconfig))
    with started("world", "serve", "hpa-cpu", *flags) as process:
        assert process.stdout is not None
        said = dict(line.split(None, 1) for line in (process.stdout.readline() for _ in range(5)) if line.strip())
        at = re.search(r"--at (\S+)", said["try"])
        assert at, said
        target = ("--kubeconfig", str(kubeconfig), "--prometheus", said["prometheus"].strip())
        done = plumbline("ask", *target, "--at", at[1], "-o", "json", QUESTION)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert done.code == 0
    assert done.answer.findings[0].cause == "U13"
    assert "prometheus" in {item.source for item in done.answer.evidence}


def test_world_serve_says_what_is_wrong(plumbline: Command, tmp_path: Path) -> None:
    assert "--prom-port" in plumbline("world", "serve", "fleet", "--prometheus-bin", "--prom-port", "9").line
    assert "--prometheus-bin" in plumbline("world", "serve", "fleet", "--prometheus-bin", "/no/such").line
    assert "--history" in plumbline("world", "serve", "fleet", "--history", "always").line
    assert "choose another" in plumbline("world", "serve", "fleet", "--kubeconfig-out", "/dev/null/x").line
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "cannot listen" in plumbline("world", "serve", "fleet", "--kube-port", str(taken.getsockname()[1])).line


async def test_a_running_clock_goes_as_ours_does() -> None:
    """What a world does later happens then, and an applier that watches sees no clock that stands still."""
    clock, moved = Clock(1_800_000_000.0), asyncio.Event()
    clock.listeners.append(moved.set)
    running = asyncio.create_task(run_clock(clock))
    begun = time.monotonic()
    await asyncio.wait_for(moved.wait(), 10)
    assert 0 < clock.now - 1_800_000_000.0 <= time.monotonic() - begun
    running.cancel()
