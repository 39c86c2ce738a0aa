"""G17: the process spawns nothing after start-up: no source can but at the places listed, and the kernel forbids it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.lockdown import Lockdown

ROOT = Path(__file__).parents[2]
PACKAGES = ("plumbline", "agent", "tools", "prompts", "evals", "tui", "slackbot", "service")

PLACES: dict[str, set[str]] = {
    "tools/credentials.py": {"asyncio.subprocess", "create_subprocess_exec"},
    "tools/lockdown.py": {"ctypes", "execve", "execveat"},
    "tools/redact.py": {"marshal"},
    "plumbline/beside.py": {"asyncio.subprocess", "create_subprocess_exec"},
    "evals/servers/prom/real.py": {"subprocess"},
    "evals/servers/canned.py": {"multiprocessing", "multiprocessing.connection"},
    "evals/runner.py": {"multiprocessing"},
    "evals/injection/runs.py": {"multiprocessing"},
    "evals/bench/fleet.py": {"multiprocessing"},
    "evals/bench/__main__.py": {"posix_spawn"},
}
"""What may be used where, and why:

credentials: allow-listed plugins, before lockdown · beside: the applier of --with-applier, before lockdown ·
lockdown: the kernel calls that take the power away, and the names of those it forbids · redact: marshal.dumps as a
digest, never a load · real: the Prometheus a user asks for by --prometheus-bin · the rest: processes of the eval and
bench commands, which run no agent for a user.
"""

MODULES = {
    "subprocess", "pty", "pickle", "shelve", "dill", "cloudpickle", "multiprocessing", "ctypes", "cffi", "code",
    "codeop", "marshal", "asyncio.subprocess", "multiprocessing.connection", "pexpect", "sh", "plumbum",
    "invoke", "fabric",
}  # fmt: skip
ATTRIBUTES = {
    "system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "create_subprocess_exec",
    "create_subprocess_shell", "unsafe_load", "full_load", "load_all", "unsafe_load_all", "UnsafeLoader", "FullLoader",
    "subprocess_exec", "subprocess_shell",
}  # fmt: skip
PREFIXES = ("execv", "execl", "spawnv", "spawnl")
BUILTINS = {"eval", "exec", "compile", "__import__"}


def uses(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Everything in a source that could start a program or run data as code, with its line."""
    for node in ast.walk(tree):
        for what in (*imported(node), *named(node), *called(node)):
            yield what, getattr(node, "lineno", 0)


def imported(node: ast.AST) -> set[str]:
    """Modules and names that must not be imported."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & MODULES
    if not isinstance(node, ast.ImportFrom):
        return set()
    names = {alias.name for alias in node.names}
    found = {str(node.module), *(f"{node.module}.{name}" for name in names)} & MODULES
    return found | ({name for name in names if dangerous(name)} if node.module == "os" else set())


def named(node: ast.AST) -> set[str]:
    """Attributes that must not be used."""
    if not isinstance(node, ast.Attribute):
        return set()
    full = f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else ""
    found = {full} & {"yaml.load", "marshal.loads", "marshal.load"}
    return found | ({node.attr} if dangerous(node.attr) else set())


def called(node: ast.AST) -> set[str]:
    """Calls that must not be made."""
    if not isinstance(node, ast.Call):
        return set()
    shell = any(k.arg == "shell" and not is_false(k.value) for k in node.keywords)
    builtin = {node.func.id} & BUILTINS if isinstance(node.func, ast.Name) else set()
    return builtin | ({"shell=True"} if shell else set())


def dangerous(name: str) -> bool:
    """True for names of os, asyncio and yaml that start programs or build objects from text."""
    return name in ATTRIBUTES or name.startswith(PREFIXES)


def is_false(node: ast.expr) -> bool:
    """True for a literal False."""
    return isinstance(node, ast.Constant) and node.value is False


def test_no_source_can_but_at_the_places_listed() -> None:
    found: dict[str, set[str]] = {}
    sources = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(sources) > 50
    for path in sources:
        name = str(path.relative_to(ROOT))
        beyond = {f"{what} (line {line})" for what, line in uses(ast.parse(path.read_text("utf-8")))
                  if what not in PLACES.get(name, set())}  # fmt: skip
        if beyond:
            found[name] = beyond
    assert found == {}


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import subprocess", "subprocess"),
        ("from subprocess import run", "subprocess"),
        ("from asyncio import subprocess", "asyncio.subprocess"),
        ("import os\nos.system('x')", "system"),
        ("from os import execvp", "execvp"),
        ("import os\nos.spawnlp(1)", "spawnlp"),
        ("eval('1')", "eval"),
        ("exec(x)", "exec"),
        ("import pickle", "pickle"),
        ("import yaml\nyaml.load(x)", "yaml.load"),
        ("import yaml\nyaml.unsafe_load(x)", "unsafe_load"),
        ("run(x, shell=True)", "shell=True"),
        ("import asyncio\nasyncio.create_subprocess_shell(x)", "create_subprocess_shell"),
        ("import pty", "pty"),
        ("import marshal\nmarshal.loads(x)", "marshal.loads"),
    ],
)
def test_the_lint_finds_what_it_looks_for(source: str, what: str) -> None:
    assert what in {found for found, _ in uses(ast.parse(source))}


CHILD = textwrap.dedent(
    """
    import ctypes, json, os, platform, socket, subprocess, sys, threading
    from pathlib import Path
    state, outside, listening = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    from tools import lockdown

    def attempt(action):
        try:
            return str(action())
        except OSError as error:
            return type(error).__name__

    report = lockdown.apply(writable=[state], tcp_ports=[listening])
    results = {}

    def thread():
        results["thread"] = attempt(lambda: subprocess.run(["/bin/true"]))
        (state / "thread").write_text("x")

    worker = threading.Thread(target=thread)
    worker.start()
    worker.join()
    results["run"] = attempt(lambda: subprocess.run(["/bin/true"]).returncode)
    results["shell"] = attempt(lambda: subprocess.run("true", shell=True).returncode)
    results["system"] = os.system("true 2>/dev/null")
    results["exec"] = attempt(lambda: os.execv("/bin/true", ["true"]))
    results["spawn"] = attempt(lambda: os.posix_spawn("/bin/true", ["true"], {}))
    libc = ctypes.CDLL(None, use_errno=True)
    number = {"x86_64": 322, "aarch64": 281}.get(platform.machine(), -1)
    descriptor = os.open("/bin/true", os.O_RDONLY)
    argv = (ctypes.c_char_p * 2)(b"true", None)
    results["execveat"] = libc.syscall(number, descriptor, b"", argv, None, 0x1000)
    results["inside"] = attempt(lambda: (state / "file").write_text("x"))
    results["outside"] = attempt(lambda: (outside / "file").write_text("x"))
    results["append"] = attempt(lambda: (outside / "there").open("a"))
    results["truncate"] = attempt(lambda: os.truncate(outside / "there", 0))
    results["remove"] = attempt(lambda: (outside / "there").unlink())
    results["rename"] = attempt(lambda: (state / "file").rename(outside / "moved"))
    results["read"] = attempt(lambda: (outside / "there").read_text())
    results["allowed port"] = attempt(lambda: socket.create_connection(("127.0.0.1", listening), 5).close())
    results["other port"] = attempt(lambda: socket.create_connection(("127.0.0.1", listening ^ 1), 5).close())
    print(json.dumps({"report": [report.files, report.network, report.programs], "results": results,
                      "same": report == lockdown.status()}))
    """
)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lockdown, dict[str, object]]:
    """The report of a locked child process, and what became of its attempts."""
    import socket

    state, outside = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("outside")
    (outside / "there").write_text("kept")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(state), str(outside), str(port)],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert (outside / "there").read_text() in ("kept", "")
    told = json.loads(done.stdout)
    assert told["same"]
    return Lockdown(*told["report"]), told["results"]


def test_the_kernel_refuses_every_way_to_start_a_program(locked: tuple[Lockdown, dict[str, object]]) -> None:
    report, results = locked
    if report.programs:
        pytest.skip(f"seccomp: {report.programs}")
    assert {results[way] for way in ("run", "shell", "exec", "spawn", "thread")} == {"PermissionError"}
    assert results["system"] != 0
    assert results["execveat"] == -1


def test_the_kernel_refuses_writes_outside_the_state_directory(locked: tuple[Lockdown, dict[str, object]]) -> None:
    report, results = locked
    if report.files:
        pytest.skip(f"Landlock: {report.files}")
    assert results["inside"] == "1"
    assert results["read"] == "kept"
    for way in ("outside", "append", "remove"):
        assert results[way] == "PermissionError", way
    assert results["rename"] in ("PermissionError", "OSError")


def test_the_kernel_refuses_other_ports(locked: tuple[Lockdown, dict[str, object]]) -> None:
    report, results = locked
    if report.network:
        pytest.skip(f"Landlock: {report.network}")
    assert results["allowed port"] == "None"
    assert results["other port"] == "PermissionError"


def test_the_report_is_for_people() -> None:
    lines = Lockdown(files="", network="this kernel has no Landlock", programs="").lines()
    assert lines == [
        "writes outside the state directory: blocked",
        "TCP to other ports: not blocked, this kernel has no Landlock",
        "starting programs: blocked",
    ]
